/** Against libreswan: authentication, NAT, post-quantum preshared keys and rekeying, in both roles. */
import type { End } from '../lab/connection.ts'
import type { Death } from '../lab/deaths.ts'
import type { Step } from '../lab/rekeys.ts'
import type { Scenario } from '../lab/scenario.ts'
import { espProposals, scenario, usual } from './base.ts'

const usePpk = 16435
const inARow = 20
const ends = ['ours', 'peer'] as const

/** pluto wants a key exchange for each rekeying of a Child SA: `pfs=yes` is its default. */
const perfect = { esp: { swanctl: 'aes128gcm16-x25519', libreswan: espProposals.aesGcm.libreswan } }

/** As responder pluto learns of other addresses by MOBIKE only, and speaks that only with who may be at any address. */
const followsUs: Pick<Scenario, 'connection' | 'theirs'> = {
  connection: { ...usual, settings: ['dpd_delay = 2s'], libreswan: ['mobike=yes'] },
  theirs: { anyPeer: true },
}

const pool = { pools: ['p4 {', '  addrs = 10.77.0.0/24', '}'] }

/** A road warrior and its gateway: [ours, pluto's]. */
const warriors: Readonly<Record<(typeof ends)[number], Pick<Scenario, 'ours' | 'theirs'>>> = {
  ours: {
    ours: { settings: ['vips = 0.0.0.0'], localNetworks: ['dynamic'] },
    theirs: {
      anyPeer: true,
      remoteNetworks: [],
      libreswan: ['leftmodecfgserver=yes', 'rightmodecfgclient=yes', 'rightaddresspool=10.77.0.1-10.77.0.20'],
    },
  },
  peer: {
    ours: { settings: ['pools = p4'], remoteNetworks: ['dynamic'], ...pool },
    theirs: {
      localNetworks: ['0.0.0.0/0'],
      libreswan: ['leftmodecfgclient=yes', 'rightmodecfgserver=yes', 'narrowing=yes'],
    },
  },
}

const ppk = { ppk: 'thirty-two octets that both know' }

function times<T>(count: number, ...items: readonly T[]): readonly T[] {
  return Array.from({ length: count }, () => items).flat()
}

export const libreswan: readonly Scenario[] = ends.flatMap((initiator) => [
  ...(['psk', 'ecdsa', 'rsa'] as const).map((auth) =>
    scenario(`libreswan/${auth}-tunnel-${initiator}-initiates`, {
      peer: 'libreswan',
      initiator,
      connection: { auth },
    }),
  ),
  scenario(`libreswan/psk-transport-${initiator}-initiates`, {
    peer: 'libreswan',
    initiator,
    connection: { mode: 'transport' },
  }),
  ...ends.map((by) =>
    scenario(`libreswan/${inARow}-children-${inARow}-ike-by-${by}-${initiator}-initiated`, {
      peer: 'libreswan',
      initiator,
      connection: perfect,
      limitMs: 300_000,
      expect: {
        kind: 'rekeys',
        stream: true,
        // As responder pluto sends on a new SA at once (RFC 7296 §2.8), and never receives on one that is deleted.
        ...(by === 'ours' ? { loses: 'early and late packets' } : {}),
        steps: [...times<Step>(inARow, { by, what: 'child' }), ...times<Step>(inARow, { by, what: 'ike' })],
      },
    }),
  ),

  scenario(`libreswan/initiator-behind-nat-${initiator}-initiates`, {
    peer: 'libreswan',
    initiator,
    nat: true,
    expect: { kind: 'up', wire: { udp: true }, kernel: ['encap type espinudp'] },
  }),

  scenario(`libreswan/road-warrior-${initiator}-initiates`, {
    peer: 'libreswan',
    initiator,
    ...warriors[initiator],
    expect: { kind: 'leased' },
  }),
  scenario(`libreswan/ppk-${initiator}-initiates`, {
    peer: 'libreswan',
    initiator,
    ours: ppk,
    theirs: ppk,
    connection: {
      settings: ['ppk_id = lab-ppk', 'ppk_required = yes'],
      libreswan: ['ppk=insist', 'ppk-ids="lab-ppk"'],
    },
    expect: { kind: 'up', wire: { initNotifies: [usePpk] } },
  }),
  ...(initiator === 'ours'
    ? [
        scenario('libreswan/initiator-moves-ours-initiates', {
          peer: 'libreswan',
          ...followsUs,
          expect: { kind: 'roams', change: 'initiator moves' },
        }),
      ]
    : [
        scenario('libreswan/initiator-moves-peer-initiates', {
          peer: 'libreswan',
          initiator,
          connection: { libreswan: ['mobike=yes'] },
          expect: { kind: 'roams', change: 'initiator moves' },
        }),
        scenario('libreswan/nat-forgets-peer-initiates', {
          peer: 'libreswan',
          initiator,
          nat: true,
          expect: { kind: 'roams', change: 'nat forgets' },
        }),
      ]),
  scenario(`libreswan/children-by-both-at-once-${initiator}-initiated`, {
    peer: 'libreswan',
    initiator,
    connection: perfect,
    limitMs: 180_000,
    expect: {
      kind: 'rekeys',
      loses: 'early packets',
      keepsBoth: true,
      steps: [{ by: 'both', ours: 'child', peers: 'child' }],
    },
  }),
  scenario(`libreswan/reauthentication-by-${initiator}`, {
    peer: 'libreswan',
    initiator,
    connection: perfect,
    limitMs: 180_000,
    expect: {
      kind: 'rekeys',
      loses: 'packets between',
      steps: times<Step>(3, { by: initiator, what: 'reauthentication' }),
    },
  }),
  ...ends.map((of) => death(of, 'frozen', initiator)),
  death(initiator === 'ours' ? 'peer' : 'ours', 'killed', initiator),
  death(initiator, 'killed and started', initiator),
])

function death(of: Death['of'], how: Death['how'], initiator: Death['of']): Scenario {
  const end: End = { daemon: ['retransmit_tries = 2', 'half_open_timeout = 10'] }
  return scenario(`libreswan/${of}-${how.replaceAll(' ', '-')}-${initiator}-initiated`, {
    peer: 'libreswan',
    initiator,
    limitMs: 180_000,
    ours: end,
    connection: {
      settings: ['dpd_delay = 1s', 'keyingtries = 0'],
      childSettings: ['dpd_action = restart'],
      libreswan: ['dpddelay=1s', 'retransmit-timeout=6s'],
      start: how === 'killed and started' ? 'start' : 'none',
    },
    expect: { kind: 'death', of, how },
  })
}
