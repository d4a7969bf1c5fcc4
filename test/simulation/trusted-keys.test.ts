/** Public keys that are loaded, or named by another connection: whom they speak for. */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { CredentialSet } from '../../src/config/credential-set.ts'
import type { Credentials } from '../../src/ike/credentials.ts'
import { ID, type Identity, parseIdentity } from '../../src/pki/identity.ts'
import { keyIdentifiers, publicKeyInfo } from '../../src/pki/keys.ts'
import { authRound, identityOf, type SideName } from './connection.ts'
import { failed, logged, sameSingleChild } from './expect.ts'
import { type PairOptions, pair, type Side } from './pair.ts'
import { scenario } from './scenario.ts'
import { type TestKeyType, testKey } from './test-keys.ts'
import type { World } from './world.ts'

interface Keys {
  readonly type?: TestKeyType
  /** Public keys that the right side has loaded, and names nowhere. */
  readonly loaded?: readonly string[]
  readonly leftId?: Identity
}

const other = { left: 'right', right: 'left' } as const

function sideOf(side: SideName, { type = 'ed25519', loaded = [], leftId }: Keys): Side {
  const info = (name: string): Uint8Array => publicKeyInfo(testKey(type, name))
  const identity = (of: SideName): Identity => (of === 'left' && leftId) || parseIdentity(identityOf(of))
  const peer = other[side]
  const named = side === 'right' && loaded.length > 0 ? [] : [info(peer)]
  return {
    connection: {
      local: [authRound({ id: identity(side), publicKeys: [info(side)] })],
      remote: [authRound({ id: identity(peer), publicKeys: named })],
    },
    credentials: credentials(type, side, side === 'right' ? loaded.map(info) : []),
  }
}

function credentials(type: TestKeyType, name: string, publicKeys: readonly Uint8Array[]): Credentials {
  const set = new CredentialSet()
  set.addKey(testKey(type, name))
  for (const info of publicKeys) set.addBlob('PUBKEY', info)
  return set.credentials()
}

function attempt(keys: Keys, more: PairOptions = {}): { world: World; answer: ReturnType<World['left']['command']> } {
  const world = pair({ ...more, left: sideOf('left', keys), right: sideOf('right', keys) })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  return { world, answer }
}

scenario('a key that was loaded speaks for those who are named by it', () => {
  const [info] = keyIdentifiers(createPublicKey(testKey('ed25519', 'left')))
  const leftId = { type: ID.KEY_ID, data: info }
  sameSingleChild(attempt({ loaded: ['left'], leftId }).world)
})

scenario('a key that was loaded speaks for nobody else', () => {
  const { world, answer } = attempt({ loaded: ['left'] })
  failed(answer(), /establishing CHILD_SA 'net' failed/)
  logged(world.right, "no trusted ED25519 public key found for 'left.lab'")
})

scenario('where a key is named, another one that is trusted will not do', () => {
  const mallory = credentials('ed25519', 'mallory', [])
  const world = pair({
    left: { ...sideOf('left', {}), credentials: mallory, connection: { local: [localOf('mallory')] } },
    right: { ...sideOf('right', {}), credentials: trusting('mallory') },
  })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  logged(world.right, 'signature validation failed')
  assert.deepEqual(world.right.sas(), [])
})

function localOf(name: string) {
  return authRound({ id: parseIdentity('left.lab'), publicKeys: [publicKeyInfo(testKey('ed25519', name))] })
}

/** The right side trusts this key for the left one, by another connection. */
function trusting(name: string): Credentials {
  const set = new CredentialSet()
  set.addKey(testKey('ed25519', 'right'))
  set.addBlob('PUBKEY', publicKeyInfo(testKey('ed25519', name)), parseIdentity('left.lab'))
  return set.credentials()
}
