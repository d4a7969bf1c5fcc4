import { ID_TYPE } from '../numbers.ts'
import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'
import type { Codec } from './codec.ts'

/** What an identification payload says, RFC 7296 §3.5: type (1 octet), reserved (3), data. */
export interface Identification {
  /** `ID_TYPE`. */
  readonly idType: number
  /** 4 octets for ID_IPV4_ADDR, 16 for ID_IPV6_ADDR, else of any length. */
  readonly data: Uint8Array
  /** The three reserved octets, if they are not zero as ours are. They say nothing, but AUTH covers them (§2.15). */
  readonly reserved?: Uint8Array
}

/** Identification of the initiator. */
export interface IDiPayload extends Identification {
  readonly type: 'IDi'
}

/** Identification of the responder. */
export interface IDrPayload extends Identification {
  readonly type: 'IDr'
}

export const idi: Codec<IDiPayload> = {
  number: 35,
  type: 'IDi',
  decode: (body) => ({ type: 'IDi', ...decodeId(body) }),
  encode: encodeId,
}

export const idr: Codec<IDrPayload> = {
  number: 36,
  type: 'IDr',
  decode: (body) => ({ type: 'IDr', ...decodeId(body) }),
  encode: encodeId,
}

function decodeId(body: Reader): Identification {
  const idType = body.u8()
  const reserved = body.bytes(3)
  const size = idType === ID_TYPE.IPV4_ADDR ? 4 : idType === ID_TYPE.IPV6_ADDR ? 16 : body.left
  if (body.left !== size) body.fail(`an address of ${body.left} octets in an identification of type ${idType}`)
  const said = { idType, data: body.rest() }
  return reserved.some((octet) => octet !== 0) ? { ...said, reserved } : said
}

function encodeId({ idType, data, reserved = unset }: Identification, body: Writer): void {
  body.u8(idType)
  body.bytes(reserved)
  body.bytes(data)
}

const unset = new Uint8Array(3)
