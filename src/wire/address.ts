/**
 * IP addresses as text and as octets (4 for IPv4, 16 for IPv6).
 */

/**
 * The octets of an address. IPv4 as four decimal numbers without leading zeros; IPv6 in every form of RFC 4291 §2.2,
 * also with a dotted tail, but without a zone. Undefined if `text` is no address.
 */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text)
}

/**
 * The text of an address; IPv6 as RFC 5952 wants it.
 * @throws RangeError if there are neither 4 nor 16 octets: our own mistake, decoders check sizes
 */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join('.')
  if (address.length !== 16) throw new RangeError(`an address has 4 or 16 octets, not ${address.length}`)
  return formatV6(address)
}

/**
 * 4 or 6.
 * @throws RangeError if it is no address
 */
export function familyOf(address: string | Uint8Array): 4 | 6 {
  const octets = typeof address === 'string' ? parseAddress(address) : address
  if (octets?.length === 4) return 4
  if (octets?.length === 16) return 6
  throw new RangeError(`not an IP address: ${address}`)
}

function parseV4(text: string): Uint8Array | undefined {
  const parts = V4.exec(text)
  if (parts === null) return undefined
  const octets = new Uint8Array(4)
  for (let i = 0; i < 4; i++) {
    const number = Number(parts[i + 1])
    if (number > 255) return undefined
    octets[i] = number
  }
  return octets
}

function parseV6(text: string): Uint8Array | undefined {
  if (text.length > LONGEST_V6) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head = [], tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1))
  if (head === null || tail === null) return undefined
  if (tail === undefined) return head.length === 16 ? Uint8Array.from(head) : undefined
  // RFC 4291 §2.2: "::" stands for one or more groups of zeros.
  const zeros = 16 - head.length - tail.length
  return zeros >= 2 ? Uint8Array.from([...head, ...Array<number>(zeros).fill(0), ...tail]) : undefined
}

/** The octets of groups joined by colons, of which the last may be an IPv4 address; null if they are no groups. */
function parseGroups(text: string, last: boolean): number[] | null {
  if (text === '') return []
  const groups = text.split(':')
  const octets: number[] = []
  for (const [i, group] of groups.entries()) {
    const dotted = last && i === groups.length - 1 && group.includes('.') ? parseV4(group) : undefined
    if (dotted !== undefined) octets.push(...dotted)
    else if (/^[0-9a-fA-F]{1,4}$/.test(group))
      octets.push(Number.parseInt(group, 16) >>> 8, Number.parseInt(group, 16) & 255)
    else return null
  }
  return octets
}

function formatV6(address: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => word(address, i))
  // RFC 5952 §5: addresses with a known IPv4 part show it so.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${address.subarray(12).join('.')}`
  const { start, length } = longestZeros(groups)
  const hex = groups.map((group) => group.toString(16))
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

/** RFC 5952 §4.2: the longest run of zero groups is shortened, the first one among equals, never a single group. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue
    if (i - start > best.length) best = { start, length: i - start }
    start = i + 1
  }
  return best
}

function word(address: Uint8Array, i: number): number {
  return ((address[2 * i] as number) << 8) | (address[2 * i + 1] as number) // 16 octets, checked by the caller
}

/** Four numbers without leading zeros; none may be above 255. */
const V4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/

/** Eight groups, the last two as IPv4. */
const LONGEST_V6 = '0000:0000:0000:0000:0000:ffff:255.255.255.255'.length
