/**
 * The exchanges of one IKE SA: our own work one task at a time, requests with their retransmissions, and the peer's
 * requests with the scripts that answer them. Message IDs, fragments and encryption are settled here; what an exchange
 * means is the business of its script.
 */
import { type Endpoint, formatEndpoint, type Path } from '../wire/endpoint.ts'
import type { Header } from '../wire/header.ts'
import { EXCHANGE, nameOf } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import type { Core } from './core.ts'
import { Defect, ExchangeTimeout, Refusal } from './errors.ts'
import { Reassembly } from './fragments.ts'
import type { IkeSa } from './ike-sa.ts'
import { logGenerating, logParsed, open, protect, type Readable } from './messages.ts'
import { refusalFor } from './refuse.ts'
import { responders } from './responders.ts'
import { Process, type Waiter } from './runner.ts'
import type { Accept, Aside, Received, ReplyEffect, RequestEffect, RunEffect, Script, SleepEffect } from './script.ts'
import type { Timer } from './timers.ts'
import { type Outstanding, RequestWindow, ResponseWindow, retransmitDelayMs } from './window.ts'

/** Work of our own on an IKE SA: one at a time, in the order of the queue. */
export interface Task {
  /** charon's task names, for listings. */
  readonly names: readonly string[]
  /** Is given the SA that it runs on: a rekeyed IKE SA hands over the work that has not begun. */
  readonly script: (sa: IkeSa) => Script<void>
  /** Called when the script threw, or when the SA went before or while it ran (`error` is undefined then). */
  readonly failed: (error: Error | undefined, sa: IkeSa) => void
  readonly done?: () => void
  /** The child this is about, to find duplicates. */
  readonly child?: string
  /** Goes before all others that have not begun. */
  readonly urgent?: boolean
  /** What remains to be done on the successor when the IKE SA is rekeyed while this runs. */
  readonly remains?: () => Task
}

/** One for each IKE SA, for as long as that lives. */
export class Dialogue {
  readonly #sa: IkeSa
  readonly #core: Core
  /** Requests go out on all of these until an answer shows which works (RFC 4555 §3.10). */
  #probing: { readonly paths: readonly Path[]; attempts: number } | undefined
  /** Where the request came from that is being answered: there goes the answer (RFC 7296 §2.11). */
  #answerTo: Path | undefined
  /** How many messages have been sealed under the keys of this SA. */
  #sealed = 0n
  readonly #requests = new Reassembly()
  readonly #responses = new Reassembly()
  readonly #queue: Task[] = []
  #active: { readonly task: Task; readonly process: Process<void> } | undefined
  /** Whose request is outstanding, and what it demands of the response. */
  #requester: { readonly waiter: Waiter; readonly accept: Accept | undefined } | undefined
  #responder: { readonly process: Process<readonly Payload[]>; readonly exchange: number; waiting: boolean } | undefined
  /** Scripts that have answered and wait for a request that continues what they do. Oldest first. */
  readonly #asides = new Map<Process<readonly Payload[]>, Aside & { readonly timer: Timer }>()
  readonly ours: RequestWindow = new RequestWindow()
  readonly theirs: ResponseWindow = new ResponseWindow()

  constructor(sa: IkeSa) {
    this.#sa = sa
    this.#core = sa.core
  }

  // --- our own work ---------------------------------------------------------------------------------------------

  get queuedTasks(): readonly Task[] {
    return this.#queue
  }

  get activeTask(): Task | undefined {
    return this.#active?.task
  }

  /** The exchange in which the peer is being answered, for listings. */
  get respondingTo(): number | undefined {
    return this.#responder?.exchange
  }

  /** Task names of the scripts that wait aside, for listings. */
  get asideTasks(): readonly string[] {
    return [...this.#asides.values()].map(({ task }) => task)
  }

  enqueue(task: Task): void {
    if (this.#sa.destroyed) {
      task.failed(undefined, this.#sa)
      return
    }
    if (task.urgent) this.#queue.unshift(task)
    else this.#queue.push(task)
    this.#next()
  }

  #next(): void {
    if (this.#active !== undefined || this.#sa.destroyed) return
    const task = this.#queue.shift()
    if (task === undefined) return
    const process: Process<void> = new Process(task.script(this.#sa), this.#performer, (outcome) => {
      this.#active = undefined
      this.ours.close()
      if (outcome.kind === 'failed') {
        if (outcome.error instanceof Defect || isProgrammingError(outcome.error)) this.#defect(outcome.error)
        task.failed(outcome.error, this.#sa)
      } else {
        task.done?.()
      }
      this.#next()
    })
    this.#active = { task, process }
    process.start()
  }

  // --- what scripts ask for ---------------------------------------------------------------------------------------

  readonly #performer = {
    request: (waiter: Waiter, effect: RequestEffect): void => this.#request(waiter, effect),
    reply: (_waiter: Waiter, effect: ReplyEffect): void => this.#reply(effect),
    run: (waiter: Waiter, effect: RunEffect): void => this.#core.runJob(waiter, effect),
    sleep: (waiter: Waiter, effect: SleepEffect): void => this.#core.sleep(waiter, effect),
  }

  #request(waiter: Waiter, effect: RequestEffect): void {
    if (this.ours.outstanding !== undefined) throw new Defect('a request while another is outstanding')
    // RFC 7296 §2.2: IKE_SA_INIT is always message 0, also when it is repeated with a cookie or another group.
    const messageId = effect.exchange === EXCHANGE.IKE_SA_INIT ? 0 : this.ours.nextId
    this.ours.nextId = messageId + 1
    const datagrams = this.#encode(effect.exchange, false, messageId, effect.payloads)
    if (effect.exchange === EXCHANGE.IKE_SA_INIT) this.#sa.lastInitRequest = datagrams[0]
    this.#requester = { waiter, accept: effect.accept }
    this.ours.outstanding = { messageId, exchange: effect.exchange, datagrams, sent: 0, timer: undefined }
    waiter.onAbandon(() => this.ours.close())
    this.#transmit()
  }

  #transmit(): void {
    const { outstanding } = this.ours
    if (outstanding === undefined) return
    if (this.#probing !== undefined) return this.#tryPaths(outstanding)
    const { settings, random } = this.#core
    this.#sendAll(outstanding.datagrams)
    const draw = settings.retransmitJitter > 0 ? (random(1)[0] ?? 0) / 256 : 0
    const delay = retransmitDelayMs(settings, Math.min(outstanding.sent, settings.retransmitTries), draw)
    outstanding.sent++
    outstanding.timer = this.#core.timers.set(this.#core.now + delay, () => {
      // Without any way to the peer its silence says nothing.
      if (outstanding.sent > settings.retransmitTries && !this.#sa.mobike?.stale) {
        this.#core.log('IKE', 1, `giving up after ${settings.retransmitTries} retransmits`, this.#sa)
        this.#core.alert('retransmit-send-timeout', this.#sa)
        const requester = this.#requester
        this.ours.close()
        requester?.waiter.fail(new ExchangeTimeout(outstanding.exchange))
        return
      }
      this.#core.log(
        'IKE',
        1,
        `retransmit ${outstanding.sent} of request with message ID ${outstanding.messageId}`,
        this.#sa,
      )
      this.#core.alert('retransmit-send', this.#sa)
      this.#transmit()
    })
  }

  /**
   * From now on requests go out on these paths, the best one first; the answer moves the IKE SA to the one that it came
   * on.
   */
  probe(paths: readonly Path[]): void {
    this.#probing = { paths, attempts: 0 }
    const { outstanding } = this.ours
    if (outstanding === undefined) return
    outstanding.timer?.clear()
    this.#tryPaths(outstanding)
  }

  #tryPaths(outstanding: Outstanding): void {
    const probing = this.#probing
    if (probing === undefined) return
    if (probing.attempts >= mostProbes) {
      this.#probing = undefined
      this.#core.log('IKE', 1, `giving up after ${mostProbes} path probings`, this.#sa)
      this.#core.alert('retransmit-send-timeout', this.#sa)
      const requester = this.#requester
      this.ours.close()
      requester?.waiter.fail(new ExchangeTimeout(outstanding.exchange))
      return
    }
    probing.attempts++
    this.#core.log('IKE', 1, `path probing attempt ${probing.attempts}`, this.#sa)
    // First the best alone: who answers first is not always who is nearest.
    const paths = probing.attempts === 1 ? probing.paths.slice(0, 1) : probing.paths
    for (const path of paths) this.#sendAll(outstanding.datagrams, path)
    outstanding.sent++
    outstanding.timer = this.#core.timers.set(this.#core.now + probeMs, () => this.#transmit())
  }

  #reply(effect: ReplyEffect): void {
    const responder = this.#responder
    if (responder === undefined) throw new Defect('a reply without a request')
    this.#answer(responder.exchange, effect.payloads)
    if (effect.aside === undefined) responder.waiting = true
    else this.#stepAside(responder.process, effect.aside)
  }

  #stepAside(process: Process<readonly Payload[]>, aside: Aside): void {
    this.#responder = undefined
    this.forgetAside(aside.about)
    const [oldest] = this.#asides.keys()
    if (this.#asides.size >= mostAsides) oldest?.end()
    const timer = this.#core.timers.set(this.#core.now + aside.forMs, () => {
      this.#core.log(
        'IKE',
        1,
        `no ${nameOf(EXCHANGE, aside.exchange)} request came, forgetting what it was for`,
        this.#sa,
      )
      process.end()
    })
    this.#asides.set(process, { ...aside, timer })
    process.onAbandon(() => this.#return(process))
    this.afterAnswer()
  }

  /** What the script works on is settled without it. */
  forgetAside(about: object): void {
    for (const [process, aside] of [...this.#asides]) if (aside.about === about) process.end()
  }

  /** The script is no longer aside. */
  #return(process: Process<readonly Payload[]>): void {
    this.#asides.get(process)?.timer.clear()
    this.#asides.delete(process)
  }

  #answer(exchange: number, payloads: readonly Payload[]): void {
    const datagrams = this.#encode(exchange, true, this.theirs.expected, payloads)
    if (exchange === EXCHANGE.IKE_SA_INIT && this.#sa.init !== undefined) {
      this.#sa.init = { ...this.#sa.init, response: datagrams[0] ?? this.#sa.init.response }
    }
    this.theirs.answered(datagrams)
    this.#sendAll(datagrams, this.#answerTo)
  }

  #encode(exchange: number, response: boolean, messageId: number, payloads: readonly Payload[]): readonly Uint8Array[] {
    logGenerating(this.#sa, exchange, response, messageId, payloads)
    return protect(this.#sa, { exchange, response, messageId, payloads }, () => this.#sealed++)
  }

  #sendAll(datagrams: readonly Uint8Array[], { local, remote }: Path = this.#sa): void {
    this.#sa.lastSentMs = this.#core.now
    for (const datagram of datagrams) {
      this.#core.log(
        'NET',
        1,
        `sending packet: from ${formatEndpoint(local)} to ${formatEndpoint(remote)} (${datagram.length} bytes)`,
        this.#sa,
      )
      this.#core.send(local, remote, datagram)
    }
  }

  // --- what the peer sends ----------------------------------------------------------------------------------------

  /** A datagram with our SPI. Nothing in it is authenticated yet. */
  receive(header: Header, bytes: Uint8Array, local: Endpoint, remote: Endpoint): void {
    if (header.flags.response) this.#receiveResponse(header, bytes, { local, remote })
    else this.#receiveRequest(header, bytes, { local, remote })
  }

  /** The peer repeated its IKE_SA_INIT request: it gets the same answer, as long as nothing has followed. */
  retransmittedInit(): void {
    if (this.theirs.verdict(0) !== 'retransmission') return
    this.#core.log('IKE', 1, 'received retransmit of request with ID 0, retransmitting response', this.#sa)
    this.#core.alert('retransmit-receive', this.#sa)
    this.#sendAll(this.theirs.cached)
  }

  #receiveResponse(header: Header, bytes: Uint8Array, path: Path): void {
    const { outstanding } = this.ours
    const requester = this.#requester
    if (
      outstanding === undefined ||
      requester === undefined ||
      outstanding.messageId !== header.messageId ||
      outstanding.exchange !== header.exchange
    ) {
      this.#core.drops.unexpected++
      return
    }
    const probing = this.#probing
    if (probing !== undefined && !probing.paths.some((tried) => sameAddresses(tried, path))) {
      this.#core.drops.unexpected++
      return
    }
    const opened = this.#open(header, bytes, this.#responses)
    if (opened === undefined) return
    if (opened.kind === 'malformed') {
      // RFC 7296 §2.21: what was decrypted comes from the peer, and it does not speak our protocol.
      if (header.exchange === EXCHANGE.IKE_SA_INIT) return
      this.ours.close()
      requester.waiter.fail(opened.error)
      return
    }
    logParsed(this.#sa, header, opened.payloads)
    const received: Received = { ...opened, exchange: header.exchange, messageId: header.messageId, bytes, path }
    try {
      const later = requester.accept?.(received)
      if (later !== undefined) {
        outstanding.timer?.clear()
        outstanding.timer = this.#core.timers.set(this.#core.now + later.failAfterMs, () => {
          this.ours.close()
          requester.waiter.fail(later.error)
        })
        return
      }
    } catch (error) {
      this.#core.drops.unexpected++
      this.#core.log('NET', 1, `ignoring response: ${error instanceof Error ? error.message : String(error)}`, this.#sa)
      return
    }
    if (outstanding.sent > 1) this.#core.alert('retransmit-send-cleared', this.#sa)
    this.#sa.lastHeardMs = this.#core.now
    this.ours.close()
    if (probing !== undefined) {
      this.#probing = undefined
      this.#sa.relocate(path)
    } else if (this.#sa.establishedAtMs !== undefined && this.#sa.mobike === undefined) {
      this.#sa.follow(path)
    }
    requester.waiter.resume(received)
  }

  #receiveRequest(header: Header, bytes: Uint8Array, path: Path): void {
    switch (this.theirs.verdict(header.messageId)) {
      case 'in-progress':
        this.#core.drops.unexpected++
        return
      case 'outside':
        this.#core.drops.unexpected++
        this.#core.log(
          'NET',
          1,
          `received message ID ${header.messageId}, expected ${this.theirs.expected}, ignored`,
          this.#sa,
        )
        return
      case 'retransmission':
        if (this.#open(header, bytes, undefined) === undefined) return
        this.#core.log(
          'IKE',
          1,
          `received retransmit of request with ID ${header.messageId}, retransmitting response`,
          this.#sa,
        )
        this.#core.alert('retransmit-receive', this.#sa)
        this.#sendAll(this.theirs.cached, path)
        return
      case 'new':
        break
    }
    const opened = this.#open(header, bytes, this.#requests)
    if (opened === undefined) return
    this.#sa.lastHeardMs = this.#core.now
    this.#answerTo = path
    // An authenticated request shows where the peer is now (RFC 7296 §2.23): also how it moves to port 4500. With
    // MOBIKE it says so itself (RFC 4555 §3.8).
    if (this.#sa.mobike === undefined) this.#sa.follow(path)
    this.theirs.busy = true
    if (opened.kind === 'malformed') {
      this.#core.alert('parse-error-body', this.#sa)
      this.#responder = undefined
      this.#refuse(header.exchange, opened.error)
      return
    }
    logParsed(this.#sa, header, opened.payloads)
    const received: Received = { ...opened, exchange: header.exchange, messageId: header.messageId, bytes, path }
    const responder = this.#responder
    if (responder?.waiting) {
      responder.waiting = false
      if (responder.exchange === header.exchange) {
        responder.process.resume(received)
        return
      }
      this.#responder = undefined
      responder.process.end()
    }
    this.respond(header.exchange, received)
  }

  /** Runs the script that answers a request; what it returns, or the refusal it throws, is the response. */
  respond(exchange: number, received: Received): void {
    for (const [process, aside] of this.#asides) {
      if (aside.exchange !== exchange || !aside.recognises(received)) continue
      this.#return(process)
      this.#responder = { process, exchange, waiting: false }
      process.resume(received)
      return
    }
    const script = responders(exchange, this.#sa, received)
    if (script === undefined) {
      this.#refuse(exchange, new Refusal(0, `unexpected exchange ${nameOf(EXCHANGE, exchange)}`))
      return
    }
    const process: Process<readonly Payload[]> = new Process(script, this.#performer, (outcome) => {
      // A script that had stepped aside ends in another exchange than it began in.
      const current = this.#responder?.exchange ?? exchange
      this.#responder = undefined
      if (this.#sa.destroyed) return
      if (outcome.kind === 'returned') this.#answer(current, outcome.value)
      else this.#refuse(current, outcome.error)
      this.afterAnswer()
    })
    this.#responder = { process, exchange, waiting: false }
    process.start()
  }

  /** What a responding script wants done once its answer is on the way. */
  readonly #afterAnswer: (() => void)[] = []

  whenAnswered(action: () => void): void {
    this.#afterAnswer.push(action)
  }

  afterAnswer(): void {
    for (const action of this.#afterAnswer.splice(0)) action()
  }

  #refuse(exchange: number, error: Error): void {
    if (error instanceof Defect || isProgrammingError(error)) this.#defect(error)
    const refusal = refusalFor(error, exchange)
    this.#core.log('IKE', 1, refusal.message, this.#sa)
    if (refusal.payloads !== undefined) this.#answer(exchange, refusal.payloads)
    else this.theirs.busy = false
    if (refusal.endsSa) this.#sa.destroy()
  }

  #open(header: Header, bytes: Uint8Array, reassembly: Reassembly | undefined): Readable | undefined {
    const opened = open(this.#sa, header, bytes, reassembly)
    if (opened.kind === 'dropped') {
      if (opened.forged) this.#core.drops.forged++
      this.#core.log('ENC', 1, opened.reason, this.#sa)
      return undefined
    }
    return opened.kind === 'incomplete' ? undefined : opened
  }

  /** Sends one request that nobody waits for, whatever is outstanding: the last message of an SA that ends. */
  sendLast(exchange: number, payloads: readonly Payload[]): void {
    const messageId = this.ours.nextId++
    this.#sendAll(this.#encode(exchange, false, messageId, payloads))
  }

  /** Takes back all work that has not begun. */
  cancelQueued(): void {
    for (const task of this.takeQueue()) task.failed(undefined, this.#sa)
  }

  /** All work that has not begun, for somebody else to do. */
  takeQueue(): Task[] {
    return this.#queue.splice(0)
  }

  /** As if nothing had been said yet: for a fresh attempt of an initiator. */
  startOver(): void {
    this.ours.close()
    this.ours.nextId = 0
  }

  /** Ends every script. What they and the queue were to do has failed, as the result is to be told. */
  end(): () => void {
    this.ours.close()
    this.#responder?.process.end()
    for (const process of [...this.#asides.keys()]) process.end()
    const active = this.#active
    this.#active = undefined
    active?.process.end()
    return () => {
      const tasks = this.takeQueue()
      active?.task.failed(undefined, this.#sa)
      for (const task of tasks) task.failed(undefined, this.#sa)
    }
  }

  #defect(error: Error): void {
    this.#core.defect(error, this.#sa)
  }
}

/** How many scripts may wait aside at a time. */
const mostAsides = 8

/** How often and how far apart all possible paths are tried. */
const mostProbes = 10
const probeMs = 2_500

/** Errors of the language are mistakes of ours, whoever made us make them. */
function isProgrammingError(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
}

function sameAddresses(a: Path, b: Path): boolean {
  return a.local.address === b.local.address && a.remote.address === b.remote.address
}
