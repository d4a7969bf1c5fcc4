/**
 * INFORMATIONAL with the notifies of MOBIKE, RFC 4555 §2, §3.5 to §3.10. When its path is gone, the original initiator
 * finds another one by a question that goes out on all that may work, and then moves the SAs to it:
 *
 *   HDR, SK {N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP)}  -->
 *                      <--  HDR, SK {N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP)}
 *   HDR, SK {N(UPDATE_SA_ADDRESSES), N(NAT_DETECTION_*), N(ADDITIONAL_*), N(COOKIE2)}  -->
 *                      <--  HDR, SK {N(NAT_DETECTION_*), N(COOKIE2)}
 *
 * The responder sends ESP there when it knows that the initiator can be reached there:
 *
 *                      <--  HDR, SK {N(NAT_DETECTION_*), N(COOKIE2)}
 *   HDR, SK {N(NAT_DETECTION_*), N(COOKIE2)}  -->
 *
 * Either side tells the other when its list of addresses has changed:
 *
 *   HDR, SK {N(ADDITIONAL_*) or N(NO_ADDITIONAL_ADDRESSES)}  -->
 *                      <--  HDR, SK {}
 */

import { parseAddress } from '../../wire/address.ts'
import { formatEndpoint, type Path } from '../../wire/endpoint.ts'
import { EXCHANGE, NOTIFY, nameOf } from '../../wire/numbers.ts'
import type { NPayload, Payload } from '../../wire/payloads/index.ts'
import { assert } from '../errors.ts'
import type { IkeSa } from '../ike-sa.ts'
import { watchMapping } from '../liveness.ts'
import {
  additionalAddresses,
  addressesIn,
  isHost,
  noNatsAllowed,
  noNatsHold,
  ownAddresses,
  remember,
} from '../mobike.ts'
import { detectNat, natDetection } from '../nat.ts'
import { errorIn, find, has, notify } from '../notifies.ts'
import { moveChildren } from '../relocation.ts'
import { changePath, pathsToPeer, verifyPath } from '../roaming.ts'
import { type Received, request, type Script, sleep } from '../script.ts'

/**
 * As original initiator: moves the IKE SA and its children to a path that works, or, when only what is on the way has
 * changed (`find` false), tells the peer about it.
 */
export function* initiate(sa: IkeSa, findPath: boolean): Script<void> {
  const { core, mobike } = sa
  assert(mobike, 'MOBIKE was agreed on')
  const refused: string[] = []
  let probing = findPath
  for (let round = 0; round < mostRounds; round++) {
    const change = mobike.changes
    if (probing) {
      const paths = (yield* pathsToPeer(sa)).filter((path) => !refused.includes(pathName(path)))
      if (paths.length === 0) {
        core.log('IKE', 1, `no route found to reach ${sa.remote.address}, MOBIKE update deferred`, sa)
        mobike.stale = true
        return
      }
      sa.dialogue.probe(paths)
      // What it says of NATs is not heard: the answer may have been made for a copy that came on another path.
      yield* request(EXCHANGE.INFORMATIONAL, detection(sa))
      if (mobike.changes !== change) continue
      core.log('IKE', 1, `found a path from ${formatEndpoint(sa.local)} to ${formatEndpoint(sa.remote)}`, sa)
    }
    // §3.5: at once, the peer has just answered on this path. What arrives on the old one until it moves too is lost.
    yield* moveChildren(sa)
    const list = additionalAddresses(sa, yield* ownAddresses(sa))
    const cookie = core.random(cookieBytes)
    const answer = yield* request(EXCHANGE.INFORMATIONAL, [
      notify(NOTIFY.UPDATE_SA_ADDRESSES),
      ...detection(sa),
      notify(NOTIFY.COOKIE2, cookie),
      ...list,
      ...noNatsAllowed(sa),
    ])
    const N = notifiesIn(answer.payloads)
    if (!returned(sa, N, cookie)) return
    // §3.5: an answer to what has been overtaken says nothing.
    if (mobike.changes !== change) {
      probing = true
      continue
    }
    const error = errorIn(N)
    if (error === undefined) {
      remember(sa, list)
      learnNat(sa, N)
      yield* moveChildren(sa)
      return
    }
    core.log('IKE', 1, `received ${nameOf(NOTIFY, error.notify)} notify error for an address change`, sa)
    if (error.notify === NOTIFY.UNACCEPTABLE_ADDRESSES) refused.push(pathName(sa))
    // §3.9: try again several times with new exchanges.
    else yield* sleep(pauseMs)
    probing = true
  }
  core.log('IKE', 1, 'giving up changing addresses using MOBIKE', sa, 'warn')
}

/**
 * Either side: our list of addresses has changed. As original responder whose own address went (`findPath`) also a
 * request to be moved, sent on all paths that may work (§3.6).
 */
export function* announce(sa: IkeSa, findPath: boolean): Script<void> {
  const { core, mobike } = sa
  assert(mobike, 'MOBIKE was agreed on')
  for (let probing = findPath; ; probing = false) {
    if (probing) {
      const paths = yield* pathsToPeer(sa)
      const [first] = paths
      if (first === undefined) {
        core.log('IKE', 1, `no route found to reach ${sa.remote.address}, MOBIKE update deferred`, sa)
        mobike.stale = true
        return
      }
      sa.dialogue.probe(paths)
    }
    const change = mobike.changes
    const list = additionalAddresses(sa, yield* ownAddresses(sa))
    yield* request(EXCHANGE.INFORMATIONAL, [...list, ...noNatsAllowed(sa)])
    // §3.5: without its own address a responder need not wait for UPDATE_SA_ADDRESSES, and charon sends none for this.
    yield* moveChildren(sa)
    // §3.6: sent from several addresses it did not say which of them is the one in the header.
    if (probing) continue
    if (mobike.changes === change) remember(sa, list)
    return
  }
}

/** Return routability, §3.7: the peer can be reached where it says that it is. Then the children go there. */
export function* checkRoutability(sa: IkeSa): Script<void> {
  const { core, mobike } = sa
  assert(mobike, 'MOBIKE was agreed on')
  for (;;) {
    const change = mobike.changes
    const cookie = core.random(cookieBytes)
    // pluto sends a cookie back beside its own NAT detection only.
    const answer = yield* request(EXCHANGE.INFORMATIONAL, [...detection(sa), notify(NOTIFY.COOKIE2, cookie)])
    if (!returned(sa, notifiesIn(answer.payloads), cookie)) return
    // Sent to several addresses it proves nothing.
    if (mobike.changes === change) break
  }
  yield* moveChildren(sa)
}

/** The part of an INFORMATIONAL response that answers notifies of MOBIKE. */
export function answerMobike(
  sa: IkeSa,
  notifies: readonly NPayload[],
  { path, messageId }: Pick<Received, 'path' | 'messageId'>,
): NPayload[] {
  const { core, mobike } = sa
  if (mobike === undefined || path === undefined) return []
  const cookies = notifies.filter(({ notify, data }) => notify === NOTIFY.COOKIE2 && data.length <= mostCookieBytes)
  const answer = [...(has(notifies, NOTIFY.NAT_DETECTION_SOURCE_IP) ? detection(sa, path) : []), ...cookies.slice(0, 1)]
  const update = has(notifies, NOTIFY.UPDATE_SA_ADDRESSES)
  const addresses = addressesIn(notifies, path.remote.address)
  if (update || addresses !== undefined) {
    // §3.5: with a window above 1 a request may come after a newer one; it is answered and changes nothing.
    if (messageId < sa.newestMove) return answer
    sa.newestMove = messageId
  }
  if (!noNatsHold(notifies, path)) {
    core.log('IKE', 1, `a NAT has changed the addresses of a request from ${formatEndpoint(path.remote)}`, sa)
    return [notify(NOTIFY.UNEXPECTED_NAT_DETECTED), ...answer]
  }
  if (update && sa.firstRole === 'initiator') {
    core.log('IKE', 1, 'ignoring UPDATE_SA_ADDRESSES: the one that began the IKE_SA decides about addresses', sa)
  } else if (update) {
    if (!acceptable(path)) {
      core.log('IKE', 1, `addresses ${formatEndpoint(path.remote)} unacceptable`, sa)
      return [notify(NOTIFY.UNACCEPTABLE_ADDRESSES), ...answer]
    }
    mobike.changes++
    mobike.stale = false
    sa.dialogue.stopProbing()
    sa.relocate(path)
    learnNat(sa, notifies)
    verifyPath(sa)
  }
  if (addresses !== undefined) {
    mobike.peerAddresses = addresses
    // §3.5: a list without the address that we use says that it is no more.
    if (sa.firstRole === 'initiator' && !addresses.includes(sa.remote.address)) sa.whenAnswered(() => changePath(sa))
  }
  return answer
}

/** NAT detection for both ends of a path. */
export function detection(sa: IkeSa, { local, remote }: Path = sa): NPayload[] {
  if (!sa.peer.natTraversal) return []
  const fakeSource = sa.connection?.encap ? sa.core.random(20) : undefined
  return natDetection(sa.spiI, sa.spiR, local, remote, fakeSource)
}

/** Takes notice of the NATs on the present path, and of where the peer sees us. */
function learnNat(sa: IkeSa, notifies: readonly NPayload[]): void {
  const { core, nat, mobike } = sa
  const found = detectNat(notifies, sa.spiI, sa.spiR, sa.local, sa.remote, sa.connection?.encap ?? false)
  if (found === undefined) return
  if (mobike !== undefined) mobike.seenAs = find(notifies, NOTIFY.NAT_DETECTION_DESTINATION_IP)?.data
  sa.nat = found
  watchMapping(sa)
  if (found.remote && !nat.remote) core.log('IKE', 1, 'remote host is behind NAT', sa)
  if (found.local && !nat.local) core.log('IKE', 1, 'local host is behind NAT, sending keep alives', sa)
  if (!found.remote && nat.remote) core.log('IKE', 1, 'remote host is not behind NAT anymore', sa)
  if (!found.local && nat.local) core.log('IKE', 1, 'local host is not behind NAT anymore', sa)
}

/** §3.7: the IKE SA MUST be closed when the cookie does not come back as it was. */
function returned(sa: IkeSa, notifies: readonly NPayload[], cookie: Uint8Array): boolean {
  const back = find(notifies, NOTIFY.COOKIE2)?.data
  if (back !== undefined && Buffer.compare(back, cookie) === 0) return true
  sa.core.log('IKE', 1, 'COOKIE2 did not come back as it was sent, closing IKE_SA', sa, 'warn')
  sa.lost()
  return false
}

/** A host can be there. Which hosts may be peers the authentication has decided. */
function acceptable({ local, remote }: Path): boolean {
  const octets = parseAddress(remote.address)
  return octets !== undefined && isHost(octets) && remote.port !== 0 && remote.address !== local.address
}

function notifiesIn(payloads: readonly Payload[]): NPayload[] {
  return payloads.filter((payload) => payload.type === 'N')
}

function pathName({ local, remote }: Path): string {
  return `${local.address} ${remote.address}`
}

/** 8 to 64 octets that the peer cannot guess (§4.2.5). */
const cookieBytes = 16
const mostCookieBytes = 64
const mostRounds = 8
const pauseMs = 2_500
