/** What simulated hosts send each other: inner packets as header fields, and the same sealed as ESP or AH. */
import type { SaMode, SaProtocol } from '../operations.ts'
import type { Flow } from './address.ts'

/** An IP packet. `id` tells packets apart in tests. */
export interface Packet extends Flow {
  /** Octets. */
  readonly length: number
  readonly id: number
  readonly mark?: number
  /** The XFRM interface it goes through. */
  readonly ifId?: number
}

/** A sealed packet. `sequence` is what the header carries: the low 32 bits. */
export interface EspPacket {
  readonly protocol: SaProtocol
  readonly source: string
  readonly destination: string
  /** Ports of the UDP header around it (RFC 3948), which a NAT may change on the way. */
  readonly encapsulation?: { readonly sourcePort: number; readonly destinationPort: number }
  readonly spi: number
  readonly sequence: number
  readonly mode: SaMode
  /**
   * It went through an IPComp state before, in that mode. Without a CPI it was too small to be compressed: in tunnel mode
   * it is IP in IP then, else as it was.
   */
  readonly ipcomp?: { readonly cpi?: number; readonly mode: SaMode }
  readonly inner: Packet
  readonly tag: string
}

/** Counters of /proc/net/xfrm_stat that the simulation can raise. */
export type XfrmCounter =
  | 'XfrmInNoStates'
  | 'XfrmAcquireError'
  | 'XfrmInStateInvalid'
  | 'XfrmInStateMismatch'
  | 'XfrmInStateModeError'
  | 'XfrmInStateSeqError'
  | 'XfrmInStateExpired'
  | 'XfrmInStateProtoError'
  | 'XfrmInNoPols'
  | 'XfrmInPolBlock'
  | 'XfrmInTmplMismatch'
  | 'XfrmOutPolBlock'
  | 'XfrmOutNoStates'
  | 'XfrmOutStateSeqError'
  | 'XfrmOutStateExpired'
  | 'XfrmOutStateInvalid'

export type SendOutcome =
  | { readonly kind: 'sealed'; readonly packet: EspPacket }
  /** No policy wants it protected. */
  | { readonly kind: 'plain'; readonly packet: Packet }
  | { readonly kind: 'dropped'; readonly counter: XfrmCounter }

export type ReceiveOutcome =
  | { readonly kind: 'delivered'; readonly packet: Packet; readonly spi: number | undefined }
  | { readonly kind: 'dropped'; readonly counter: XfrmCounter }
