/** What the two sides say in IKE_SA_INIT that they can do, beside the algorithms. */
import type { Connection } from '../config/connection.ts'
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload, Payload } from '../wire/payloads/index.ts'
import { agreePpk, announcesPpk } from './auth/ppk.ts'
import { announceMultipleAuth } from './auth/rounds.ts'
import { signatureHashes } from './auth/signature.ts'
import type { IkeSa } from './ike-sa.ts'
import { detectNat, natDetection, noNat } from './nat.ts'
import { find, has, notify } from './notifies.ts'
import { additionalKeyExchanges, offersAdditional } from './proposals.ts'
import { announceRedirect, noteRedirected, supportsRedirect } from './redirect.ts'

/** NAT detection, fragmentation, signature hashes: what we announce. A responder answers what was offered. */
export function capabilities(sa: IkeSa, connection: Connection | undefined, offered?: readonly NPayload[]): Payload[] {
  const { core } = sa
  const announce = (type: number) => offered === undefined || has(offered, type)
  const fakeSource = connection?.encap ? core.random(20) : undefined
  const payloads: Payload[] = []
  if (announce(NOTIFY.NAT_DETECTION_SOURCE_IP)) {
    payloads.push(...natDetection(sa.spiI, sa.spiR, sa.local, sa.remote, fakeSource))
  }
  if (sa.role === 'initiator') payloads.push(...announceRedirect(sa))
  if (connection?.fragmentation !== 'no' && announce(NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED)) {
    payloads.push(notify(NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED))
  }
  if (core.settings.signatureAuthentication && announce(NOTIFY.SIGNATURE_HASH_ALGORITHMS)) {
    const hashes = Uint8Array.from(signatureHashes.flatMap((hash) => [hash >> 8, hash & 0xff]))
    payloads.push(notify(NOTIFY.SIGNATURE_HASH_ALGORITHMS, hashes))
  }
  const additional =
    sa.role === 'responder'
      ? sa.selected !== undefined && additionalKeyExchanges(sa.selected).length > 0
      : offersAdditional(connection?.proposals ?? [])
  if (additional && announce(NOTIFY.INTERMEDIATE_EXCHANGE_SUPPORTED)) {
    payloads.push(notify(NOTIFY.INTERMEDIATE_EXCHANGE_SUPPORTED))
  }
  // RFC 6023 §3: only a responder says so.
  if (sa.role === 'responder' && connection?.childless !== 'never') {
    payloads.push(notify(NOTIFY.CHILDLESS_IKEV2_SUPPORTED))
  }
  // RFC 4739 §2.1: an initiator says so in IKE_AUTH.
  if (sa.role === 'responder') payloads.push(...announceMultipleAuth(sa))
  if (announce(NOTIFY.USE_PPK) && announcesPpk(sa, connection)) payloads.push(notify(NOTIFY.USE_PPK))
  return payloads
}

/** Takes notice of what the peer announced. */
export function learn(sa: IkeSa, notifies: readonly NPayload[]): void {
  const { core } = sa
  const hashes = find(notifies, NOTIFY.SIGNATURE_HASH_ALGORITHMS)?.data
  sa.peer = {
    fragmentation: has(notifies, NOTIFY.IKEV2_FRAGMENTATION_SUPPORTED),
    signatureHashes:
      hashes &&
      Array.from({ length: hashes.length >> 1 }, (_, i) => ((hashes[2 * i] ?? 0) << 8) | (hashes[2 * i + 1] ?? 0)),
    natTraversal: false,
    multipleAuth: has(notifies, NOTIFY.MULTIPLE_AUTH_SUPPORTED),
    certificateLookup: has(notifies, NOTIFY.HTTP_CERT_LOOKUP_SUPPORTED),
    redirect: sa.role === 'responder' && supportsRedirect(notifies),
  }
  if (sa.role === 'responder') noteRedirected(sa, notifies)
  sa.childlessSupported = has(notifies, NOTIFY.CHILDLESS_IKEV2_SUPPORTED)
  agreePpk(sa, notifies)
  // An initiator's hashes cover the addresses before it knew our SPI (RFC 7296 §2.23): SPIr is zero in the request.
  const spiR = sa.role === 'responder' ? 0n : sa.spiR
  const fake = (sa.connection ?? sa.candidates[0])?.encap ?? false
  const nat = detectNat(notifies, sa.spiI, spiR, sa.local, sa.remote, fake)
  sa.peer = { ...sa.peer, natTraversal: nat !== undefined }
  sa.nat = nat ?? noNat
  if (sa.nat.remote) core.log('IKE', 1, 'remote host is behind NAT', sa)
  if (sa.nat.local) core.log('IKE', 1, 'local host is behind NAT, sending keep alives', sa)
  if (sa.nat.fake) core.log('IKE', 1, 'faking NAT situation to enforce UDP encapsulation', sa)
}
