/**
 * The exchanges of one IKE SA: our own work (tasks.ts), its requests with their retransmissions (requests.ts), and the
 * peer's requests with the scripts that answer them (answers.ts). Message IDs, fragments and encryption are settled
 * there; what an exchange means is the business of its script.
 */
import type { Endpoint, Path } from '../wire/endpoint.ts'
import type { Header } from '../wire/header.ts'
import { EXCHANGE, PAYLOAD } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import { Answers } from './answers.ts'
import { Defect } from './errors.ts'
import { answerSync, isSync } from './exchanges/message-id-sync.ts'
import { Reassembly } from './fragments.ts'
import type { IkeSa } from './ike-sa.ts'
import { noteParsed, open } from './messages.ts'
import { Requests } from './requests.ts'
import type { Waiter } from './runner.ts'
import type { Received, RequestEffect, RunEffect, SleepEffect } from './script.ts'
import { Sending } from './sending.ts'
import { type Task, Tasks } from './tasks.ts'

/** One for each IKE SA, for as long as that lives. */
export class Dialogue {
  readonly #sa: IkeSa
  readonly #sending: Sending
  readonly #requests: Requests
  readonly #answers: Answers
  readonly #tasks: Tasks

  constructor(sa: IkeSa) {
    const sending = new Sending(sa)
    this.#sending = sending
    const requests = new Requests(sa, sending)
    const performer = {
      request: (waiter: Waiter, effect: RequestEffect): void => requests.ask(waiter, effect),
      run: (waiter: Waiter, effect: RunEffect): void => sa.core.runJob(waiter, effect),
      sleep: (waiter: Waiter, effect: SleepEffect): void => sa.core.sleep(waiter, effect),
    }
    const reply = (): void => {
      throw new Defect('a reply without a request')
    }
    this.#sa = sa
    this.#requests = requests
    this.#answers = new Answers(sa, sending, performer)
    this.#tasks = new Tasks(sa, { ...performer, reply }, () => requests.windowSize)
  }

  // --- our own work ---------------------------------------------------------------------------------------------

  get queuedTasks(): readonly Task[] {
    return this.#tasks.queued
  }

  get activeTasks(): readonly Task[] {
    return this.#tasks.active
  }

  /** Those under way and those whose end is being told, for listings. */
  get shownTasks(): readonly Task[] {
    return this.#tasks.shown
  }

  /** Has a task done when its turn comes. */
  enqueue(task: Task): void {
    this.#tasks.enqueue(task)
  }

  /** Takes back all work that has not begun. */
  cancelQueued(): void {
    this.#tasks.cancelQueued()
  }

  /** All work that has not begun, for somebody else to do. */
  takeQueue(): Task[] {
    return this.#tasks.takeQueue()
  }

  /** What our task waits for fails with `error`. */
  interrupt(error: Error): void {
    this.#tasks.interrupt(error)
  }

  // --- our requests ---------------------------------------------------------------------------------------------

  /** Requests that wait for a response: the same objects as long as they do. */
  get outstanding(): readonly object[] {
    return this.#requests.outstanding
  }

  /** The next request's message ID. */
  get nextId(): number {
    return this.#requests.nextId
  }

  /** From now on requests go out on these paths, the best one first, until an answer shows which works. */
  probe(paths: readonly Path[]): void {
    this.#requests.probe(paths)
  }

  /** The peer has said which path it is. */
  stopProbing(): void {
    this.#requests.stopProbing()
  }

  /** Sends one request that nobody waits for, whatever is outstanding: the last message of an SA that ends. */
  sendLast(exchange: number, payloads: readonly Payload[]): void {
    this.#requests.sendLast(exchange, payloads)
  }

  /** As if nothing had been said yet: for a fresh attempt of an initiator. */
  startOver(nextId = 0): void {
    this.#requests.startOver(nextId)
  }

  // --- the peer's requests --------------------------------------------------------------------------------------

  /** Names of what the peer's requests have us do, for listings; also of what waits for another request. */
  get passiveTasks(): readonly string[] {
    return this.#answers.passiveTasks
  }

  /** Answers the IKE_SA_INIT request that this SA was made for. */
  begin(received: Received): void {
    this.#answers.begin(received)
  }

  /** The peer repeated its IKE_SA_INIT request: it gets the same answer, as long as nothing has followed. */
  retransmittedInit(): void {
    this.#answers.retransmittedInit()
  }

  /** Does something once the answer is on the way that the running script makes. */
  whenAnswered(action: () => void): void {
    this.#answers.whenAnswered(action)
  }

  /** What a script works on that waits for a request is settled without it. */
  forgetAside(about: object): void {
    this.#answers.forgetAside(about)
  }

  // --- windows (RFC 7296 §2.3) ------------------------------------------------------------------------------------

  /** The peer takes so many of our requests at once. A window never shrinks. */
  peerTakes(requests: number): void {
    this.#requests.growWindow(requests)
    this.#tasks.next()
  }

  /** The peer has been told, or is about to be, that we take so many. */
  weTake(requests: number): void {
    this.#answers.growWindow(requests)
  }

  /** The highest message ID of a request that the peer has shown us (RFC 6311 §5.1). */
  get newestSeen(): number {
    return this.#answers.newest
  }

  /** RFC 6311 §5.1: gives `answer` with message ID 0, and goes on with other message IDs. */
  synchronize(
    to: { readonly received: number; readonly expected: number; readonly next: number },
    {
      exchange,
      payloads,
      path,
    }: { readonly exchange: number; readonly payloads: readonly Payload[]; readonly path: Path },
  ): void {
    this.#answers.moveTo(to.received, to.expected)
    this.#sending.send(this.#sending.encode({ exchange, response: true, messageId: 0, payloads }), path)
    this.#requests.moveTo(to.next)
  }

  // --- both -----------------------------------------------------------------------------------------------------

  /** A datagram with our SPI. Nothing in it is authenticated yet. */
  receive(header: Header, bytes: Uint8Array, local: Endpoint, remote: Endpoint): void {
    const path = { local, remote }
    if (header.flags.response) this.#requests.receive(header, bytes, path)
    else if (!this.#receiveSync(header, bytes, path)) this.#answers.receive(header, bytes, path)
  }

  /** RFC 6311: whether this is a message of a cluster that is outside the windows. It is never fragmented. */
  #receiveSync(header: Header, bytes: Uint8Array, path: Path): boolean {
    const { exchange, messageId, nextPayload } = header
    if (!this.#sa.sync.messageIds || messageId !== 0) return false
    if (exchange !== EXCHANGE.INFORMATIONAL || nextPayload !== PAYLOAD.SK) return false
    const opened = open(this.#sa, header, bytes, new Reassembly())
    if (opened.kind !== 'payloads' || !isSync(opened.payloads)) return false
    noteParsed(this.#sa, header, opened.payloads)
    answerSync(this.#sa, opened.payloads, path)
    return true
  }

  /** Does something when either side is about to run out of message IDs. */
  whenIdsRunOut(action: () => void): void {
    this.#sending.whenIdsRunOut = action
  }

  /** Ends every script. What they and the queue were to do has failed, as the result is to be told. */
  end(): () => void {
    this.#requests.end()
    this.#answers.end()
    return this.#tasks.end()
  }
}
