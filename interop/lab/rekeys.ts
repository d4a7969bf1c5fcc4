/** Rekeyings and reauthentications under running traffic: nothing is lost, and one pair of SAs is left each time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { kernelStates } from './kernel.ts'
import { readCapture } from './pcap.ts'
import type { Running, Sas } from './peers/peer.ts'
import { poll } from './poll.ts'
import { bringUp, pingBothWays, quiet } from './proofs.ts'
import type { Stage } from './stage.ts'
import { startPings, startStream, type Traffic, xfrmErrors } from './traffic.ts'

/** What is done while the traffic runs. */
export interface Rekeys {
  readonly kind: 'rekeys'
  /** Who rekeys what, one after the other; `both` at the same moment, over a wire that takes 300 ms each way. */
  readonly steps: readonly Step[]
  /** A stream of iperf3 besides the pings. */
  readonly stream?: boolean
  /**
   * What may be lost: nothing, but for single packets that the peer's kernel had begun to send on an SA that the peer took
   * out (it counts them, and there may be one for ten steps); what comes before its SA, because a peer as responder uses a
   * Child SA of IKE_AUTH before we have read the answer (our kernel counts it); that, and single packets that were on their
   * way into an SA when it was deleted, where the peer stops receiving at once; or what falls between the end of one SA and
   * the next.
   */
  readonly loses?: 'early packets' | 'early and late packets' | 'packets between'
  /** The peer keeps both Child SAs of two rekeyings that cross: it is enough that the replaced one is gone. */
  readonly keepsBoth?: boolean
}

/** One step. */
export type Step =
  | { readonly by: 'ours' | 'peer'; readonly what: What }
  | { readonly by: 'both'; readonly ours: What; readonly peers: What }

type What = 'child' | 'ike' | 'reauthentication'

const createChildSa = 36

/** Up, traffic, the steps, and after each exactly one IKE SA with one Child SA at both ends. */
export async function proveRekeys(stage: Stage, { steps, stream, loses, keepsBoth = false }: Rekeys): Promise<void> {
  const { initiator, ours, theirs, ground } = stage
  await bringUp(initiator)
  for (const daemon of [ours, theirs]) await onePair(daemon)
  const delayed = steps.some(({ by }) => by === 'both')
  if (delayed) {
    await ground.wire.must('for d in moon sun; do tc qdisc add dev $d root netem limit 10000 delay 300ms; done')
  }
  const traffic: Traffic[] = [await startPings(stage), ...(stream ? [await startStream(stage)] : [])]
  let done = 0
  for (const step of steps) {
    // charon 6.0 leaves a replaced child's inbound state in the kernel if its IKE SA is replaced before its time is over.
    if (whats(step).includes('ike')) await nothingElse(stage)
    const before = await onePair(ours)
    const theirsBefore = await theirs.sas()
    await take(stage, step)
    const other = keepsBoth
      ? [replaced(ours, before), replaced(theirs, theirsBefore)]
      : [changed(ours, before, step), onePair(theirs)]
    await Promise.all<unknown>(other).catch((error: Error) => {
      throw new Error(`after ${done} of ${steps.length} steps, at ${JSON.stringify(step)}: ${error.message}`)
    })
    done++
  }
  await sleep(keepsBoth ? 3000 : 300) // packets cross in what is there now
  const lost = sum(await Promise.all(traffic.map((one) => one.end())))
  const errors = { ...(await xfrmErrors(ground.moon)), ...prefixed(await xfrmErrors(ground.sun)) }
  if (!keepsBoth) await nothingElse(stage)
  if (delayed) await ground.wire.must('for d in moon sun; do tc qdisc del dev $d root; done')
  const early = errors['XfrmAcquireError'] ?? 0
  const others = sum(Object.values(errors)) - early
  // We keep a replaced outbound state for a moment; charon and pluto delete theirs at once.
  const tooLate = errors["sun's XfrmOutStateInvalid"] ?? 0
  const fine =
    loses === 'packets between' ||
    (loses === 'early packets' && lost <= early && others === 0) ||
    (loses === 'early and late packets' && lost <= early + others && others <= steps.length / 10) ||
    (lost <= tooLate && tooLate <= steps.length / 10 && others === tooLate && early === 0)
  if (!fine)
    throw new Error(`${lost} packets were lost after ${done} steps; the kernels count ${JSON.stringify(errors)}`)
  await pingBothWays(stage)
  const crossings = countCrossings(readCapture(stage.capture.read()).ike)
  const together = steps.filter(({ by }) => by === 'both').length
  // A guest that has to wait for the machine starts the second swanctl too late now and then.
  if (crossings < together / 2) throw new Error(`only ${crossings} of ${together} rekeyings crossed on the wire`)
  const down = await initiator.down()
  if (down.code !== 0) throw new Error(`down: status ${down.code}: ${down.text.slice(-300)}`)
  await quiet(stage)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function prefixed(errors: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(errors).map(([name, count]) => [`sun's ${name}`, count]))
}

/** How often a request to rekey met one of the other end, before either was answered. */
export function countCrossings(
  messages: readonly { readonly exchange: number; readonly isResponse: boolean; readonly from: string }[],
): number {
  const rekeyings = messages.filter(({ exchange }) => exchange === createChildSa)
  let waits: string | undefined
  let count = 0
  for (const { isResponse, from } of rekeyings) {
    if (!isResponse && waits !== undefined && waits !== from) count++
    waits = isResponse || (waits !== undefined && waits !== from) ? undefined : from
  }
  return count
}

async function take({ ours, theirs }: Stage, step: Step): Promise<void> {
  const tell = async (daemon: Running, what: What): Promise<void> => {
    const ran = what === 'reauthentication' ? await daemon.reauthenticate() : await daemon.rekey(what)
    // Of two that cross, one may be told that the SA is gone.
    if (ran.code !== 0 && step.by !== 'both') {
      throw new Error(`${daemon.name} does not rekey: status ${ran.code}: ${ran.text.slice(-300)}`)
    }
  }
  if (step.by === 'both') await Promise.all([tell(ours, step.ours), tell(theirs, step.peers)])
  else await tell(step.by === 'ours' ? ours : theirs, step.what)
}

function whats(step: Step): readonly What[] {
  return step.by === 'both' ? [step.ours, step.peers] : [step.what]
}

/** Waits until the daemon has one pair again, and what was rekeyed is another one. */
function changed(daemon: Running, before: Sas, step: Step): Promise<Sas> {
  const isOther = (now: Sas): boolean =>
    whats(step).every((what) => {
      const child = now.children[0] !== before.children[0]
      const ike = now.ike[0] !== before.ike[0]
      return what === 'child' ? child : what === 'ike' ? ike : child && ike
    })
  // Where a rekeying of the Child SA meets one of the IKE SA both are put off (RFC 7296 §2.25.2) for 5 to 15 seconds, and
  // once more if both ends choose the same time.
  const mixed = new Set(whats(step)).size > 1
  return onePair(daemon, (now) => (mixed ? now.ike[0] !== before.ike[0] : isOther(now)), mixed ? 90_000 : 30_000)
}

/** Waits until the daemon has the same IKE SA with other Child SAs. */
function replaced(daemon: Running, before: Sas): Promise<unknown> {
  return poll(`${daemon.name} to have other Child SAs`, 30_000, async () => {
    const { ike, children } = await daemon.sas()
    return ike[0] === before.ike[0] && children.length > 0 && !children.some((one) => before.children.includes(one))
  })
}

/** Waits until the daemon has exactly one IKE SA with one Child SA; replaced Child SAs may be listed for some seconds. */
export async function onePair(
  daemon: Running,
  holds: (sas: Sas) => boolean = () => true,
  timeoutMs = 30_000,
): Promise<Sas> {
  let last: Sas | undefined
  const found = await poll(`${daemon.name} to have one pair of SAs`, timeoutMs, async () => {
    const sas = await daemon.sas()
    last = sas
    const busy = sas.others.filter((state) => !/^(DELETED|REKEYED)$/.test(state))
    return sas.ike.length === 1 && sas.children.length === 1 && busy.length === 0 && holds(sas) ? sas : undefined
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}`)
  })
  return found as Sas
}

/** In the end the kernels have the states of one Child SA, after what was replaced has been kept for a while. */
export async function nothingElse({ ground }: Stage): Promise<void> {
  for (const { name, shell } of [ground.moon, ground.sun]) {
    await poll(`the kernel of ${name} to have two states`, 20_000, async () => {
      const states = await kernelStates(shell)
      return states.filter(({ spi }) => spi !== '0x00000000').length === 2
    })
  }
}
