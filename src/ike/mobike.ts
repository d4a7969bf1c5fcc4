/**
 * MOBIKE (RFC 4555): what two sides that support it know of each other's addresses. The exchange that changes them is
 * exchanges/update-sa-addresses.ts, what starts it is roaming.ts.
 *
 *   HDR, SK {IDi, … SAi2, TSi, TSr, N(MOBIKE_SUPPORTED), [N(ADDITIONAL_IP4_ADDRESS), …]}  -->
 *                      <--  HDR, SK {IDr, … SAr2, TSi, TSr, N(MOBIKE_SUPPORTED), [N(ADDITIONAL_IP6_ADDRESS), …]}
 */
import { formatAddress, parseAddress } from '../wire/address.ts'
import type { Path } from '../wire/endpoint.ts'
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import { Refusal } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { find, has, notify } from './notifies.ts'
import { kernel, type Script } from './script.ts'

/** What an IKE SA remembers when both sides support MOBIKE. */
export class Mobike {
  /** All addresses of the peer: where its last list came from, then the list. */
  peerAddresses: readonly string[]
  /** Ours, as the peer was told last: the one in the header first. */
  announced: readonly string[] = []
  /** Raised with every change of addresses: an answer to something older does not count (§3.5). */
  changes = 0
  /** There is no way to the peer at the moment. */
  stale = false
  /** NAT_DETECTION_DESTINATION_IP as the peer sent it last: a hash of where it sees us (§3.8). */
  seenAs: Uint8Array | undefined

  constructor(peerAddresses: readonly string[]) {
    this.peerAddresses = peerAddresses
  }
}

/** More addresses of a peer than we try, so that it cannot have us send to everybody. */
const mostAddresses = 8

/** Notifies for IKE_AUTH. A responder answers what was `offered` (§3.2). */
export function* announceMobike(sa: IkeSa, offered?: readonly NPayload[]): Script<NPayload[]> {
  if (!sa.connection?.mobike) return []
  if (offered !== undefined && !has(offered, NOTIFY.MOBIKE_SUPPORTED)) return []
  const list = additionalAddresses(sa, yield* ownAddresses(sa))
  remember(sa, list)
  return [notify(NOTIFY.MOBIKE_SUPPORTED), ...list, ...(offered === undefined ? noNatsAllowed(sa) : [])]
}

/** The peer is being told this list of ours. */
export function remember(sa: IkeSa, list: readonly NPayload[]): void {
  if (sa.mobike !== undefined) sa.mobike.announced = addressesIn(list, sa.local.address) ?? []
}

/**
 * Takes notice of what an authenticated peer announced in IKE_AUTH.
 * @param announced as initiator: what we announced
 * @throws Refusal UNEXPECTED_NAT_DETECTED (§3.9)
 */
export function learnMobike(
  sa: IkeSa,
  notifies: readonly NPayload[],
  path?: Path,
  announced?: readonly NPayload[],
): void {
  if (!sa.connection?.mobike || !has(notifies, NOTIFY.MOBIKE_SUPPORTED)) return
  if (sa.role === 'responder' && path !== undefined && !noNatsHold(notifies, path)) {
    throw new Refusal(NOTIFY.UNEXPECTED_NAT_DETECTED, 'a NAT has changed the addresses of IKE_AUTH', { endsSa: true })
  }
  sa.core.log('IKE', 1, 'peer supports MOBIKE', sa)
  sa.mobike = new Mobike(addressesIn(notifies, sa.remote.address) ?? [sa.remote.address])
  if (announced !== undefined) remember(sa, announced)
}

/** Addresses at which we could be reached; none when the kernel does not say. */
export function* ownAddresses(sa: IkeSa): Script<readonly string[]> {
  try {
    return yield* kernel({ kind: 'local-addresses' })
  } catch (error) {
    sa.core.log('KNL', 1, error instanceof Error ? error.message : String(error), sa, 'error')
    return []
  }
}

/** Our list for the peer: all addresses but the one in the header, or the word that there is no other (§3.6). */
export function additionalAddresses(sa: IkeSa, addresses: readonly string[]): NPayload[] {
  const others = addresses.filter((address) => address !== sa.local.address).slice(0, mostAddresses)
  if (others.length === 0) return [notify(NOTIFY.NO_ADDITIONAL_ADDRESSES)]
  return others.flatMap((address) => {
    const octets = parseAddress(address)
    if (octets === undefined) return []
    return [notify(octets.length === 4 ? NOTIFY.ADDITIONAL_IP4_ADDRESS : NOTIFY.ADDITIONAL_IP6_ADDRESS, octets)]
  })
}

/** All addresses of the peer by its list, which replaces the one before; undefined when there is none. */
export function addressesIn(notifies: readonly NPayload[], header: string): string[] | undefined {
  const lists = notifies.filter(({ notify }) => notify in addressOctets)
  if (lists.length === 0) return undefined
  const additional = lists.flatMap(({ notify, data }) =>
    addressOctets[notify] === data.length && isHost(data) ? [formatAddress(data)] : [],
  )
  return [...new Set([header, ...additional])].slice(0, 1 + mostAddresses)
}

/** Octets of data in each of the notifies that make a list. */
const addressOctets: Readonly<Record<number, number>> = {
  [NOTIFY.ADDITIONAL_IP4_ADDRESS]: 4,
  [NOTIFY.ADDITIONAL_IP6_ADDRESS]: 16,
  [NOTIFY.NO_ADDITIONAL_ADDRESSES]: -1,
}

/** Neither unspecified, loopback nor multicast: nobody but a host is sent to. */
export function isHost(address: Uint8Array): boolean {
  const [first] = address
  const text = formatAddress(address)
  if (address.length === 4) return first !== 0 && first !== 127 && first !== undefined && first < 224
  return first !== 0xff && text !== '::' && text !== '::1'
}

/** The addresses that a NAT must not have changed, where the peer does no NAT traversal (§3.9). */
export function noNatsAllowed({ peer, local, remote }: IkeSa): NPayload[] {
  return peer.natTraversal ? [] : [notify(NOTIFY.NO_NATS_ALLOWED, pathOctets(local, remote))]
}

/** Whether the addresses in the header are those that the peer meant. */
export function noNatsHold(notifies: readonly NPayload[], { local, remote }: Path): boolean {
  const meant = find(notifies, NOTIFY.NO_NATS_ALLOWED)
  return meant === undefined || Buffer.compare(meant.data, pathOctets(remote, local)) === 0
}

/** Source and destination address, source and destination port (§4.2.6). */
function pathOctets(source: Path['local'], destination: Path['local']): Uint8Array {
  const none = new Uint8Array()
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(source.port)
  ports.writeUInt16BE(destination.port, 2)
  return Buffer.concat([parseAddress(source.address) ?? none, parseAddress(destination.address) ?? none, ports])
}
