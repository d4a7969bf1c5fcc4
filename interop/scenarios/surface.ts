/** The unmodified swanctl prints the same for Sallyport and for charon; our own client works; and so does our kernel interface. */
import type { Scenario } from '../lab/scenario.ts'
import { refused } from '../vici/events.ts'
import { espProposals, ikeProposals, scenario } from './base.ts'

/** Children that need no peer. */
const shunts = [
  `shunts { remote_addrs = 127.0.0.1
    children {
      let-pass { mode = pass\n local_ts = 10.200.0.0/16\n remote_ts = 10.201.0.0/16\n start_action = trap }
      throw-away { mode = drop\n local_ts = 10.202.0.0/16\n remote_ts = 10.203.0.0/16 }
    } }`,
]

/** Every sub-command, with certificates, a pool, shunts, and a connection that says as little as possible. */
function subcommands(
  name: string,
  reference?: Scenario['reference'],
  expect: Scenario['expect'] = { kind: 'same-subcommands' },
): Scenario {
  return scenario(name, {
    ...(reference && { reference }),
    connection: { auth: 'ecdsa' },
    ours: { pools: ['p4 { addrs = 10.77.0.0/24\n dns = 10.77.0.53 }'], connections: shunts },
    limitMs: expect.kind === 'same-client' ? 800_000 : 240_000,
    expect,
  })
}

/** Everything that a client can be told about SAs, in either role. */
function events(initiator: Scenario['initiator']): Scenario {
  const secrets = ['ike-liar { id = liar.lab.test\n secret = "not the truth" }']
  const theirs = ['ike-liar { id = liar.lab.test\n secret = "the truth" }']
  const weInitiate = initiator === 'ours'
  return scenario(`vici/events-${initiator}-initiates`, {
    reference: 'strongswan-new',
    initiator,
    ours: weInitiate ? { connections: refused('moon', 'sun'), secrets } : { secrets: theirs },
    theirs: weInitiate ? { secrets: theirs } : { connections: refused('sun', 'moon'), secrets },
    limitMs: 300_000,
    expect: { kind: 'same-events' },
  })
}

export const surface: readonly Scenario[] = [
  scenario('swanctl/psk', { expect: { kind: 'same-surface' } }),
  scenario('swanctl/ecdsa-transport', {
    connection: { auth: 'ecdsa', mode: 'transport' },
    expect: { kind: 'same-surface' },
  }),
  subcommands('vici/subcommands'),
  subcommands('vici/subcommands-6.1', 'strongswan-new'),
  subcommands('vici/subcommands-5.9', 'strongswan-old'),
  subcommands('vici/messages', 'strongswan-new', { kind: 'same-messages' }),
  subcommands('vici/client-sallyport', 'strongswan-new', { kind: 'same-client', daemon: 'sallyport' }),
  subcommands('vici/client-charon', 'strongswan-new', { kind: 'same-client', daemon: 'strongswan' }),
  events('ours'),
  events('peer'),
  scenario('vici/odd-input', {
    reference: 'strongswan-new',
    ours: { connections: refused('moon', 'sun') },
    limitMs: 240_000,
    expect: { kind: 'odd-input' },
  }),
  ...(['aesGcm', 'aesCbc256'] as const).map((suite) =>
    scenario(`exporter/${suite === 'aesGcm' ? 'aead' : 'classic'}`, {
      reference: 'strongswan-new',
      // The peer's daemon tells of its addresses when they have settled, and that is counted.
      connection: { auth: 'ecdsa', ike: ikeProposals[suite], esp: espProposals[suite], settings: ['mobike = no'] },
      ours: { pools: ['p4 { addrs = 10.77.0.0/24\n dns = 10.77.0.53 }'], connections: shunts },
      limitMs: 240_000,
      expect: { kind: 'same-series' },
    }),
  ),
  ...(['python', 'ruby', 'perl'] as const).map((language) =>
    scenario(`vici/library-${language}`, {
      reference: 'vici-clients',
      connection: { settings: ['mobike = no'] },
      limitMs: 240_000,
      expect: { kind: 'library', language },
    }),
  ),
  scenario('kernel/esp', { limitMs: 240_000, expect: { kind: 'test-file', file: 'src/kernel/esp.test.ts' } }),
  scenario('client/up-status-log-down', { expect: { kind: 'own-client' } }),
]
