import assert from 'node:assert/strict'
import { test } from 'node:test'
import { x448 } from '@noble/curves/ed448.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { brainpoolP256r1, brainpoolP384r1, brainpoolP512r1 } from '@noble/curves/misc.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { hex, toHex, vectors } from '../../../rfc-vectors/read.ts'
import { InvalidPublicValue } from '../errors.ts'
import { seededRandom, systemRandom } from '../random.ts'
import { KEY_EXCHANGES, type KeyExchange, keyExchange } from './key-exchange.ts'

function known(id: number): KeyExchange {
  const method = keyExchange(id)
  assert.ok(method)
  return method
}

function sharedOf(method: KeyExchange, ours: string, theirs: string): string {
  using secret = method.finish(method.privateFrom(hex(ours)).private, hex(theirs))
  return toHex(secret.bytes())
}

test('RFC 5903: ECP groups', () => {
  type Group = Record<'priv_i' | 'pub_i' | 'priv_r' | 'pub_r' | 'shared_x', string> & { group: number }
  const { groups } = vectors<{ groups: Group[] }>('rfc/rfc5903-ecp-groups.json')
  assert.equal(groups.length, 3)
  for (const g of groups) {
    const method = known(g.group)
    assert.equal(toHex(method.privateFrom(hex(g.priv_i)).public), g.pub_i)
    assert.equal(toHex(method.privateFrom(hex(g.priv_r)).public), g.pub_r)
    assert.equal(sharedOf(method, g.priv_i, g.pub_r), g.shared_x)
    assert.equal(sharedOf(method, g.priv_r, g.pub_i), g.shared_x)
  }
})

test('RFC 5114: groups with a subgroup, and the ECP groups again', () => {
  type Group = Record<string, string> & { group: number }
  const { groups } = vectors<{ groups: Group[] }>('rfc/rfc5114-groups.json')
  const ours = groups.filter(({ group }) => keyExchange(group) !== undefined)
  assert.deepEqual(
    ours.map(({ group }) => group).sort((a, b) => a - b),
    [19, 20, 21, 22, 23, 24],
  )
  for (const g of ours) {
    const method = known(g.group)
    const value = (...names: string[]) => names.map((name) => g[name]).find((text) => text !== undefined) ?? ''
    const [a, b] = [value('priv_a'), value('priv_b')]
    const [ya, yb] = [value('pub_a'), value('pub_b')]
    assert.equal(toHex(method.privateFrom(hex(a)).public), ya)
    assert.equal(toHex(method.privateFrom(hex(b)).public), yb)
    assert.equal(sharedOf(method, a, yb), value('shared_x', 'shared'))
    assert.equal(sharedOf(method, b, ya), value('shared_x', 'shared'))
  }
})

test('RFC 6954 and RFC 6932: Brainpool groups', () => {
  type Group = Record<'priv_a' | 'pub_a' | 'priv_b' | 'pub_b' | 'shared_x', string> & { group: number }
  const { groups } = vectors<{ groups: Group[] }>('rfc/rfc6954-6932-brainpool.json')
  const ours = groups.filter(({ group }) => keyExchange(group) !== undefined)
  assert.equal(ours.length, 6)
  for (const g of ours) {
    const method = known(g.group)
    assert.equal(toHex(method.privateFrom(hex(g.priv_a)).public), g.pub_a)
    assert.equal(sharedOf(method, g.priv_a, g.pub_b), g.shared_x)
    assert.equal(sharedOf(method, g.priv_b, g.pub_a), g.shared_x)
  }
})

test('RFC 7748 and RFC 8031: X25519 and X448', () => {
  const file = vectors<{
    scalarmult: Record<'alg' | 'scalar' | 'u' | 'out', string>[]
    dh: Record<'alg' | 'priv_a' | 'pub_a' | 'priv_b' | 'pub_b' | 'shared', string>[]
    rfc8031_appendix_a: Record<'random_i' | 'random_r' | 'pub_i' | 'pub_r' | 'shared', string>
  }>('rfc/rfc7748-8031-x25519-x448.json')
  const method = (alg: string) => known(alg === 'X25519' ? 31 : 32)
  for (const { alg, scalar, u, out } of file.scalarmult) assert.equal(sharedOf(method(alg), scalar, u), out)
  for (const d of file.dh) {
    assert.equal(toHex(method(d.alg).privateFrom(hex(d.priv_a)).public), d.pub_a)
    assert.equal(sharedOf(method(d.alg), d.priv_a, d.pub_b), d.shared)
    assert.equal(sharedOf(method(d.alg), d.priv_b, d.pub_a), d.shared)
  }
  const a = file.rfc8031_appendix_a
  assert.equal(toHex(known(31).privateFrom(hex(a.random_i)).public), a.pub_i)
  assert.equal(sharedOf(known(31), a.random_i, a.pub_r), a.shared)
  assert.equal(sharedOf(known(31), a.random_r, a.pub_i), a.shared)
})

interface EcdhTest {
  tcId: number
  comment: string
  flags: string[]
  public: string
  private: string
  shared: string
  result: 'valid' | 'invalid' | 'acceptable'
}

const ecdhTests = (name: string): EcdhTest[] =>
  vectors<{ testGroups: { tests: EcdhTest[] }[] }>(`wycheproof/${name}_test.json.gz`).testGroups.flatMap(
    ({ tests }) => tests,
  )

for (const [name, id] of [
  ['ecdh_secp256r1_ecpoint', 19],
  ['ecdh_secp384r1_ecpoint', 20],
] as const) {
  test(`Wycheproof: ${name}`, () => {
    const method = known(id)
    let computed = 0
    for (const t of ecdhTests(name)) {
      // A KE payload has no form for compressed points: what is not 04 | x | y becomes a wrong length.
      const point = t.public.startsWith('04') ? t.public.slice(2) : t.public
      const scalar = t.private.slice(-method.publicBytes).padStart(method.publicBytes, '0')
      if (t.result === 'valid') {
        assert.equal(sharedOf(method, scalar, point), t.shared, `${t.tcId}`)
        computed++
      } else assert.throws(() => sharedOf(method, scalar, point), InvalidPublicValue, `${t.tcId} ${t.comment}`)
    }
    assert.equal(computed, id === 19 ? 330 : 771)
  })
}

test('Wycheproof: ecdh_brainpoolP256r1, points of the keys on the curve', () => {
  const method = known(28)
  // SubjectPublicKeyInfo with the named curve and an uncompressed point, which ends it.
  const prefix = /^305a301406072a8648ce3d020106092b240303020801010703420004/
  let computed = 0
  let refused = 0
  for (const t of ecdhTests('ecdh_brainpoolP256r1')) {
    if (!prefix.test(t.public)) continue
    const point = t.public.replace(prefix, '')
    const scalar = t.private.slice(-64).padStart(64, '0')
    if (t.result === 'valid') {
      assert.equal(sharedOf(method, scalar, point), t.shared, `${t.tcId}`)
      computed++
    } else if (t.flags.includes('InvalidCurveAttack') || t.flags.includes('InvalidPublic')) {
      assert.throws(() => sharedOf(method, scalar, point), InvalidPublicValue, `${t.tcId} ${t.comment}`)
      refused++
    }
  }
  assert.equal(computed, 517)
  assert.ok(refused >= 16, `${refused}`)
})

test('Wycheproof: x25519, where only a secret of zeros is refused', () => {
  let refused = 0
  for (const t of ecdhTests('x25519')) {
    if (t.flags.includes('ZeroSharedSecret')) {
      assert.throws(() => sharedOf(known(31), t.private, t.public), InvalidPublicValue, `${t.tcId}`)
      refused++
    } else assert.equal(sharedOf(known(31), t.private, t.public), t.shared, `${t.tcId}`)
  }
  assert.equal(refused, 31)
})

test('ACVP: X25519 and X448, secrets and lengths of public values', () => {
  type Secrets = { curve: string; tests: Record<'publicServer' | 'privateIut' | 'publicIut' | 'z', string>[] }
  const secrets = vectors<{ testGroups: Secrets[] }>('acvp/XECDH-SSC-RFC7748.internalProjection.json.gz').testGroups
  const method = (curve: string) => known(curve === 'Curve25519' ? 31 : 32)
  for (const { curve, tests } of secrets) {
    for (const t of tests as (Secrets['tests'][number] & { testPassed: boolean })[]) {
      const z = sharedOf(method(curve), t.privateIut, t.publicServer)
      assert.equal(z === t.z.toLowerCase(), t.testPassed)
    }
  }
  type Keys = { curve: string; tests: { testPassed: boolean; publicKey: string }[] }
  const keys = vectors<{ testGroups: Keys[] }>('acvp/XECDH-keyVer-RFC7748.internalProjection.json.gz').testGroups
  for (const { curve, tests } of keys) {
    for (const { testPassed, publicKey } of tests) {
      const respond = () => method(curve).respond(hex(publicKey), systemRandom)
      if (testPassed) assert.doesNotThrow(respond)
      else assert.throws(respond, InvalidPublicValue)
    }
  }
})

const kemIds: Record<string, number> = { 'ML-KEM-512': 35, 'ML-KEM-768': 36, 'ML-KEM-1024': 37 }

test('ACVP: ML-KEM key generation, encapsulation, decapsulation and key check', () => {
  type Fields = Record<'d' | 'z' | 'ek' | 'c' | 'k' | 'm', string> & { testPassed: boolean }
  type Group = { parameterSet: string; function: string; keyFormat: string; tests: Fields[] }
  const read = (mode: string) =>
    vectors<{ testGroups: Group[] }>(`acvp/ML-KEM-${mode}.internalProjection.json.gz`).testGroups
  const counts: Record<string, number> = {}
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1
  }
  for (const { parameterSet, tests } of read('keyGen-FIPS203')) {
    for (const { d, z, ek } of tests) {
      assert.equal(toHex(known(kemIds[parameterSet] ?? 0).privateFrom(hex(d + z)).public), ek.toLowerCase())
      count('generation')
    }
  }
  for (const group of read('encapDecap-FIPS203-tr1')) {
    const method = known(kemIds[group.parameterSet] ?? 0)
    for (const { d, z, ek, c, k, m, testPassed } of group.tests) {
      if (group.function === 'encapsulation') {
        const response = method.respond(hex(ek), () => hex(m))
        assert.equal(toHex(response.public), c.toLowerCase())
        assert.equal(toHex(response.shared.bytes()), k.toLowerCase())
      } else if (group.function === 'decapsulation' && group.keyFormat === 'seed') {
        assert.equal(sharedOf(method, d + z, c), k.toLowerCase())
      } else if (group.function === 'encapsulationKeyCheck') {
        for (const random of [systemRandom, seededRandom(1)]) {
          const respond = () => method.respond(hex(ek), random)
          if (testPassed) assert.doesNotThrow(respond)
          else assert.throws(respond, InvalidPublicValue)
        }
      } else continue // expanded private keys: ours are seeds
      count(group.function)
    }
  }
  assert.deepEqual(counts, { generation: 75, encapsulation: 75, decapsulation: 30, encapsulationKeyCheck: 30 })
})

test('Wycheproof: ML-KEM', () => {
  type Fields = Record<'seed' | 'ek' | 'dk' | 'm' | 'c' | 'K' | 'result', string>
  const read = (name: string) =>
    vectors<{ testGroups: { parameterSet: string; tests: Fields[] }[] }>(
      `wycheproof/${name}_test.json.gz`,
    ).testGroups.flatMap(({ parameterSet, tests }) =>
      tests.map((t) => ({ ...t, method: known(kemIds[parameterSet] ?? 0) })),
    )
  let checked = 0
  for (const { method, seed, ek } of read('mlkem_768_keygen_seed')) {
    assert.equal(toHex(method.privateFrom(hex(seed)).public), ek)
    checked++
  }
  for (const { method, seed, c, K, result } of [...read('mlkem_768'), ...read('mlkem_1024')]) {
    // The invalid ones have a ciphertext, or a seed, of a wrong length.
    if (result === 'valid') assert.equal(sharedOf(method, seed, c), K)
    else assert.throws(() => sharedOf(method, seed, c))
    checked++
  }
  for (const { method, ek, m, c, K, result } of read('mlkem_768_encaps')) {
    const respond = () => method.respond(hex(ek), () => hex(m))
    if (result === 'valid') {
      const response = respond()
      assert.equal(toHex(response.public), c)
      assert.equal(toHex(response.shared.bytes()), K)
    } else assert.throws(respond, InvalidPublicValue)
    checked++
  }
  assert.equal(checked, 100 + 193 + 193 + 265)
})

const { groups: primes } = vectors<{ groups: Record<string, { bits: number; p: string }> }>(
  'rfc/rfc2409-3526-modp-primes.json',
)

test('RFC 2409 and RFC 3526: the MODP groups, checked with plain arithmetic on their printed primes', () => {
  const ids = [1, 2, 5, 14, 15, 16, 17, 18]
  for (const id of ids) {
    const method = known(id)
    const { bits, p: printed = '' } = primes[id] ?? {}
    assert.equal(method.name, `MODP_${bits}`)
    assert.equal(method.publicBytes, printed.length / 2)
    const p = BigInt(`0x${printed}`)
    const a = hex('c0ffee000102030405060708090a0b0c0d0e0f1011121314')
    const b = hex('0badcafe1112131415161718191a1b1c1d1e1f2021222324')
    const value = (n: bigint) => n.toString(16).padStart(printed.length, '0')
    const [x, y] = [a, b].map((octets) => BigInt(`0x${toHex(octets)}`)) as [bigint, bigint]
    assert.equal(toHex(method.privateFrom(a).public), value(modPow(2n, x, p)))
    assert.equal(sharedOf(method, toHex(a), value(modPow(2n, y, p))), value(modPow(2n, x * y, p)))
  }
})

function modPow(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  let square = base
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

test('a MODP public value and secret with leading zeros keep their length', () => {
  const method = known(14)
  const p = BigInt(`0x${primes['14']?.p}`)
  // 2^8 and 2^16 as public values, so that the secret is small too.
  assert.equal(toHex(method.privateFrom(hex('08')).public), 256n.toString(16).padStart(512, '0'))
  const secret = sharedOf(method, '02', 65536n.toString(16).padStart(512, '0'))
  assert.equal(secret, (65536n ** 2n % p).toString(16).padStart(512, '0'))
})

test('MODP public values 0, 1, p-1, p and above are refused', () => {
  for (const id of [1, 2, 5, 14, 15, 16, 17, 18]) {
    const method = known(id)
    const text = primes[id]?.p ?? ''
    const p = BigInt(`0x${text}`)
    for (const y of [0n, 1n, p - 1n, p, p + 1n, (1n << BigInt(text.length * 4)) - 1n]) {
      const value = hex(y.toString(16).padStart(text.length, '0'))
      assert.throws(() => method.respond(value, seededRandom(1)), InvalidPublicValue, `${id} ${y}`)
    }
  }
})

test('RFC 6989 §2.2: a value outside the subgroup is refused', () => {
  type Group = { group: number; p: string; g: string; q: string; pub_a: string }
  const { groups } = vectors<{ groups: Group[] }>('rfc/rfc5114-groups.json')
  for (const g of groups.filter(({ group }) => group >= 22 && group <= 24)) {
    const method = known(g.group)
    const [p, q, y] = [g.p, g.q, g.pub_a].map((text) => BigInt(`0x${text}`)) as [bigint, bigint, bigint]
    const value = (n: bigint) => hex(n.toString(16).padStart(g.p.length, '0'))
    assert.equal(modPow(y, q, p), 1n)
    assert.doesNotThrow(() => method.respond(value(y), seededRandom(1)))
    // The negative of a member has twice the order; 2 and 3 happen to be no members either.
    for (const outside of [p - y, 2n, 3n, p - 2n]) {
      assert.notEqual(modPow(outside, q, p), 1n)
      assert.throws(() => method.respond(value(outside), seededRandom(1)), InvalidPublicValue)
    }
    for (const y of [0n, 1n, p - 1n, p]) {
      assert.throws(() => method.respond(value(y), seededRandom(1)), InvalidPublicValue)
    }
  }
})

test('coordinates of a point that are not below p, and the points of other curves, are refused', () => {
  const curves = { 19: p256, 20: p384, 21: p521, 28: brainpoolP256r1, 29: brainpoolP384r1, 30: brainpoolP512r1 }
  for (const [id, curve] of Object.entries(curves)) {
    const method = known(Number(id))
    const half = method.publicBytes
    const { x, y } = curve.Point.BASE
    const point = (px: bigint, py: bigint) =>
      hex(px.toString(16).padStart(half, '0') + py.toString(16).padStart(half, '0'))
    assert.doesNotThrow(() => method.respond(point(x, y), seededRandom(1)))
    const p = curve.Point.Fp.ORDER
    const outside = [point(x, (y + 1n) % p), point(0n, 0n), new Uint8Array(method.publicBytes).fill(0xff)]
    // The same point, written with x + p where that still fits (P-521 has seven spare bits).
    if ((x + p).toString(16).length <= half) outside.push(point(x + p, y))
    for (const bytes of outside) assert.throws(() => method.respond(bytes, seededRandom(1)), InvalidPublicValue, id)
    // Our own scalars stay below the order: the order itself is refused as a private value.
    assert.throws(() => method.privateFrom(hex(curve.Point.Fn.ORDER.toString(16).padStart(half, '0'))), RangeError)
    assert.throws(() => method.privateFrom(hex('00')), RangeError)
  }
})

test('elliptic curves agree with another implementation', () => {
  const curves = { 19: p256, 20: p384, 21: p521, 28: brainpoolP256r1, 29: brainpoolP384r1, 30: brainpoolP512r1 }
  for (const [id, curve] of Object.entries(curves)) {
    const method = known(Number(id))
    const random = seededRandom(Number(id))
    const theirs = curve.keygen(random(curve.lengths.seed ?? 48))
    const pair = method.respond(curve.getPublicKey(theirs.secretKey, false).slice(1), random)
    const point = Uint8Array.of(4, ...pair.public)
    assert.equal(
      toHex(pair.shared.bytes()),
      toHex(curve.getSharedSecret(theirs.secretKey, point, false).slice(1, 1 + method.publicBytes / 2)),
    )
  }
  for (const [id, oracle] of [
    [31, x25519],
    [32, x448],
  ] as const) {
    const random = seededRandom(id)
    const secret = random(known(id).publicBytes)
    const pair = known(id).respond(oracle.getPublicKey(secret), random)
    assert.equal(toHex(pair.shared.bytes()), toHex(oracle.getSharedSecret(secret, pair.public)))
  }
})

for (const method of KEY_EXCHANGES) {
  test(`${method.name}: both sides agree, on the thread pool too, and a seed repeats it`, async () => {
    const run = () => {
      const random = seededRandom(method.id)
      const ours = method.generate(random)
      const theirs = method.respond(ours.public, random)
      return { ours, theirs, shared: method.finish(ours.private, theirs.public) }
    }
    const first = run()
    assert.equal(first.ours.public.length, method.publicBytes)
    assert.equal(first.theirs.public.length, method.responderBytes)
    assert.ok(first.shared.equals(first.theirs.shared))
    const second = run()
    assert.equal(toHex(second.ours.public), toHex(first.ours.public))
    assert.equal(toHex(second.theirs.public), toHex(first.theirs.public))
    assert.ok(second.shared.equals(first.shared))

    const ours = await method.generateAsync()
    const theirs = await method.respondAsync(ours.public)
    const shared = await method.finishAsync(ours.private, theirs.public)
    assert.equal(ours.public.length, method.publicBytes)
    assert.ok(shared.equals(theirs.shared))
    assert.ok(!shared.equals(first.shared))
    // A pair of the pool works with the synchronous half, and the other way round.
    assert.ok(method.finish(ours.private, theirs.public).equals(shared))
    assert.ok((await method.finishAsync(first.ours.private, first.theirs.public)).equals(first.shared))
  })

  test(`${method.name}: a public value of another length is refused`, async () => {
    for (const bytes of [0, 1, method.publicBytes - 1, method.publicBytes + 1]) {
      const value = new Uint8Array(bytes).fill(2)
      assert.throws(() => method.respond(value, seededRandom(1)), InvalidPublicValue)
      await assert.rejects(method.respondAsync(value), InvalidPublicValue)
    }
    const { private: ours } = method.generate(seededRandom(1))
    for (const bytes of [0, method.responderBytes - 1, method.responderBytes + 1]) {
      const value = new Uint8Array(bytes).fill(2)
      assert.throws(() => method.finish(ours, value), InvalidPublicValue)
      await assert.rejects(method.finishAsync(ours, value), InvalidPublicValue)
    }
  })
}

test('a degenerate value is refused on the thread pool as well', async () => {
  for (const id of [31, 32]) {
    const method = known(id)
    const zero = new Uint8Array(method.publicBytes)
    assert.throws(() => method.respond(zero, seededRandom(1)), InvalidPublicValue)
    await assert.rejects(method.respondAsync(zero), InvalidPublicValue)
  }
})

test('a private value is for its own method, and not after disposal', () => {
  const { private: ours, public: value } = known(31).generate(seededRandom(1))
  assert.throws(() => known(32).finish(ours, new Uint8Array(56).fill(5)), /method 31/)
  ours[Symbol.dispose]()
  assert.throws(() => known(31).finish(ours, value), /released/)
})

test('what is weak is marked, and what is unknown is not there', () => {
  const weak = KEY_EXCHANGES.filter((method) => method.weak).map(({ id }) => id)
  assert.deepEqual(
    weak.sort((a, b) => a - b),
    [1, 2, 5, 22, 23, 24],
  )
  const strong = KEY_EXCHANGES.filter((method) => !method.weak).map(({ id }) => id)
  assert.deepEqual(
    strong.sort((a, b) => a - b),
    [14, 15, 16, 17, 18, 19, 20, 21, 28, 29, 30, 31, 32, 35, 36, 37],
  )
  assert.equal(keyExchange(0), undefined)
  assert.equal(keyExchange(25), undefined)
})
