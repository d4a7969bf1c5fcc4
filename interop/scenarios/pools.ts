/** Virtual IPs: two road warriors and a gateway with pools, and what is said when there is no address. */
import type { End } from '../lab/connection.ts'
import type { Scenario } from '../lab/scenario.ts'
import { espProposals, ikeProposals, scenario } from './base.ts'

/** Where the two hosts are, as lab/hosts.ts has it. */
const places = {
  moon: { address: '192.168.0.1', networks: '10.1.0.0/16, fec1::/16' },
  sun: { address: '192.168.0.2', networks: '10.2.0.0/16, fec2::/16' },
} as const

const pools = ['p4 {', '  addrs = 10.77.0.0/24', '  dns = 10.2.0.53', '}', 'p6 {', '  addrs = fec7::/120', '}']

/** The ends of a scenario in which `client` begins; the client and the gateway each have lines of their own. */
function ends(initiator: 'ours' | 'peer', client: End, gateway: End): Pick<Scenario, 'initiator' | 'ours' | 'theirs'> {
  return initiator === 'ours'
    ? { initiator, ours: client, theirs: gateway }
    : { initiator, ours: gateway, theirs: client }
}

/** The second road warrior: the same place, another identity. */
function second(host: keyof typeof places, other: keyof typeof places, isClient: boolean): string[] {
  const [own, peer] = isClient ? ['second', other] : [host, 'second']
  return [
    'second {',
    '  version = 2',
    `  local_addrs = ${places[host].address}`,
    `  remote_addrs = ${places[other].address}`,
    `  proposals = ${ikeProposals.aesGcm.swanctl}`,
    isClient ? '  vips = 0.0.0.0' : '  pools = p4',
    '  local {',
    '    auth = psk',
    `    id = ${own}.lab.test`,
    '  }',
    '  remote {',
    '    auth = psk',
    `    id = ${peer}.lab.test`,
    '  }',
    '  children {',
    '    second {',
    isClient ? '      local_ts = dynamic' : `      local_ts = ${places[host].networks}`,
    isClient ? `      remote_ts = ${places[other].networks}` : '      remote_ts = dynamic',
    `      esp_proposals = ${espProposals.aesGcm.swanctl}`,
    '    }',
    '  }',
    '}',
  ]
}

function roadWarriors(initiator: 'ours' | 'peer'): Scenario {
  const [client, gateway] = initiator === 'ours' ? (['moon', 'sun'] as const) : (['sun', 'moon'] as const)
  const { networks } = places[gateway]
  return scenario(`pools/road-warriors-${initiator}`, {
    ...ends(
      initiator,
      {
        settings: ['vips = 0.0.0.0, ::'],
        localNetworks: ['dynamic'],
        remoteNetworks: [networks],
        connections: second(client, gateway, true),
        daemon: ['plugins {', 'resolve {', 'file = /run/resolv.conf', '}', '}'],
      },
      {
        settings: ['pools = p4, p6'],
        localNetworks: [networks],
        remoteNetworks: ['dynamic'],
        connections: second(gateway, client, false),
        pools,
      },
    ),
    expect: { kind: 'virtual-ips' },
  })
}

function mustAsk(initiator: 'ours' | 'peer'): Scenario {
  return scenario(`pools/must-ask-${initiator}`, {
    ...ends(initiator, {}, { settings: ['pools = p4'], remoteNetworks: ['dynamic'], pools }),
    expect: {
      kind: 'refused',
      initiator: /received FAILED_CP_REQUIRED notify, no CHILD_SA built/,
      responder: /expected a virtual IP request, sending FAILED_CP_REQUIRED/,
    },
  })
}

function noPool(initiator: 'ours' | 'peer'): Scenario {
  return scenario(`pools/none-${initiator}`, {
    ...ends(initiator, { settings: ['vips = 0.0.0.0'], localNetworks: ['dynamic'] }, { remoteNetworks: ['dynamic'] }),
    expect: {
      kind: 'refused',
      initiator: /received INTERNAL_ADDRESS_FAILURE notify, no CHILD_SA built/,
      responder: /no virtual IP found, sending INTERNAL_ADDRESS_FAILURE/,
    },
  })
}

const both = ['ours', 'peer'] as const

export const pooled: readonly Scenario[] = [...both.map(roadWarriors), ...both.map(mustAsk), ...both.map(noPool)]
