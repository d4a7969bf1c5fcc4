/** The configuration payload as values, in both directions (RFC 7296 §2.19, §3.15). */
import type { PoolAttribute } from '../config/pools.ts'
import { parseAddressRange } from '../config/values.ts'
import { familyOf, formatAddress, parseAddress } from '../wire/address.ts'
import { CFG_ATTRIBUTE, CFG_TYPE } from '../wire/numbers.ts'
import type { CfgAttribute, CPPayload } from '../wire/payloads/index.ts'

/** One address that a client asks for: of a family, perhaps a certain one. */
export interface AddressWish {
  readonly family: 4 | 6
  readonly address?: string
}

/** What a gateway has for us. */
export interface Configuration {
  readonly addresses: readonly string[]
  readonly nameServers: readonly string[]
}

/**
 * CFG_REQUEST for virtual IPs, `0.0.0.0` and `::` being any of their family, and for the name servers that go with
 * them.
 */
export function configurationRequest(vips: readonly string[]): CPPayload {
  const families = [...new Set(vips.map((vip) => familyOf(vip)))]
  return {
    type: 'CP',
    cfgType: CFG_TYPE.REQUEST,
    attributes: [
      ...vips.map((vip) => (isAny(vip) ? { type: addressType(familyOf(vip)), value: nothing } : addressAttribute(vip))),
      ...families.map((family) => ({ type: dns[family], value: nothing })),
    ],
  }
}

/** The addresses that a CFG_REQUEST asks for, in order. What has a wrong length asks for any address of its family. */
export function wishesIn({ attributes }: CPPayload): AddressWish[] {
  return attributes.flatMap(({ type, value }): AddressWish[] => {
    const family = familyOfType(type)
    if (family === undefined) return []
    const address = addressIn(family, value)
    return [{ family, ...(address !== undefined && !isAny(address) && { address }) }]
  })
}

/** CFG_REPLY: addresses first, then what else the client shall know, then what the request wants to know of us. */
export function configurationReply(
  request: CPPayload,
  addresses: readonly string[],
  attributes: readonly PoolAttribute[],
): CPPayload {
  const asked = (type: number): boolean => request.attributes.some((attribute) => attribute.type === type)
  return {
    type: 'CP',
    cfgType: CFG_TYPE.REPLY,
    attributes: [
      ...addresses.map(addressAttribute),
      ...onlyNetmask(attributes.flatMap(encodePoolAttribute), addresses),
      // RFC 7296 §2.20: who does not tell its version returns an empty string.
      ...(asked(CFG_ATTRIBUTE.APPLICATION_VERSION)
        ? [{ type: CFG_ATTRIBUTE.APPLICATION_VERSION, value: nothing }]
        : []),
      ...(asked(CFG_ATTRIBUTE.SUPPORTED_ATTRIBUTES)
        ? [{ type: CFG_ATTRIBUTE.SUPPORTED_ATTRIBUTES, value: supportedAttributes }]
        : []),
    ],
  }
}

/** RFC 7296 §3.15.1: a netmask goes with an IPv4 address, and there is one at most. */
function onlyNetmask(attributes: readonly CfgAttribute[], addresses: readonly string[]): CfgAttribute[] {
  let left = addresses.some((address) => familyOf(address) === 4) ? 1 : 0
  return attributes.filter(({ type }) => type !== CFG_ATTRIBUTE.INTERNAL_IP4_NETMASK || left-- > 0)
}

/** What a CFG_REPLY gives; attributes that are unknown, empty or of a wrong length are passed over. */
export function configurationIn({ attributes }: CPPayload): Configuration {
  const addresses: string[] = []
  const nameServers: string[] = []
  for (const { type, value } of attributes) {
    const family = familyOfType(type)
    const address = family && addressIn(family, value)
    if (address !== undefined && !isAny(address)) addresses.push(address)
    const plain = type === dns[4] ? 4 : type === dns[6] ? 16 : undefined
    if (plain === value.length) nameServers.push(formatAddress(value))
  }
  return { addresses, nameServers }
}

/** Whether an address stands for all of its family. */
export function isAny(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/** The attributes on the wire for one of a pool: one for each value, of the value's family. */
export function encodePoolAttribute({ name, values }: PoolAttribute): CfgAttribute[] {
  const known = poolAttributes[name]
  if (known === undefined) return values.map((text) => ({ type: Number(name) & 0x7fff, value: Buffer.from(text) }))
  return values.flatMap((text) => {
    const [address = text, bits] = text.split('/')
    const octets = parseAddress(address)
    const type = octets && known[familyOf(octets)]
    if (octets === undefined || type === undefined) return []
    if (type === CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS) return [addressAttribute(address)]
    if (known.form === 'address') return [{ type, value: octets }]
    const network = parseAddressRange(text)?.from ?? octets
    const subnet = subnetValue(network, bits === undefined ? octets.length * 8 : Number(bits))
    // Cisco's format has room for protocol and ports behind the mask.
    return [{ type, value: known.form === 'unity' ? Uint8Array.of(...subnet, 0, 0, 0, 0, 0, 0) : subnet }]
  })
}

/** IPv4 with a mask, IPv6 with a prefix length (§3.15.1). */
function subnetValue(network: Uint8Array, prefix: number): Uint8Array {
  if (network.length === 16) return Uint8Array.of(...network, prefix)
  const mask = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0
  return Uint8Array.of(...network, mask >>> 24, (mask >>> 16) & 0xff, (mask >>> 8) & 0xff, mask & 0xff)
}

/** INTERNAL_IP6_ADDRESS ends with a prefix length: that of a host. */
function addressAttribute(address: string): CfgAttribute {
  const octets = parseAddress(address) ?? new Uint8Array(4)
  const family = familyOf(octets)
  return { type: addressType(family), value: family === 6 ? Uint8Array.of(...octets, 128) : octets }
}

function addressIn(family: 4 | 6, value: Uint8Array): string | undefined {
  if (family === 4) return value.length === 4 ? formatAddress(value) : undefined
  return value.length === 17 || value.length === 16 ? formatAddress(value.subarray(0, 16)) : undefined
}

function addressType(family: 4 | 6): number {
  return family === 4 ? CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS : CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS
}

function familyOfType(type: number): 4 | 6 | undefined {
  if (type === CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS) return 4
  return type === CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS ? 6 : undefined
}

interface AttributeForm {
  readonly 4?: number
  readonly 6?: number
  readonly form: 'address' | 'subnet' | 'unity'
}

const dns = { 4: CFG_ATTRIBUTE.INTERNAL_IP4_DNS, 6: CFG_ATTRIBUTE.INTERNAL_IP6_DNS } as const

/** Names of pool attributes (CHARON 2.12); the numbers without a name are of RFC 4306 or private ones that clients know. */
const poolAttributes: Readonly<Record<string, AttributeForm>> = {
  address: { 4: CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS, 6: CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS, form: 'address' },
  netmask: { 4: CFG_ATTRIBUTE.INTERNAL_IP4_NETMASK, 6: 9, form: 'address' },
  dns: { ...dns, form: 'address' },
  nbns: { 4: CFG_ATTRIBUTE.INTERNAL_IP4_NBNS, 6: 11, form: 'address' },
  dhcp: { 4: CFG_ATTRIBUTE.INTERNAL_IP4_DHCP, 6: CFG_ATTRIBUTE.INTERNAL_IP6_DHCP, form: 'address' },
  server: { 4: 23456, 6: 23457, form: 'address' },
  p_cscf: { 4: CFG_ATTRIBUTE.P_CSCF_IP4_ADDRESS, 6: CFG_ATTRIBUTE.P_CSCF_IP6_ADDRESS, form: 'address' },
  subnet: { 4: CFG_ATTRIBUTE.INTERNAL_IP4_SUBNET, 6: CFG_ATTRIBUTE.INTERNAL_IP6_SUBNET, form: 'subnet' },
  split_include: { 4: 28676, form: 'unity' },
  split_exclude: { 4: 28677, form: 'unity' },
}

const nothing = new Uint8Array()

/** What we understand in a request, as SUPPORTED_ATTRIBUTES lists it. */
const supportedAttributes: Uint8Array = Uint8Array.from(
  [
    CFG_ATTRIBUTE.INTERNAL_IP4_ADDRESS,
    CFG_ATTRIBUTE.INTERNAL_IP6_ADDRESS,
    CFG_ATTRIBUTE.APPLICATION_VERSION,
    CFG_ATTRIBUTE.SUPPORTED_ATTRIBUTES,
  ].flatMap((type) => [type >> 8, type & 0xff]),
)
