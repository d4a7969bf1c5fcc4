/**
 * A gateway sends its clients to another one, RFC 5685. The client says that it would go:
 *
 *   HDR(A,0), SAi1, KEi, Ni, N(REDIRECT_SUPPORTED)  -->
 *                      <--  HDR(A,0), N(REDIRECT, gateway, Ni)                              at once, or
 *
 *   HDR, SK {IDi, [CERT,] [IDr,] AUTH, SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, [CERT,] AUTH, N(REDIRECT, gateway)}               when it knows who asks, or
 *
 *                      <--  HDR, SK {N(REDIRECT, gateway)}                                  when both have long been up
 *   HDR, SK {}  -->
 *
 * and says at the other gateway where it comes from:
 *
 *   HDR(A,0), SAi1, KEi, Ni, N(REDIRECTED_FROM, gateway)  -->
 *
 * The IKE SA at the first gateway is the client's to delete. Nothing of the connection changes but the address: the other
 * gateway has to prove the identity that the first one had to (§10).
 */
import type { AddressPattern } from '../config/connection.ts'
import { type IdentityPattern, matchIdentity } from '../pki/identity.ts'
import { familyOf, parseAddress } from '../wire/address.ts'
import { DecodeError } from '../wire/errors.ts'
import { EXCHANGE, NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import { decodeRedirect, encodeRedirect, formatGateway, type Gateway } from '../wire/redirect.ts'
import type { Core } from './core.ts'
import { LocalFailure, PeerRefused } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { closeSa, peerLost } from './initiation.ts'
import { find, has, notify } from './notifies.ts'
import { remake } from './reauthentication.ts'
import { request, run, type Script } from './script.ts'

/** How a client came to where it is. */
export interface Redirections {
  /** The address of the gateway that sent it here. */
  readonly from?: string
  /** When it was redirected of late (epoch milliseconds). */
  readonly timesMs: readonly number[]
}

export const notRedirected: Redirections = { timesMs: [] }

/** RFC 5685 §7.1: MAX_REDIRECTS within REDIRECT_LOOP_DETECT_PERIOD. */
const mostRedirects = 5
const loopPeriodMs = 300_000

// --- as client ----------------------------------------------------------------------------------------------------

/** In IKE_SA_INIT: that we can be redirected, or that we have been. */
export function announceRedirect({ core, redirections }: IkeSa): NPayload[] {
  if (!core.settings.followRedirects) return []
  const { from } = redirections
  if (from === undefined) return [notify(NOTIFY.REDIRECT_SUPPORTED)]
  return [notify(NOTIFY.REDIRECTED_FROM, encodeRedirect({ kind: 'address', address: from }))]
}

/**
 * The gateway that an unauthenticated IKE_SA_INIT response names.
 * @throws Error when it is not for us to believe: nobody who did not see our nonce can send it (§10)
 */
export function redirectInInit({ core }: IkeSa, notifies: readonly NPayload[], ni: Uint8Array): Gateway | undefined {
  const found = find(notifies, NOTIFY.REDIRECT)
  if (found === undefined) return undefined
  if (!core.settings.followRedirects) throw new Error('it redirects, and charon.follow_redirects = no')
  const { gateway, nonce } = decodeRedirect(found.data)
  if (Buffer.compare(nonce, ni) !== 0) throw new Error('it redirects with another nonce than ours')
  return gateway
}

/** The gateway that an authenticated message names; one that names none we could go to is ignored. */
export function redirectIn(sa: IkeSa, notifies: readonly NPayload[]): Gateway | undefined {
  const found = find(notifies, NOTIFY.REDIRECT)
  if (found === undefined) return undefined
  if (!sa.core.settings.followRedirects) {
    sa.core.log('IKE', 1, 'server sent REDIRECT even though we disabled it', sa)
    return undefined
  }
  try {
    return decodeRedirect(found.data).gateway
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    sa.core.log('IKE', 1, `ignoring REDIRECT: ${error.message}`, sa)
    return undefined
  }
}

/**
 * The address of the gateway to go to, and how we came there.
 * @throws PeerRefused when we have been sent around too often, LocalFailure when the name has no address
 */
export function* resolveRedirect(sa: IkeSa, gateway: Gateway): Script<{ address: string; redirections: Redirections }> {
  const { core, remote } = sa
  core.log('IKE', 1, `redirected to ${formatGateway(gateway)}`, sa)
  const recent = sa.redirections.timesMs.filter((time) => time > core.now - loopPeriodMs)
  if (recent.length >= mostRedirects) {
    throw new PeerRefused(0, `only ${mostRedirects} redirects are allowed within ${loopPeriodMs / 1000} seconds`)
  }
  const redirections = { from: remote.address, timesMs: [...recent, core.now] }
  if (gateway.kind === 'address') return { address: gateway.address, redirections }
  const [address] = yield* run({ kind: 'resolve', name: gateway.name })
  if (address === undefined) throw new LocalFailure(`unable to resolve ${gateway.name}, not redirected`)
  return { address, redirections }
}

/** In INFORMATIONAL: goes to the other gateway with all children, and leaves this one when they are up there. */
export function receiveRedirect(sa: IkeSa, notifies: readonly NPayload[]): void {
  const gateway = redirectIn(sa, notifies)
  if (gateway === undefined) return
  if (sa.firstRole === 'responder') {
    sa.core.log('IKE', 1, 'ignoring REDIRECT, only a client can be redirected', sa)
    return
  }
  sa.enqueue({
    names: ['IKE_REDIRECT'],
    script: (owner) => goElsewhere(owner, gateway),
    failed: (error, owner) => {
      if (error !== undefined) owner.core.log('IKE', 1, error.message, owner)
    },
  })
}

function* goElsewhere(sa: IkeSa, gateway: Gateway): Script<void> {
  const { core } = sa
  if (sa.closing || sa.reauthenticating) return
  const { address, redirections } = yield* resolveRedirect(sa, gateway)
  if (sa.closing || sa.reauthenticating) return
  sa.redirections = redirections
  remake(sa, {
    remote: address,
    redirections,
    failed: (old) => {
      core.log('IKE', 1, `unable to establish an IKE_SA with ${formatGateway(gateway)}, keeping the old one`, old)
    },
  })
}

// --- as gateway ---------------------------------------------------------------------------------------------------

/** Where the client of an IKE_SA_INIT request to `address` has to go, by the settings; undefined: it may stay. */
export function redirectAtInit(core: Core, notifies: readonly NPayload[], address: string): Gateway | undefined {
  if (core.settings.redirectExchange !== 'init' || !supportsRedirect(notifies)) return undefined
  const gateway = gatewayWhenFull(core, core.sas.size, address)
  return gateway && cameFrom(notifies) === formatGateway(gateway) ? undefined : gateway
}

/** The same for a client that is authenticated. */
export function redirectAtAuth({ core, peer, local }: IkeSa): Gateway | undefined {
  if (core.settings.redirectExchange !== 'auth' || !peer.redirect) return undefined
  return gatewayWhenFull(core, core.sas.size - 1, local.address)
}

/** Whether the initiator can be redirected: it says so, or has been. */
export function supportsRedirect(notifies: readonly NPayload[]): boolean {
  return has(notifies, NOTIFY.REDIRECT_SUPPORTED) || has(notifies, NOTIFY.REDIRECTED_FROM)
}

/** Says where a client that was redirected to us comes from. */
export function noteRedirected(sa: IkeSa, notifies: readonly NPayload[]): void {
  const from = cameFrom(notifies)
  if (from !== undefined) sa.core.log('IKE', 1, `client got redirected from ${from}`, sa)
}

/** N(REDIRECT); an unauthenticated one needs the initiator's nonce. */
export function redirectNotify(gateway: Gateway, nonce?: Uint8Array): NPayload {
  return notify(NOTIFY.REDIRECT, encodeRedirect(gateway, nonce))
}

/** The client has been told to go: it deletes the IKE SA, or we do so after a while. */
export function awaitLeaving(sa: IkeSa): void {
  sa.redirected = true
  sa.after(sa.core.settings.halfOpenTimeoutSeconds * 1000, () => {
    sa.core.log('IKE', 1, `client did not leave IKE_SA ${sa.name} after the redirect`, sa)
    closeSa(sa)
  })
}

/** Sends the client of an established IKE SA elsewhere. */
export function redirectClient(sa: IkeSa, gateway: Gateway): void {
  const { core } = sa
  if (sa.firstRole === 'initiator') return core.log('IKE', 1, 'unable to redirect IKE_SA as initiator', sa)
  if (!sa.peer.redirect) return core.log('IKE', 1, 'client does not support IKE redirection', sa)
  if (sa.state !== 'ESTABLISHED' && sa.state !== 'REKEYING') {
    return core.log('IKE', 1, `unable to redirect IKE_SA in state ${sa.state}`, sa)
  }
  sa.enqueue({
    names: ['IKE_REDIRECT'],
    script: (owner) => tellClient(owner, gateway),
    failed: (error, owner) => {
      if (error !== undefined) peerLost(owner, error)
    },
  })
}

function* tellClient(sa: IkeSa, gateway: Gateway): Script<void> {
  if (sa.closing || sa.redirected) return
  sa.core.log('IKE', 1, `redirecting client to ${formatGateway(gateway)}`, sa)
  yield* request(EXCHANGE.INFORMATIONAL, [redirectNotify(gateway)])
  awaitLeaving(sa)
}

/** The IKE SAs that a `redirect` command means. */
export function selectsForRedirect(
  sa: IkeSa,
  { peerIp, peerId }: { readonly peerIp?: AddressPattern; readonly peerId?: IdentityPattern },
): boolean {
  if (peerIp !== undefined && !isWithin(sa.remote.address, peerIp)) return false
  if (peerId === undefined) return true
  return sa.remoteId !== undefined && matchIdentity(sa.remoteId, peerId, sa.core.settings.rdnMatching) > 0
}

/** Who has come to where clients are sent stays: several gateways may have the same settings. */
function gatewayWhenFull({ settings }: Core, ikeSas: number, address: string): Gateway | undefined {
  const { redirectAbove, redirectGateway } = settings
  if (ikeSas < redirectAbove || redirectGateway === undefined) return undefined
  return formatGateway(redirectGateway) === address ? undefined : redirectGateway
}

/** Not authenticated, and only used not to send a client back at once. */
function cameFrom(notifies: readonly NPayload[]): string | undefined {
  const found = find(notifies, NOTIFY.REDIRECTED_FROM)
  try {
    return found && formatGateway(decodeRedirect(found.data).gateway)
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

function isWithin(address: string, pattern: AddressPattern): boolean {
  switch (pattern.kind) {
    case 'any':
      return pattern.family === undefined || pattern.family === familyOf(address)
    case 'host':
      return pattern.address === address
    case 'name':
      return false
    case 'range': {
      const [from, to, at] = [parseAddress(pattern.from), parseAddress(pattern.to), parseAddress(address)]
      if (!from || !to || !at || from.length !== at.length) return false
      return Buffer.compare(from, at) <= 0 && Buffer.compare(at, to) <= 0
    }
  }
}
