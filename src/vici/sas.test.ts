import assert from 'node:assert/strict'
import test from 'node:test'
import { memoryFiles } from '../config/files.ts'
import { parseConf } from '../config/grammar.ts'
import { loadConnection } from '../config/load-conn.ts'
import { connectionTree } from '../config/swanctl.ts'
import { findSection, findText, formatTree } from '../config/tree.ts'
import type { Event } from '../ike/output.ts'
import { parseIdentity } from '../pki/identity.ts'
import { connectionSection } from './conns.ts'
import { sampleChild, sampleIkeSa } from './samples.ts'
import { eventMessage, ikeSaSection, policySection } from './sas.ts'

const ike =
  'uniqueid=13 version=2 state=ESTABLISHED local-host=192.0.2.1 local-port=4500 local-id=carol@lab.org ' +
  'remote-host=192.0.2.2 remote-port=4500 remote-id=gw.lab.org initiator=yes initiator-spi=b57d5a2db0a40661 ' +
  'responder-spi=3cceb2f8d2531395 nat-remote=yes nat-any=yes encr-alg=AES_CBC encr-keysize=128 ' +
  'integ-alg=HMAC_SHA2_256_128 prf-alg=PRF_HMAC_SHA2_256 dh-group=ECP_256 established=0 rekey-time=13204 ' +
  'local-vips=[10.77.0.1 fec7::1]'

const child =
  'name=ud uniqueid=13 reqid=3 state=INSTALLED mode=TUNNEL protocol=ESP encap=yes spi-in=33691e19 spi-out=54d95869 ' +
  'mark-in=00000005 mark-out=00000010 mark-mask-out=000000ff if-id-in=00000001 if-id-out=00000007 ' +
  'encr-alg=AES_GCM_16 encr-keysize=128 bytes-in=0 packets-in=0 bytes-out=0 packets-out=0 rekey-time=3345 ' +
  'life-time=3960 install-time=0 local-ts=[10.77.0.1/32] remote-ts=[10.2.0.0/16]'

test('list-sa is what charon sends, field by field', () => {
  assert.equal(formatTree(ikeSaSection(sampleIkeSa)), `ud {${ike} child-sas {ud-13 {${child}}}}`)
})

test('a fresh responder: no name, no times, ids unknown, child-sas there and empty', () => {
  const { name, localId, remoteId, proposal, established, rekeyTime, ...rest } = sampleIkeSa
  const view = {
    ...rest,
    state: 'CONNECTING' as const,
    initiator: false,
    spiR: 0n,
    established: 5,
    rekeyTime: 6,
    localVips: [],
  }
  const passive = { ...view, natRemote: false, natAny: false, children: [], tasksPassive: ['IKE_INIT', 'IKE_NATD'] }
  assert.equal(
    formatTree(ikeSaSection(passive)),
    '(unnamed) {uniqueid=13 version=2 state=CONNECTING local-host=192.0.2.1 local-port=4500 local-id=%any ' +
      'remote-host=192.0.2.2 remote-port=4500 remote-id=%any initiator-spi=b57d5a2db0a40661 ' +
      'responder-spi=0000000000000000 tasks-passive=[IKE_INIT IKE_NATD] child-sas {}}',
  )
})

test('an EAP identity only when it is another than the IKE identity', () => {
  const eap = (text: string) => formatTree(ikeSaSection({ ...sampleIkeSa, remoteEapId: parseIdentity(text) }))
  assert.match(eap('carol'), /remote-id=gw\.lab\.org remote-eap-id=carol initiator=yes/)
  assert.doesNotMatch(eap('gw.lab.org'), /remote-eap-id/)
})

test('every optional field of an IKE SA and a child, in place', () => {
  const view = {
    ...sampleIkeSa,
    natLocal: true,
    natFake: true,
    ifIdIn: 2,
    ifIdOut: 3,
    proposal: {
      encryption: { id: 28 },
      prf: { id: 6 },
      keyExchange: 31,
      additionalKeyExchanges: [36, 0, 37],
      esn: false,
    },
    ppk: true,
    reauthTime: -4,
    remoteVips: ['10.0.0.1'],
    tasksQueued: ['CHILD_CREATE'],
    tasksActive: ['IKE_DPD'],
    children: [
      {
        ...sampleChild,
        label: Uint8Array.of(0xab, 0xcd),
        encap: false,
        cpiIn: 0x12,
        cpiOut: 0xabcd,
        perCpuSas: true,
        cpu: 0,
        proposal: {
          encryption: { id: 12, keyBits: 256 },
          integrity: { id: 12 },
          keyExchange: 31,
          additionalKeyExchanges: [],
          esn: true,
        },
        bytesIn: 2n ** 40n,
        useIn: 1,
        useOut: 2,
      },
    ],
  }
  const text = formatTree(ikeSaSection(view))
  assert.match(
    text,
    /nat-local=yes nat-remote=yes nat-fake=yes nat-any=yes if-id-in=00000002 if-id-out=00000003 encr-alg=CHACHA20_POLY1305 prf-alg=PRF_HMAC_SHA2_384 dh-group=CURVE_25519 ake1=ML_KEM_768 ake3=ML_KEM_1024 ppk=yes established=0 rekey-time=13204 reauth-time=-4 local-vips=\[10\.77\.0\.1 fec7::1\] remote-vips=\[10\.0\.0\.1\] tasks-queued=\[CHILD_CREATE\] tasks-active=\[IKE_DPD\] child-sas/,
  )
  assert.match(
    text,
    /mode=TUNNEL label=abcd protocol=ESP spi-in=33691e19 spi-out=54d95869 cpi-in=0012 cpi-out=abcd mark-in=.* if-id-out=00000007 per-cpu-sas=yes cpu=0 encr-alg=AES_CBC encr-keysize=256 integ-alg=HMAC_SHA2_256_128 dh-group=CURVE_25519 esn=1 bytes-in=1099511627776 packets-in=0 use-in=1 bytes-out=0 packets-out=0 use-out=2 rekey-time/,
  )
})

test('a child without an SA shows no SA', () => {
  const text = formatTree(ikeSaSection({ ...sampleIkeSa, children: [{ ...sampleChild, state: 'ROUTED' }] }))
  assert.match(text, /ud-13 \{name=ud uniqueid=13 reqid=3 state=ROUTED mode=TUNNEL local-ts=/)
})

const events: readonly (readonly [Event, string, string])[] = [
  [{ kind: 'ike-updown', up: true, ikeSa: sampleIkeSa }, 'ike-updown', `up=yes ud {${ike}}`],
  [{ kind: 'ike-updown', up: false, ikeSa: sampleIkeSa }, 'ike-updown', `ud {${ike}}`],
  [
    { kind: 'child-updown', up: true, ikeSa: sampleIkeSa },
    'child-updown',
    `up=yes ud {${ike} child-sas {ud-13 {${child}}}}`,
  ],
  [{ kind: 'ike-rekey', old: sampleIkeSa, new: sampleIkeSa }, 'ike-rekey', `ud {old {${ike}} new {${ike}}}`],
  [
    { kind: 'child-rekey', ikeSa: { ...sampleIkeSa, children: [sampleChild, { ...sampleChild, uniqueId: 14 }] } },
    'child-rekey',
    `ud {${ike} child-sas {ud {old {${child}} new {${child.replace('uniqueid=13', 'uniqueid=14')}}}}}`,
  ],
  [
    {
      kind: 'ike-update',
      local: { address: '192.0.2.9', port: 500 },
      remote: { address: '192.0.2.8', port: 501 },
      ikeSa: sampleIkeSa,
    },
    'ike-update',
    `local-host=192.0.2.9 local-port=500 remote-host=192.0.2.8 remote-port=501 ud {${ike}}`,
  ],
  [
    { kind: 'ike-state', state: 'ESTABLISHED', ikeSa: { ...sampleIkeSa, children: [] } },
    'ike-state-established',
    `ud {${ike} child-sas {}}`,
  ],
  [
    { kind: 'child-state', state: 'INSTALLED', ikeSa: sampleIkeSa },
    'child-state-installed',
    `ud {${ike} child-sas {ud {${child}}}}`,
  ],
  [{ kind: 'alert', alert: 'shutdown-signal' }, 'alert', 'type=shutdown-signal'],
  [{ kind: 'alert', alert: 'ts-mismatch', ikeSa: sampleIkeSa }, 'alert', `type=ts-mismatch ike-sa {ud {${ike}}}`],
]

for (const [event, name, expected] of events) {
  test(`event ${name}${'up' in event && event.up ? ' up' : ''}`, () => {
    const message = eventMessage(event)
    assert.equal(message.name, name)
    assert.equal(formatTree(message.message), expected)
  })
}

test('policies: traps with their connection and reqid, shunts without', () => {
  const { localTs, remoteTs } = sampleChild
  const ts = 'local-ts=[10.77.0.1/32] remote-ts=[10.2.0.0/16]'
  assert.equal(
    formatTree(
      policySection({
        connection: 'gw',
        child: 'net',
        reqid: 1,
        mode: 'TUNNEL',
        localTs,
        remoteTs,
      }),
    ),
    `gw/net {child=net reqid=1 ike=gw mode=TUNNEL ${ts}}`,
  )
  assert.equal(
    formatTree(policySection({ child: 'lan', mode: 'PASS', localTs, remoteTs })),
    `lan {child=lan mode=PASS ${ts}}`,
  )
})

test('list-conn', () => {
  const files = memoryFiles({})
  const conf = parseConf(
    `local_addrs = 192.0.2.1
     proposals = aes128gcm16-prfsha256-x25519-ke1_mlkem768, aes256-sha256-modp3072
     dpd_delay = 30
     reauth_time = 1h
     unique = replace
     local { auth = psk
             eap_id = carol
             id = moon }
     remote { auth = eap-md5
              revocation = strict }
     children { net { esp_proposals = aes128gcm16-x25519-none
                      close_action = trap|start
                      priority = 7 }
                lan { mode = pass
                      ah_proposals = sha256 } }`,
    '/x',
    files,
  )
  const { connection } = loadConnection('gw', connectionTree(conf.root, { directory: '/', files }), files)
  const tree = connectionSection(connection)
  const gw = findSection(tree, 'gw') ?? assert.fail()
  assert.equal(
    formatTree(gw.filter(({ name }) => name !== 'children')),
    'local_addrs=[192.0.2.1] remote_addrs=[%any] local_port=500 remote_port=500 version=IKEv2 reauth_time=3600 ' +
      'rekey_time=0 unique=UNIQUE_REPLACE proposals {' +
      '0 {encr=[AES_GCM_16_128] prf=[PRF_HMAC_SHA2_256] ke=[CURVE_25519] ake1=[ML_KEM_768]} ' +
      '1 {encr=[AES_CBC_256] integ=[HMAC_SHA2_256_128] prf=[PRF_HMAC_SHA2_256] ke=[MODP_3072]}} dpd_delay=30 ' +
      'local-1 {id=moon class=pre-shared key eap_id=carol groups=[] cert_policy=[] certs=[] cacerts=[]} ' +
      'remote-1 {class=EAP eap-type=EAP_MD5 revocation=GOOD groups=[] cert_policy=[] certs=[] cacerts=[]}',
  )
  assert.equal(
    formatTree(findSection(gw, 'children') ?? []),
    'net {mode=TUNNEL rekey_time=3600 rekey_bytes=0 rekey_packets=0 dpd_action=none close_action=trap | start ' +
      'esp_proposals {0 {encr=[AES_GCM_16_128] ke=[CURVE_25519 KE_NONE] sn=[NO_EXT_SEQ]}} ah_proposals {} ' +
      'local-ts=[dynamic] remote-ts=[dynamic] priority=7} ' +
      'lan {mode=PASS rekey_time=3600 rekey_bytes=0 rekey_packets=0 dpd_action=none close_action=none ' +
      'esp_proposals {} ah_proposals {0 {integ=[HMAC_SHA2_256_128] sn=[NO_EXT_SEQ]}} local-ts=[dynamic] remote-ts=[dynamic]}',
  )
})

test('a connection with several rounds: all of them, in the order of `round`', () => {
  const files = memoryFiles({})
  const conf = parseConf(
    `local-user { round = 2
                  auth = psk
                  id = user }
     local-machine { round = 1
                     auth = pubkey
                     id = machine }
     remote-b { id = second }
     remote-a { id = first
                round = 0 }`,
    '/x',
    files,
  )
  const { connection } = loadConnection('gw', connectionTree(conf.root, { directory: '/', files }), files)
  const gw = findSection(connectionSection(connection), 'gw') ?? assert.fail()
  const rounds = gw.flatMap((item) => (item.kind === 'section' && /^(local|remote)-/.test(item.name) ? [item] : []))
  assert.deepEqual(
    rounds.map(({ name, items }) => `${name} ${findText(items, 'id')} ${findText(items, 'class')}`),
    [
      'local-1 machine public key',
      'local-2 user pre-shared key',
      'remote-1 second undefined',
      'remote-2 first undefined',
    ],
  )
})
