/**
 * The words after `pubkey` in `auth`: hashes for signatures of whatever kind of key.
 *
 *   left: local pubkey-sha384                                          right: lab     remote pubkey-sha512
 *    |                                                                        better  remote pubkey-sha384
 *    |-- IKE_AUTH request 1 [ IDi CERT AUTH(ECDSA, SHA-384) … ] ---------->|  lab will not have it, better does
 *    |<--------------------- IKE_AUTH response 1 [ IDr CERT AUTH … ] ------|
 */
import assert from 'node:assert/strict'
import type { SignatureConstraint } from '../../src/config/connection.ts'
import { HASH_ALGORITHM } from '../../src/wire/numbers.ts'
import { logged, nothingLeaks, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { connectionOf, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'

const hash = (number: number): SignatureConstraint => ({ keyType: 'any', hashes: [number], ikeOnly: false })
const sha384 = hash(HASH_ALGORITHM.SHA2_384)
const sha512 = hash(HASH_ALGORITHM.SHA2_512)

for (const auth of ['p256', 'rsa2048'] as const) {
  scenario(`pubkey-sha512 and pubkey-sha384 tell two connections apart (${auth})`, () => {
    const options: PairOptions = { auth }
    const left = connectionOf('left', options)
    const right = connectionOf('right', options)
    const wanting = (name: string, signatures: SignatureConstraint) => ({
      ...right,
      name,
      remote: right.remote.map((round) => ({ ...round, signatures: [signatures] })),
    })
    const world = pair({
      ...options,
      left: { connection: { local: left.local.map((round) => ({ ...round, signatures: [sha384] })) } },
      right: { connection: wanting('lab', sha512) },
    })
    world.right.command({ kind: 'load-connection', connection: wanting('better', sha384) })
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    sameSingleChild(world)
    const scheme = auth === 'p256' ? 'ECDSA_WITH_SHA384_DER' : 'RSA_EMSA_PKCS1_SHA2_384'
    logged(world.left, `authentication of 'left.lab' (myself) with ${scheme} successful`)
    logged(world.right, "switching to peer config 'better'")
    assert.equal(onlySa(world.right).name, 'better')
  })
}

scenario('pubkey-sha512 of the only connection, and the peer signs with another hash', () => {
  const options: PairOptions = { auth: 'p256' }
  const { remote } = connectionOf('right', options)
  const world = pair({
    ...options,
    right: { connection: { remote: remote.map((round) => ({ ...round, signatures: [sha512] })) } },
  })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  saidToPeer(world.right, 'N(AUTH_FAILED)')
  nothingLeaks(world)
})
