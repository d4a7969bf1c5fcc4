import { Reader } from '../reader.ts'
import type { Codec } from './codec.ts'

/** Extensible Authentication, RFC 7296 §3.16: one EAP packet, code (1 octet), identifier (1), length (2), data. */
export interface EAPPayload {
  readonly type: 'EAP'
  /** The whole packet, its header checked. */
  readonly data: Uint8Array
}

export const eap: Codec<EAPPayload> = {
  number: 48,
  type: 'EAP',
  decode(body) {
    const data = body.rest()
    checkEap(new Reader(data, 'packet', body))
    return { type: 'EAP', data }
  },
  encode({ data }, body) {
    body.bytes(data)
  },
}

/** RFC 3748 §4; Initiate and Finish are RFC 6696 §5.3. */
function checkEap(packet: Reader): void {
  const size = packet.left
  const code = packet.u8()
  packet.u8()
  const length = packet.u16()
  if (length !== size) packet.fail(`an EAP length of ${length} in a packet of ${size} octets`)
  if (code < CODE.REQUEST || code > CODE.FINISH) packet.fail(`EAP code ${code}`)
  const typed = code !== CODE.SUCCESS && code !== CODE.FAILURE
  if (typed && size < 5) packet.fail(`EAP code ${code} without a type`)
  if (!typed && size !== 4) packet.fail(`EAP code ${code} with data`)
}

const CODE = { REQUEST: 1, RESPONSE: 2, SUCCESS: 3, FAILURE: 4, INITIATE: 5, FINISH: 6 } as const
