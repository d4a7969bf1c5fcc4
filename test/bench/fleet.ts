/**
 * A gateway and a fleet of clients, wired to each other without a network: one engine answers, one begins as many IKE
 * SAs as it is told to, each with a peer identity, a connection and traffic selectors of its own. The time of each part
 * is taken apart.
 */
import type { Connection } from '../../src/config/connection.ts'
import { type CoreSettings, defaultCoreSettings } from '../../src/config/daemon-settings.ts'
import { systemRandom } from '../../src/crypto/random.ts'
import { sign } from '../../src/crypto/signatures.ts'
import { Engine } from '../../src/ike/engine.ts'
import type { Command, Input } from '../../src/ike/input.ts'
import type { Job } from '../../src/ike/job.ts'
import type { Answer, Output } from '../../src/ike/output.ts'
import type { KernelOperation, KernelResult } from '../../src/kernel/operations.ts'
import { SimulatedKernel } from '../../src/kernel/simulated/simulated-kernel.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import {
  type AuthName,
  addresses,
  authRound,
  child,
  connection,
  credentialsFor,
  places,
  roundOf,
  subnet,
} from '../simulation/connection.ts'
import { performJob } from '../simulation/perform-job.ts'

/** Performs kernel operations; `EasyKernel` and the simulated one both do. */
export interface BenchKernel {
  perform(operation: KernelOperation, now: number): KernelResult
}

/** Says yes to everything and remembers nothing, so that only the core is measured. */
export class EasyKernel implements BenchKernel {
  #lastSpi = 0xc000_0000

  perform(operation: KernelOperation): KernelResult {
    switch (operation.kind) {
      case 'allocate-spi':
        return { spi: ++this.#lastSpi }
      case 'route-lookup':
        return {}
      case 'local-addresses':
        return []
      case 'query-sas':
        return operation.ids.map(() => ({ bytes: 84_000n, packets: 1000n }))
      default:
        return undefined
    }
  }
}

/** Milliseconds since the last `take`. */
export interface Times {
  /** In the engine that begins, in the engine that answers. */
  readonly initiator: number
  readonly responder: number
  /** In key exchanges, signatures and path validation, on both sides. */
  readonly jobs: number
  readonly kernel: number
}

type SideName = 'initiator' | 'responder'

interface Side {
  readonly engine: Engine
  readonly kernel: BenchKernel
  readonly inputs: Input[]
  timerAt: number | undefined
}

export interface FleetOptions {
  readonly auth: AuthName
  readonly clients: number
  readonly kernel: 'simulated' | 'easy'
  /** The gateway looks so often whether its peers are alive; 0 (the default) is never. */
  readonly dpdDelaySeconds?: number
  /** Take the CPU of this thread for time: for pieces of work that others interrupt, whose median nobody takes. */
  readonly cpu?: boolean
}

/** The moment at which everything begins: the certificates of the simulation are valid then. */
const epoch = Date.UTC(2026, 0, 1)

export class Fleet {
  readonly #sides: Record<SideName, Side>
  readonly #answers = new Map<number, Answer>()
  #times = { initiator: 0, responder: 0, jobs: 0, kernel: 0 }
  #lastCommand = 0
  #now = epoch
  readonly #clock: () => number
  readonly #clockMs: number
  /** Datagrams that both sides have sent. */
  sent = 0

  constructor({ auth, clients, kernel, dpdDelaySeconds = 0, cpu = false }: FleetOptions) {
    this.#clock = cpu ? cpuMs : () => performance.now()
    this.#clockMs = costOf(this.#clock)
    const side = (address: string): Side => ({
      engine: new Engine({ random: systemRandom, settings, strict: true }),
      kernel:
        kernel === 'easy' ? new EasyKernel() : new SimulatedKernel({ addresses: [address], random: systemRandom }),
      inputs: [],
      timerAt: undefined,
    })
    this.#sides = { initiator: side(places.left[4]), responder: side(places.right[4]) }
    this.command('initiator', { kind: 'credentials', credentials: credentialsFor('left', auth) })
    this.command('responder', { kind: 'credentials', credentials: credentialsFor('right', auth) })
    this.command('responder', { kind: 'load-connection', connection: { ...gateway(auth), dpdDelaySeconds } })
    for (let i = 0; i < clients; i++) {
      this.command('initiator', { kind: 'load-connection', connection: client(auth, i) })
    }
    this.take()
  }

  /** Has the given client set up its IKE SA with one Child SA: IKE_SA_INIT and IKE_AUTH. */
  setUp(index: number): void {
    const answer = this.command('initiator', { kind: 'initiate', child: `net${index}`, timeoutMs: 0 })
    if (answer?.kind !== 'done') throw new Error(`client ${index} is not up: ${JSON.stringify(answer)}`)
  }

  /** Gives a command and runs until nothing is left to do. */
  command(name: SideName, command: Command): Answer | undefined {
    const id = ++this.#lastCommand
    this.input(name, { kind: 'command', id, command })
    const answer = this.#answers.get(id)
    this.#answers.delete(id)
    return answer
  }

  input(name: SideName, input: Input): void {
    this.#sides[name].inputs.push(input)
    this.#run()
  }

  engine(name: SideName): Engine {
    return this.#sides[name].engine
  }

  /** When an engine wants to be woken (epoch milliseconds), and the time it is there. */
  timer(name: SideName): { readonly at: number | undefined; readonly now: number } {
    return { at: this.#sides[name].timerAt, now: this.#now }
  }

  /** The clock goes on by so many milliseconds; timers go off when they are due. */
  passTime(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const due = (['initiator', 'responder'] as const).filter(
        (name) => (this.#sides[name].timerAt ?? until + 1) <= until,
      )
      const [name] = due.sort((a, b) => (this.#sides[a].timerAt ?? 0) - (this.#sides[b].timerAt ?? 0))
      if (name === undefined) break
      this.#now = Math.max(this.#now, this.#sides[name].timerAt ?? 0)
      this.input(name, { kind: 'timer' })
    }
    this.#now = until
  }

  /** The times since the last call. */
  take(): Times {
    const times = this.#times
    this.#times = { initiator: 0, responder: 0, jobs: 0, kernel: 0 }
    return times
  }

  #run(): void {
    for (;;) {
      const name = this.#sides.initiator.inputs.length > 0 ? 'initiator' : 'responder'
      const input = this.#sides[name].inputs.shift()
      if (input === undefined) return
      const before = this.#clock()
      const outputs = this.#sides[name].engine.handle(input, this.#now)
      this.#times[name] += this.#clock() - before - this.#clockMs
      for (const output of outputs) this.#carryOut(name, output)
    }
  }

  #carryOut(name: SideName, output: Output): void {
    const side = this.#sides[name]
    switch (output.kind) {
      case 'send': {
        this.sent++
        const { local, remote, bytes } = output
        const other = this.#sides[name === 'initiator' ? 'responder' : 'initiator']
        other.inputs.push({ kind: 'datagram', local: remote, remote: local, bytes })
        return
      }
      case 'job':
        side.inputs.push({ kind: 'completed', job: output.id, value: this.#perform(side, output.job) })
        return
      case 'answer':
        this.#answers.set(output.command, output.answer)
        return
      case 'timer':
        side.timerAt = output.at
        return
      case 'log':
      case 'event':
      case 'tracking':
        return
    }
  }

  #perform(side: Side, job: Job): unknown {
    const before = performance.now()
    if (job.kind === 'kernel') {
      const value = side.kernel.perform(job.operation, this.#now)
      this.#times.kernel += performance.now() - before
      return value
    }
    // The simulation signs by a slow way that can be repeated; the daemon signs with OpenSSL.
    const value =
      job.kind === 'sign'
        ? sign(job.key, job.scheme, job.data)
        : performJob(job, systemRandom, new Map(), new Map(), this.#now)
    this.#times.jobs += performance.now() - before
    return value
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** What reading the clock before and after adds to a time: a system call takes as long as a good part of an input. */
function costOf(clock: () => number): number {
  const readings = 10_000
  let sum = 0
  for (let i = 0; i < readings; i++) {
    const before = clock()
    sum += clock() - before
  }
  return sum / readings
}

const settings: CoreSettings = defaultCoreSettings

/** Takes every client that can prove itself, and whatever address it wants to be. */
function gateway(auth: AuthName): Connection {
  return connection({
    name: 'gateway',
    localAddresses: addresses(places.right[4]),
    local: [roundOf('right', auth)],
    remote: [authRound({ class: auth === 'psk' ? 'psk' : 'pubkey' })],
    children: [child({ localTs: [subnet('10.2.0.0/16')], remoteTs: [subnet('172.16.0.0/12')] })],
  })
}

/** With certificates all clients are `left.lab`, with secrets each has a name of its own. */
function client(auth: AuthName, index: number): Connection {
  const [a, b] = [index >> 8, index & 0xff]
  const us = roundOf('left', auth)
  return connection({
    name: `client${index}`,
    // One datagram for each direction of IKE_SA_INIT and IKE_AUTH, without fragments of either.
    fragmentation: 'no',
    localAddresses: addresses(`100.64.${a}.${b}`),
    remoteAddresses: addresses(places.right[4]),
    ...(auth === 'psk' ? {} : { unique: 'never' as const }),
    local: [auth === 'psk' ? { ...us, id: parseIdentity(`client${index}.lab`) } : us],
    remote: [roundOf('right', auth)],
    children: [
      child({
        name: `net${index}`,
        localTs: [subnet(`172.${16 + (a >> 8)}.${a & 0xff}.${b}/32`)],
        remoteTs: [subnet('10.2.0.0/16')],
      }),
    ],
  })
}
