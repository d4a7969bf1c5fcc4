/**
 * Tells the world that a child has come up or gone down: the event for VICI, and what its updown script is told
 * (CHARON 9.4). Rekeyings say nothing of this kind.
 */

import { formatIdentity } from '../pki/identity.ts'
import { familyOf, formatAddress, parseAddress } from '../wire/address.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import type { ChildSa } from './child-sa.ts'
import type { IkeSa } from './ike-sa.ts'
import type { UpdownScript } from './output.ts'
import { enclosingSubnet, pairs } from './selectors.ts'
import { ikeSaView } from './views.ts'

export function announceChild(sa: IkeSa, child: ChildSa, up: boolean): void {
  sa.core.event({ kind: 'child-updown', up, ikeSa: ikeSaView(sa, [child]) })
  const { updown } = child.config
  if (updown === undefined || updown === '') return
  sa.core.output({ kind: 'updown', script: scriptOf(sa, child, updown, up) })
}

function scriptOf(sa: IkeSa, child: ChildSa, command: string, up: boolean): UpdownScript {
  const { connection, uniqueId, local, remote } = sa
  return {
    command,
    up,
    ikeSa: { name: connection?.name, uniqueId },
    child: { name: child.name, reqid: child.reqid },
    local: local.address,
    runs: pairs(child.agreement.localTs, child.agreement.remoteTs).map((pair) => ({
      ...about(sa, child),
      PLUTO_VERB: verb(up, pair.local, local.address),
      ...selectorVariables('MY', pair.local, pair.protocol),
      ...selectorVariables('PEER', pair.remote, pair.protocol),
      ...portVariables(pair),
      PLUTO_ME: local.address,
      PLUTO_PEER: remote.address,
    })),
  }
}

/** What is the same for all pairs of selectors. */
function about(sa: IkeSa, child: ChildSa): Record<string, string> {
  const { config } = child
  const view = ikeSaView(sa, [child])
  const [shown] = view.children
  const id = (identity: typeof sa.localId) => (identity === undefined ? '%any' : formatIdentity(identity))
  const mark = (value: { value: number; mask: number } | undefined) =>
    value && value.value !== 0 ? `${value.value}/0x${value.mask.toString(16).padStart(8, '0')}` : undefined
  return present({
    PLUTO_VERSION: '1.1',
    PLUTO_CONNECTION: child.name,
    PLUTO_REQID: String(child.reqid),
    PLUTO_PROTO: child.protocol.toLowerCase(),
    PLUTO_UNIQUEID: String(sa.uniqueId),
    PLUTO_MY_ID: id(sa.localId),
    PLUTO_PEER_ID: id(sa.remoteId),
    ...virtualIps('MY', view.localVips),
    ...virtualIps('PEER', view.remoteVips),
    ...(sa.core.settings.updownDnsHandler && nameServers(sa)),
    PLUTO_MARK_IN: mark(shown?.markIn),
    PLUTO_MARK_OUT: mark(shown?.markOut),
    PLUTO_IF_ID_IN: shown?.ifIdIn?.toString(),
    PLUTO_IF_ID_OUT: shown?.ifIdOut?.toString(),
    PLUTO_UDP_ENC: sa.udpEncapsulation ? String(sa.remote.port) : undefined,
    PLUTO_IPCOMP: shown?.cpiOut === undefined ? undefined : '1',
    PLUTO_HOST_ACCESS: config.hostaccess ? '1' : undefined,
  })
}

/** The first address without a number, then those of each family, counted from 1. */
function virtualIps(whose: 'MY' | 'PEER', addresses: readonly string[]): Record<string, string> {
  const variables: Record<string, string> = {}
  const [first] = addresses
  if (first !== undefined) variables[`PLUTO_${whose}_SOURCEIP`] = first
  for (const family of [4, 6] as const) {
    const of = addresses.filter((address) => (parseAddress(address)?.length === 16 ? 6 : 4) === family)
    of.forEach((address, i) => {
      variables[`PLUTO_${whose}_SOURCEIP${family}_${i + 1}`] = address
    })
  }
  return variables
}

function nameServers(sa: IkeSa): Record<string, string> {
  const addresses = sa.core.nameServers.of(sa.virtualIps).map(({ address }) => address)
  return Object.fromEntries(
    ([4, 6] as const).flatMap((family) =>
      addresses
        .filter((address) => familyOf(address) === family)
        .map((address, i) => [`PLUTO_DNS${family}_${i + 1}`, address]),
    ),
  )
}

/** `up-host` when the child is for our own address alone, else `up-client`; `-v6` for IPv6. */
function verb(up: boolean, ours: AddressSelector, own: string): string {
  const host = [ours.start, ours.end].every((address) => formatAddress(address) === own)
  return `${up ? 'up' : 'down'}-${host ? 'host' : 'client'}${ours.family === 6 ? '-v6' : ''}`
}

function selectorVariables(whose: 'MY' | 'PEER', selector: AddressSelector, protocol: number): Record<string, string> {
  const { address, prefix } = enclosingSubnet(selector)
  return { [`PLUTO_${whose}_CLIENT`]: `${address}/${prefix}`, [`PLUTO_${whose}_PROTOCOL`]: String(protocol) }
}

/** Ports as `0` for any, one number, or `from:to`; for ICMP the type is ours and the code the peer's. */
function portVariables(pair: { local: AddressSelector; remote: AddressSelector; protocol: number }) {
  if (pair.protocol === IPPROTO_ICMP || pair.protocol === IPPROTO_ICMPV6) {
    const said = [pair.local, pair.remote].find(({ startPort, endPort }) => startPort <= endPort && endPort !== 65535)
    const port = said?.startPort ?? 0
    return { PLUTO_MY_PORT: String(port >> 8), PLUTO_PEER_PORT: String(port & 0xff) }
  }
  const text = ({ startPort, endPort }: AddressSelector): string => {
    if (startPort > endPort || (startPort === 0 && endPort === 65535)) return '0'
    return startPort === endPort ? String(startPort) : `${startPort}:${endPort}`
  }
  return { PLUTO_MY_PORT: text(pair.local), PLUTO_PEER_PORT: text(pair.remote) }
}

const IPPROTO_ICMP = 1
const IPPROTO_ICMPV6 = 58

function present(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
