/** A journal of a host repeats what the host did, and has no secret in it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../src/crypto/secret.ts'
import { replay } from '../../src/journal/replay.ts'
import { credentialsFor, defaultSecret } from './connection.ts'
import { established } from './pair.ts'
import { rekey } from './rekey.ts'
import { sweepRun } from './sweep-run.ts'
import type { World } from './world.ts'

/** Journals of all lives of both hosts in a run of the sweep. */
function journalsOf(seed: number): string[][] {
  const journals: string[][] = []
  const current = new Map<string, string[]>()
  const { failure } = sweepRun(seed, false, (host, line) => {
    if (line.startsWith('{"journal"')) {
      const life: string[] = []
      current.set(host, life)
      journals.push(life)
    }
    current.get(host)?.push(line)
  })
  assert.equal(failure, undefined)
  return journals
}

/** A host with everything: set-up, both rekeyings, traffic, deletion. */
function journalOf(auth: 'psk' | 'p256'): { readonly lines: readonly string[]; readonly world: World } {
  const lines: string[] = []
  const world = established({ auth, left: { journal: (line) => lines.push(line) } })
  rekey(world.left, 'child')
  world.wait(10)
  rekey(world.right, 'IKE SA')
  world.wait(10)
  for (const host of world.hosts) host.command({ kind: 'shutdown' })
  world.wait(10)
  return { lines, world }
}

for (const seed of [1, 2, 3, 5, 8, 13, 21, 34]) {
  test(`seed ${seed} of the sweep: the journals of both hosts repeat it`, () => {
    for (const lines of journalsOf(seed)) {
      const { inputs, difference } = replay(lines)
      assert.equal(difference, undefined)
      assert.equal(inputs, lines.length - 1)
    }
  })
}

for (const auth of ['psk', 'p256'] as const) {
  test(`authentication by ${auth}: a changed octet of a nonce or a datagram is found`, () => {
    const { lines } = journalOf(auth)
    assert.equal(replay(lines).difference, undefined)
    let changed = 0
    for (const [i, line] of lines.entries()) {
      for (const kind of [/("kind":"send".*?"value":"[0-9a-f]*)([0-9a-f])"/, /("random":\["[0-9a-f]{63})([0-9a-f])"/]) {
        const other = line.replace(
          kind,
          (_all, before: string, digit: string) => `${before}${digit === '0' ? '1' : '0'}"`,
        )
        if (other === line) continue
        changed++
        assert.ok(replay(lines.with(i, other)).difference !== undefined, `line ${i + 1}`)
      }
    }
    assert.ok(changed > 5, `${changed} changes`)
  })
}

test('a difference says where it is, what was recorded and what came instead', () => {
  const { lines } = journalOf('psk')
  const at = lines.findIndex((line) => line.includes('"message":"generating IKE_AUTH request 1'))
  const { difference } = replay(lines.with(at, (lines[at] ?? '').replace('generating IKE_AUTH', 'generating IKE_AUHT')))
  assert.equal(difference?.line, at + 1)
  assert.match(difference.recorded, /IKE_AUHT/)
  assert.match(difference.replayed, /IKE_AUTH/)
})

test('no journal has a secret in it: no PSK, no private key, no shared secret, no SK_*, no key of a Child SA', (t) => {
  for (const auth of ['psk', 'p256'] as const) {
    const secrets: Buffer[] = [Buffer.from(defaultSecret)]
    for (const key of credentialsFor('left', auth).privateKeys.values()) {
      secrets.push(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'))
    }
    const of = Secret.of.bind(Secret)
    const spy = t.mock.method(Secret, 'of', (bytes: Uint8Array) => {
      if (bytes.length >= 16) secrets.push(Buffer.from(bytes))
      return of(bytes)
    })
    const { lines } = journalOf(auth)
    spy.mock.restore()
    assert.ok(secrets.length > 20, `${secrets.length} secrets`)
    const text = lines.join('\n')
    for (const secret of secrets) {
      for (const written of [secret.toString('hex'), secret.toString('base64'), secret.toString('latin1')]) {
        assert.ok(!text.includes(written), `a secret of ${secret.length} octets is in the journal`)
      }
    }
  }
})
