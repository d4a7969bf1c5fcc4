import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encr, hybridEsp, hybridProposal, ikeProposal } from '../../test/simulation/connection.ts'
import type { ConfiguredProposal, ProposedTransform } from '../config/connection.ts'
import { ENCR, INTEG, KE, TRANSFORM_TYPE } from '../wire/numbers.ts'
import { accepted, additionalKeyExchanges, proposalOf, type SelectionRules, select } from './proposals.ts'

const rules: SelectionRules = { preferConfigured: true }
const spi = new Uint8Array()
const offered = (...proposals: readonly ConfiguredProposal[]) => proposals.map((p, i) => proposalOf(p, i + 1, spi))
/** What `hybridProposal` makes of these methods for ADDKE1, ADDKE2, …, as one that has been selected. */
const answer = (number: number, ...methods: readonly number[]) => [
  { ...proposalOf(hybridProposal(...methods.map((id) => [id])), number, spi) },
]

test('RFC 9370 §2.2.1: one transform of each ADDKE type of the proposal is selected', () => {
  const [a, b] = [hybridProposal([KE.ML_KEM_768, KE.ML_KEM_512], [KE.ECP_256, KE.ECP_384]), hybridProposal()]
  const selected = select([a], offered(b, a), rules)
  assert.ok(selected)
  assert.equal(selected.number, 2)
  const types = selected.transforms.map(({ type }) => type).filter((type) => type >= TRANSFORM_TYPE.ADDKE1)
  assert.deepEqual(types, [6, 7])
  assert.deepEqual(additionalKeyExchanges(selected), [KE.ML_KEM_768, KE.ECP_256])
})

test('RFC 9370 §2.2.1: ADDKE types that a proposal leaves out are NONE', () => {
  const withNone = hybridProposal([KE.ML_KEM_768, 0])
  assert.ok(select([withNone], offered(ikeProposal()), rules))
  assert.ok(select([ikeProposal()], offered(withNone), rules))
  assert.equal(select([hybridProposal([KE.ML_KEM_768])], offered(ikeProposal()), rules), undefined)
})

test('RFC 9370 §2.2.1: no method twice, neither as responder nor as initiator, not even that of type 4', () => {
  const both = [KE.ML_KEM_768, KE.ML_KEM_512]
  const ours = hybridProposal(both, both)
  const selected = select([ours], offered(ours), rules)
  assert.deepEqual(selected && additionalKeyExchanges(selected), both)
  assert.equal(accepted([ours], answer(1, KE.ML_KEM_768, KE.ML_KEM_768), rules), undefined)
  assert.ok(accepted([ours], answer(1, KE.ML_KEM_512, KE.ML_KEM_768), rules))
  const again = hybridProposal([KE.CURVE_25519])
  assert.equal(select([again], offered(again), rules), undefined)
  // NONE may be there any number of times.
  const none = hybridProposal([0], [0])
  assert.ok(accepted([none], answer(1, 0, 0), rules))
  const esp = hybridEsp([both, both])
  const twice = hybridEsp([[KE.ML_KEM_512], [KE.ML_KEM_512]])
  assert.equal(accepted([esp], offered(twice), rules), undefined)
})

test('RFC 9370 §2.2.1: without IKE_INTERMEDIATE the types are unknown, and the proposals that have them are not for us', () => {
  const offer = offered(hybridProposal([KE.ML_KEM_768, 0]), ikeProposal())
  const both = [hybridProposal([KE.ML_KEM_768, 0]), ikeProposal()]
  assert.equal(select(both, offer, rules)?.number, 1)
  assert.equal(select(both, offer, { ...rules, withoutIntermediate: true })?.number, 2)
  assert.equal(select(both, offer.slice(0, 1), { ...rules, withoutIntermediate: true }), undefined)
})

test('RFC 8247 §2: with an AEAD no integrity algorithm is selected, else there must be one', () => {
  const integ: ProposedTransform = { type: TRANSFORM_TYPE.INTEG, id: INTEG.HMAC_SHA2_256_128 }
  const rest = ikeProposal().transforms.filter(({ type }) => type !== TRANSFORM_TYPE.ENCR)
  const aead = { ...ikeProposal(), transforms: [encr(ENCR.AES_GCM_16, 128), ...rest] }
  const cbc = { ...ikeProposal(), transforms: [encr(ENCR.AES_CBC, 128), integ, ...rest] }
  assert.equal(select([aead], offered({ ...aead, transforms: [...aead.transforms, integ] }), rules), undefined)
  assert.ok(select([cbc], offered(cbc), rules))
  const without = { ...cbc, transforms: cbc.transforms.filter(({ type }) => type !== TRANSFORM_TYPE.INTEG) }
  assert.equal(select([cbc], offered(without), rules), undefined)
})
