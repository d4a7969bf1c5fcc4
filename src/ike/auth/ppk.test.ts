/** What RFC 8784 says about single notifies; whole exchanges are in test/simulation/ppk.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection, hybridProposal, sharedSecret } from '../../../test/simulation/connection.ts'
import type { Connection } from '../../config/connection.ts'
import { defaultCoreSettings } from '../../config/daemon-settings.ts'
import { ikeKeys } from '../../crypto/keys.ts'
import { seededRandom } from '../../crypto/random.ts'
import { Secret } from '../../crypto/secret.ts'
import { parseIdentity } from '../../pki/identity.ts'
import { encodePayloads } from '../../wire/message.ts'
import { NOTIFY } from '../../wire/numbers.ts'
import type { AUTHPayload, Payload } from '../../wire/payloads/index.ts'
import { Core } from '../core.ts'
import { Refusal } from '../errors.ts'
import { IkeSa } from '../ike-sa.ts'
import { notify } from '../notifies.ts'
import { suiteOf } from '../proposals.ts'
import { acceptPpk, type PpkOffer, ppkAnswer, provePpk } from './ppk.ts'

const hex = (payload: Payload | undefined): string =>
  Buffer.from(encodePayloads(payload === undefined ? [] : [payload]).bytes).toString('hex')
const auth = (text: string): AUTHPayload => ({ type: 'AUTH', method: 14, data: Buffer.from(text) })
const failed = (error: unknown): boolean => error instanceof Refusal && error.notify === NOTIFY.AUTHENTICATION_FAILED

/** An IKE SA in IKE_AUTH, both sides of which have said USE_PPK. */
function agreed(role: 'initiator' | 'responder', more: Partial<Connection>): IkeSa {
  const core = new Core({ random: seededRandom(Buffer.from('ppk')), settings: defaultCoreSettings, strict: true })
  core.credentials = {
    anchors: [],
    certificates: [],
    privateKeys: new Map(),
    secrets: [{ ...sharedSecret('thirty-two octets that both know', 'lab-ppk'), type: 'ppk' }],
  }
  const local = { address: '192.0.2.1', port: 500 }
  const sa = new IkeSa(core, { role, spiI: 1n, spiR: 2n, local, remote: { ...local, address: '192.0.2.2' } })
  sa.connection = connection({ name: 'lab', ...more })
  sa.suite = suiteOf({ ...hybridProposal(), number: 1, spi: new Uint8Array() })
  const nonce = new Uint8Array(32)
  sa.keys = ikeKeys(sa.suite, Secret.of(new Uint8Array(32).fill(7)), nonce, nonce, nonce, nonce)
  sa.ppk = 'agreed'
  return sa
}

/** As initiator; the proofs say under which keys they were made. */
function offer(sa: IkeSa): PpkOffer {
  const base = sa.keys
  // biome-ignore lint/correctness/useYield: a proof that is there at once
  const script = provePpk(sa, function* () {
    return { certificates: [], auth: auth(sa.keys === base ? 'without' : 'with') }
  })
  const { done, value } = script.next()
  assert.ok(done)
  return value
}

const ppkId = parseIdentity('lab-ppk')

test('the notifies of RFC 8784, octet by octet', () => {
  assert.equal(hex(notify(NOTIFY.USE_PPK)), '0000000800004033')
  const { notifies, proof } = offer(agreed('initiator', { ppkId }))
  // PPK_ID_FIXED, then the identifier; and the proof without the PPK.
  assert.deepEqual(notifies.map(hex), [
    `0000001000004034${'02'}${Buffer.from('lab-ppk').toString('hex')}`,
    `0000000f00004035${Buffer.from('without').toString('hex')}`,
  ])
  assert.equal(Buffer.from(proof.auth.data).toString(), 'with')
})

test('a PPK that is demanded: nothing is proven without it', () => {
  const { notifies } = offer(agreed('initiator', { ppkId, ppkRequired: true }))
  assert.deepEqual(
    notifies.map(({ notify }) => notify),
    [NOTIFY.PPK_IDENTITY],
  )
})

test('as initiator: what is in the PPK_IDENTITY of the responder does not matter', () => {
  const sa = agreed('initiator', { ppkId, ppkRequired: true })
  offer(sa).settle([notify(NOTIFY.PPK_IDENTITY, Uint8Array.of(1, 2, 3))])
  assert.equal(sa.ppk, 'used')
})

test('as initiator: a responder that does not use the PPK is refused, or believed without', () => {
  assert.throws(() => offer(agreed('initiator', { ppkId, ppkRequired: true })).settle([]), failed)
  const sa = agreed('initiator', { ppkId })
  const before = sa.keys
  const { settle } = offer(sa)
  assert.notEqual(sa.keys, before)
  settle([])
  assert.equal(sa.keys, before)
  assert.notEqual(sa.ppk, 'used')
})

test('as responder: the answer has no data', () => {
  const sa = agreed('responder', {})
  const { keys } = sa
  assert.ok(keys)
  const named = notify(NOTIFY.PPK_IDENTITY, Buffer.from('\x02lab-ppk'))
  assert.deepEqual(acceptPpk(sa, keys, [named], auth('with')), auth('with'))
  assert.deepEqual(ppkAnswer(sa).map(hex), ['0000000800004034'])
})

for (const [what, more, notifies, result] of [
  ['no PPK_IDENTITY', {}, [notify(NOTIFY.NO_PPK_AUTH, Buffer.from('without'))], undefined],
  ['an unknown PPK_ID and no NO_PPK_AUTH', {}, [notify(NOTIFY.PPK_IDENTITY, Buffer.from('\x02other'))], undefined],
  [
    'an unknown PPK_ID where one is demanded',
    { ppkRequired: true },
    [notify(NOTIFY.PPK_IDENTITY, Buffer.from('\x02other')), notify(NOTIFY.NO_PPK_AUTH, Buffer.from('without'))],
    undefined,
  ],
  [
    'a PPK_ID of another type than PPK_ID_FIXED',
    {},
    [notify(NOTIFY.PPK_IDENTITY, Buffer.from('\x01lab-ppk'))],
    undefined,
  ],
  [
    'an unknown PPK_ID with NO_PPK_AUTH',
    {},
    [notify(NOTIFY.PPK_IDENTITY, Buffer.from('\x02other')), notify(NOTIFY.NO_PPK_AUTH, Buffer.from('without'))],
    'without',
  ],
] as const) {
  test(`as responder: ${what}${result === undefined ? ' is refused' : ': NO_PPK_AUTH is what is verified'}`, () => {
    const sa = agreed('responder', more)
    const { keys } = sa
    assert.ok(keys)
    const accept = () => acceptPpk(sa, keys, notifies, auth('with'))
    if (result === undefined) assert.throws(accept, failed)
    // The method stays that of AUTH.
    else assert.deepEqual(accept(), { ...auth('with'), data: Buffer.from(result) })
  })
}
