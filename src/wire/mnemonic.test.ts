import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeMessage, describePayload, notifyMnemonic } from './mnemonic.ts'
import type { Payload } from './payloads/index.ts'

const none = new Uint8Array()
const n = (notify: number): Payload => ({ type: 'N', protocol: 0, spi: none, notify, data: none })
const eap = (...octets: number[]): Payload => ({ type: 'EAP', data: Uint8Array.from(octets) })
const request = { exchange: 34, flags: { initiator: true, response: false }, messageId: 0 }

test('a request as charon logs it', () => {
  const payloads: readonly Payload[] = [
    { type: 'SA', proposals: [] },
    { type: 'KE', method: 31, data: none },
    { type: 'Nonce', nonce: new Uint8Array(16) },
    ...[16388, 16389, 16430, 16431, 16406].map(n),
  ]
  assert.equal(
    describeMessage({ ...request, payloads }),
    'IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) N(REDIR_SUP) ]',
  )
})

test('a response with a fragment, an empty request, an exchange without name', () => {
  const response = { exchange: 35, flags: { initiator: false, response: true }, messageId: 1 }
  const fragment: Payload = { type: 'SKF', inner: 36, fragment: 1, total: 2, body: none }
  assert.equal(describeMessage({ ...response, payloads: [fragment] }), 'IKE_AUTH response 1 [ EF(1/2) ]')
  assert.equal(describeMessage({ ...request, exchange: 37, messageId: 7, payloads: [] }), 'INFORMATIONAL request 7 [ ]')
  assert.equal(describeMessage({ ...request, exchange: 200, payloads: [] }), '(200) request 0 [ ]')
})

for (const [text, payload] of [
  ['IDi', { type: 'IDi', idType: 2, data: none }],
  ['TSr', { type: 'TSr', selectors: [] }],
  ['D', { type: 'D', protocol: 1, spiSize: 0, spis: [] }],
  ['E', { type: 'SK', inner: 0, body: none }],
  ['UNKN(200)', { type: 'Unknown', number: 200, critical: false, body: none }],
  ['N((12345))', n(12345)],
  ['N(AUTH_FAILED)', n(24)],
  ['EAP/REQ/MD5', eap(1, 0, 0, 5, 4)],
  ['EAP/RES/ID', eap(2, 0, 0, 5, 1)],
  ['EAP/RES/(99)', eap(2, 0, 0, 5, 99)],
  ['EAP/SUCC', eap(3, 0, 0, 4)],
  ['EAP/FAIL', eap(4, 0, 0, 4)],
  [
    'CPRQ(ADDR DNS)',
    {
      type: 'CP',
      cfgType: 1,
      attributes: [
        { type: 1, value: none },
        { type: 3, value: none },
      ],
    },
  ],
  [
    'CPRP((9999) U_BANNER)',
    { type: 'CP', cfgType: 2, attributes: [9999, 28672].map((type) => ({ type, value: none })) },
  ],
  ['CPS', { type: 'CP', cfgType: 3, attributes: [] }],
] as const satisfies readonly (readonly [string, Payload])[]) {
  test(`payload ${text}`, () => {
    assert.equal(describePayload(payload), text)
  })
}

test('every mnemonic that scrapers of charon know is there', () => {
  const known = `CRIT INVAL_IKE_SPI INVAL_MAJOR INVAL_SYN INVAL_MID INVAL_SPI NO_PROP INVAL_KE AUTH_FAILED SINGLE_PAIR
    NO_ADD_SAS INT_ADDR_FAIL FAIL_CP_REQ TS_UNACCEPT INVAL_SEL UNACCEPT_ADDR UNEXPECT_NAT TEMP_FAIL NO_CHILD_SA NO_STATE
    MAX_QUEUE INIT_CONTACT SET_WINSIZE ADD_TS_POSS IPCOMP_SUP NATD_S_IP NATD_D_IP COOKIE USE_TRANSP HTTP_CERT_LOOK
    REKEY_SA ESP_TFC_PAD_N NON_FIRST_FRAG MOBIKE_SUP ADD_4_ADDR ADD_6_ADDR NO_ADD_ADDR UPD_SA_ADDR COOKIE2 NO_NATS
    AUTH_LFT MULT_AUTH AUTH_FOLLOWS REDIR_SUP REDIR REDIR_FROM EAP_ONLY CHDLESS_SUP MSG_ID_SYN_SUP FRAG_SUP HASH_ALG
    USE_PPK PPK_ID NO_PPK IKE_INT_SUP ADD_KE AGGFRAG RES_INFO BEET_MODE`.split(/\s+/)
  const ours = new Set(Array.from({ length: 65536 }, (_, type) => notifyMnemonic(type)))
  assert.deepEqual(
    known.filter((text) => !ours.has(text)),
    [],
  )
})
