/** What is known only for the time of a connection is wiped when that ends (RFC 7296 §2.12, §5). */
import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { Secret } from '../../src/crypto/secret.ts'
import { KE } from '../../src/wire/numbers.ts'
import { hybridProposal } from './connection.ts'
import { nothingLeaks } from './expect.ts'
import { type PairOptions, pair } from './pair.ts'
import { espWith, rekey, terminate } from './rekey.ts'
import { scenario } from './scenario.ts'

/** Every secret that comes up while `body` runs: private values, shared secrets, SKEYSEED, SK_*, KEYMAT. */
function secretsOf(body: () => void): readonly Secret[] {
  const made: Secret[] = []
  const of = Secret.of
  const { mock: one } = mock.method(Secret, 'of', (bytes: Uint8Array) => {
    const secret = of.call(Secret, bytes)
    made.push(secret)
    return secret
  })
  try {
    body()
  } finally {
    one.restore()
  }
  return made
}

function isWiped(secret: Secret): boolean {
  try {
    return secret.bytes().length === 0
  } catch {
    return true
  }
}

const ways = {
  'one side closes it': {},
  'with perfect forward secrecy, behind a NAT': { esp: [espWith(KE.CURVE_25519)], nat: 'left' },
  'with additional key exchanges': { ike: [hybridProposal([KE.ML_KEM_512])] },
  'with certificates': { auth: 'p256' },
} satisfies Record<string, PairOptions>

for (const [what, options] of Object.entries(ways)) {
  scenario(`no secret outlives its connection: ${what}`, () => {
    const made = secretsOf(() => {
      const world = pair(options)
      world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
      world.settle()
      for (const host of world.hosts) {
        rekey(host, 'child')
        world.wait(10)
        rekey(host, 'IKE SA')
        world.wait(10)
      }
      terminate(world.left, 'IKE SA')
      world.settle()
      nothingLeaks(world)
    })
    assert.ok(made.length > 20)
    assert.equal(made.filter((secret) => !isWiped(secret)).length, 0, `of ${made.length}`)
  })
}

scenario('no secret outlives a connection that was refused', () => {
  const made = secretsOf(() => {
    const world = pair({ left: { auth: 'p256' }, right: { connection: { childless: 'never' } } })
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.wait(40)
    for (const host of world.hosts) terminate(host, 'IKE SA')
    world.wait(200)
  })
  assert.ok(made.length > 5)
  assert.equal(made.filter((secret) => !isWiped(secret)).length, 0, `of ${made.length}`)
})
