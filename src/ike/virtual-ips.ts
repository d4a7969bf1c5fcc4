/**
 * Addresses inside the tunnel that the configuration payload hands out (RFC 7296 §2.19). The initiator asks in IKE_AUTH:
 *
 *   HDR, SK {IDi, [CERT,] [CERTREQ,] [IDr,] AUTH, CP(CFG_REQUEST), SAi2, TSi, TSr}  -->
 *                      <--  HDR, SK {IDr, [CERT,] AUTH, CP(CFG_REPLY), SAr2, TSi, TSr}
 *
 * They belong to the IKE SA and its successors, and go with the last of them (§3.15.1).
 */
import type { ConfiguredSelector } from '../config/connection.ts'
import { formatIdentity } from '../pki/identity.ts'
import { familyOf } from '../wire/address.ts'
import { CFG_TYPE, NOTIFY } from '../wire/numbers.ts'
import type { AddressSelector, CPPayload, Payload } from '../wire/payloads/index.ts'
import { configurationIn, configurationReply, configurationRequest, wishesIn } from './configuration.ts'
import { assert, Refusal } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Lease } from './pools.ts'
import { kernel, type Script } from './script.ts'
import { resolveSelectors } from './selectors.ts'

/** What the configuration payload gave to the two ends of an IKE SA. */
export class VirtualIps {
  /** Ours. */
  readonly local: string[] = []
  /** Those of ours that we added to an interface. */
  readonly installed: string[] = []
  /** Given to us, but our kernel would not have them. */
  readonly refused: string[] = []
  /** The peer's, from our pools. */
  readonly leases: Lease[] = []
  /** We asked for an address, and have none. */
  missing = false
  /** The peer began the IKE SA, and our connection has pools: no child for it without an address. */
  required = false

  get remote(): string[] {
    return this.leases.map(({ address }) => address)
  }
}

// --- as client ----------------------------------------------------------------------------------------------------

/** CFG_REQUEST, when the connection wants virtual IPs. */
export function requestAddresses({ connection }: IkeSa): Payload[] {
  return connection === undefined || connection.vips.length === 0 ? [] : [configurationRequest(connection.vips)]
}

/** Takes what the gateway gives: installs the addresses and hands its name servers to the host. */
export function* takeAddresses(sa: IkeSa, CP: CPPayload | undefined): Script<void> {
  const { core, connection, virtualIps } = sa
  const asked = connection?.vips ?? []
  if (asked.length === 0) return
  if (CP?.cfgType !== CFG_TYPE.REPLY) {
    virtualIps.missing = true
    return
  }
  const { addresses, nameServers } = configurationIn(CP)
  const onto = core.settings.installVirtualIpOn ?? (yield* outbound(sa))
  // Not more of a family than we asked for.
  const left = { 4: 0, 6: 0 }
  for (const vip of asked) left[familyOf(vip)]++
  const wanted = addresses.filter((address) => left[familyOf(address)]-- > 0)
  for (const address of wanted) yield* install(sa, address, onto)
  virtualIps.missing = virtualIps.local.length === 0
  core.nameServers.add(
    virtualIps,
    nameServers
      .slice(0, mostNameServers)
      .map((address) => ({ address, ...(onto !== undefined && { interface: onto }) })),
  )
}

/** Before a further child is asked for: it may need an address that the kernel would not have, and will now. */
export function* installRefused(sa: IkeSa): Script<void> {
  const { refused } = sa.virtualIps
  if (refused.length === 0) return
  const onto = sa.core.settings.installVirtualIpOn ?? (yield* outbound(sa))
  // Taken out at once: another child may be asked for while this one waits.
  for (const address of refused.splice(0)) yield* install(sa, address, onto)
}

/** Makes an address ours, on that interface where we are to install it. */
function* install(sa: IkeSa, address: string, onto: string | undefined): Script<void> {
  const { core, virtualIps } = sa
  if (core.settings.installVirtualIp) {
    virtualIps.installed.push(address)
    try {
      yield* kernel({
        kind: 'add-address',
        address,
        peer: sa.remote.address,
        ...(onto !== undefined && { interface: onto }),
      })
    } catch (error) {
      virtualIps.installed.splice(virtualIps.installed.indexOf(address), 1)
      virtualIps.refused.push(address)
      const why = error instanceof Error ? error.message : String(error)
      core.log('KNL', 1, `installing virtual IP ${address} failed: ${why}`, sa, 'error')
      return
    }
  }
  core.log('IKE', 1, `installing new virtual IP ${address}`, sa)
  virtualIps.local.push(address)
}

/** The interface that leads to the peer. Whoever adds the address finds it, too, when we cannot. */
function* outbound({ core, local, remote }: IkeSa): Script<string | undefined> {
  try {
    return (yield* kernel({ kind: 'route-lookup', remote: remote.address, local: local.address })).interface
  } catch (error) {
    core.log('KNL', 1, error instanceof Error ? error.message : String(error))
    return undefined
  }
}

/**
 * The gateway gave us what we need.
 * @throws Refusal when the connection wants a virtual IP and there is none
 */
export function requireAddresses(sa: IkeSa): void {
  if (!sa.virtualIps.missing) return
  sa.core.alert('vip-failure', sa)
  throw new Refusal(NOTIFY.INTERNAL_ADDRESS_FAILURE, negotiationFailed)
}

// --- as gateway ---------------------------------------------------------------------------------------------------

/** The answer to a CFG_REQUEST. */
export interface GivenAddresses {
  readonly reply: readonly Payload[]
  /** Why there can be no Child SA. */
  readonly failure?: Refusal
}

/** Leases the addresses that the peer asks for. What it got stays its own until the IKE SA and its successors end. */
export function giveAddresses(sa: IkeSa, CP: CPPayload | undefined): GivenAddresses {
  const { core, connection, virtualIps } = sa
  // Who has proven a password may have any identity besides.
  const remoteId = sa.remoteEapId ?? sa.remoteId
  assert(connection && remoteId, 'the peer is authenticated')
  virtualIps.required = connection.pools.length > 0
  if (CP?.cfgType !== CFG_TYPE.REQUEST) return { reply: [] }
  const who = formatIdentity(remoteId)
  const wishes = wishesIn(CP).slice(0, mostAddresses)
  for (const { family, address } of wishes) {
    const asked = address ?? (family === 4 ? '%any' : '%any6')
    core.log('IKE', 1, `peer requested virtual IP ${asked}`, sa)
    const lease = core.pools.acquire(connection.pools, remoteId, family, address, sa)
    if (lease === undefined) {
      core.log('IKE', 1, `no virtual IP found for ${asked} requested by '${who}'`, sa)
      continue
    }
    core.log('IKE', 1, `assigning virtual IP ${lease.address} to peer '${who}'`, sa)
    virtualIps.leases.push(lease)
  }
  if (wishes.length > 0 && virtualIps.leases.length === 0) {
    core.log('IKE', 1, 'no virtual IP found, sending INTERNAL_ADDRESS_FAILURE', sa)
    core.alert('vip-failure', sa)
    return { reply: [], failure: new Refusal(NOTIFY.INTERNAL_ADDRESS_FAILURE, negotiationFailed) }
  }
  const pools = [...new Set(virtualIps.leases.map(({ pool }) => pool))]
  const attributes = [...core.settings.attributes, ...pools.flatMap(({ config }) => config.attributes)]
  return { reply: [configurationReply(CP, virtualIps.remote, attributes)] }
}

/**
 * A client of a connection with pools has asked for an address before it gets a Child SA.
 * @throws Refusal FAILED_CP_REQUIRED (§3.15.4)
 */
export function requireRequest(sa: IkeSa): void {
  if (!sa.virtualIps.required || sa.virtualIps.leases.length > 0) return
  sa.core.alert('vip-failure', sa)
  throw new Refusal(NOTIFY.FAILED_CP_REQUIRED, 'expected a virtual IP request, sending FAILED_CP_REQUIRED')
}

// --- both ---------------------------------------------------------------------------------------------------------

/**
 * Local selectors of a child, `dynamic` being our virtual IPs, or else our end of the IKE SA. While we ask for virtual
 * IPs it is everything of their families, which the gateway narrows to what it gives (§2.19).
 */
export function localSelectors(sa: IkeSa, configured: readonly ConfiguredSelector[]): AddressSelector[] {
  const { connection, virtualIps } = sa
  if (virtualIps.local.length > 0) return resolveSelectors(configured, virtualIps.local)
  if (
    sa.state === 'ESTABLISHED' ||
    sa.role === 'responder' ||
    connection === undefined ||
    connection.vips.length === 0
  ) {
    return resolveSelectors(configured, [sa.local.address])
  }
  const families = [...new Set(connection.vips.map((vip) => (familyOf(vip) === 4 ? '0.0.0.0' : '::')))]
  return configured.flatMap((entry) =>
    resolveSelectors([entry], families).map((selector) =>
      entry.kind === 'fixed' ? selector : { ...selector, end: selector.end.map(() => 0xff) },
    ),
  )
}

/** Remote selectors of a child, `dynamic` being the addresses that we gave to the peer, or else its end of the IKE SA. */
export function remoteSelectors(sa: IkeSa, configured: readonly ConfiguredSelector[]): AddressSelector[] {
  const { remote } = sa.virtualIps
  return resolveSelectors(configured, remote.length > 0 ? remote : [sa.remote.address])
}

/** The successor of a rekeyed IKE SA has what the old one had. */
export function passAddresses(old: IkeSa, successor: IkeSa): void {
  const passed = old.virtualIps
  old.virtualIps = new VirtualIps()
  successor.virtualIps = passed
  for (const lease of passed.leases) old.core.pools.pass(lease, old, successor)
}

/** The IKE SA is gone: its addresses leave the interface, its leases are for others, its name servers for nobody. */
export function releaseAddresses(sa: IkeSa): void {
  const { core, virtualIps } = sa
  core.nameServers.remove(virtualIps)
  for (const address of virtualIps.installed.splice(0).reverse()) core.kernel({ kind: 'delete-address', address }, sa)
  for (const lease of virtualIps.leases.splice(0)) core.pools.release(lease, sa)
  virtualIps.local.splice(0)
  virtualIps.refused.splice(0)
}

const negotiationFailed = 'configuration payload negotiation failed, no CHILD_SA built'

/** One client has a few; without a bound it could empty a pool. */
const mostAddresses = 16

const mostNameServers = 16
