/**
 * Synchronisation of message IDs and replay counters with a cluster, RFC 6311, as its peer. A member that takes over
 * does not know how far the one before it came; it asks in a message that is outside the windows:
 *
 *   HDR(0), SK {N(IKEV2_MESSAGE_ID_SYNC)(nonce, M1, P1), [N(IPSEC_REPLAY_COUNTER_SYNC)]}  -->
 *                      <--  HDR(0), SK {N(IKEV2_MESSAGE_ID_SYNC)(nonce, P2, M2)}
 *
 * M are the IDs of the cluster's requests, P those of ours; both sides go on with the higher ones. Nothing is believed of
 * a message that says less than one before it, so that an old one that comes again does nothing. Both sides have said in
 * IKE_AUTH that they know this (`charon.message_id_sync`).
 */
import type { Path } from '../../wire/endpoint.ts'
import { EXCHANGE, NOTIFY } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import type { IkeSa } from '../ike-sa.ts'
import { rekeyChild } from '../lifetimes.ts'
import { find, notify } from '../notifies.ts'
import { proposalView } from '../proposals.ts'

/** What both sides of an IKE SA have announced. */
export interface SyncSupport {
  readonly messageIds: boolean
  readonly replayCounters: boolean
}

export const noSync: SyncSupport = { messageIds: false, replayCounters: false }

/** Notifies for IKE_AUTH. A responder announces nothing that was not `offered` (§5). */
export function announceSync({ core }: IkeSa, offered?: readonly NPayload[]): NPayload[] {
  if (!core.settings.messageIdSync) return []
  const types = [NOTIFY.IKEV2_MESSAGE_ID_SYNC_SUPPORTED, NOTIFY.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED]
  return types.filter((type) => offered === undefined || says(offered, type)).map((type) => notify(type))
}

/** Takes notice of what the peer announced in IKE_AUTH. */
export function learnSync(sa: IkeSa, notifies: readonly NPayload[]): void {
  if (!sa.core.settings.messageIdSync) return
  sa.sync = {
    messageIds: says(notifies, NOTIFY.IKEV2_MESSAGE_ID_SYNC_SUPPORTED),
    replayCounters: says(notifies, NOTIFY.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED),
  }
}

/** §6.1, §6.2: without protocol, SPI and data. */
function says(notifies: readonly NPayload[], type: number): boolean {
  const found = find(notifies, type)
  return found?.protocol === 0 && found.spi.length === 0 && found.data.length === 0
}

/** What a request is about that asks for both. */
interface Asked {
  readonly nonce: Uint8Array
  /** EXPECTED_SEND_REQ_MESSAGE_ID: the ID of the cluster's next request. */
  readonly m1: number
  /** EXPECTED_RECV_REQ_MESSAGE_ID: the ID that it expects of ours. */
  readonly p1: number
  readonly counters: NPayload | undefined
}

/** Whether an authentic INFORMATIONAL request with message ID 0 is such a message: then it belongs to no window. */
export function isSync(payloads: readonly Payload[]): boolean {
  return payloads.some((payload) => payload.type === 'N' && payload.notify === NOTIFY.IKEV2_MESSAGE_ID_SYNC)
}

/** Answers such a message, or says nothing. */
export function answerSync(sa: IkeSa, payloads: readonly Payload[], path: Path): void {
  const { core, dialogue } = sa
  const asked = read(payloads)
  const inForce = sa.state === 'ESTABLISHED' || sa.state === 'REKEYING'
  // §5.1: all values that were seen count, also those of earlier messages like this one.
  if (asked === undefined || !inForce || asked.m1 <= dialogue.newestSeen) {
    core.drops.unexpected++
    core.log('IKE', 1, 'ignoring a synchronization of message IDs', sa)
    return
  }
  sa.heard()
  const m2 = Math.max(asked.m1, dialogue.newestSeen + 1)
  const p2 = Math.max(asked.p1, dialogue.nextId)
  core.log('IKE', 1, `message IDs synchronized, expecting request ${m2}, sending request ${p2} next`, sa)
  const data = Buffer.alloc(12)
  data.set(asked.nonce)
  data.writeUInt32BE(p2, 4)
  data.writeUInt32BE(m2, 8)
  dialogue.synchronize(
    { received: asked.m1, expected: m2, next: p2 },
    { exchange: EXCHANGE.INFORMATIONAL, payloads: [notify(NOTIFY.IKEV2_MESSAGE_ID_SYNC, data)], path },
  )
  // §5.2: after the message IDs.
  if (asked.counters !== undefined) raiseCounters(sa, asked.counters)
}

/** §5.1, §6.3: nothing else may be in the message. */
function read(payloads: readonly Payload[]): Asked | undefined {
  const [sync, counters, ...more] = payloads
    .filter((payload) => payload.type === 'N')
    .toSorted((a, b) => a.notify - b.notify)
  if (sync?.notify !== NOTIFY.IKEV2_MESSAGE_ID_SYNC || sync.data.length !== 12) return undefined
  if (counters !== undefined && counters.notify !== NOTIFY.IPSEC_REPLAY_COUNTER_SYNC) return undefined
  if (more.length > 0 || payloads.some(({ type }) => type !== 'N')) return undefined
  const view = new DataView(sync.data.slice().buffer)
  const [m1, p1] = [view.getUint32(4), view.getUint32(8)]
  // RFC 7296 §2.2: an IKE SA whose message IDs are used up has to go; that shall be nobody's wish.
  if (m1 > highestId || p1 > highestId) return undefined
  return { nonce: sync.data.slice(0, 4), m1, p1, counters }
}

/** An ordinary INFORMATIONAL request, or the one above, asks for higher sequence numbers (§5.2). */
export function synchronizeCounters(sa: IkeSa, notifies: readonly NPayload[]): void {
  const asked = find(notifies, NOTIFY.IPSEC_REPLAY_COUNTER_SYNC)
  if (asked !== undefined) raiseCounters(sa, asked)
}

/** Raises the outgoing sequence numbers of all Child SAs: the cluster may have seen higher ones than it knows. */
function raiseCounters(sa: IkeSa, { data }: NPayload): void {
  const { core } = sa
  if (!sa.sync.replayCounters) return
  const children = [...sa.children.values()].filter(({ outboundId }) => outboundId !== undefined)
  const bytes = children.some(({ agreement }) => proposalView(agreement.selected).esn) ? 8 : 4
  // §6.4: as long as the sequence numbers are.
  if (data.length !== bytes) {
    core.log('IKE', 1, `ignoring IPSEC_REPLAY_COUNTER_SYNC with ${data.length} bytes, expected ${bytes}`, sa)
    return
  }
  const by = BigInt(`0x${Buffer.from(data).toString('hex')}`)
  core.log('IKE', 1, `raising the sequence numbers of ${children.length} CHILD_SAs by ${by}`, sa)
  for (const child of children) {
    const id = child.outboundId
    if (id === undefined) continue
    core.kernel({ kind: 'skip-sequence', id, by }, sa)
    // §5.2: after a large jump there is not much left.
    if (by >= largeJump) rekeyChild(sa, child)
  }
}

const highestId = 0xf000_0000
const largeJump = 1n << 30n
