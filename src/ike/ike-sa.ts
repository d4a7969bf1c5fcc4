/** An IKE SA: who the two ends are, what was negotiated, its children, and the exchanges that run on it. */
import type { Connection } from '../config/connection.ts'
import type { IkeKeys, IkeSuite } from '../crypto/keys.ts'
import type { Identity } from '../pki/identity.ts'
import { type Endpoint, formatEndpoint, type Path, sameEndpoint } from '../wire/endpoint.ts'
import { EXCHANGE } from '../wire/numbers.ts'
import { endIkeSa } from './actions.ts'
import type { ChildPlan } from './child-plan.ts'
import { type ChildSa, tellState } from './child-sa.ts'
import type { AnsweredRekey, FollowUps } from './collisions.ts'
import { type Core, initRequestKey } from './core.ts'
import { Dialogue } from './dialogue.ts'
import { ikeDelete } from './exchanges/delete.ts'
import { noSync, type SyncSupport } from './exchanges/message-id-sync.ts'
import { sendOnSuccessor } from './exchanges/rekey-child-sa.ts'
import { watch } from './liveness.ts'
import type { InterfaceIds } from './marks.ts'
import type { Mobike } from './mobike.ts'
import { type NatState, noNat } from './nat.ts'
import type { Selected } from './proposals.ts'
import { awaitLeaving, notRedirected, type Redirections } from './redirect.ts'
import { moveChildren } from './relocation.ts'
import { leaveToHeirs } from './take-over.ts'
import type { Task } from './tasks.ts'
import type { Timer } from './timers.ts'
import { announceChild } from './updown.ts'
import type { IkeSaState } from './view.ts'
import { ikeSaView } from './views.ts'
import { passAddresses, releaseAddresses, VirtualIps } from './virtual-ips.ts'
import { patienceMs } from './window.ts'

/** What the peer announced in IKE_SA_INIT. */
export interface PeerSupport {
  readonly fragmentation: boolean
  /** Hash algorithms of RFC 7427; undefined if the peer does not know it. */
  readonly signatureHashes: readonly number[] | undefined
  /** It does NAT traversal: it sent NAT detection payloads. */
  readonly natTraversal: boolean
  /** It can authenticate itself, and us, several times (RFC 4739). */
  readonly multipleAuth: boolean
  /** As initiator it goes where it is sent (RFC 5685). */
  readonly redirect: boolean
  /** It looks certificates up by hash and URL. */
  readonly certificateLookup: boolean
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
  /** Of children without any of their own. */
  interfaceIds: InterfaceIds = {}
  localId: Identity | undefined
  remoteId: Identity | undefined
  /** Who the peer is by EAP, as responder. */
  remoteEapId: Identity | undefined
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
  peer: PeerSupport = {
    fragmentation: false,
    signatureHashes: undefined,
    natTraversal: false,
    multipleAuth: false,
    redirect: false,
    certificateLookup: false,
  }
  /** As client: which gateways have sent us here (RFC 5685). */
  redirections: Redirections = notRedirected
  /** As gateway: we have sent the client elsewhere, and it has not gone yet. */
  redirected = false
  nat: NatState = noNat
  /** Role in the first of a row of rekeyed IKE SAs: who decides about addresses (RFC 4555 §1.3). */
  firstRole: 'initiator' | 'responder'
  /** The highest message ID of the peer's requests about addresses. */
  newestMove = 0
  /** What a cluster may synchronize (RFC 6311). */
  sync: SyncSupport = noSync
  /** There when both sides support MOBIKE. */
  mobike: Mobike | undefined
  /** The peer asked for certificates. */
  certificatesRequested = false
  /** The peer asked for OCSP responses (RFC 4806). */
  ocspRequested = false
  /** Key ids of the CAs that the peer asked for in CERTREQ. */
  requestedCas: readonly Uint8Array[] = []
  establishedAtMs: number | undefined
  /** Which IKE SAs had been begun by then: all up to this unique id. */
  establishedAfter: number | undefined
  rekeyAtMs: number | undefined
  reauthAtMs: number | undefined
  /** Who the two ends are said to be, as long as nobody has shown it: for listings. */
  claimed: { readonly local?: Identity | undefined; readonly remote?: Identity | undefined } = {}
  /** It was told that it is up. */
  announced = false
  /** The peer has answered us, or asked. */
  answered = false
  /** When the last authenticated message of the peer came. */
  lastHeardMs: number
  /** When the peer was last told of an invalid message ID. */
  invalidSaidAtMs: number | undefined
  /** A timer for keepalives runs. */
  keepingAlive = false
  /** When we sent something last; a NAT forgets who is silent. */
  lastSentMs: number
  /** Child SAs by unique id. */
  readonly children: Map<number, ChildSa> = new Map()
  virtualIps: VirtualIps = new VirtualIps()
  /** Releases the place among the half-open SAs (responder). */
  leaveHalfOpen: (() => void) | undefined
  /** We want it to go: nothing brings its children back. */
  closing = false
  /** Another IKE SA is being made in its place (reauthentication.ts). */
  reauthenticating = false
  /** Since when the peer has put off all that we asked for (put-off.ts). */
  putOffSinceMs: number | undefined
  /** What has taken its place by rekeying. */
  replacedBy: IkeSa | undefined
  /** Whose place it has taken, until the peer shows that it has our answer and knows this one. */
  unconfirmed: IkeSa | undefined
  #whenConfirmed: (() => void) | undefined
  /** The peer's own rekeying of this IKE SA, which we have answered (collisions.ts). */
  theirRekey: AnsweredRekey<IkeSa> | undefined
  /** Outbound SPIs that the peer has deleted and we never had, since our last CREATE_CHILD_SA request. */
  readonly deletedUnseen: Set<number> = new Set()
  /** Children that the peer has put off, until they are asked for again. */
  readonly putOff: Set<ChildPlan> = new Set()
  readonly followUps: FollowUps = { ours: false, theirs: undefined }
  /** How often in a row the peer had forgotten what an IKE_FOLLOWUP_KE was for. */
  statesNotFound = 0
  readonly #timers = new Set<Timer>()
  #halfOpenTimer: Timer | undefined
  #destroyed = false
  readonly dialogue: Dialogue
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
    this.dialogue = new Dialogue(this)
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
    if (connection !== this.#connection) this.interfaceIds = this.core.uniqueNumbers.interfaceIds(connection ?? {})
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

  /** What has become of it by rekeying: itself, or the last of its successors. */
  get latest(): IkeSa {
    return this.replacedBy?.latest ?? this
  }

  get queuedTasks(): readonly Task[] {
    return this.dialogue.queuedTasks
  }

  get activeTasks(): readonly Task[] {
    return this.dialogue.activeTasks
  }

  /** Takes back all work that has not begun. */
  cancelQueued(): void {
    this.dialogue.cancelQueued()
  }

  /** Has work of our own done when its turn comes. */
  enqueue(task: Task): void {
    this.dialogue.enqueue(task)
  }

  /** Does something once the answer that is being made is on the way. */
  whenAnswered(action: () => void): void {
    this.dialogue.whenAnswered(action)
  }

  // --- where the two ends are -------------------------------------------------------------------------------------

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

  /** An authentic message has come. */
  heard(): void {
    this.answered = true
    this.lastHeardMs = this.core.now
    this.confirmed()
  }

  /** The peer has gone on from the IKE SA before. */
  confirmed(): void {
    if (this.unconfirmed === undefined) return
    this.unconfirmed = undefined
    const action = this.#whenConfirmed
    this.#whenConfirmed = undefined
    if (!this.#destroyed) action?.()
  }

  /** Does something, in place of what was to be done before, once the peer knows this IKE SA. */
  whenConfirmed(action: () => void): void {
    this.#whenConfirmed = action
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
    this.dialogue.startOver()
    this.answered = false
    this.#forgetKeys()
    this.nat = noNat
    this.certificatesRequested = false
    this.ocspRequested = false
    this.requestedCas = []
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
    this.core.event({ kind: 'ike-state', state: 'ESTABLISHED', ikeSa: ikeSaView(this, []) })
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
      this.dialogue.sendLast(EXCHANGE.INFORMATIONAL, [ikeDelete()])
    }
    this.close('abandoned')
  }

  /** Calls `listener` once both sides are authenticated. */
  onEstablished(listener: () => void): void {
    this.#establishedListeners.push(listener)
  }

  /** Calls `listener` when this SA is gone: at once, if it is. */
  onDestroy(listener: () => void): void {
    if (this.#destroyed) listener()
    else this.#destroyListeners.push(listener)
  }

  /** Removes everything: scripts, timers, children, keys. The peer is not told. */
  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    const { core } = this
    if (this.state !== 'DELETING') this.state = 'DESTROYING'
    core.sas.remove(this)
    if (core.bySpi.get(this.localSpi) === this) core.bySpi.delete(this.localSpi)
    this.#halfOpenTimer?.clear()
    for (const timer of this.#timers) timer.clear()
    this.#timers.clear()
    this.leaveHalfOpen?.()
    // The peer's rekeying was answered, but nobody took it over: it has nothing without this SA.
    if (this.theirRekey?.created.state === 'CREATED') this.theirRekey.created.destroy()
    const tellTasks = this.dialogue.end()
    for (const child of [...this.children.values()]) {
      if (child.state === 'INSTALLED' || child.state === 'DELETING') {
        announceChild(this, child, false)
      }
      this.removeChild(child)
    }
    releaseAddresses(this)
    core.event({ kind: 'ike-state', state: 'DESTROYING', ikeSa: { ...ikeSaView(this, []), state: 'DESTROYING' } })
    tellTasks()
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

  /** The peer has answered INVALID_SYNTAX, which ends the IKE SA on both sides without a Delete (RFC 7296 §2.21.3). */
  refused(): void {
    endIkeSa(this, 'deleted by peer', () => this.close('refused by peer'))
  }

  /** A replaced or redundant IKE SA: the peer deletes it, and if it does not in all its retransmissions, time does. */
  expectDelete(): void {
    this.state = 'REKEYED'
    this.after(patienceMs(this.core.settings), () => this.destroy())
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
    this.interfaceIds = old.interfaceIds
    for (const [id, child] of old.children) this.children.set(id, child)
    old.children.clear()
    passAddresses(old, this)
    for (const plan of old.putOff) this.putOff.add(plan)
    old.putOff.clear()
    for (const child of this.children.values()) child.owner = this
    this.redirections = old.redirections
    if (old.redirected) awaitLeaving(this)
    this.closing ||= old.closing
    for (const { remains } of old.activeTasks) if (remains !== undefined) this.enqueue(remains())
    for (const task of old.dialogue.takeQueue()) this.enqueue(task)
  }

  /** A replaced child is deleted on both sides; it receives a little longer. */
  retireChild(child: ChildSa): void {
    if (!this.children.has(child.uniqueId) || child.state === 'DELETED') return
    sendOnSuccessor(this, child)
    leaveToHeirs(child)
    this.dialogue.forgetAside(child)
    const name = `CHILD_SA ${child.name}{${child.uniqueId}}`
    const seconds = this.core.settings.deleteRekeyedDelaySeconds
    this.core.log('IKE', 1, `delay closing of inbound ${name} for ${seconds}s`, this)
    child.retire(this.core, seconds * 1000, () => this.core.log('IKE', 1, `${name} closed`, child.owner))
  }

  /** Takes a child out of the kernel and forgets it. */
  removeChild(child: ChildSa): void {
    if (!this.children.delete(child.uniqueId)) return
    tellState(child, 'DESTROYING')
    this.core.sas.removeChild(child)
    if (!this.#destroyed) sendOnSuccessor(this, child)
    leaveToHeirs(child)
    this.dialogue.forgetAside(child)
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

/** Has the kernel's states follow the IKE SA to its present addresses. */
const moveTask: Task = {
  names: ['IKE_MOBIKE'],
  script: moveChildren,
  failed: (error, sa) => {
    if (error !== undefined) sa.core.log('KNL', 1, error.message, sa, 'error')
  },
}
