/** Connections that must not come up, the notify that says why, and empty kernels afterwards. */
import type { Scenario } from '../lab/scenario.ts'
import { espProposals, ikeProposals, scenario } from './base.ts'

const both = ['ours', 'peer'] as const

export const refused: readonly Scenario[] = both.flatMap((initiator): Scenario[] => {
  const weInitiate = initiator === 'ours'
  return [
    scenario(`refused/wrong-psk-${initiator}-initiates`, {
      initiator,
      theirs: { secret: 'another secret' },
      expect: {
        kind: 'refused',
        initiator: /received AUTHENTICATION_FAILED notify error/,
        responder: /generating IKE_AUTH response 1 \[ N\(AUTH_FAILED\) \]/,
      },
    }),
    scenario(`refused/untrusted-initiator-${initiator}-initiates`, {
      initiator,
      connection: { auth: 'ecdsa' },
      [weInitiate ? 'ours' : 'theirs']: { certificate: 'untrusted' },
      expect: {
        kind: 'refused',
        initiator: /received AUTHENTICATION_FAILED notify error/,
        responder: /generating IKE_AUTH response 1 \[ N\(AUTH_FAILED\) \]/,
      },
    }),
    scenario(`refused/expired-initiator-${initiator}-initiates`, {
      initiator,
      connection: { auth: 'rsa' },
      [weInitiate ? 'ours' : 'theirs']: { certificate: 'expired' },
      expect: {
        kind: 'refused',
        initiator: /received AUTHENTICATION_FAILED notify error/,
        responder: /generating IKE_AUTH response 1 \[ N\(AUTH_FAILED\) \]/,
      },
    }),
    // RFC 7296 §2.21.2: the initiator says so in an exchange of its own.
    scenario(`refused/untrusted-responder-${initiator}-initiates`, {
      initiator,
      connection: { auth: 'ecdsa', settings: ['send_cert = always'] },
      [weInitiate ? 'theirs' : 'ours']: { certificate: 'untrusted' },
      expect: {
        kind: 'refused',
        initiator: /generating INFORMATIONAL request 2 \[ .*N\(AUTH_FAILED\)/,
        responder: /parsed INFORMATIONAL request 2 \[ .*N\(AUTH_FAILED\)/,
      },
    }),
    scenario(`refused/no-common-ike-proposal-${initiator}-initiates`, {
      initiator,
      theirs: { ike: ikeProposals.aesCbc256 },
      expect: {
        kind: 'refused',
        initiator: /received NO_PROPOSAL_CHOSEN notify error/,
        responder: /generating IKE_SA_INIT response 0 \[ N\(NO_PROP\) \]/,
      },
    }),
    scenario(`refused/no-common-esp-proposal-${initiator}-initiates`, {
      initiator,
      theirs: { esp: espProposals.aesCbc256 },
      expect: {
        kind: 'refused',
        initiator: /received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built/,
        responder: /generating IKE_AUTH response 1 \[ .*N\(NO_PROP\)/,
      },
    }),
    scenario(`refused/unacceptable-selectors-${initiator}-initiates`, {
      initiator,
      theirs: { localNetworks: ['10.7.0.0/16'] },
      expect: {
        kind: 'refused',
        initiator: /received TS_UNACCEPTABLE notify, no CHILD_SA built/,
        responder: /generating IKE_AUTH response 1 \[ .*N\(TS_UNACCEPT\)/,
      },
    }),
  ]
})
