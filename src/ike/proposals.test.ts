/** Selection of algorithms (RFC 7296 §2.7, §3.3.6). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encr, espProposal, ikeProposal, integ } from '../../test/simulation/connection.ts'
import type { ConfiguredProposal } from '../config/connection.ts'
import { ENCR, ESN, INTEG, KE, PRF, PROTOCOL, TRANSFORM_TYPE } from '../wire/numbers.ts'
import type { Proposal } from '../wire/payloads/index.ts'
import { accepted, proposalOf, type SelectionRules, select } from './proposals.ts'

const rules: SelectionRules = { preferConfigured: true }
const noSpi = new Uint8Array()

function offer(...proposals: readonly ConfiguredProposal[]): Proposal[] {
  return proposals.map((one, i) => proposalOf(one, i + 1, noSpi))
}

const gcm = espProposal([encr(ENCR.AES_GCM_16, 128)])
const cbc = espProposal([encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_256_128)])
const cbcMany: ConfiguredProposal = espProposal(
  [encr(ENCR.AES_CBC, 256), encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_512_256), integ(INTEG.HMAC_SHA2_256_128)],
  [ESN.ESN, ESN.NO_ESN],
)

test('one proposal is chosen, and of it one transform of each type', () => {
  const chosen = select([cbcMany, gcm], offer(cbcMany, gcm), rules)
  assert.deepEqual(chosen, {
    protocol: 'ESP',
    number: 1,
    spi: noSpi,
    transforms: [encr(ENCR.AES_CBC, 256), integ(INTEG.HMAC_SHA2_512_256), { type: TRANSFORM_TYPE.ESN, id: ESN.ESN }],
  })
  const ike = select(
    [ikeProposal([KE.ECP_256, KE.CURVE_25519], false)],
    offer(ikeProposal([KE.CURVE_25519], false)),
    rules,
  )
  assert.deepEqual(
    ike?.transforms.map(({ type, id }) => [type, id]),
    [
      [TRANSFORM_TYPE.ENCR, ENCR.AES_CBC],
      [TRANSFORM_TYPE.PRF, PRF.HMAC_SHA2_256],
      [TRANSFORM_TYPE.INTEG, INTEG.HMAC_SHA2_256_128],
      [TRANSFORM_TYPE.KE, KE.CURVE_25519],
    ],
  )
})

test('nothing in common is nothing: algorithms are not put together from two proposals', () => {
  const aes256 = espProposal([encr(ENCR.AES_CBC, 256), integ(INTEG.HMAC_SHA2_256_128)])
  const sha512 = espProposal([encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_512_256)])
  const wanted = espProposal([encr(ENCR.AES_CBC, 256), integ(INTEG.HMAC_SHA2_512_256)])
  assert.equal(select([wanted], offer(aes256, sha512), rules), undefined)
})

test('the protocol is that of the proposal, and ESP is not AH', () => {
  const ah: ConfiguredProposal = {
    protocol: 'AH',
    transforms: cbc.transforms.filter(({ type }) => type !== TRANSFORM_TYPE.ENCR),
  }
  assert.equal(select([ah], offer(cbc), rules), undefined)
  const chosen = select([ah], offer(ah), rules)
  assert.deepEqual([chosen?.protocol, proposalOf(ah, 1, noSpi).protocol], ['AH', PROTOCOL.AH])
})

test('a cipher that protects itself goes with no integrity or with NONE, in a proposal of its own', () => {
  const none = espProposal([encr(ENCR.AES_GCM_16, 128), integ(INTEG.NONE)])
  assert.equal(select([gcm], offer(cbc, none), rules)?.number, 2)
  assert.equal(select([none], offer(cbc, gcm), rules)?.number, 2)
  const both = espProposal([encr(ENCR.AES_GCM_16, 128), integ(INTEG.HMAC_SHA2_256_128)])
  assert.equal(select([gcm], offer(both), rules), undefined)
})

test('our order decides, or the order of the peer', () => {
  const received = offer(gcm, cbc)
  assert.equal(select([cbc, gcm], received, rules)?.number, 2)
  assert.equal(select([cbc, gcm], received, { ...rules, preferConfigured: false })?.number, 1)
})

test('an initiator takes one proposal with one transform of each type, all of them offered', () => {
  const ours = [cbcMany, gcm]
  const [one, two] = [offer(cbc)[0], offer(gcm)[0]]
  assert.ok(one && two)
  const second = { ...two, number: 2 }
  assert.equal(accepted(ours, [one], rules)?.number, 1)
  assert.equal(accepted(ours, [second], rules)?.number, 2)
  assert.equal(accepted(ours, [one, second], rules), undefined, 'two proposals')
  assert.equal(accepted(ours, [], rules), undefined, 'none')
  assert.equal(accepted(ours, offer(cbcMany), rules), undefined, 'several transforms of a type')
  assert.equal(accepted(ours, [two], rules), undefined, 'what was proposed under another number')
  assert.equal(accepted(ours, [{ ...one, number: 3 }], rules), undefined, 'a number that was not proposed')
  const other = proposalOf(espProposal([encr(ENCR.AES_CBC, 192), integ(INTEG.HMAC_SHA2_256_128)]), 1, noSpi)
  assert.equal(accepted(ours, [other], rules), undefined, 'a key length that was not proposed')
  assert.equal(accepted(ours, [{ ...one, protocol: PROTOCOL.AH }], rules), undefined, 'another protocol')
  const incomplete = { ...one, transforms: one.transforms.filter(({ type }) => type !== TRANSFORM_TYPE.INTEG) }
  assert.equal(accepted(ours, [incomplete], rules), undefined, 'a type is missing')
})
