/** The simulation itself: what it draws, carries and notices. */
import assert from 'node:assert/strict'
import { createPublicKey, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { isSignedBy } from '../../src/pki/certificate.ts'
import { Draw } from './draw.ts'
import { NatBox, Network } from './network.ts'
import { sweepRun } from './sweep-run.ts'
import { testAuthority, testCertificate, testKey } from './test-keys.ts'

test('a seed draws the same again, and another seed something else', () => {
  const numbers = (seed: number): number[] => {
    const draw = new Draw(seed)
    return Array.from({ length: 20 }, () => draw.below(1000))
  }
  assert.deepEqual(numbers(7), numbers(7))
  assert.notDeepEqual(numbers(7), numbers(8))
  assert.ok(numbers(9).every((number) => number >= 0 && number < 1000))
})

test('keys and certificates are the same in every process', () => {
  const key = testKey('p256', 'left')
  const issuer = testAuthority('Lab CA')
  const certificate = testCertificate({ name: 'left.lab', key, issuer })
  assert.equal(certificate.fingerprint, testCertificate({ name: 'left.lab', key, issuer }).fingerprint)
  assert.equal(isSignedBy(certificate, issuer.certificate), true)
  const rsa = testKey('rsa2048', 'left')
  assert.equal(verify('sha256', Buffer.from('a'), createPublicKey(rsa), sign('sha256', Buffer.from('a'), rsa)), true)
})

test('a NAT shows one address, keeps its mappings, and forgets them when told', () => {
  const box = new NatBox('198.51.100.1', ['10.0.0.2'], new Map([[500, { address: '10.0.0.3', port: 500 }]]))
  const outside = box.outward({ address: '10.0.0.2', port: 500 })
  assert.deepEqual(outside, { address: '198.51.100.1', port: 20_000 })
  assert.deepEqual(box.inward(20_000), { address: '10.0.0.2', port: 500 })
  assert.deepEqual(box.inward(500), { address: '10.0.0.3', port: 500 })
  box.rebind()
  assert.equal(box.inward(20_000), undefined)
  assert.equal(box.outward({ address: '10.0.0.2', port: 500 }).port, 20_001)
})

test('a network loses and doubles as often as it is told', () => {
  const net = new Network({ hosts: ['a'], addresses: () => ['192.0.2.1'], nats: [], draw: new Draw(1) })
  net.faults = { loss: 0.3, duplication: 0.5, corruption: 0, leastDelayMs: 10, mostDelayMs: 20 }
  const end = { address: '192.0.2.1', port: 500 }
  let [lost, doubled] = [0, 0]
  for (let i = 0; i < 1000; i++) {
    const flights = net.transmit('a', end, end, new Uint8Array(1), '', 0)
    if (flights.length === 0) lost++
    if (flights.length === 2) doubled++
    assert.ok(flights.every(({ at }) => at >= 10 && at <= 20))
  }
  assert.ok(lost > 250 && lost < 350, `${lost} of 1000 lost`)
  assert.ok(doubled > 300 && doubled < 400, `${doubled} of 1000 doubled`)
})

test('a run of the sweep is the same again, octet for octet', () => {
  const [first, second] = [sweepRun(1), sweepRun(1)]
  assert.equal(first.failure, undefined)
  assert.equal(first.digest, second.digest)
})

test('the first seeds of the sweep', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { failure, summary, drawing } = sweepRun(seed)
    assert.equal(failure, undefined, `seed ${seed}: ${summary}\n${drawing}`)
  }
})
