/** Whether the peer is still there (RFC 7296 §2.4), and the NAT between us too (§2.23). */
import { EXCHANGE } from '../wire/numbers.ts'
import { ExchangeTimeout } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { lastUse } from './last-use.ts'
import { mappingAnswer, mappingQuestion } from './roaming.ts'
import { request, type Script } from './script.ts'

/** One octet that a NAT sees and nobody reads (RFC 3948 §2.3). */
const keepalive = Uint8Array.of(0xff)

/** Starts what keeps an established IKE SA honest: liveness checks and, behind a NAT, keepalives. */
export function watch(sa: IkeSa): void {
  watchMapping(sa)
  const delayMs = (sa.connection?.dpdDelaySeconds ?? 0) * 1000
  if (delayMs > 0) scheduleCheck(sa, delayMs, delayMs)
}

/** Starts the keepalives of an IKE SA that is, or has come to be, behind a NAT. Others cost nothing. */
export function watchMapping(sa: IkeSa): void {
  const intervalMs = sa.core.settings.keepAliveSeconds * 1000
  if (!sa.nat.local || intervalMs === 0 || sa.keepingAlive) return
  sa.keepingAlive = true
  scheduleKeepalive(sa, intervalMs, intervalMs)
}

/** Sends a keepalive when nothing was sent for `intervalMs`: the mapping must not be forgotten. Looks after `inMs`. */
function scheduleKeepalive(sa: IkeSa, inMs: number, intervalMs: number): void {
  sa.after(inMs, () => {
    const { core, local, remote } = sa
    const idleMs = core.now - sa.lastSentMs
    if (!sa.nat.local) {
      sa.keepingAlive = false
      return
    }
    if (idleMs < intervalMs) return scheduleKeepalive(sa, intervalMs - idleMs, intervalMs)
    // So long after its time the host was suspended: the peer may have given us up, which a keepalive would not say.
    const marginMs = core.settings.keepAliveDpdMarginSeconds * 1000
    if (marginMs > 0 && idleMs > intervalMs + marginMs && sa.state === 'ESTABLISHED') {
      checkNow(sa)
      return scheduleKeepalive(sa, intervalMs, intervalMs)
    }
    core.log('IKE', 1, `sending keep alive to ${remote.address}[${remote.port}]`, sa)
    sa.lastSentMs = core.now
    core.output({ kind: 'send', local, remote, bytes: keepalive })
    scheduleKeepalive(sa, intervalMs, intervalMs)
  })
}

/** Looks after `inMs` whether anything was heard within the last `delayMs`; if not, asks. */
function scheduleCheck(sa: IkeSa, inMs: number, delayMs: number): void {
  sa.after(inMs, () => {
    const next = (ms: number): void => scheduleCheck(sa, ms, delayMs)
    if (sa.state !== 'ESTABLISHED' || sa.dialogue.outstanding.length > 0 || sa.mobike?.stale) return next(delayMs)
    sa.enqueue({
      names: ['IKE_DPD'],
      *script(owner) {
        if (owner !== sa) return // a rekeying has handed the task over, and the new IKE SA looks after itself
        const silentMs = sa.core.now - (yield* lastHeard(sa))
        if (silentMs < delayMs) return next(delayMs - silentMs)
        sa.core.log('IKE', 1, 'sending DPD request', sa)
        const answer = yield* request(EXCHANGE.INFORMATIONAL, mappingQuestion(sa))
        mappingAnswer(sa, answer)
        next(delayMs)
      },
      failed: (error, owner) => {
        if (error instanceof ExchangeTimeout) owner.lost()
      },
    })
  })
}

/** Asks the peer for a sign of life, whenever the last one was. */
export function checkNow(sa: IkeSa): void {
  if (sa.state !== 'ESTABLISHED' || sa.dialogue.outstanding.length > 0) return
  sa.enqueue({
    names: ['IKE_DPD'],
    *script(owner) {
      owner.core.log('IKE', 1, 'sending DPD request', owner)
      const answer = yield* request(EXCHANGE.INFORMATIONAL, mappingQuestion(owner))
      mappingAnswer(owner, answer)
    },
    failed: (error, owner) => {
      if (error instanceof ExchangeTimeout) owner.lost()
    },
  })
}

/** The last authenticated IKE message, or the last ESP packet that the kernel accepted. */
function* lastHeard(sa: IkeSa): Script<number> {
  let last = sa.lastHeardMs
  for (const child of [...sa.children.values()]) {
    last = Math.max(last, yield* lastUse(child, 'in'))
  }
  return last
}
