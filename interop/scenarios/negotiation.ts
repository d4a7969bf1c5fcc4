/** What can happen on the way to an SA: other algorithms, a wrong group, a cookie, fragments, a packet as the trigger. */
import type { End, Proposal } from '../lab/connection.ts'
import type { Scenario } from '../lab/scenario.ts'
import { espProposals, ikeProposals, scenario } from './base.ts'

const both = ['ours', 'peer'] as const
const cookie = 16390
const invalidKePayload = 17

const suites: readonly (readonly [name: string, ike: Proposal, esp: Proposal, kernel: readonly string[]])[] = [
  ['chacha20poly1305', ikeProposals.chacha, espProposals.chacha, ['aead rfc7539esp(chacha20,poly1305)']],
  ['cbc-sha256', ikeProposals.aesCbc256, espProposals.aesCbc256, ['enc cbc(aes)', 'auth-trunc hmac(sha256) (key) 128']],
  ['cbc-sha384', ikeProposals.aesCbc384, espProposals.aesCbc384, ['enc cbc(aes)', 'auth-trunc hmac(sha384) (key) 192']],
  ['cbc-sha512', ikeProposals.aesCbc512, espProposals.aesCbc512, ['enc cbc(aes)', 'auth-trunc hmac(sha512) (key) 256']],
  ['esn', ikeProposals.aesGcm, espProposals.aesGcmEsn, ['aead rfc4106(gcm(aes))', 'esn']],
]

/** First a group that the responder does not take. */
const wrongGroupFirst: Proposal = {
  swanctl: 'aes128gcm16-prfsha256-ecp256-x25519',
  libreswan: 'aes_gcm128-sha2_256-dh19+dh31',
}

const severalIke: Proposal = {
  swanctl:
    'aes128gcm16-prfsha256-x25519, chacha20poly1305-prfsha256-x25519, aes256-aes192-sha512-sha384-ecp384-modp3072',
  libreswan: 'aes_gcm128-sha2_256-dh31,aes192-sha2_384-dh20',
}
const severalEsp: Proposal = {
  swanctl: 'aes256gcm16, aes256-aes128-sha384-sha256',
  libreswan: 'aes_gcm256,aes128-sha2_256',
}
const moonNet = '10.1.0.0/16'
const sunNet = '10.2.0.0/16'

/** Gives the ends by their role in the exchange. */
function ends(initiator: 'ours' | 'peer', first: End, second: End): Pick<Scenario, 'initiator' | 'ours' | 'theirs'> {
  return initiator === 'ours' ? { initiator, ours: first, theirs: second } : { initiator, ours: second, theirs: first }
}

export const negotiation: readonly Scenario[] = both.flatMap((initiator) => [
  ...suites.map(([name, ike, esp, kernel]) =>
    scenario(`suites/${name}-${initiator}-initiates`, {
      initiator,
      connection: { ike, esp },
      expect: { kind: 'up', kernel },
    }),
  ),
  scenario(`negotiation/wrong-group-first-${initiator}-initiates`, {
    ...ends(initiator, { ike: wrongGroupFirst }, {}),
    expect: { kind: 'up', wire: { initNotifies: [invalidKePayload] } },
  }),
  scenario(`negotiation/cookie-${initiator}-initiates`, {
    ...ends(initiator, {}, { daemon: ['cookie_threshold = 1'] }),
    halfOpenFirst: true,
    expect: { kind: 'up', wire: { initNotifies: [cookie] } },
  }),
  scenario(`negotiation/cookie-and-wrong-group-${initiator}-initiates`, {
    ...ends(initiator, { ike: wrongGroupFirst }, { daemon: ['cookie_threshold = 1'] }),
    halfOpenFirst: true,
    expect: { kind: 'up', wire: { initNotifies: [cookie, invalidKePayload] } },
  }),
  scenario(`negotiation/fragments-of-a-chain-${initiator}-initiates`, {
    initiator,
    connection: { auth: 'rsa', settings: ['send_cert = always'] },
    ours: { certificate: 'chain' },
    theirs: { certificate: 'chain' },
    expect: { kind: 'up', wire: { fragments: ['request', 'response'] } },
  }),
  scenario(`negotiation/small-fragments-${initiator}-initiates`, {
    initiator,
    connection: { auth: 'ecdsa' },
    ours: { daemon: ['fragment_size = 400'] },
    theirs: { daemon: ['fragment_size = 400'] },
    expect: { kind: 'up', wire: { fragments: ['request', 'response'] } },
  }),
  scenario(`negotiation/several-proposals-${initiator}-initiates`, {
    ...ends(
      initiator,
      { ike: severalIke, esp: severalEsp },
      { ike: ikeProposals.aesCbc384, esp: espProposals.aesCbc256 },
    ),
    expect: { kind: 'up', kernel: ['auth-trunc hmac(sha256) (key) 128'] },
  }),
  // RFC 7296 §2.9: the responder takes the part that it allows.
  scenario(`negotiation/narrowing-${initiator}-initiates`, {
    ...ends(initiator, { remoteNetworks: ['10.0.0.0/8'] }, {}),
    expect: { kind: 'up', selectors: initiator === 'ours' ? [moonNet, sunNet] : [sunNet, moonNet] },
  }),
  scenario(`negotiation/trap-${initiator}-initiates`, { initiator, connection: { start: 'trap' } }),
  scenario(`negotiation/trap-transport-${initiator}-initiates`, {
    initiator,
    connection: { start: 'trap', mode: 'transport' },
  }),
  scenario(`negotiation/ended-by-responder-${initiator}-initiates`, {
    initiator,
    expect: { kind: 'up', endedBy: 'responder' },
  }),
  scenario(`negotiation/ended-by-end-of-daemon-${initiator}-initiates`, {
    initiator,
    expect: { kind: 'up', endedBy: 'end-of-daemon' },
  }),
  scenario(`negotiation/start-${initiator}-initiates`, { initiator, connection: { start: 'start' } }),
])
