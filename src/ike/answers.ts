/**
 * The peer's requests on one IKE SA: the scripts that answer them, and the answers (RFC 7296 §2.1 to §2.3). With a window
 * above 1 several are being answered at a time, in any order.
 */
import type { Path } from '../wire/endpoint.ts'
import type { Header } from '../wire/header.ts'
import { EXCHANGE, nameOf, PROTOCOL } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import { assert, Refusal } from './errors.ts'
import { Reassembly } from './fragments.ts'
import type { IkeSa } from './ike-sa.ts'
import { sayInvalid } from './invalid-message-id.ts'
import { noteParsed, openCounted } from './messages.ts'
import { refusalFor } from './refuse.ts'
import { responders } from './responders.ts'
import { type Performer, Process, type Waiter } from './runner.ts'
import type { Aside, Received, ReplyEffect } from './script.ts'
import type { Sending } from './sending.ts'
import { answering, responderSetUp } from './shown-tasks.ts'
import { isOurMistake } from './tasks.ts'
import type { Timer } from './timers.ts'
import { ikeSaView } from './views.ts'
import { patienceMs, ResponseWindow } from './window.ts'

/** A request of the peer that is being answered. */
interface Question {
  readonly messageId: number
  readonly exchange: number
  /** Where it came from: there goes the answer (RFC 7296 §2.11). */
  readonly path: Path | undefined
  /** It changes the IKE SA itself: nothing else is being answered meanwhile. */
  readonly alone: boolean
  /** What its script wants done once the answer is on the way. */
  readonly afterwards: (() => void)[]
}

type Responder = Process<readonly Payload[]>

export class Answers {
  readonly #sa: IkeSa
  readonly #sending: Sending
  readonly #performer: Performer
  readonly #window = new ResponseWindow()
  readonly #reassemblies = new Map<number, { readonly reassembly: Reassembly; timer: Timer | undefined }>()
  /** Requests that wait for others to be answered first. */
  readonly #held: { readonly question: Question; readonly received: Received }[] = []
  readonly #responders = new Map<Waiter, Question>()
  /** Has answered and waits for the next request of the same exchange: rounds of IKE_AUTH. */
  #between: { readonly process: Responder; readonly exchange: number } | undefined
  /** Scripts that have answered and wait for a request that continues what they do. Oldest first. */
  readonly #asides = new Map<Responder, Aside & { readonly timer: Timer }>()
  /** What is answered, until all that follows from it is done, by names for listings. */
  readonly #shown = new Map<Question, () => readonly string[]>()
  /** Whose script runs at this moment. */
  #current: Question | undefined

  constructor(sa: IkeSa, sending: Sending, performer: Omit<Performer, 'reply' | 'around'>) {
    this.#sa = sa
    this.#sending = sending
    this.#performer = {
      ...performer,
      reply: (waiter, effect) => this.#reply(waiter, effect),
      around: (waiter, advance) => this.#within(this.#responders.get(waiter), advance),
    }
  }

  /** Names of what the peer's requests have us do, for listings; also of what waits for another request. */
  get passiveTasks(): readonly string[] {
    const names = [...this.#shown.values()].flatMap((tasks) => tasks())
    const waiting = [...this.#asides.values()].map(({ task }) => task)
    return [...(names.length === 0 ? responderSetUp(this.#sa) : names), ...waiting]
  }

  /** We have told the peer that we take so many requests at once. */
  growWindow(size: number): void {
    this.#window.grow(size)
  }

  /** The highest message ID that the peer has shown us (RFC 6311 §5.1). */
  get newest(): number {
    return this.#window.newest
  }

  /** RFC 6311 §5.1: the peer has shown us `newest`, and goes on with `expected`. */
  moveTo(newest: number, expected: number): void {
    this.#window.moveTo(newest, expected)
    this.#reassemblies.clear()
  }

  // --- what comes -----------------------------------------------------------------------------------------------------

  /** A datagram that says it is a request. Nothing in it is authenticated yet. */
  receive(header: Header, bytes: Uint8Array, path: Path): void {
    const { core } = this.#sa
    const { messageId, exchange } = header
    switch (this.#window.verdict(messageId)) {
      case 'in-progress':
        core.drops.unexpected++
        return
      case 'outside': {
        core.drops.unexpected++
        const line = `received message ID ${messageId}, expected ${this.#window.expected}, ignored`
        core.log('NET', 1, line, this.#sa)
        // What comes too late has been on the way for long; what comes too early somebody must have sent so.
        const early = messageId > this.#window.expected
        if (early && openCounted(this.#sa, header, bytes, undefined) !== undefined) sayInvalid(this.#sa, messageId)
        return
      }
      case 'retransmission':
        if (openCounted(this.#sa, header, bytes, undefined) !== undefined) this.#repeat(messageId, path)
        return
      case 'new':
        break
    }
    const opened = openCounted(this.#sa, header, bytes, this.#reassembly(messageId))
    if (opened === undefined) return this.#expectFragments(messageId)
    this.#forgetFragments(messageId)
    this.#sa.heard()
    const newest = this.#window.begin(messageId)
    // An authenticated request shows where the peer is now (RFC 7296 §2.23): also how it moves to port 4500. With
    // MOBIKE it says so itself (RFC 4555 §3.8).
    if (newest && this.#sa.mobike === undefined) this.#sa.follow(path)
    const question = { messageId, exchange, path, afterwards: [] }
    if (opened.kind === 'malformed') {
      core.alert('parse-error-body', this.#sa)
      this.#between?.process.end()
      this.#refuse({ ...question, alone: false }, opened.error)
      return
    }
    noteParsed(this.#sa, header, opened.payloads)
    const received: Received = { ...opened, exchange, messageId, bytes, path }
    this.#held.push({ question: { ...question, alone: this.#changesIkeSa(received) }, received })
    this.#next()
  }

  /** Fragments of several requests may come mixed. */
  #reassembly(messageId: number): Reassembly {
    const known = this.#reassemblies.get(messageId)
    if (known !== undefined) return known.reassembly
    // Of a message that the window has left behind no more fragments are taken.
    for (const id of [...this.#reassemblies.keys()]) {
      if (this.#window.verdict(id) !== 'new') this.#forgetFragments(id)
    }
    const reassembly = new Reassembly()
    this.#reassemblies.set(messageId, { reassembly, timer: undefined })
    return reassembly
  }

  /** RFC 7383 §2.6: what stays incomplete for as long as we would ask ourselves is forgotten; the IKE SA goes on. */
  #expectFragments(messageId: number): void {
    const { core } = this.#sa
    const begun = this.#reassemblies.get(messageId)
    if (begun === undefined || begun.timer !== undefined || begun.reassembly.isEmpty) return
    begun.timer = core.timers.set(core.now + patienceMs(core.settings), () => {
      core.log('ENC', 1, `fragments of request with ID ${messageId} are missing, forgetting the others`, this.#sa)
      this.#reassemblies.delete(messageId)
    })
  }

  #forgetFragments(messageId: number): void {
    this.#reassemblies.get(messageId)?.timer?.clear()
    this.#reassemblies.delete(messageId)
  }

  /** The peer repeated its IKE_SA_INIT request: it gets the same answer, as long as nothing has followed. */
  retransmittedInit(): void {
    if (this.#window.verdict(0) === 'retransmission') this.#repeat(0)
  }

  #repeat(messageId: number, path?: Path): void {
    const { core } = this.#sa
    const line = `received retransmit of request with ID ${messageId}, retransmitting response`
    core.log('IKE', 1, line, this.#sa)
    core.alert('retransmit-receive', this.#sa)
    this.#sending.send(this.#window.cached(messageId), path)
  }

  /** The IKE_SA_INIT request that this SA was made for. */
  begin(received: Received): void {
    const { messageId, exchange } = received
    this.#window.begin(messageId)
    this.#respond({ messageId, exchange, path: undefined, alone: true, afterwards: [] }, received)
  }

  // --- what answers ---------------------------------------------------------------------------------------------------

  /**
   * Whether a request rekeys or deletes the IKE SA. A peer has such a request alone on the wire if it is careful; if not,
   * each is answered as if it were: a Child SA must not be made on an IKE SA that is being replaced.
   */
  #changesIkeSa(received: Received): boolean {
    if (this.#asideFor(received)?.[1].task === 'IKE_REKEY') return true
    return received.payloads.some(
      (payload) =>
        (payload.type === 'D' && payload.protocol === PROTOCOL.IKE) ||
        (payload.type === 'SA' && payload.proposals.some(({ protocol }) => protocol === PROTOCOL.IKE)),
    )
  }

  /** Answers what may be answered now. Nothing overtakes a request that has to be alone. */
  #next(): void {
    for (;;) {
      const [first] = this.#held
      if (first === undefined || this.#sa.destroyed) return
      const others = [...this.#responders.values()]
      if (others.some(({ alone }) => alone) || (first.question.alone && others.length > 0)) return
      this.#held.shift()
      this.#respond(first.question, first.received)
    }
  }

  /** Runs the script that answers a request; what it returns, or the refusal it throws, is the response. */
  #respond(question: Question, received: Received): void {
    const { exchange } = question
    const continued = this.#between
    this.#between = undefined
    this.#shown.set(question, () => answering(this.#sa, received))
    if (continued?.exchange === exchange) return this.#resume(continued.process, question, received)
    continued?.process.end()
    const aside = this.#asideFor(received)
    if (aside !== undefined) {
      this.#shown.set(question, () => [aside[1].task])
      this.#return(aside[0])
      return this.#resume(aside[0], question, received)
    }
    const script = responders(exchange, this.#sa, received)
    if (script === undefined) {
      this.#refuse(question, new Refusal(0, `unexpected exchange ${nameOf(EXCHANGE, exchange)}`))
      this.#shown.delete(question)
      return
    }
    const process: Responder = new Process(script, this.#performer, (outcome) => {
      // A script that had waited for more ends in another exchange than it began in.
      const current = this.#responders.get(process)
      this.#responders.delete(process)
      if (current !== undefined && this.#sa.destroyed) this.#shown.delete(current)
      if (this.#sa.destroyed || current === undefined) return
      if (outcome.kind === 'returned') this.#answer(current, outcome.value)
      else this.#refuse(current, outcome.error)
      this.#finish(current)
    })
    this.#responders.set(process, question)
    process.start()
  }

  #resume(process: Responder, question: Question, received: Received): void {
    this.#responders.set(process, question)
    process.resume(received)
  }

  #within<R>(question: Question | undefined, advance: () => R): R {
    const before = this.#current
    this.#current = question
    try {
      return advance()
    } finally {
      this.#current = before
    }
  }

  /** Does something once the answer is on the way that the running script makes. */
  whenAnswered(action: () => void): void {
    assert(this.#current, 'only a script that answers can wait for its answer')
    this.#current.afterwards.push(action)
  }

  #finish(question: Question): void {
    for (const action of question.afterwards.splice(0)) action()
    this.#shown.delete(question)
    this.#next()
  }

  #answer({ messageId, exchange, path }: Question, payloads: readonly Payload[]): void {
    const datagrams = this.#sending.encode({ exchange, response: true, messageId, payloads })
    if (exchange === EXCHANGE.IKE_SA_INIT && this.#sa.init !== undefined) {
      this.#sa.init = { ...this.#sa.init, response: datagrams[0] ?? this.#sa.init.response }
    }
    this.#window.answered(messageId, datagrams)
    this.#sending.send(datagrams, path)
  }

  #refuse(question: Question, error: Error): void {
    const { core } = this.#sa
    if (isOurMistake(error)) core.defect(error, this.#sa)
    const refusal = refusalFor(error, question.exchange)
    core.log('IKE', 1, refusal.message, this.#sa)
    if (refusal.payloads !== undefined) this.#answer(question, refusal.payloads)
    else this.#window.forget(question.messageId)
    if (!refusal.endsSa) return
    if (this.#sa.state !== 'DELETING') core.event({ kind: 'ike-updown', up: false, ikeSa: ikeSaView(this.#sa) })
    this.#sa.destroy()
  }

  // --- scripts that answer more than once -----------------------------------------------------------------------------

  #reply(waiter: Waiter, effect: ReplyEffect): void {
    const question = this.#responders.get(waiter)
    assert(question, 'a reply answers a request')
    // Only responders are in that map, and they are processes of this class.
    const process = waiter as Responder
    this.#responders.delete(process)
    this.#answer(question, effect.payloads)
    if (effect.aside === undefined) {
      this.#shown.delete(question)
      this.#between = { process, exchange: question.exchange }
      process.onAbandon(() => {
        if (this.#between?.process === process) this.#between = undefined
      })
      return
    }
    this.#stepAside(process, effect.aside)
    this.#finish(question)
  }

  #stepAside(process: Responder, aside: Aside): void {
    const { core } = this.#sa
    this.forgetAside(aside.about)
    const [oldest] = this.#asides.keys()
    if (this.#asides.size >= mostAsides) oldest?.end()
    const timer = core.timers.set(core.now + aside.forMs, () => {
      const awaited = nameOf(EXCHANGE, aside.exchange)
      core.log('IKE', 1, `no ${awaited} request came, forgetting what it was for`, this.#sa)
      process.end()
    })
    this.#asides.set(process, { ...aside, timer })
    process.onAbandon(() => this.#return(process))
  }

  /** The script that waits for this request, if there is one. */
  #asideFor(received: Received): readonly [Responder, Aside] | undefined {
    return [...this.#asides].find(
      ([, { exchange, recognises }]) => exchange === received.exchange && recognises(received),
    )
  }

  /** What the script works on is settled without it. */
  forgetAside(about: object): void {
    for (const [process, aside] of [...this.#asides]) if (aside.about === about) process.end()
  }

  /** The script is no longer aside. */
  #return(process: Responder): void {
    this.#asides.get(process)?.timer.clear()
    this.#asides.delete(process)
  }

  /** Ends every script. */
  end(): void {
    const processes = [...this.#responders.keys(), ...this.#asides.keys()]
    this.#responders.clear()
    for (const messageId of [...this.#reassemblies.keys()]) this.#forgetFragments(messageId)
    this.#held.length = 0
    for (const process of processes) (process as Responder).end()
    this.#between?.process.end()
  }
}

/** How many scripts may wait aside at a time. */
const mostAsides = 8
