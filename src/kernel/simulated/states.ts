/** The state table of the simulated kernel (xfrm_state.c): larval and acquire states, SAs, their counters and limits. */
import { KernelError, type KernelOperation, type KernelSa, type Mark, type SaId, type SaMode } from '../operations.ts'
import { type SealKey, sealKey } from './algorithms.ts'
import { ReplayWindow } from './replay.ts'

/**
 * One entry. `acquire` (SPI 0) is made by a packet that found no state, `larval` by ALLOCSPI; both become `valid` by
 * nothing but an SA being installed over them, and vanish after `acquireSeconds`.
 */
export interface State extends SaId {
  readonly kind: 'acquire' | 'larval' | 'valid'
  readonly reqid: number
  readonly mode: SaMode
  readonly ifId: number
  /** Of acquire states. */
  readonly sequence?: number
  readonly addedMs: number
  /** Of valid states only. */
  readonly sa?: KernelSa
  readonly seal?: SealKey
  readonly replay: ReplayWindow
  /** Outbound: the last sequence number used. */
  sent: number
  bytes: bigint
  packets: bigint
  lastUsedMs: number | undefined
  /** The soft limit was reached and reported. */
  dying: boolean
}

export class StateTable {
  readonly #bySpi = new Map<string, State[]>()
  readonly #acquires: State[] = []

  get all(): readonly State[] {
    return [...[...this.#bySpi.values()].flat(), ...this.#acquires]
  }

  /** xfrm_state_lookup(): the state for this SPI, protocol and destination that the mark fits. */
  find(protocol: string, spi: number, destination: string, mark: number): State | undefined {
    return this.#bySpi.get(`${protocol} ${spi} ${destination}`)?.find((state) => markFits(state.mark, mark))
  }

  locate(id: SaId): State | undefined {
    return this.find(id.protocol, id.spi, id.destination, id.mark === undefined ? 0 : id.mark.value & id.mark.mask)
  }

  has(state: State): boolean {
    return this.#bySpi.get(`${state.protocol} ${state.spi} ${state.destination}`)?.includes(state) ?? false
  }

  add(state: State): void {
    if (state.spi === 0) {
      this.#acquires.push(state)
      return
    }
    const name = `${state.protocol} ${state.spi} ${state.destination}`
    const same = this.#bySpi.get(name)
    if (same === undefined) this.#bySpi.set(name, [state])
    else same.push(state)
  }

  remove(state: State): void {
    const name = `${state.protocol} ${state.spi} ${state.destination}`
    const list = state.spi === 0 ? this.#acquires : (this.#bySpi.get(name) ?? [])
    const at = list.indexOf(state)
    if (at >= 0) list.splice(at, 1)
    if (state.spi !== 0 && list.length === 0) this.#bySpi.delete(name)
  }

  /** An installed SA ends the acquire state that asked for it (the tail of xfrm_state_add()). */
  endAcquire(sa: KernelSa): void {
    const found = this.#acquires.find(
      (state) =>
        state.protocol === sa.protocol &&
        (state.reqid === sa.reqid || state.sequence === (sa.sequence ?? 0)) &&
        state.mode === sa.mode &&
        state.source === sa.source &&
        state.destination === sa.destination,
    )
    if (found !== undefined) this.remove(found)
  }

  clear(): void {
    this.#bySpi.clear()
    this.#acquires.length = 0
  }
}

/** Whether a packet (or a lookup) with `mark` may use something with this mark; without one it takes all. */
export function markFits(owner: Mark | undefined, mark: number): boolean {
  return owner === undefined || (mark & owner.mask) >>> 0 === owner.value >>> 0
}

/** A state without keys: made by ALLOCSPI or by an acquire (SPI 0). */
export function larvalState(id: SaId, reqid: number, mode: SaMode, ifId: number, now: number): State {
  return { kind: id.spi === 0 ? 'acquire' : 'larval', ...id, reqid, mode, ifId, addedMs: now, ...unused(0, false) }
}

/** verify_newsa_info() and xfrm_init_state(): throws what Linux answers to a wrong NEWSA or UPDSA. */
export function validState(operation: KernelOperation['kind'], sa: KernelSa, now: number): State {
  const refuse = (detail: string): never => {
    throw new KernelError(operation, 'EINVAL', undefined, detail)
  }
  if (sa.spi === 0) refuse('an SPI of 0')
  if (!Number.isInteger(sa.replayWindow) || sa.replayWindow < 0 || sa.replayWindow > largestWindow) {
    refuse(`a replay window of ${sa.replayWindow}`)
  }
  // xfrm_init_replay(): extended numbers need a window to guess the high half from.
  if (sa.esn && sa.direction === 'in' && sa.replayWindow === 0) refuse('ESN without a replay window')
  if (sa.mode === 'tunnel' && sa.source.includes(':') !== sa.destination.includes(':'))
    refuse('endpoints of two families')
  if (sa.selector !== undefined) {
    const bits = sa.selector.family === 6 ? 128 : 32
    if (sa.selector.source.prefix > bits || sa.selector.destination.prefix > bits) refuse('a selector prefix too long')
    if (sa.mode === 'transport' && (sa.selector.family === 6) !== sa.destination.includes(':')) {
      refuse('a transport selector of the other family')
    }
  }
  if (sa.tfcPadding && (sa.protocol === 'AH' || sa.mode !== 'tunnel')) refuse('TFC padding outside of an ESP tunnel')
  if (sa.encapsulation !== undefined && sa.protocol === 'AH') refuse('AH in UDP')
  if (sa.cpi !== undefined && (sa.cpi < 1 || sa.cpi > 0xffff)) refuse(`a CPI of ${sa.cpi}`)
  if (sa.cpi !== undefined && sa.tfcPadding) refuse('TFC padding in transport mode')
  const { protocol, spi, source, destination } = sa
  return {
    kind: 'valid',
    protocol,
    spi,
    source,
    destination,
    ...(sa.mark && { mark: sa.mark }),
    reqid: sa.reqid,
    mode: sa.cpi === undefined ? sa.mode : 'transport',
    ifId: sa.ifId ?? 0,
    addedMs: now,
    sa,
    seal: sealKey(operation, protocol, sa.crypto),
    ...unused(sa.direction === 'in' ? sa.replayWindow : 0, sa.esn),
  }
}

/** The IPComp state that goes with a state that has a CPI; without limits, as it ends with the other. */
export function compressionState(sa: KernelSa, now: number): State | undefined {
  const { cpi, source, destination, mark, reqid, mode, ifId = 0 } = sa
  if (cpi === undefined) return undefined
  const id: SaId = { protocol: 'IPCOMP', spi: cpi, source, destination, ...(mark && { mark }) }
  return { kind: 'valid', ...id, reqid, mode, ifId, addedMs: now, sa: { ...sa, limits: {} }, ...unused(0, false) }
}

/** XFRMA_REPLAY_ESN_MAX: packets that the bitmap can hold. */
const largestWindow = 4096

function unused(
  window: number,
  esn: boolean,
): Pick<State, 'replay' | 'sent' | 'bytes' | 'packets' | 'lastUsedMs' | 'dying'> {
  const replay = new ReplayWindow(window, esn)
  return { replay, sent: 0, bytes: 0n, packets: 0n, lastUsedMs: undefined, dying: false }
}
