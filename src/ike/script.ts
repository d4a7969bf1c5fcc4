/**
 * Exchanges are scripts: generator functions that read from top to bottom and wait for three things only — a
 * response, the peer's next request, the result of a job. The runner (runner.ts) carries out what they yield.
 */
import type { KernelOperation, KernelResults } from '../kernel/operations.ts'
import type { Path } from '../wire/endpoint.ts'
import type { Payload } from '../wire/payloads/index.ts'
import type { Job, JobResult } from './job.ts'
import type { CoveredMessage } from './messages.ts'

/** A message of the peer, decrypted and matched to what the script waited for. */
export interface Received {
  readonly exchange: number
  readonly messageId: number
  readonly payloads: readonly Payload[]
  /** The message as it was on the wire, for the AUTH octets (RFC 7296 §2.15). */
  readonly bytes: Uint8Array
  /** Where it came from and to which of our addresses; not there for the request that began the IKE SA. */
  readonly path?: Path
  /** In IKE_INTERMEDIATE: what IntAuth covers of it. */
  readonly covered?: CoveredMessage
}

/**
 * Decides about a response before it ends the request. Throwing drops it, with the reason logged, and the request
 * stays outstanding: this is how unauthenticated responses of IKE_SA_INIT are kept from ending anything. Returning
 * `failAfterMs` believes a refusal only if nothing better comes within that time (RFC 7296 §2.21.1).
 */
export type Accept = (response: Received) => { readonly failAfterMs: number; readonly error: Error } | undefined

export interface RequestEffect {
  readonly kind: 'request'
  readonly exchange: number
  readonly payloads: readonly Payload[]
  readonly accept?: Accept
}

export interface ReplyEffect {
  readonly kind: 'reply'
  readonly payloads: readonly Payload[]
  readonly aside?: Aside
}

/** A responding script that steps aside: other exchanges may come between its answer and the request it waits for. */
export interface Aside {
  readonly exchange: number
  readonly recognises: (received: Received) => boolean
  /** How long it waits before it is ended. */
  readonly forMs: number
  /** What it works on: a second script for the same thing ends the first. */
  readonly about: object
  /** charon's task name, for listings. */
  readonly task: string
}

export interface RunEffect {
  readonly kind: 'run'
  readonly job: Job
  /** Receives the result when the script was ended while the job ran: what it acquired must be released. */
  readonly orphan?: (value: never) => void
}

export interface SleepEffect {
  readonly kind: 'sleep'
  readonly ms: number
}

export type Effect = RequestEffect | ReplyEffect | RunEffect | SleepEffect

export type Script<T> = Generator<Effect, T, unknown>

/**
 * Sends a request in our window and comes back with the response.
 * @throws ExchangeTimeout when the peer never answered.
 */
export function* request(exchange: number, payloads: readonly Payload[], accept?: Accept): Script<Received> {
  // The runner resumes a `request` with a Received and nothing else.
  return (yield accept
    ? { kind: 'request', exchange, payloads, accept }
    : { kind: 'request', exchange, payloads }) as Received
}

/** Answers the peer's request and comes back with its next one. The last answer is the script's return value. */
export function* reply(payloads: readonly Payload[], aside?: Aside): Script<Received> {
  return (yield aside ? { kind: 'reply', payloads, aside } : { kind: 'reply', payloads }) as Received
}

/**
 * Has a job done.
 * @param orphan releases the result if the script was ended meanwhile.
 * @throws whatever the performer failed with, e.g. KernelError.
 */
export function* run<const J extends Job>(job: J, orphan?: (value: JobResult<J>) => void): Script<JobResult<J>> {
  // The runner resumes with the result of this very job; its type is fixed by the kind of the job.
  return (yield orphan
    ? { kind: 'run', job, orphan: orphan as (value: never) => void }
    : { kind: 'run', job }) as JobResult<J>
}

/** Has the kernel do something. Operations are performed in the order in which they are asked for. */
export function* kernel<K extends KernelOperation['kind']>(
  operation: Extract<KernelOperation, { kind: K }>,
  orphan?: (value: KernelResults[K]) => void,
): Script<KernelResults[K]> {
  const job: Job = { kind: 'kernel', operation }
  return (yield orphan
    ? { kind: 'run', job, orphan: orphan as (value: never) => void }
    : { kind: 'run', job }) as KernelResults[K]
}

/** Lets time pass. */
export function* sleep(ms: number): Script<void> {
  yield { kind: 'sleep', ms }
}
