/** An IKE SA: who the two ends are, what was negotiated, its children, and the exchanges that run on it. */
import type { Connection } from '../config/connection.ts'
import type { IkeKeys, IkeSuite } from '../crypto/keys.ts'
import type { Identity } from '../pki/identity.ts'
import { type Endpoint, formatEndpoint, type Path, sameEndpoint } from '../wire/endpoint.ts'
import type { Header } from '../wire/header.ts'
import { EXCHANGE, nameOf } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import { endIkeSa } from './actions.ts'
import type { ChildSa } from './child-sa.ts'
import type { AnsweredRekey, FollowUps } from './collisions.ts'
import { type Core, initRequestKey } from './core.ts'
import { Defect, ExchangeTimeout, Refusal } from './errors.ts'
import { ikeDelete } from './exchanges/delete.ts'
import { sendOnSuccessor } from './exchanges/rekey-child-sa.ts'
import { Reassembly } from './fragments.ts'
import { watch } from './liveness.ts'
import { logGenerating, logParsed, open, protect, type Readable } from './messages.ts'
import type { Mobike } from './mobike.ts'
import { type NatState, noNat } from './nat.ts'
import type { Selected } from './proposals.ts'
import { refusalFor } from './refuse.ts'
import { moveChildren } from './relocation.ts'
import { responders } from './responders.ts'
import { Process, type Waiter } from './runner.ts'
import type { Accept, Aside, Received, ReplyEffect, RequestEffect, RunEffect, Script, SleepEffect } from './script.ts'
import type { Timer } from './timers.ts'
import type { IkeSaState } from './view.ts'
import { ikeSaView } from './views.ts'
import { passAddresses, releaseAddresses, VirtualIps } from './virtual-ips.ts'
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
}

/** What the peer announced in IKE_SA_INIT. */
export interface PeerSupport {
  readonly fragmentation: boolean
  /** Hash algorithms of RFC 7427; undefined if the peer does not know it. */
  readonly signatureHashes: readonly number[] | undefined
  /** It does NAT traversal: it sent NAT detection payloads. */
  readonly natTraversal: boolean
}

/** The octets and nonces of IKE_SA_INIT, which authentication covers. */
export interface InitTranscript {
  readonly request: Uint8Array
  readonly response: Uint8Array
  readonly ni: Uint8Array
  readonly nr: Uint8Array
}

/** IntAuth_i and IntAuth_r after the last IKE_INTERMEDIATE, and the message ID of the IKE_AUTH to come. */
export interface IntermediateAuth {
  readonly i: Uint8Array
  readonly r: Uint8Array
  readonly authId: number
}

export class IkeSa {
  readonly core: Core
  readonly uniqueId: number
  /** The original role: the I flag of every message. */
  readonly role: 'initiator' | 'responder'
  spiI: bigint
  spiR: bigint
  local: Endpoint
  remote: Endpoint
  state: IkeSaState = 'CREATED'
  #connection: Connection | undefined
  /** As responder: connections that fit by address, until IKE_AUTH has chosen. */
  candidates: readonly Connection[] = []
  localId: Identity | undefined
  remoteId: Identity | undefined
  selected: Selected | undefined
  suite: IkeSuite | undefined
  keys: IkeKeys | undefined
  init: InitTranscript | undefined
  /** What IKE_INTERMEDIATE has added to the octets that authentication covers (RFC 9242 §3.3.2). */
  intermediate: IntermediateAuth | undefined
  /** The keys before the last IKE_INTERMEDIATE: they protect requests of the peer up to and with `lastId`. */
  replacedKeys: { readonly keys: IkeKeys; readonly lastId: number } | undefined
  /** As initiator: the peer accepts IKE_AUTH without a Child SA (RFC 6023). */
  childlessSupported = false
  /** Whether both sides have announced USE_PPK, and whether a PPK is in the keys (RFC 8784). */
  ppk: 'none' | 'agreed' | 'used' = 'none'
  /** The IKE_SA_INIT request as last sent; the one that was answered becomes part of `init`. */
  lastInitRequest: Uint8Array | undefined
  peer: PeerSupport = { fragmentation: false, signatureHashes: undefined, natTraversal: false }
  nat: NatState = noNat
  /** Role in the first of a row of rekeyed IKE SAs: who decides about addresses (RFC 4555 §1.3). */
  firstRole: 'initiator' | 'responder'
  /** There when both sides support MOBIKE. */
  mobike: Mobike | undefined
  /** The peer asked for certificates. */
  certificatesRequested = false
  /** Key ids of the CAs that the peer asked for in CERTREQ. */
  requestedCas: readonly Uint8Array[] = []
  establishedAtMs: number | undefined
  /** Which IKE SAs had been begun by then: all up to this unique id. */
  establishedAfter: number | undefined
  rekeyAtMs: number | undefined
  reauthAtMs: number | undefined
  /** When the last authenticated message of the peer came. */
  lastHeardMs: number
  /** A timer for keepalives runs. */
  keepingAlive = false
  /** When we sent something last; a NAT forgets who is silent. */
  lastSentMs: number
  /** Child SAs by unique id. */
  readonly children: Map<number, ChildSa> = new Map()
  virtualIps: VirtualIps = new VirtualIps()
  readonly ours: RequestWindow = new RequestWindow()
  readonly theirs: ResponseWindow = new ResponseWindow()
  /** Releases the place among the half-open SAs (responder). */
  leaveHalfOpen: (() => void) | undefined
  /** We want it to go: nothing brings its children back. */
  closing = false
  /** Another IKE SA is being made in its place (reauthentication.ts). */
  reauthenticating = false
  /** What has taken its place by rekeying. */
  replacedBy: IkeSa | undefined
  /** The peer's own rekeying of this IKE SA, which we have answered (collisions.ts). */
  theirRekey: AnsweredRekey<IkeSa> | undefined
  /** Outbound SPIs that the peer has deleted and we never had, since our last CREATE_CHILD_SA request. */
  readonly deletedUnseen: Set<number> = new Set()
  readonly followUps: FollowUps = { ours: false, theirs: undefined }
  /** How often in a row the peer had forgotten what an IKE_FOLLOWUP_KE was for. */
  statesNotFound = 0
  readonly #timers = new Set<Timer>()
  #halfOpenTimer: Timer | undefined
  /** Requests go out on all of these until an answer shows which works (RFC 4555 §3.10). */
  #probing: { readonly paths: readonly Path[]; attempts: number } | undefined
  /** Where the request came from that is being answered: there goes the answer (RFC 7296 §2.11). */
  #answerTo: Path | undefined
  /** How many messages have been sealed under the keys of this SA. */
  #sealed = 0n
  #destroyed = false
  readonly #requests = new Reassembly()
  readonly #responses = new Reassembly()
  readonly #queue: Task[] = []
  #active: { readonly task: Task; readonly process: Process<void> } | undefined
  /** Whose request is outstanding, and what it demands of the response. */
  #requester: { readonly waiter: Waiter; readonly accept: Accept | undefined } | undefined
  #responder: { readonly process: Process<readonly Payload[]>; readonly exchange: number; waiting: boolean } | undefined
  /** Scripts that have answered and wait for a request that continues what they do. Oldest first. */
  readonly #asides = new Map<Process<readonly Payload[]>, Aside & { readonly timer: Timer }>()
  readonly #destroyListeners: (() => void)[] = []
  readonly #establishedListeners: (() => void)[] = []

  constructor(
    core: Core,
    options: {
      role: 'initiator' | 'responder'
      spiI: bigint
      spiR: bigint
      local: Endpoint
      remote: Endpoint
      connection?: Connection
    },
  ) {
    this.core = core
    this.uniqueId = core.nextIkeId()
    this.role = options.role
    this.firstRole = options.role
    this.spiI = options.spiI
    this.spiR = options.spiR
    this.local = options.local
    this.remote = options.remote
    this.connection = options.connection
    this.lastHeardMs = core.now
    this.lastSentMs = core.now
    core.sas.add(this)
    core.bySpi.set(this.localSpi, this)
  }

  get connection(): Connection | undefined {
    return this.#connection
  }

  set connection(connection: Connection | undefined) {
    this.core.sas.connected(this, this.#connection, connection)
    this.#connection = connection
  }

  get name(): string {
    return `${this.connection?.name ?? '(unnamed)'}[${this.uniqueId}]`
  }

  get localSpi(): bigint {
    return this.role === 'initiator' ? this.spiI : this.spiR
  }

  get destroyed(): boolean {
    return this.#destroyed
  }

  /** Whether ESP goes inside UDP (RFC 7296 §2.23): as soon as there is a NAT, or we pretend there is. */
  get udpEncapsulation(): boolean {
    return this.nat.local || this.nat.remote || this.nat.fake
  }

  /** `net[3] between 192.0.2.1[moon]...192.0.2.2[sun]` needs both ids; this is the part for messages. */
  get endpoints(): string {
    return `${formatEndpoint(this.local)} and ${formatEndpoint(this.remote)}`
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
    if (this.#destroyed) {
      task.failed(undefined, this)
      return
    }
    if (task.urgent) this.#queue.unshift(task)
    else this.#queue.push(task)
    this.#next()
  }

  #next(): void {
    if (this.#active !== undefined || this.#destroyed) return
    const task = this.#queue.shift()
    if (task === undefined) return
    const process: Process<void> = new Process(task.script(this), this.#performer, (outcome) => {
      this.#active = undefined
      this.ours.close()
      if (outcome.kind === 'failed') {
        if (outcome.error instanceof Defect || isProgrammingError(outcome.error)) this.#defect(outcome.error)
        task.failed(outcome.error, this)
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
    run: (waiter: Waiter, effect: RunEffect): void => this.core.runJob(waiter, effect),
    sleep: (waiter: Waiter, effect: SleepEffect): void => this.core.sleep(waiter, effect),
  }

  #request(waiter: Waiter, effect: RequestEffect): void {
    if (this.ours.outstanding !== undefined) throw new Defect('a request while another is outstanding')
    // RFC 7296 §2.2: IKE_SA_INIT is always message 0, also when it is repeated with a cookie or another group.
    const messageId = effect.exchange === EXCHANGE.IKE_SA_INIT ? 0 : this.ours.nextId
    this.ours.nextId = messageId + 1
    const datagrams = this.#encode(effect.exchange, false, messageId, effect.payloads)
    if (effect.exchange === EXCHANGE.IKE_SA_INIT) this.lastInitRequest = datagrams[0]
    this.#requester = { waiter, accept: effect.accept }
    this.ours.outstanding = { messageId, exchange: effect.exchange, datagrams, sent: 0, timer: undefined }
    waiter.onAbandon(() => this.ours.close())
    this.#transmit()
  }

  #transmit(): void {
    const { outstanding } = this.ours
    if (outstanding === undefined) return
    if (this.#probing !== undefined) return this.#tryPaths(outstanding)
    const { settings, random } = this.core
    this.#sendAll(outstanding.datagrams)
    const draw = settings.retransmitJitter > 0 ? (random(1)[0] ?? 0) / 256 : 0
    const delay = retransmitDelayMs(settings, Math.min(outstanding.sent, settings.retransmitTries), draw)
    outstanding.sent++
    outstanding.timer = this.core.timers.set(this.core.now + delay, () => {
      // Without any way to the peer its silence says nothing.
      if (outstanding.sent > settings.retransmitTries && !this.mobike?.stale) {
        this.core.log('IKE', 1, `giving up after ${settings.retransmitTries} retransmits`, this)
        this.core.alert('retransmit-send-timeout', this)
        const requester = this.#requester
        this.ours.close()
        requester?.waiter.fail(new ExchangeTimeout(outstanding.exchange))
        return
      }
      this.core.log(
        'IKE',
        1,
        `retransmit ${outstanding.sent} of request with message ID ${outstanding.messageId}`,
        this,
      )
      this.core.alert('retransmit-send', this)
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
      this.core.log('IKE', 1, `giving up after ${mostProbes} path probings`, this)
      this.core.alert('retransmit-send-timeout', this)
      const requester = this.#requester
      this.ours.close()
      requester?.waiter.fail(new ExchangeTimeout(outstanding.exchange))
      return
    }
    probing.attempts++
    this.core.log('IKE', 1, `path probing attempt ${probing.attempts}`, this)
    // First the best alone: who answers first is not always who is nearest.
    const paths = probing.attempts === 1 ? probing.paths.slice(0, 1) : probing.paths
    for (const path of paths) this.#sendAll(outstanding.datagrams, path)
    outstanding.sent++
    outstanding.timer = this.core.timers.set(this.core.now + probeMs, () => this.#transmit())
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
    const timer = this.core.timers.set(this.core.now + aside.forMs, () => {
      this.core.log('IKE', 1, `no ${nameOf(EXCHANGE, aside.exchange)} request came, forgetting what it was for`, this)
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
    if (exchange === EXCHANGE.IKE_SA_INIT && this.init !== undefined) {
      this.init = { ...this.init, response: datagrams[0] ?? this.init.response }
    }
    this.theirs.answered(datagrams)
    this.#sendAll(datagrams, this.#answerTo)
  }

  #encode(exchange: number, response: boolean, messageId: number, payloads: readonly Payload[]): readonly Uint8Array[] {
    logGenerating(this, exchange, response, messageId, payloads)
    return protect(this, { exchange, response, messageId, payloads }, () => this.#sealed++)
  }

  #sendAll(datagrams: readonly Uint8Array[], { local, remote }: Path = this): void {
    this.lastSentMs = this.core.now
    for (const datagram of datagrams) {
      this.core.log(
        'NET',
        1,
        `sending packet: from ${formatEndpoint(local)} to ${formatEndpoint(remote)} (${datagram.length} bytes)`,
        this,
      )
      this.core.send(local, remote, datagram)
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
    this.core.log('IKE', 1, 'received retransmit of request with ID 0, retransmitting response', this)
    this.core.alert('retransmit-receive', this)
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
      this.core.drops.unexpected++
      return
    }
    const probing = this.#probing
    if (probing !== undefined && !probing.paths.some((tried) => sameAddresses(tried, path))) {
      this.core.drops.unexpected++
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
    logParsed(this, header, opened.payloads)
    const received: Received = { ...opened, exchange: header.exchange, messageId: header.messageId, bytes, path }
    try {
      const later = requester.accept?.(received)
      if (later !== undefined) {
        outstanding.timer?.clear()
        outstanding.timer = this.core.timers.set(this.core.now + later.failAfterMs, () => {
          this.ours.close()
          requester.waiter.fail(later.error)
        })
        return
      }
    } catch (error) {
      this.core.drops.unexpected++
      this.core.log('NET', 1, `ignoring response: ${error instanceof Error ? error.message : String(error)}`, this)
      return
    }
    if (outstanding.sent > 1) this.core.alert('retransmit-send-cleared', this)
    this.lastHeardMs = this.core.now
    this.ours.close()
    if (probing !== undefined) {
      this.#probing = undefined
      this.relocate(path)
    } else if (this.establishedAtMs !== undefined && this.mobike === undefined) {
      this.follow(path)
    }
    requester.waiter.resume(received)
  }

  #receiveRequest(header: Header, bytes: Uint8Array, path: Path): void {
    switch (this.theirs.verdict(header.messageId)) {
      case 'in-progress':
        this.core.drops.unexpected++
        return
      case 'outside':
        this.core.drops.unexpected++
        this.core.log(
          'NET',
          1,
          `received message ID ${header.messageId}, expected ${this.theirs.expected}, ignored`,
          this,
        )
        return
      case 'retransmission':
        if (this.#open(header, bytes, undefined) === undefined) return
        this.core.log(
          'IKE',
          1,
          `received retransmit of request with ID ${header.messageId}, retransmitting response`,
          this,
        )
        this.core.alert('retransmit-receive', this)
        this.#sendAll(this.theirs.cached, path)
        return
      case 'new':
        break
    }
    const opened = this.#open(header, bytes, this.#requests)
    if (opened === undefined) return
    this.lastHeardMs = this.core.now
    this.#answerTo = path
    // An authenticated request shows where the peer is now (RFC 7296 §2.23): also how it moves to port 4500. With
    // MOBIKE it says so itself (RFC 4555 §3.8).
    if (this.mobike === undefined) this.follow(path)
    this.theirs.busy = true
    if (opened.kind === 'malformed') {
      this.core.alert('parse-error-body', this)
      this.#responder = undefined
      this.#refuse(header.exchange, opened.error)
      return
    }
    logParsed(this, header, opened.payloads)
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
    const script = responders(exchange, this, received)
    if (script === undefined) {
      this.#refuse(exchange, new Refusal(0, `unexpected exchange ${nameOf(EXCHANGE, exchange)}`))
      return
    }
    const process: Process<readonly Payload[]> = new Process(script, this.#performer, (outcome) => {
      // A script that had stepped aside ends in another exchange than it began in.
      const current = this.#responder?.exchange ?? exchange
      this.#responder = undefined
      if (this.#destroyed) return
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
    this.core.log('IKE', 1, refusal.message, this)
    if (refusal.payloads !== undefined) this.#answer(exchange, refusal.payloads)
    else this.theirs.busy = false
    if (refusal.endsSa) this.destroy()
  }

  #open(header: Header, bytes: Uint8Array, reassembly: Reassembly | undefined): Readable | undefined {
    const opened = open(this, header, bytes, reassembly)
    if (opened.kind === 'dropped') {
      if (opened.forged) this.core.drops.forged++
      this.core.log('ENC', 1, opened.reason, this)
      return undefined
    }
    return opened.kind === 'incomplete' ? undefined : opened
  }

  /** An authentic packet came from there: keeps up with the peer's NAT, and with the move to port 4500. */
  follow(path: Path): void {
    if (sameEndpoint(path.local, this.local) && sameEndpoint(path.remote, this.remote)) return
    if (this.establishedAtMs !== undefined) {
      // Without a NAT an established SA changes its addresses by MOBIKE only, and who is behind one does not follow
      // (RFC 7296 §2.23). A responder behind a NAT can be reached because its mapping is static: it may follow.
      if (!this.nat.remote || (this.nat.local && this.firstRole === 'initiator')) return
    } else if (this.role === 'initiator') {
      return // until both are authenticated the initiator says where the two are
    }
    this.relocate(path)
    if (this.children.size > 0) this.enqueue(moveTask)
  }

  /** Changes the endpoints of this SA and tells so; the children follow in the kernel by `moveChildren`. */
  relocate({ local, remote }: Path): void {
    const here = !sameEndpoint(local, this.local)
    const there = !sameEndpoint(remote, this.remote)
    if (!here && !there) return
    this.core.event({ kind: 'ike-update', local, remote, ikeSa: ikeSaView(this) })
    if (this.establishedAtMs !== undefined) {
      const line = (end: string, from: Endpoint, to: Endpoint): void =>
        this.core.log('IKE', 1, `${end} endpoint changed from ${formatEndpoint(from)} to ${formatEndpoint(to)}`, this)
      if (here) line('local', this.local, local)
      if (there) line('remote', this.remote, remote)
    }
    this.moveTo(local, remote)
  }

  /** Sets the endpoints of an SA that nobody knows yet. */
  moveTo(local: Endpoint, remote: Endpoint): void {
    this.local = local
    this.remote = remote
  }

  // --- beginning and end ------------------------------------------------------------------------------------------

  /** Chooses a new SPI and forgets all messages: a fresh attempt of an initiator. */
  restart(): void {
    this.core.bySpi.delete(this.localSpi)
    this.spiI = this.core.newSpi()
    this.spiR = 0n
    this.core.bySpi.set(this.spiI, this)
    this.ours.close()
    this.ours.nextId = 0
    this.#forgetKeys()
    this.nat = noNat
  }

  /** As responder: counts as half-open until `established`, and no longer than the configured time. */
  beginHalfOpen(request: Uint8Array): void {
    const { core } = this
    const key = initRequestKey(this.remote, request)
    core.byInitRequest.set(key, this)
    this.leaveHalfOpen = core.admission.enter(this.remote.address)
    this.onDestroy(() => core.byInitRequest.delete(key))
    this.#halfOpenTimer = core.timers.set(core.now + core.settings.halfOpenTimeoutSeconds * 1000, () => {
      core.log('JOB', 1, `deleting half open IKE_SA ${this.name} with ${this.remote.address} after timeout`, this)
      core.alert('half-open-timeout', this)
      this.destroy()
    })
  }

  /** The peer is authenticated. */
  established(): void {
    this.state = 'ESTABLISHED'
    this.core.sas.identified(this)
    this.establishedAtMs = this.core.now
    this.establishedAfter = this.core.lastIkeId
    watch(this)
    this.#forgetReplacedKeys()
    this.#halfOpenTimer?.clear()
    this.leaveHalfOpen?.()
    for (const listener of this.#establishedListeners.splice(0)) listener()
  }

  /** The SA is on its way out: charon raises the down event of the IKE SA here, before those of its children. */
  deleting(): void {
    const wasUp = this.state === 'ESTABLISHED' || this.state === 'REKEYING'
    this.state = 'DELETING'
    if (wasUp) this.core.event({ kind: 'ike-updown', up: false, ikeSa: ikeSaView(this) })
  }

  /** Ends an SA that was up without asking the peer: down events, then everything is removed. */
  close(reason: string): void {
    if (this.#destroyed) return
    this.core.log('IKE', 2, `closing IKE_SA ${this.name}: ${reason}`, this)
    if (this.state !== 'DELETING') this.deleting()
    this.destroy()
  }

  /**
   * Tells the peer with one DELETE that nobody waits for, and ends the SA at once: for a shutdown and for
   * `terminate --force`. An SA without keys has nothing to tell.
   */
  abandon(): void {
    if (this.#destroyed) return
    this.closing = true
    if ((this.state === 'ESTABLISHED' || this.state === 'REKEYING') && this.keys !== undefined) {
      const messageId = this.ours.nextId
      this.ours.nextId++
      this.#sendAll(this.#encode(EXCHANGE.INFORMATIONAL, false, messageId, [ikeDelete()]))
    }
    this.close('abandoned')
  }

  /** Takes back all work that has not begun. */
  cancelQueued(): void {
    for (const task of this.#queue.splice(0)) task.failed(undefined, this)
  }

  /** Calls `listener` once both sides are authenticated. */
  onEstablished(listener: () => void): void {
    this.#establishedListeners.push(listener)
  }

  /** Calls `listener` when this SA is gone. */
  onDestroy(listener: () => void): void {
    this.#destroyListeners.push(listener)
  }

  /** Removes everything: scripts, timers, children, keys. The peer is not told. */
  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    const { core } = this
    if (this.state !== 'DELETING') this.state = 'DESTROYING'
    core.sas.remove(this)
    if (core.bySpi.get(this.localSpi) === this) core.bySpi.delete(this.localSpi)
    this.ours.close()
    this.#halfOpenTimer?.clear()
    for (const timer of this.#timers) timer.clear()
    this.#timers.clear()
    this.leaveHalfOpen?.()
    // The peer's rekeying was answered, but nobody took it over: it has nothing without this SA.
    if (this.theirRekey?.created.state === 'CREATED') this.theirRekey.created.destroy()
    this.#responder?.process.end()
    for (const process of [...this.#asides.keys()]) process.end()
    const active = this.#active
    this.#active = undefined
    active?.process.end()
    for (const child of [...this.children.values()]) {
      if (child.state === 'INSTALLED' || child.state === 'DELETING') {
        core.event({ kind: 'child-updown', up: false, ikeSa: ikeSaView(this, [child]) })
      }
      this.removeChild(child)
    }
    releaseAddresses(this)
    const tasks = this.#queue.splice(0)
    active?.task.failed(undefined, this)
    for (const task of tasks) task.failed(undefined, this)
    for (const listener of this.#destroyListeners.splice(0)) listener()
    this.#forgetKeys()
  }

  /** Does something later, unless this SA is gone by then. */
  after(ms: number, action: () => void): void {
    const timer = this.core.timers.set(this.core.now + ms, () => {
      this.#timers.delete(timer)
      action()
    })
    this.#timers.add(timer)
  }

  /** The peer did not answer a request at all (RFC 7296 §2.4): the SA is dead. */
  lost(): void {
    endIkeSa(this, 'no answer', () => this.close('peer not responding'))
  }

  /** A replaced or redundant IKE SA: the peer deletes it, and if it does not in all its retransmissions, time does. */
  expectDelete(): void {
    const { settings } = this.core
    this.state = 'REKEYED'
    let ms = 0
    for (let sent = 0; sent <= settings.retransmitTries; sent++) ms += retransmitDelayMs(settings, sent, 0)
    this.after(ms, () => this.destroy())
  }

  /** Takes over what a rekeyed IKE SA had: its children and the work that has not begun. */
  inherit(old: IkeSa): void {
    // A rekeying proves nothing about who the peer is: the time of the reauthentication stays.
    this.reauthAtMs = old.reauthAtMs
    this.reauthenticating = old.reauthenticating
    old.replacedBy = this
    this.local = old.local
    this.remote = old.remote
    this.nat = old.nat
    this.mobike = old.mobike
    for (const [id, child] of old.children) this.children.set(id, child)
    old.children.clear()
    passAddresses(old, this)
    for (const child of this.children.values()) child.owner = this
    this.closing ||= old.closing
    for (const task of old.#queue.splice(0)) this.enqueue(task)
  }

  /** A replaced child is deleted on both sides; it receives a little longer. */
  retireChild(child: ChildSa): void {
    if (!this.children.has(child.uniqueId) || child.state === 'DELETED') return
    sendOnSuccessor(this, child)
    this.forgetAside(child)
    child.retire(this.core, retiredMs)
  }

  /** Takes a child out of the kernel and forgets it. */
  removeChild(child: ChildSa): void {
    if (!this.children.delete(child.uniqueId)) return
    this.core.sas.removeChild(child)
    if (!this.#destroyed) sendOnSuccessor(this, child)
    this.forgetAside(child)
    child.uninstall(this.core, this)
    this.core.reqids.release(child.reqid)
  }

  /** The peer has gone on since: it does not repeat what was under them. */
  #forgetReplacedKeys(): void {
    this.replacedKeys?.keys[Symbol.dispose]()
    this.replacedKeys = undefined
  }

  #forgetKeys(): void {
    this.keys?.[Symbol.dispose]()
    this.keys = undefined
    this.#forgetReplacedKeys()
    this.intermediate = undefined
    this.suite = undefined
    this.init = undefined
  }

  #defect(error: Error): void {
    this.core.defect(error, this)
  }
}

/** How many scripts may wait aside at a time. */
const mostAsides = 8

/** How often and how far apart all possible paths are tried. */
const mostProbes = 10
const probeMs = 2_500

/** charon's delete_rekeyed_delay: how long a replaced child goes on receiving. */
const retiredMs = 5_000

/** Errors of the language are mistakes of ours, whoever made us make them. */
function isProgrammingError(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
}

/** Has the kernel's states follow the IKE SA to its present addresses. */
const moveTask: Task = {
  names: ['IKE_MOBIKE'],
  script: moveChildren,
  failed: (error, sa) => {
    if (error !== undefined) sa.core.log('KNL', 1, error.message, sa, 'error')
  },
}

function sameAddresses(a: Path, b: Path): boolean {
  return a.local.address === b.local.address && a.remote.address === b.remote.address
}
