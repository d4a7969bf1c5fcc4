/**
 * MD4, RFC 1320. Broken for everything it was made for; MS-CHAPv2 hashes passwords with it, and the OpenSSL in Node has it
 * only with the legacy provider.
 */
export function md4(message: Uint8Array): Uint8Array {
  const padded = new Uint8Array((((message.length + 8) >> 6) + 1) * 64)
  padded.set(message)
  padded[message.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, message.length * 8, true)
  view.setUint32(padded.length - 4, Math.floor(message.length / 2 ** 29), true)
  let [a, b, c, d] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
  for (let at = 0; at < padded.length; at += 64) {
    const words = Array.from({ length: 16 }, (_, i) => view.getUint32(at + 4 * i, true))
    const before = [a, b, c, d] as const
    for (const { mix, constant, order, shifts } of ROUNDS) {
      for (const [i, word] of order.entries()) {
        const sum = (a + mix(b, c, d) + (words[word] ?? 0) + constant) >>> 0
        const shift = shifts[i & 3] ?? 0
        ;[a, d, c, b] = [d, c, b, ((sum << shift) | (sum >>> (32 - shift))) >>> 0]
      }
    }
    a = (a + before[0]) >>> 0
    b = (b + before[1]) >>> 0
    c = (c + before[2]) >>> 0
    d = (d + before[3]) >>> 0
  }
  padded.fill(0)
  const digest = new Uint8Array(16)
  const out = new DataView(digest.buffer)
  for (const [i, word] of [a, b, c, d].entries()) out.setUint32(4 * i, word, true)
  return digest
}

interface Round {
  readonly mix: (x: number, y: number, z: number) => number
  readonly constant: number
  /** Which word of the block each step takes. */
  readonly order: readonly number[]
  readonly shifts: readonly number[]
}

const ROUNDS: readonly Round[] = [
  {
    mix: (x, y, z) => (x & y) | (~x & z),
    constant: 0,
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shifts: [3, 7, 11, 19],
  },
  {
    mix: (x, y, z) => (x & y) | (x & z) | (y & z),
    constant: 0x5a827999,
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    shifts: [3, 5, 9, 13],
  },
  {
    mix: (x, y, z) => x ^ y ^ z,
    constant: 0x6ed9eba1,
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    shifts: [3, 9, 11, 15],
  },
]
