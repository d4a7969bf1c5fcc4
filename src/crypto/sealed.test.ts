import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hex, toHex, vectors } from '../../rfc-vectors/read.ts'
import { concat } from './bytes.ts'
import { ENCRYPTION, encryption } from './encryption.ts'
import { IntegrityError } from './errors.ts'
import { INTEGRITY } from './integrity.ts'
import { seededRandom } from './random.ts'
import { intermediateHead, nextIv, open, type Sealer, seal, sealedCapacity, sealedSize } from './sealed.ts'
import { Secret } from './secret.ts'

function known<T>(row: T | undefined): T {
  assert.ok(row !== undefined)
  return row
}

/** `AES_CBC-128` with `HMAC_SHA1_96`. */
function suiteOf(encr: string, integ: string | null | undefined): Sealer {
  const [name = '', bits] = encr.split('-')
  const row = known(ENCRYPTION.find((entry) => entry.name === name))
  return {
    encr: row,
    keyBits: Number(bits ?? row.keyBits[0]),
    integ: integ ? known(INTEGRITY.find((entry) => entry.name === integ)) : undefined,
  }
}

/** Offset of the last payload's generic header. */
function lastPayload(message: Uint8Array): number {
  let at = 28
  let type = message[16]
  while (type !== 46 && type !== 53) {
    type = message[at]
    at += ((message[at + 2] ?? 0) << 8) | (message[at + 3] ?? 0)
    assert.ok(at < message.length)
  }
  return at
}

test('captured messages with their keys open, and the one with a wrong ICV does not', () => {
  interface Message {
    ike_message_hex: string
    encr?: string
    integ?: string
    sk_e: string
    sk_a?: string
    icv_valid?: boolean
    inner_first_payload: number
    plaintext_payloads_hex: string
  }
  const { captures } = vectors<{ captures: { messages: Message[] }[] }>('captures-keyed/manifest.json')
  const counts = { opened: 0, refused: 0 }
  for (const m of captures.flatMap(({ messages }) => messages)) {
    if (m.encr === undefined) continue
    const message = hex(m.ike_message_hex)
    const start = lastPayload(message)
    assert.equal(message[start], m.inner_first_payload)
    const opened = () =>
      open({
        suite: suiteOf(known(m.encr), m.integ),
        keyE: Secret.of(hex(m.sk_e)),
        keyA: Secret.of(hex(m.sk_a ?? '')),
        message,
        start,
        fragment: false,
      })
    if (m.icv_valid === false) {
      assert.throws(opened, IntegrityError)
      counts.refused++
    } else {
      assert.equal(toHex(opened()), m.plaintext_payloads_hex)
      counts.opened++
    }
  }
  assert.deepEqual(counts, { opened: 15, refused: 1 })
})

test('Android: SK and SKF messages open', () => {
  interface Message {
    name: string
    message: string
    encr: string
    sk_e: string
    integ: string | null
    sk_a: string | null
    payload_type: number
    decrypted_body: string
  }
  const { sk_messages } = vectors<{ sk_messages: Message[] }>('android-iketests/verified.json')
  assert.equal(sk_messages.length, 5)
  for (const m of sk_messages) {
    const plaintext = open({
      suite: suiteOf(m.encr, m.integ),
      keyE: Secret.of(hex(m.sk_e)),
      keyA: Secret.of(hex(m.sk_a ?? '')),
      message: hex(m.message),
      start: 28,
      fragment: m.payload_type === 53,
    })
    assert.equal(toHex(plaintext), m.decrypted_body, m.name)
  }
})

test('RUB: both IKE_AUTH messages open, and are as long as ours would be', () => {
  const { exchange } = vectors<{ exchange: Record<string, string> & { expected: Record<string, string> } }>(
    'rub-ikev2-psk/vectors.json',
  )
  for (const [name, side] of [
    ['ike_auth_request', 'i'],
    ['ike_auth_response', 'r'],
  ] as const) {
    const suite = suiteOf('AES_CBC-128', 'HMAC_SHA1_96')
    const message = hex(known(exchange[name]))
    const plaintext = open({
      suite,
      keyE: Secret.of(hex(known(exchange.expected[`SK_e${side}`]))),
      keyA: Secret.of(hex(known(exchange.expected[`SK_a${side}`]))),
      message,
      start: 28,
      fragment: false,
    })
    assert.equal(toHex(plaintext), exchange.expected[`${name}_plaintext`])
    assert.equal(sealedSize(suite, plaintext.length, false), message.length)
  }
})

test('RFC 7634 appendix B: a whole message is sealed to the octet', () => {
  const { ikev2: v } = vectors<{ ikev2: Record<string, string> & { message_id: number; exchange: number } }>(
    'rfc/rfc8439-7634-chacha20-poly1305.json',
  )
  const suite = { encr: known(encryption(28)), keyBits: 256 }
  const message = seal({
    suite,
    keyE: Secret.of(hex(known(v['key']) + known(v['salt']))),
    keyA: Secret.of(new Uint8Array(0)),
    header: {
      spiI: hex(known(v['spi_i'])),
      spiR: hex(known(v['spi_r'])),
      exchange: v.exchange,
      flags: 0,
      messageId: v.message_id,
    },
    inner: { first: Number(v['inner_first_payload']), bytes: hex(known(v['inner_payloads'])) },
    iv: hex(known(v['iv'])),
  })
  assert.equal(toHex(message), v['message'])
})

const suites: readonly Sealer[] = ENCRYPTION.filter(({ ikeSupported }) => ikeSupported).flatMap((encr): Sealer[] => {
  const keyBits = encr.keyBits[0] ?? 0
  if (encr.aead) return [{ encr, keyBits }]
  return INTEGRITY.filter(({ ikeSupported }) => ikeSupported).map((integ) => ({ encr, keyBits, integ }))
})

function example(suite: Sealer, length: number, fragmented: boolean) {
  const random = seededRandom(length)
  const keyE = Secret.of(random(suite.encr.keyMaterialBytes(suite.keyBits)))
  const keyA = Secret.of(random(suite.integ?.keyBytes ?? 0))
  const inner = { first: 41, bytes: random(length) }
  const header = { spiI: random(8), spiR: random(8), exchange: 37, flags: 8, messageId: 7 }
  const fragment = fragmented ? { number: 2, total: 3 } : undefined
  const message = seal({ suite, keyE, keyA, header, inner, fragment, iv: nextIv(suite, 5, random) })
  return {
    keyE,
    keyA,
    inner,
    message,
    opened: (m: Uint8Array) => open({ suite, keyE, keyA, message: m, start: 28, fragment: fragmented }),
  }
}

test('every suite: open after seal is the identity, and the size was foretold', () => {
  for (const suite of suites) {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.boolean(), (length, fragmented) => {
        const { inner, message, opened } = example(suite, length, fragmented)
        assert.equal(toHex(opened(message)), toHex(inner.bytes))
        assert.equal(message.length, sealedSize(suite, length, fragmented))
        assert.equal(new DataView(message.buffer).getUint32(24), message.length)
        assert.equal(message[16], fragmented ? 53 : 46)
        // Only a first fragment names the inner payload.
        assert.equal(message[28], fragmented ? 0 : 41)
      }),
      { numRuns: 20 },
    )
  }
})

test('every suite: any changed octet of the message is seen', () => {
  for (const suite of suites) {
    const { message, opened } = example(suite, 9, true)
    for (let at = 0; at < message.length; at++) {
      const forged = message.map((octet, i) => (i === at ? octet ^ 1 : octet))
      assert.throws(() => opened(forged), IntegrityError, `${suite.encr.name} octet ${at}`)
    }
  }
})

test('every suite: a shorter or longer message is refused', () => {
  for (const suite of suites) {
    const { message, opened } = example(suite, 9, false)
    for (let length = 28; length < message.length; length++) {
      assert.throws(() => opened(message.subarray(0, length)), IntegrityError)
    }
    assert.throws(() => opened(concat(message, Uint8Array.of(0))), IntegrityError)
  }
})

test('padding that says more than there is, is refused', () => {
  // AES-CBC of one block whose last octet says 16: the ICV is right, the padding is not.
  const suite = suiteOf('AES_CBC-128', 'HMAC_SHA2_256_128')
  const integ = known(suite.integ)
  const { keyE, keyA, message, opened } = example(suite, 3, false)
  const forge = (padLength: number) => {
    const forged = message.slice()
    const block = new Uint8Array(16)
    block[15] = padLength
    forged.set(suite.encr.seal(keyE, forged.subarray(32, 48), new Uint8Array(0), block), 48)
    forged.set(integ.sign(keyA, forged.subarray(0, 64)), 64)
    return forged
  }
  assert.equal(opened(forge(15)).length, 0)
  assert.equal(opened(forge(0)).length, 15)
  assert.throws(() => opened(forge(16)), IntegrityError)
  assert.throws(() => opened(forge(255)), IntegrityError)
})

test('a peer that holds the keys cannot put anything behind the protected payload', () => {
  const suite = suiteOf('AES_CBC-128', 'HMAC_SHA2_256_128')
  const integ = known(suite.integ)
  const { keyA, message, opened } = example(suite, 20, false)
  const shorter = message.slice()
  new DataView(shorter.buffer).setUint16(30, message.length - 28 - 16)
  const end = shorter.length - integ.icvBytes
  shorter.set(integ.sign(keyA, shorter.subarray(0, end)), end)
  assert.throws(() => opened(shorter), /not the end of the message/)
})

test('the capacity is the most that fits', () => {
  for (const suite of suites) {
    for (let size = 40; size < 180; size++) {
      for (const fragment of [true, false]) {
        const most = sealedCapacity(suite, size, fragment)
        if (most > 0) assert.ok(sealedSize(suite, most, fragment) <= size)
        assert.ok(sealedSize(suite, most + 1, fragment) > size)
      }
    }
  }
})

test('an IV counts where it must not repeat, and is random where it must not be foreseen', () => {
  const random = seededRandom(1)
  for (const name of ['AES_GCM_16-128', 'CHACHA20_POLY1305', 'AES_CCM_8-128', 'AES_CTR-128']) {
    assert.equal(toHex(nextIv(suiteOf(name, null), 258, random)), '0000000000000102')
  }
  const cbc = suiteOf('AES_CBC-128', null)
  assert.notEqual(toHex(nextIv(cbc, 1, random)), toHex(nextIv(cbc, 1, random)))
  assert.equal(nextIv(cbc, 1, random).length, 16)
  assert.equal(nextIv(suiteOf('3DES_CBC', null), 1, random).length, 8)
})

test('RFC 9242: the head of a message as if it were not encrypted', () => {
  const header = { spiI: hex('0102030405060708'), spiR: hex('1112131415161718'), exchange: 43, flags: 8, messageId: 1 }
  assert.equal(
    toHex(intermediateHead(header, { first: 34, bytes: new Uint8Array(6) })),
    `0102030405060708${'1112131415161718'}2e202b08${'00000001'}${'00000026'}2200000a`,
  )
})
