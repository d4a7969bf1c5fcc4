/** Additional key exchanges (RFC 9370), post-quantum preshared keys (RFC 8784), childless IKE SAs (RFC 6023). */
import type { Proposal } from '../lab/connection.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const both = ['ours', 'peer'] as const
const ikeIntermediate = 43
const ikeFollowupKe = 44
const usePpk = 16435
const childlessSupported = 16418

/** What is additional for IKE and ESP alike. */
function additional(words: string): { readonly ike: Proposal; readonly esp: Proposal } {
  const of = (first: string): Proposal => ({ swanctl: `${first}-x25519-${words}`, libreswan: '' })
  return { ike: of('aes256gcm16-prfsha384'), esp: of('aes256gcm16') }
}

const rekeyed = {
  kind: 'up',
  rekeys: ['child', 'ike', 'child'],
  wire: { exchanges: [ikeIntermediate, ikeFollowupKe] },
} as const

const ppk = {
  ours: { ppk: 'thirty-two octets that both know' },
  theirs: { ppk: 'thirty-two octets that both know' },
}

export const quantum: readonly Scenario[] = both.flatMap((initiator) => [
  scenario(`quantum/mlkem768-${initiator}-initiates`, {
    initiator,
    root: 'strongswan-new',
    connection: additional('ke1_mlkem768'),
    expect: rekeyed,
  }),
  scenario(`quantum/two-more-groups-${initiator}-initiates`, {
    initiator,
    connection: { ...additional('ke1_ecp384-ke3_modp3072'), auth: 'ecdsa' },
    expect: rekeyed,
  }),
  scenario(`quantum/ppk-${initiator}-initiates`, {
    initiator,
    ...ppk,
    connection: { settings: ['ppk_id = lab-ppk', 'ppk_required = yes'] },
    expect: { kind: 'up', rekeys: ['ike'], wire: { initNotifies: [usePpk] }, says: "using PPK for PPK_ID 'lab-ppk'" },
  }),
  scenario(`quantum/another-ppk-${initiator}-initiates`, {
    initiator,
    ours: { ppk: 'thirty-two octets that both know' },
    theirs: { ppk: 'thirty-two octets that differ...' },
    connection: { settings: ['ppk_id = lab-ppk', 'ppk_required = yes'] },
    expect: { kind: 'refused', initiator: /AUTHENTICATION_FAILED/, responder: /MAC mismatched/ },
  }),
  scenario(`quantum/childless-${initiator}-initiates`, {
    initiator,
    connection: { settings: ['childless = force'] },
    expect: { kind: 'up', wire: { initNotifies: [childlessSupported] } },
  }),
])
