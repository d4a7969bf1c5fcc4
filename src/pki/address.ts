import { isIPv4, isIPv6 } from 'node:net'

/** The 4 or 16 bytes of an address in text, without brackets or zone. Undefined if it is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  if (!isIPv6(text) || text.includes('%')) return undefined
  const [head = '', tail] = text.split('::')
  const front = groups(head)
  const back = groups(tail ?? '')
  return Uint8Array.from([...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back])
}

/** 4 bytes dotted, 16 bytes as RFC 5952 writes them. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0))
  // inet_ntop writes the addresses that carry an IPv4 address with its dots
  const zeros = words.slice(0, 5).every((word) => word === 0)
  if (zeros && (words[5] === 0xffff || (words[5] === 0 && words[6] !== 0)))
    return `::${words[5] === 0xffff ? 'ffff:' : ''}${bytes.subarray(12).join('.')}`
  const gap = longestZeros(words)
  const hex = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':')
  return gap.length < 2 ? hex(words) : `${hex(words.slice(0, gap.start))}::${hex(words.slice(gap.start + gap.length))}`
}

/** The netmask of so many bits. */
export function netmask(bits: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => 0xff00 >> Math.min(Math.max(bits - 8 * i, 0), 8)).map(
    (b) => b & 0xff,
  )
}

/** The number of leading one bits if the rest is zeros, else undefined. */
export function maskBits(mask: Uint8Array): number | undefined {
  let bits = 0
  while (bits < mask.length * 8 && ((mask[bits >> 3] ?? 0) & (0x80 >> (bits & 7))) !== 0) bits++
  return Buffer.compare(mask, netmask(bits, mask.length)) === 0 ? bits : undefined
}

function groups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number)
    const word = Number.parseInt(group, 16)
    return [word >> 8, word & 0xff]
  })
}

function longestZeros(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < words.length; start++) {
    let length = 0
    while (words[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  return best
}
