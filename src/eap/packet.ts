/** EAP packets, RFC 3748 §4: code, identifier, length, and with requests and responses a type and its data. */
import { concat } from '../crypto/bytes.ts'

export const CODE = { REQUEST: 1, RESPONSE: 2, SUCCESS: 3, FAILURE: 4 } as const

/** Types of requests and responses that are known here by number. */
export const TYPE = { IDENTITY: 1, NOTIFICATION: 2, NAK: 3, MD5: 4, GTC: 6, MSCHAPV2: 26 } as const

export interface EapPacket {
  readonly code: number
  readonly identifier: number
  /** Undefined in successes and failures. */
  readonly type: number | undefined
  /** What is behind the type. */
  readonly data: Uint8Array
}

/** Reads a packet whose header was checked (`src/wire/payloads/eap.ts`). */
export function readEap(packet: Uint8Array): EapPacket {
  const [code = 0, identifier = 0, , , type] = packet
  return { code, identifier, type, data: packet.subarray(5) }
}

/** A request or a response. */
export function writeEap(code: number, identifier: number, type: number, data: Uint8Array): Uint8Array {
  const length = 5 + data.length
  return concat(Uint8Array.of(code, identifier, length >> 8, length & 0xff, type), data)
}

/** A success or a failure. */
export function writeOutcome(code: number, identifier: number): Uint8Array {
  return Uint8Array.of(code, identifier, 0, 4)
}

/** charon's name of a type: EAP_MD5. */
export function typeName(type: number): string {
  return NAMES.get(type) ?? `EAP_${type}`
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'EAP_IDENTITY'],
  [2, 'EAP_NOTIFICATION'],
  [3, 'EAP_NAK'],
  [4, 'EAP_MD5'],
  [5, 'EAP_OTP'],
  [6, 'EAP_GTC'],
  [13, 'EAP_TLS'],
  [18, 'EAP_SIM'],
  [21, 'EAP_TTLS'],
  [23, 'EAP_AKA'],
  [25, 'EAP_PEAP'],
  [26, 'EAP_MSCHAPV2'],
])

/** Text of the other side for a log: bounded, and without what a terminal would obey. */
export function printable(text: string): string {
  return text.slice(0, 200).replace(/[^ -~\u00a0-\uffff]/g, '?')
}
