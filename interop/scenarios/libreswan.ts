/** Against libreswan: authentication, NAT, post-quantum preshared keys and rekeying, in both roles. */
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
        scenario('libreswan/nat-forgets-peer-initiates', {
          peer: 'libreswan',
          initiator,
          nat: true,
          expect: { kind: 'roams', change: 'nat forgets' },
        }),
      ]),
])
