/** Address families outside and inside, and NAT between the hosts. */
import type { Family } from '../lab/hosts.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const both = ['ours', 'peer'] as const

const families: readonly (readonly [name: string, outer: Family, inner: readonly Family[]])[] = [
  ['v4-in-v6', 'ipv6', ['ipv4']],
  ['v6-in-v4', 'ipv4', ['ipv6']],
  ['v6-in-v6', 'ipv6', ['ipv6']],
  ['both-in-v4', 'ipv4', ['ipv4', 'ipv6']],
]

export const network: readonly Scenario[] = both.flatMap((initiator) => [
  ...families.map(([name, outer, inner]) =>
    scenario(`network/${name}-${initiator}-initiates`, { initiator, connection: { outer, inner } }),
  ),
  scenario(`network/gateways-${initiator}-initiates`, {
    initiator,
    clients: true,
    connection: { inner: ['ipv4', 'ipv6'] },
  }),
  scenario(`network/transport-v6-${initiator}-initiates`, {
    initiator,
    connection: { mode: 'transport', outer: 'ipv6' },
  }),
  scenario(`network/initiator-behind-nat-${initiator}-initiates`, {
    initiator,
    nat: true,
    expect: { kind: 'up', wire: { udp: true }, kernel: ['encap type espinudp'] },
  }),
  scenario(`network/initiator-behind-nat-ecdsa-${initiator}-initiates`, {
    initiator,
    nat: true,
    connection: { auth: 'ecdsa' },
    expect: { kind: 'up', wire: { udp: true } },
  }),
  scenario(`network/encap-${initiator}-initiates`, {
    initiator,
    connection: { settings: ['encap = yes'] },
    expect: { kind: 'up', wire: { udp: true } },
  }),
])
