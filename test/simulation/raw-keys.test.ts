/**
 * Public keys in place of certificates (`pubkeys`): each side has the other's key, and no CERT goes over the wire.
 *
 *   left                                                             right
 *    |-- IKE_AUTH request 1 [ IDi AUTH SA TSi TSr … ] ----------------->|
 *    |<-------------------- IKE_AUTH response 1 [ IDr AUTH SA TSi TSr … ] --|
 */
import assert from 'node:assert/strict'
import type { AuthRound } from '../../src/config/connection.ts'
import { publicKeyInfo } from '../../src/pki/keys.ts'
import { failed, logged, nothingLeaks, saidToPeer, sameSingleChild } from './expect.ts'
import { connectionOf, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import { testKey } from './test-keys.ts'

type Kind = 'p256' | 'rsa2048' | 'ed25519'

/** The key of a side; `stranger` is nobody's here. */
const keyOf = (side: 'left' | 'right' | 'stranger', kind: Kind): Uint8Array => publicKeyInfo(testKey(kind, side))

/** The connections of both sides with keys instead of certificates; `known` is what right has for left. */
function byKeys(kind: Kind, known: readonly Uint8Array[] = [keyOf('left', kind)]): PairOptions {
  const options: PairOptions = { auth: kind }
  const withKeys = (rounds: readonly AuthRound[], publicKeys: readonly Uint8Array[]): readonly AuthRound[] =>
    rounds.map((round) => ({ ...round, publicKeys }))
  const [left, right] = [connectionOf('left', options), connectionOf('right', options)]
  return {
    ...options,
    left: {
      connection: {
        local: withKeys(left.local, [keyOf('left', kind)]),
        remote: withKeys(left.remote, [keyOf('right', kind)]),
      },
    },
    right: {
      connection: { local: withKeys(right.local, [keyOf('right', kind)]), remote: withKeys(right.remote, known) },
    },
  }
}

for (const kind of ['p256', 'rsa2048', 'ed25519'] as const) {
  scenario(`both sides know the other's key: ${kind}`, () => {
    const world = pair(byKeys(kind, [keyOf('stranger', kind), keyOf('left', kind)]))
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    sameSingleChild(world)
    logged(world.right, "authentication of 'left.lab' with")
    for (const { label } of [...world.left.sent, ...world.right.sent]) assert.doesNotMatch(label, / CERT /)
  })
}

scenario('the key is not the one that is known', () => {
  const world = pair(byKeys('p256', [keyOf('stranger', 'p256')]))
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /failed/)
  saidToPeer(world.right, 'N(AUTH_FAILED)')
  nothingLeaks(world)
})

/** The CA is trusted, but the connection is for one key only. */
scenario('a certificate does not stand in for the key that is known', () => {
  const { right } = byKeys('p256', [keyOf('stranger', 'p256')])
  assert.ok(right)
  const world = pair({ auth: 'p256', right })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  saidToPeer(world.right, 'N(AUTH_FAILED)')
  nothingLeaks(world)
})
