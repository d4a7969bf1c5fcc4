import type { Codec } from './codec.ts'

/** Configuration, RFC 7296 §3.15: type (1 octet), reserved (3), attributes. */
export interface CPPayload {
  readonly type: 'CP'
  /** `CFG_TYPE`. */
  readonly cfgType: number
  readonly attributes: readonly CfgAttribute[]
}

/** A configuration attribute, RFC 7296 §3.15.1: reserved bit and type (15 bits), length of the value (2 octets), value. */
export interface CfgAttribute {
  /** `CFG_ATTRIBUTE`. */
  readonly type: number
  /** Empty in a request that has no wish. */
  readonly value: Uint8Array
}

/** Enough for long lists of subnets; bounds the work for one payload. */
const MOST_ATTRIBUTES = 1000

export const cp: Codec<CPPayload> = {
  number: 47,
  type: 'CP',
  decode(body) {
    const cfgType = body.u8()
    body.bytes(3)
    const attributes: CfgAttribute[] = []
    while (body.left > 0) {
      if (attributes.length === MOST_ATTRIBUTES) body.fail(`more than ${MOST_ATTRIBUTES} attributes`)
      const type = body.u16() & 0x7fff
      attributes.push({ type, value: body.bytes(body.u16()) })
    }
    return { type: 'CP', cfgType, attributes }
  },
  encode({ cfgType, attributes }, body) {
    body.u8(cfgType)
    body.zeros(3)
    for (const { type, value } of attributes) {
      if (type > 0x7fff) throw new RangeError(`attribute type ${type}`)
      body.u16(type)
      body.u16(value.length)
      body.bytes(value)
    }
  },
}
