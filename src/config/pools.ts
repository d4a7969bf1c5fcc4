/** Pools of virtual IPs: the values of `load-pool`. Their leases are the core's (src/ike/pools.ts). */
import { addressBytes, addressText } from '../pki/address.ts'
import { ConfigError } from './config-error.ts'
import { printable, type Tree } from './tree.ts'
import { parseAddressRange } from './values.ts'

export interface PoolAttribute {
  /** By charon's name, or a number as text. */
  readonly name: string
  readonly values: readonly string[]
}

export interface Pool {
  readonly name: string
  /** The first address to give out. */
  readonly base: string
  /** How many addresses there are. */
  readonly size: number
  readonly attributes: readonly PoolAttribute[]
  readonly notes: readonly string[]
}

/** @throws ConfigError with charon's text for `errmsg` */
export function parsePool(name: string, tree: Tree): Pool {
  let range: Pick<Pool, 'base' | 'size' | 'notes'> | undefined
  const attributes: PoolAttribute[] = []
  for (const item of tree) {
    if (item.kind === 'value' && item.name === 'addrs') {
      if (range !== undefined) throw new ConfigError('multiple addrs defined')
      const text = printable(item.value) ?? ''
      range = poolRange(text)
      if (range === undefined) throw new ConfigError(`invalid addrs value: ${text}`)
    } else if (item.kind === 'list') {
      attributes.push(
        poolAttribute(
          item.name,
          item.values.map((bytes) => printable(bytes) ?? ''),
        ),
      )
    } else {
      throw new ConfigError(`invalid attribute: ${item.name}`)
    }
  }
  if (range === undefined) throw new ConfigError(`missing addrs for pool '${name}'`)
  return { name, ...range, attributes }
}

/** @throws ConfigError with charon's text for a name or a value that there is not */
export function poolAttribute(name: string, values: readonly string[]): PoolAttribute {
  if (!attributeKinds.has(name) && !/^\d{1,5}$/.test(name)) throw new ConfigError(`invalid attribute: ${name}`)
  const fits = checks[attributeKinds.get(name) ?? 'text']
  if (!values.every(fits)) throw new ConfigError(`invalid attribute value for ${name}`)
  return { name, values }
}

/** A subnet starts at the given address and leaves out network and broadcast address; a range or an address is as it is. */
function poolRange(text: string): Pick<Pool, 'base' | 'size' | 'notes'> | undefined {
  if (addressBytes(text) !== undefined) return { base: text, size: 1, notes: [] }
  const subnet = /^(.+)\/(\d{1,3})$/.exec(text)
  if (subnet === null) {
    const range = text.includes('-') ? parseAddressRange(text) : undefined
    if (range === undefined) return undefined
    const size = toNumber(range.to) - toNumber(range.from) + 1n
    return size > maxSize ? undefined : { base: addressText(range.from), size: Number(size), notes: [] }
  }
  const given = addressBytes(subnet[1] ?? '')
  const whole = parseAddressRange(text)
  if (given === undefined || whole === undefined) return undefined
  const notes: string[] = []
  let hostBits = given.length * 8 - Number(subnet[2])
  const first = toNumber(given)
  if (hostBits > 31) {
    hostBits = 31
    notes.push(`virtual IP pool too large, limiting to ${addressText(given)}/${given.length * 8 - 31}`)
  }
  const all = 1n << BigInt(hostBits)
  const network = (first / all) * all
  if (hostBits < 2) return { base: addressText(given), size: Number(network + all - first), notes }
  const base = first === network ? first + 1n : first
  const size = network + all - 1n - base
  return size < 1n ? undefined : { base: addressText(toBytes(base, given.length)), size: Number(size), notes }
}

function toNumber(address: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(address).toString('hex')}`)
}

function toBytes(number: bigint, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(number.toString(16).padStart(length * 2, '0'), 'hex'))
}

const maxSize = 2n ** 31n

type ValueSyntax = 'address' | 'subnet' | 'text'

const checks: Readonly<Record<ValueSyntax, (text: string) => boolean>> = {
  address: (text) => addressBytes(text) !== undefined,
  subnet: (text) => text !== '' && parseAddressRange(text) !== undefined && !text.includes('-'),
  text: () => true,
}

/** The attributes of pools that have names, by the syntax of their values. */
export const attributeKinds: ReadonlyMap<string, ValueSyntax> = new Map([
  ['address', 'address'],
  ['dns', 'address'],
  ['nbns', 'address'],
  ['dhcp', 'address'],
  ['netmask', 'address'],
  ['server', 'address'],
  ['p_cscf', 'address'],
  ['subnet', 'subnet'],
  ['split_include', 'subnet'],
  ['split_exclude', 'subnet'],
])
