/**
 * All that one host of an exploration can come to. A host is a function of what it has been given and when: its core has
 * no clock, no randomness and no input but these (test/tidy holds it to that), and its kernel in memory neither. So each
 * history of a host is run once, however many histories of its peer it meets.
 */
import { createHash } from 'node:crypto'
import type { LogEntry } from '../../src/ike/output.ts'
import type { State } from '../../src/kernel/simulated/states.ts'
import type { SideName } from '../simulation/connection.ts'
import { Host } from '../simulation/host.ts'
import { configure, kernelOf, settingsOf } from '../simulation/pair.ts'
import { addressesHaveAnOwner, inboundFirst, kernelHasAnOwner } from '../simulation/safety.ts'
import { epoch } from '../simulation/world.ts'
import type { Datagram, Datagrams } from './datagrams.ts'
import { options, type Refusal, seed, type Wish, wish } from './plans.ts'

/** What a host is given. */
export type HostInput = {
  /** Epoch milliseconds. */
  readonly at: number
  /** The jobs that it causes wait for an input of their own. */
  readonly hold: boolean
} & (
  | { readonly kind: 'wish'; readonly wish: Wish }
  | { readonly kind: 'datagram'; readonly datagram: Datagram }
  | { readonly kind: 'refuse'; readonly operation: Refusal }
  /** `wake`: a timer goes off; `jobs`: its jobs are done; `forgive`: its kernel refuses nothing any more. */
  | { readonly kind: 'initiate' | 'wake' | 'jobs' | 'forgive' }
)

/**
 * A host after a history. Two histories come to the same node when the host is the same after both: it has logged the
 * same and said the same in the same order and at the same time, but for answers out of its cache and retransmissions, and
 * its timer, its jobs and its kernel are the same. What it did otherwise was to ignore a datagram or to answer it once
 * more, and of that it keeps counters and the time for keepalives through a NAT, which there is not here.
 */
export interface HostNode {
  readonly number: number
  readonly parent: HostNode | undefined
  /** What it was given last; undefined when it has just been configured. */
  readonly input: HostInput | undefined
  /** When it has something to do next (epoch milliseconds). */
  readonly deadline: number | undefined
  readonly hasJobs: boolean
  readonly states: KernelStates
  /** All that it has logged and said, and when. */
  readonly past: string
  /** The datagrams that it has sent, each once. */
  readonly said: ReadonlySet<Datagram>
  /** The datagrams that it was given and took as messages of an SA that it has. */
  readonly heard: ReadonlySet<Datagram>
  readonly next: Map<string, HostStep>
}

/** What an input leads to. */
export interface HostStep {
  readonly node: HostNode
  readonly sent: readonly Datagram[]
  /** The states of its kernel after each part of the step. */
  readonly moments: readonly KernelStates[]
  /** The rule that it broke. */
  readonly error: Error | undefined
}

export type KernelStates = readonly Readonly<State>[]

/** A host that stands at a node. */
interface Standing {
  readonly host: Host
  readonly clock: { now: number }
  /** What it has sent since the last step began. */
  readonly sent: Datagram[]
}

export class HostTree {
  readonly root: HostNode
  readonly #side: SideName
  readonly #datagrams: Datagrams
  readonly #nodes = new Map<string, HostNode>()
  /** Hosts at nodes that have not gone on yet, the newest last. */
  readonly #standing = new Map<HostNode, Standing>()

  constructor(side: SideName, datagrams: Datagrams) {
    this.#side = side
    this.#datagrams = datagrams
    this.root = {
      number: 0,
      parent: undefined,
      input: undefined,
      deadline: undefined,
      hasJobs: false,
      states: [],
      past: '',
      said: new Set(),
      heard: new Set(),
      next: new Map(),
    }
  }

  /** How many different hosts there are. */
  get size(): number {
    return this.#nodes.size
  }

  give(node: HostNode, input: HostInput): HostStep {
    const name = nameOf(input)
    const known = node.next.get(name)
    if (known !== undefined) return known
    const step = this.#reach(node, input)
    node.next.set(name, step)
    return step
  }

  #reach(parent: HostNode, input: HostInput): HostStep {
    const standing = this.#take(parent)
    const { host, clock } = standing
    clock.now = input.at
    standing.sent.length = 0
    const logged = host.logs.length
    const moments: KernelStates[] = []
    let error: Error | undefined
    try {
      apply(host, input, () => {
        moments.push(statesOf(host))
        check(host, input.at)
      })
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown))
    }
    const sent = [...standing.sent]
    const logs = host.logs.slice(logged)
    // A command that has to wait its turn shows nowhere yet.
    const told = input.kind === 'wish' ? `${pastOf(parent, input.at, logs, sent)} wish ${input.wish}` : undefined
    const past = told ?? pastOf(parent, input.at, logs, sent)
    const signature = signatureOf(host, past, error)
    const taken = logs.some(({ message }) => message.startsWith('parsed '))
    const known = this.#nodes.get(signature)
    if (known !== undefined) {
      this.#stand(known, standing)
      return { node: known, sent, moments, error }
    }
    const node: HostNode = {
      number: this.#nodes.size + 1,
      parent,
      input,
      deadline: host.deadline,
      hasJobs: host.jobs.length > 0,
      states: statesOf(host),
      past,
      said: sent.length === 0 ? parent.said : new Set([...parent.said, ...sent]),
      heard: input.kind === 'datagram' && taken ? new Set([...parent.heard, input.datagram]) : parent.heard,
      next: new Map(),
    }
    this.#nodes.set(signature, node)
    this.#stand(node, standing)
    return { node, sent, moments, error }
  }

  #stand(node: HostNode, standing: Standing): void {
    this.#standing.set(node, standing)
    const [oldest] = this.#standing.keys()
    if (oldest !== undefined && this.#standing.size > mostStanding) this.#standing.delete(oldest)
  }

  /** A host at this node: the one that has just come there, or a new one that is given all that it was. */
  #take(node: HostNode): Standing {
    const there = this.#standing.get(node)
    if (there !== undefined) {
      this.#standing.delete(node)
      return there
    }
    const standing = this.#begin()
    for (const input of historyOf(node)) {
      standing.clock.now = input.at
      apply(standing.host, input)
    }
    return standing
  }

  #begin(): Standing {
    const clock = { now: epoch }
    const sent: Datagram[] = []
    const name = this.#side
    const host = new Host({
      name,
      seed,
      settings: settingsOf(name, options),
      kernel: kernelOf(name, options),
      clock,
      transmit: (local, remote, bytes) => void sent.push(this.#datagrams.of(name, local, remote, bytes)),
    })
    configure({ host: () => host }, name, options)
    finishJobs(host)
    return { host, clock, sent }
  }
}

/** Hosts in memory: those at nodes that are not left again soon have to be made again. */
const mostStanding = 500

/** What a host at this node was given, in order. */
function historyOf(node: HostNode): HostInput[] {
  const inputs: HostInput[] = []
  for (let at: HostNode | undefined = node; at?.input !== undefined; at = at.parent) inputs.push(at.input)
  return inputs.reverse()
}

/** Gives a host an input. `after` is called after it, and after each job. */
function apply(host: Host, input: HostInput, after?: () => void): void {
  switch (input.kind) {
    case 'initiate':
      host.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
      break
    case 'wish':
      wish(host, input.wish)
      break
    case 'datagram': {
      const { source, destination, bytes } = input.datagram
      host.handle({ kind: 'datagram', local: destination, remote: source, bytes })
      break
    }
    case 'refuse':
      host.kernel.refuse({ kind: input.operation, nth: 1, errno: 'ENOMEM' })
      break
    case 'forgive':
      host.kernel.forgive()
      break
    case 'wake':
      host.wake()
      break
    case 'jobs':
      break
  }
  after?.()
  if (!input.hold || input.kind === 'jobs') finishJobs(host, after)
}

function finishJobs(host: Host, after?: () => void): void {
  for (let i = 0; i < tooMany; i++) {
    const [job] = host.jobs
    if (job === undefined) return
    host.complete(job)
    after?.()
  }
  throw new Error('the jobs do not end')
}

const tooMany = 20_000

/** The rules that concern one host. */
function check(host: Host, now: number): void {
  inboundFirst(host)
  // What is due may be in the kernel already, and the core does not know it.
  if (host.jobs.length > 0 || (host.deadline ?? now + 1) <= now) return
  kernelHasAnOwner(host)
  addressesHaveAnOwner(host)
}

/** As they are now: the kernel goes on changing its own. */
function statesOf({ kernel }: Host): KernelStates {
  return kernel.states.map((state) => ({ ...state }))
}

function pastOf({ past, said }: HostNode, at: number, logs: readonly LogEntry[], sent: readonly Datagram[]): string {
  const news = logs.filter(({ message }) => !repetition.test(message)).map(({ message }) => message)
  const datagrams = sent.filter((datagram) => !said.has(datagram)).map(({ number }) => `#${number}`)
  if (news.length === 0 && datagrams.length === 0) return past
  return digest([past, at, ...news, ...datagrams].join('\n'))
}

/** What is said of a datagram that comes or goes, also for the second time. */
const repetition =
  /^(sending packet|received packet|received retransmit of request|retransmit \d+ of request|received message ID \d+, expected \d+, ignored)/

function signatureOf(host: Host, past: string, error: Error | undefined): string {
  const { kernel, jobs, timerAt } = host
  const states = kernel.states.map(({ spi, kind, seal }) => `${spi} ${kind} ${seal?.fingerprint}`)
  const waiting = jobs.map(({ job }) => (job.kind === 'kernel' ? job.operation.kind : job.kind))
  const now = [past, `${timerAt} ${kernel.deadline} ${kernel.policies.length}`, kernel.willRefuse.join(' ')]
  return digest([...now, ...states, '', ...waiting, error?.message ?? ''].join('\n'))
}

function nameOf(input: HostInput): string {
  const { kind, at, hold } = input
  const what =
    kind === 'wish'
      ? input.wish
      : kind === 'datagram'
        ? input.datagram.number
        : kind === 'refuse'
          ? input.operation
          : ''
  return `${at} ${hold} ${kind} ${what}`
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
