/** States (SAs) as messages of XFRM netlink. */
import { concat } from '../../crypto/bytes.ts'
import type { Secret } from '../../crypto/secret.ts'
import { DecodeError } from '../../wire/errors.ts'
import type { StateEnds } from '../left-behind.ts'
import {
  type Attribute,
  type Attributes,
  attribute,
  attribute32,
  decodeAttributes,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from '../netlink/message.ts'
import type { NetlinkRequest } from '../netlink/netlink-socket.ts'
import type { Partially, Struct } from '../netlink/struct.ts'
import type { KernelOperation, KernelSa, Mark, SaId, SaLimits, SaUsage } from '../operations.ts'
import {
  AF_INET,
  AF_INET6,
  addressFamily,
  addressText,
  encodeSelector,
  modeNumbers,
  octets,
  protocolNumbers,
  UDP_ENCAP_ESPINUDP,
  XFRM_INF,
  XFRM_MSG_ALLOCSPI,
  XFRM_MSG_DELSA,
  XFRM_MSG_GETSA,
  XFRM_MSG_NEWAE,
  XFRM_MSG_NEWSA,
  XFRM_MSG_UPDSA,
  XFRM_OFFLOAD_INBOUND,
  XFRM_OFFLOAD_PACKET,
  XFRM_SA_XFLAG_DONT_ENCAP_DSCP,
  XFRM_STATE_AF_UNSPEC,
  XFRM_STATE_ALIGN4,
  XFRM_STATE_DECAP_DSCP,
  XFRM_STATE_ESN,
  XFRM_STATE_ICMP,
  XFRM_STATE_NOECN,
  XFRM_STATE_NOPMTUDISC,
  XFRMA_ALG_AEAD,
  XFRMA_ALG_AUTH_TRUNC,
  XFRMA_ALG_COMP,
  XFRMA_ALG_CRYPT,
  XFRMA_ENCAP,
  XFRMA_IF_ID,
  XFRMA_LASTUSED,
  XFRMA_LTIME_VAL,
  XFRMA_MARK,
  XFRMA_OFFLOAD_DEV,
  XFRMA_REPLAY_ESN_VAL,
  XFRMA_REPLAY_VAL,
  XFRMA_SA_EXTRA_FLAGS,
  XFRMA_SET_MARK,
  XFRMA_SET_MARK_MASK,
  XFRMA_SRCADDR,
  XFRMA_TFCPAD,
} from './numbers.ts'
import {
  type XfrmLifetimeCfg,
  xfrm_aevent_id,
  xfrm_algo,
  xfrm_algo_aead,
  xfrm_algo_auth,
  xfrm_encap_tmpl,
  xfrm_mark,
  xfrm_replay_state,
  xfrm_replay_state_esn,
  xfrm_user_offload,
  xfrm_usersa_id,
  xfrm_usersa_info,
  xfrm_userspi_info,
} from './structs.ts'

/** What the kernel needs besides the SA: interfaces by number, and what a moved state takes along. */
export interface StateContext {
  /** Of `sa.selector.interface`; 0 if there is none. */
  readonly selectorIfindex?: number
  /** Of the device that encrypts; without it there is no offload. */
  readonly offloadIfindex?: number
  /** Counters and replay state of the state that this one replaces. */
  readonly carried?: readonly Attribute[]
}

/** XFRM_MSG_NEWSA, or XFRM_MSG_UPDSA of a larval state or of one that only gets other ports. */
export function installState(sa: KernelSa, update: boolean, context: StateContext = {}): NetlinkRequest {
  const { selector } = sa
  // The tunnel is that of the IPComp state. Selectors are for what had none of its own before.
  const mode = sa.cpi === undefined ? sa.mode : 'transport'
  const fixed = xfrm_usersa_info.encode({
    // RFC 4301 §4.4.2: in tunnel mode the policy has the selectors; the state may carry either inner family.
    ...(selector && sa.mode !== 'tunnel' ? { sel: encodeSelector(selector, context.selectorIfindex ?? 0) } : {}),
    id: { daddr: octets(sa.destination), spi: sa.spi, proto: protocolNumbers[sa.protocol] },
    saddr: octets(sa.source),
    lft: encodeLimits(sa.limits),
    seq: sa.sequence ?? 0,
    reqid: sa.reqid,
    family: addressFamily(sa.destination),
    mode: modeNumbers[mode],
    replay_window: usesBitmap(sa) ? 0 : windowOf(sa),
    flags:
      (sa.esn ? XFRM_STATE_ESN : 0) |
      (sa.icmpErrors ? XFRM_STATE_ICMP : 0) |
      // RFC 4302 §3.3.3.2.1: AH on IPv4 is a multiple of 32 bits; without the flag the kernel makes it one of 64.
      (sa.protocol === 'AH' && addressFamily(sa.destination) === AF_INET ? XFRM_STATE_ALIGN4 : 0) |
      outerFlags(sa, mode),
  })
  const attributes: Attribute[] = encodeCrypto(sa)
  if (sa.encapsulation) {
    const { sourcePort, destinationPort } = sa.encapsulation
    const encap = { encap_type: UDP_ENCAP_ESPINUDP, encap_sport: sourcePort, encap_dport: destinationPort }
    attributes.push(attribute(XFRMA_ENCAP, xfrm_encap_tmpl, encap))
  }
  attributes.push(...(context.carried ?? replayAttributes(sa)), ...markAttributes(sa.mark))
  if (sa.copyDscp === 'no' || sa.copyDscp === 'in')
    attributes.push(attribute32(XFRMA_SA_EXTRA_FLAGS, XFRM_SA_XFLAG_DONT_ENCAP_DSCP))
  if (sa.outputMark)
    attributes.push(
      attribute32(XFRMA_SET_MARK, sa.outputMark.value),
      attribute32(XFRMA_SET_MARK_MASK, sa.outputMark.mask),
    )
  if (sa.ifId !== undefined) attributes.push(attribute32(XFRMA_IF_ID, sa.ifId))
  if (sa.tfcPadding && sa.direction === 'out' && mode === 'tunnel')
    attributes.push(attribute32(XFRMA_TFCPAD, sa.tfcPadding))
  if (sa.hwOffload && context.offloadIfindex !== undefined)
    attributes.push(
      attribute(XFRMA_OFFLOAD_DEV, xfrm_user_offload, {
        ifindex: context.offloadIfindex,
        flags:
          (sa.direction === 'in' ? XFRM_OFFLOAD_INBOUND : 0) | (sa.hwOffload === 'packet' ? XFRM_OFFLOAD_PACKET : 0),
      }),
    )
  return {
    type: update ? XFRM_MSG_UPDSA : XFRM_MSG_NEWSA,
    flags: update ? 0 : NLM_F_CREATE | NLM_F_EXCL,
    fixed,
    attributes,
  }
}

/**
 * The IPComp state that goes with a state that has a CPI, RFC 3173: XFRM_MSG_NEWSA, or XFRM_MSG_UPDSA of a larval one. It
 * has no limits: it ends with the other.
 */
export function installCompression(sa: KernelSa, update: boolean): NetlinkRequest {
  const { mode, destination, source, reqid, cpi = 0 } = sa
  const fixed = xfrm_usersa_info.encode({
    id: { daddr: octets(destination), spi: cpi, proto: protocolNumbers.IPCOMP },
    saddr: octets(source),
    lft: encodeLimits({}),
    reqid,
    family: addressFamily(destination),
    mode: modeNumbers[mode],
    flags: outerFlags(sa, mode),
  })
  const attributes = [attribute(XFRMA_ALG_COMP, xfrm_algo, { alg_name: 'deflate' }), ...markAttributes(sa.mark)]
  if (sa.ifId !== undefined) attributes.push(attribute32(XFRMA_IF_ID, sa.ifId))
  return {
    type: update ? XFRM_MSG_UPDSA : XFRM_MSG_NEWSA,
    flags: update ? 0 : NLM_F_CREATE | NLM_F_EXCL,
    fixed,
    attributes,
  }
}

/** What becomes of the outer header. */
function outerFlags(sa: KernelSa, mode: KernelSa['mode']): number {
  return (
    (mode === 'tunnel' ? XFRM_STATE_AF_UNSPEC : 0) |
    (sa.copyDf ? 0 : XFRM_STATE_NOPMTUDISC) |
    (sa.copyEcn ? 0 : XFRM_STATE_NOECN) |
    (sa.copyDscp === 'in' || sa.copyDscp === 'yes' ? XFRM_STATE_DECAP_DSCP : 0)
  )
}

/** The name of the IPComp state that goes with another; undefined if there is none. */
export function compressionOf({ cpi, ...id }: SaId): SaId | undefined {
  if (cpi === undefined) return undefined
  const { source, destination, mark } = id
  return { protocol: 'IPCOMP', spi: cpi, source, destination, ...(mark && { mark }) }
}

/** XFRM_MSG_ALLOCSPI: the answer is the larval state; `decodeState` finds the SPI in it. */
export function allocateSpi(operation: Extract<KernelOperation, { kind: 'allocate-spi' }>): NetlinkRequest {
  const { protocol, source, destination, reqid, min, max } = operation
  const info = {
    id: { daddr: octets(destination), proto: protocolNumbers[protocol] },
    saddr: octets(source),
    reqid,
    family: addressFamily(destination),
    mode: modeNumbers.tunnel,
  }
  return { type: XFRM_MSG_ALLOCSPI, fixed: xfrm_userspi_info.encode({ info, min, max }) }
}

/** XFRM_MSG_DELSA. */
export function deleteState(id: SaId): NetlinkRequest {
  return { type: XFRM_MSG_DELSA, ...idRequest(id) }
}

/** XFRM_MSG_GETSA of one state. The answer holds its keys: wipe it. */
export function queryState(id: SaId): NetlinkRequest {
  return { type: XFRM_MSG_GETSA, ...idRequest(id) }
}

/** XFRM_MSG_GETSA of all states, for `NetlinkRequests.dump`. The answers hold keys. */
export function queryStates(): NetlinkRequest {
  return { type: XFRM_MSG_GETSA, fixed: new Uint8Array(0) }
}

/** What we read of a state: its name, its counters, and what must be carried along when it is moved. */
export interface StateReport {
  readonly spi: number
  readonly protocolNumber: number
  readonly reqid: number
  readonly usage: SaUsage
  /** Copies of XFRMA_LTIME_VAL and of the replay state. */
  readonly carried: readonly Attribute[]
}

/** Reads XFRM_MSG_NEWSA. Throws `DecodeError`. */
export function decodeState({ body }: NetlinkMessage): StateReport {
  const { id, reqid, curlft, family } = xfrm_usersa_info.decode(body)
  if (family !== AF_INET && family !== AF_INET6) throw new DecodeError('xfrm_usersa_info', 212, `family ${family}`)
  const attributes = decodeAttributes(body, xfrm_usersa_info.size)
  const lastUsed = attributes.get(XFRMA_LASTUSED)
  // A value of 64 bits, in seconds; missing or 0 when the state was never used.
  const lastUsedMs = lastUsed?.length === 8 ? Number(Buffer.from(lastUsed).readBigUInt64LE()) * 1000 : 0
  return {
    spi: id.spi,
    protocolNumber: id.proto,
    reqid,
    usage: { bytes: curlft.bytes, packets: curlft.packets, ...(lastUsedMs > 0 ? { lastUsedMs } : {}) },
    carried: [
      ...copied(attributes, [XFRMA_LTIME_VAL, XFRMA_REPLAY_VAL, XFRMA_REPLAY_ESN_VAL]),
      ...(attributes.has(XFRMA_LTIME_VAL) ? [] : [{ type: XFRMA_LTIME_VAL, value: curlftOf(body) }]),
    ],
  }
}

/** XFRM_MSG_NEWAE: a state goes on with the replay state that is among these attributes. */
export function replaceReplayState(id: SaId, attributes: readonly Attribute[]): NetlinkRequest {
  const { daddr, spi, family, proto } = stateName(id)
  const fixed = xfrm_aevent_id.encode({ sa_id: { daddr, spi, family, proto }, saddr: octets(id.source) })
  const replay = attributes.filter(({ type }) => type === XFRMA_REPLAY_VAL || type === XFRMA_REPLAY_ESN_VAL)
  return { type: XFRM_MSG_NEWAE, flags: NLM_F_REPLACE, fixed, attributes: [...replay, ...markAttributes(id.mark)] }
}

/**
 * The replay state for the successor of an outbound state. The old state may still have sent packets between our look
 * at it and its end, and no sequence number may be used twice under one key: so some numbers are left out. What is used
 * up stays so.
 */
export function skipAhead(carried: readonly Attribute[], by: bigint = skipped): readonly Attribute[] {
  return carried.map(({ type, value }) => {
    if (type === XFRMA_REPLAY_VAL && value.length >= xfrm_replay_state.size) {
      const state = xfrm_replay_state.decode(value)
      const oseq = BigInt(state.oseq) + by
      return attribute(type, xfrm_replay_state, { ...state, oseq: Number(oseq < last32 ? oseq : last32) })
    }
    if (type === XFRMA_REPLAY_ESN_VAL && value.length >= xfrm_replay_state_esn.size) {
      const state = xfrm_replay_state_esn.decode(value)
      const wanted = ((BigInt(state.oseq_hi) << 32n) | BigInt(state.oseq)) + by
      const oseq = wanted < last64 ? wanted : last64
      const head = { ...state, oseq: Number(oseq & last32), oseq_hi: Number(oseq >> 32n) }
      return { type, value: concat(xfrm_replay_state_esn.encode(head), value.subarray(xfrm_replay_state_esn.size)) }
    }
    return { type, value }
  })
}

/** XFRMA_MARK, if there is a mark. */
export function markAttributes(mark: Mark | undefined): Attribute[] {
  // Bits outside the mask would make a key that no packet and no deletion finds.
  return mark ? [attribute(XFRMA_MARK, xfrm_mark, { v: (mark.value & mark.mask) >>> 0, m: mark.mask })] : []
}

function stateName({ destination, spi, protocol }: Pick<SaId, 'destination' | 'spi' | 'protocol'>) {
  return { daddr: octets(destination), spi, family: addressFamily(destination), proto: protocolNumbers[protocol] }
}

/** The ends of a state: reads XFRM_MSG_NEWSA. */
export function endsOf({ body }: NetlinkMessage): StateEnds {
  const { id, saddr, reqid, family } = xfrm_usersa_info.decode(body)
  const [source, destination] = [addressText(saddr, family), addressText(id.daddr, family)]
  return { spi: id.spi, source, destination, reqid }
}

/** XFRM_MSG_DELSA of a state as the kernel has shown it. */
export function deleteSameState({ body }: NetlinkMessage): NetlinkRequest {
  const { id, saddr, family } = xfrm_usersa_info.decode(body)
  const { daddr, spi, proto } = id
  return {
    type: XFRM_MSG_DELSA,
    fixed: xfrm_usersa_id.encode({ daddr, spi, family, proto }),
    attributes: [
      { type: XFRMA_SRCADDR, value: saddr },
      ...copied(decodeAttributes(body, xfrm_usersa_info.size), [XFRMA_MARK]),
    ],
  }
}

/** Attributes as they came. */
export function copied(attributes: Attributes, types: readonly number[]): Attribute[] {
  return types.flatMap((type) => {
    const value = attributes.get(type)
    return value ? [{ type, value: value.slice() }] : []
  })
}

function idRequest({ destination, source, spi, protocol, mark }: SaId): Omit<NetlinkRequest, 'type'> {
  const saddr = new Uint8Array(16)
  saddr.set(octets(source))
  return {
    fixed: xfrm_usersa_id.encode(stateName({ destination, spi, protocol })),
    attributes: [{ type: XFRMA_SRCADDR, value: saddr }, ...markAttributes(mark)],
  }
}

function encodeLimits(limits: SaLimits): Partially<XfrmLifetimeCfg> {
  return {
    soft_byte_limit: limits.softBytes ?? XFRM_INF,
    hard_byte_limit: limits.hardBytes ?? XFRM_INF,
    soft_packet_limit: limits.softPackets ?? XFRM_INF,
    hard_packet_limit: limits.hardPackets ?? XFRM_INF,
    // Of seconds 0 is "never", fractions are lost.
    soft_add_expires_seconds: BigInt(Math.ceil(limits.softSeconds ?? 0)),
    hard_add_expires_seconds: BigInt(Math.ceil(limits.hardSeconds ?? 0)),
  }
}

function encodeCrypto({ crypto, protocol }: KernelSa): Attribute[] {
  if (crypto.kind === 'aead') {
    const { name, key, icvBits } = crypto
    return [keyed(XFRMA_ALG_AEAD, xfrm_algo_aead, { alg_name: name, alg_icv_len: icvBits }, key)]
  }
  const attributes: Attribute[] = []
  const { encryption, integrity } = crypto
  if (encryption) attributes.push(keyed(XFRMA_ALG_CRYPT, xfrm_algo, { alg_name: encryption.name }, encryption.key))
  else if (protocol === 'ESP')
    // RFC 2410: ESP without encryption has an algorithm too
    attributes.push(attribute(XFRMA_ALG_CRYPT, xfrm_algo, { alg_name: 'ecb(cipher_null)' }))
  if (integrity) {
    const { name, key, truncationBits } = integrity
    attributes.push(keyed(XFRMA_ALG_AUTH_TRUNC, xfrm_algo_auth, { alg_name: name, alg_trunc_len: truncationBits }, key))
  }
  return attributes
}

function keyed<T extends { readonly alg_key_len: number }>(
  type: number,
  layout: Struct<T>,
  value: Omit<Partially<T>, 'alg_key_len'>,
  key: Secret,
): Attribute {
  const head = layout.encode({ ...value, alg_key_len: key.length * 8 } as Partially<T>) // the rest of T is in value
  return { type, value: concat(head, key.bytes()) }
}

/** The old form of the replay state has 32 packets and no extended numbers. */
function usesBitmap(sa: KernelSa): boolean {
  return sa.esn || windowOf(sa) > 32
}

/** Packets. The receiver guesses the upper half of extended numbers by the window, so it cannot be 0 with ESN. */
function windowOf(sa: KernelSa): number {
  const window = sa.direction === 'in' ? sa.replayWindow : 0
  return sa.esn && window === 0 ? 32 : Math.min(window, XFRMA_REPLAY_ESN_MAX)
}

function replayAttributes(sa: KernelSa): Attribute[] {
  if (!usesBitmap(sa)) return []
  const window = windowOf(sa)
  const words = Math.ceil(window / 32)
  const head = xfrm_replay_state_esn.encode({ bmp_len: words, replay_window: window })
  return [{ type: XFRMA_REPLAY_ESN_VAL, value: concat(head, new Uint8Array(words * 4)) }]
}

/** The current lifetime, which stands in the fixed part, as an attribute. */
function curlftOf(body: Uint8Array): Uint8Array {
  const at = xfrm_usersa_info.offsets['curlft'] ?? 0 // it is there
  return body.slice(at, at + 32)
}

const XFRMA_REPLAY_ESN_MAX = 4096
const skipped = 4096n

const last32 = 0xffff_ffffn
const last64 = 0xffff_ffff_ffff_ffffn
