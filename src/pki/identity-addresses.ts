import { concat } from '../crypto/bytes.ts'
import { addressBytes, addressText, maskBits, netmask } from './address.ts'
import { sameBytes } from './bytes.ts'
import { ID, type Identity } from './id-type.ts'

/** An address, a subnet or a range from text; undefined if it is none of them. */
export function parseAddressing(text: string): Identity | undefined {
  const [networkText = '', bitsText] = text.split('/', 2)
  const address = addressBytes(networkText)
  if (address !== undefined && bitsText === undefined)
    return { type: address.length === 4 ? ID.IPV4_ADDR : ID.IPV6_ADDR, data: address }
  if (address !== undefined && bitsText !== undefined) {
    const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : Number.NaN
    if (!(bits <= address.length * 8) || text.split('/').length > 2) return undefined
    const mask = netmask(bits, address.length)
    const type = address.length === 4 ? ID.IPV4_ADDR_SUBNET : ID.IPV6_ADDR_SUBNET
    return {
      type,
      data: concat(
        address.map((byte, i) => byte & (mask[i] ?? 0)),
        mask,
      ),
    }
  }
  const [from, to, ...more] = text.split('-').map((part) => addressBytes(part))
  if (from === undefined || to === undefined || more.length > 0) return undefined
  if (from.length !== to.length || Buffer.compare(from, to) > 0) return undefined
  return { type: from.length === 4 ? ID.IPV4_ADDR_RANGE : ID.IPV6_ADDR_RANGE, data: concat(from, to) }
}

/** An address, a subnet or a range as text. */
export function formatAddressing(type: number, data: Uint8Array): string {
  const size = ADDRESS_BYTES.get(type) ?? 0
  const single = type === ID.IPV4_ADDR || type === ID.IPV6_ADDR
  const subnet = type === ID.IPV4_ADDR_SUBNET || type === ID.IPV6_ADDR_SUBNET
  if (data.length !== (single ? size : 2 * size)) return `(invalid ${ADDRESS_TYPE_NAMES.get(type)})`
  const first = addressText(data.subarray(0, size))
  if (single) return first
  const second = data.subarray(size)
  return subnet ? `${first}/${maskBits(second) ?? addressText(second)}` : `${first}-${addressText(second)}`
}

/** How well addresses fit into others of their family: 20 the same, 19 inside, 2 inside of everything, 0 not. */
export function matchAddressing(id: Identity, pattern: Identity): number {
  if (id.type === pattern.type && sameBytes(id.data, pattern.data)) return MATCH_PERFECT
  const inner = addressRange(id)
  const outer = addressRange(pattern)
  if (inner === undefined || outer === undefined) return 0
  if (Buffer.compare(inner.from, outer.from) < 0 || Buffer.compare(inner.to, outer.to) > 0) return 0
  const everything = outer.from.every((byte) => byte === 0) && outer.to.every((byte) => byte === 0xff)
  return everything ? MATCH_LOOSE : MATCH_ONE_WILDCARD
}

function addressRange({ type, data }: Identity): { from: Uint8Array; to: Uint8Array } | undefined {
  const size = ADDRESS_BYTES.get(type) ?? 0
  const first = data.subarray(0, size)
  if (type === ID.IPV4_ADDR || type === ID.IPV6_ADDR)
    return data.length === size ? { from: first, to: first } : undefined
  if (data.length !== 2 * size) return undefined
  const second = data.subarray(size)
  if (type === ID.IPV4_ADDR_RANGE || type === ID.IPV6_ADDR_RANGE) return { from: first, to: second }
  if (maskBits(second) === undefined) return undefined
  return {
    from: first.map((byte, i) => byte & (second[i] ?? 0)),
    to: first.map((byte, i) => byte | (~(second[i] ?? 0) & 0xff)),
  }
}

/** How many bytes an address has in identities of a type; no entry for types that are not made of addresses. */
export const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [ID.IPV4_ADDR, 4],
  [ID.IPV4_ADDR_SUBNET, 4],
  [ID.IPV4_ADDR_RANGE, 4],
  [ID.IPV6_ADDR, 16],
  [ID.IPV6_ADDR_SUBNET, 16],
  [ID.IPV6_ADDR_RANGE, 16],
])

const ADDRESS_TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ID).map(([name, number]) => [number, `ID_${name}`]),
)

const MATCH_PERFECT = 20
const MATCH_ONE_WILDCARD = 19
const MATCH_LOOSE = 2
