/**
 * Inputs and outputs of the core as JSON. Octets, big numbers and maps come back as they were; of what is secret only
 * its kind and its length are kept, and something of that kind comes back.
 */
import { createPublicKey, KeyObject } from 'node:crypto'
import { KeyExchangePrivate } from '../crypto/key-exchange/key-exchange.ts'
import { Secret } from '../crypto/secret.ts'
import { KernelError } from '../kernel/operations.ts'
import { type Certificate, parseCertificate } from '../pki/certificate.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** The value as JSON; `undefined` and functions in records are left out. What cannot come back is named. */
export function encode(value: unknown): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (value === undefined) return { $: 'undefined' }
  if (typeof value === 'number') return Number.isFinite(value) ? value : { $: 'number', value: String(value) }
  if (typeof value === 'bigint') return { $: 'bigint', value: String(value) }
  if (typeof value !== 'object') return { $: 'other', name: typeof value }
  if (value instanceof Uint8Array) return { $: 'octets', value: Buffer.from(value).toString('hex') }
  if (Array.isArray(value)) return value.map(encode)
  if (value instanceof Secret) return { $: 'secret', length: value.length }
  if (value instanceof KeyExchangePrivate) return { $: 'private', method: value.method }
  if (value instanceof KeyObject) return encodeKey(value)
  if (value instanceof Error) return encodeError(value)
  if (value instanceof RegExp) return { $: 'pattern', source: value.source, flags: value.flags }
  if (value instanceof Map) return { $: 'map', value: [...value].map(encode) }
  if (value instanceof Set) return { $: 'set', value: [...value].map(encode) }
  if (isCertificate(value)) return { $: 'certificate', value: Buffer.from(value.der).toString('base64') }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    return { $: 'other', name: value.constructor.name }
  }
  if (isSharedSecret(value)) return encodeRecord({ ...value, data: new Uint8Array(value.data.length) })
  return encodeRecord(value)
}

/** What `encode` was given, with something of the same kind and length in place of what is secret. */
export function decode(json: Json): unknown {
  if (json === null || typeof json !== 'object') return json
  if (isList(json)) return json.map(decode)
  if (!('$' in json)) return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, decode(value)]))
  const field = (name: string): Json => json[name] ?? null
  const text = (name: string): string => String(field(name))
  switch (text('$')) {
    case 'undefined':
      return undefined
    case 'number':
      return Number(field('value'))
    case 'bigint':
      return BigInt(text('value'))
    case 'octets':
      return Uint8Array.from(Buffer.from(text('value'), 'hex'))
    case 'secret':
      return Secret.of(new Uint8Array(Number(field('length'))))
    case 'private':
      return new KeyExchangePrivate(Number(field('method')), standIn)
    case 'key':
      return createPublicKey({ key: Buffer.from(text('spki'), 'base64'), format: 'der', type: 'spki' })
    case 'error':
      return decodeError(json)
    case 'pattern':
      return new RegExp(text('source'), text('flags'))
    case 'map':
      return new Map(decode(field('value')) as [unknown, unknown][]) // as `encode` has written it
    case 'set':
      return new Set(decode(field('value')) as unknown[]) // as `encode` has written it
    case 'certificate':
      return parseCertificate(Buffer.from(text('value'), 'base64'))
    default:
      throw new Error(`a journal of another version: ${text('$')}`)
  }
}

/** Only its method is looked at before a job takes it. */
const standIn = createPublicKey({
  key: { kty: 'OKP', crv: 'X25519', x: Buffer.alloc(32, 9).toString('base64url') },
  format: 'jwk',
})

function encodeRecord(value: object): Json {
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined && typeof inner !== 'function')
  return Object.fromEntries(entries.map(([name, inner]) => [name, encode(inner)]))
}

/** Of a private key its public half: the core asks it for its type and size, and leaves signing to a job. */
function encodeKey(key: KeyObject): Json {
  if (key.type === 'secret') return { $: 'secret', length: key.symmetricKeySize ?? 0 }
  const half = key.type === 'private' ? createPublicKey(key) : key
  return { $: 'key', spki: half.export({ format: 'der', type: 'spki' }).toString('base64') }
}

function encodeError(error: Error): Json {
  const { name, message } = error
  const kernel = error instanceof KernelError ? { operation: error.operation, errno: error.errno } : {}
  return { $: 'error', name, message, ...kernel }
}

/** The core tells errors of the kernel from all others, and of the others wants the message. */
function decodeError(json: { readonly [name: string]: Json }): Error {
  const { $: _, ...fields } = json
  const error: Error = fields['name'] === 'KernelError' ? Object.create(KernelError.prototype) : new Error()
  for (const [name, value] of Object.entries(fields)) Object.defineProperty(error, name, { value, configurable: true })
  return error
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json)
}

function isCertificate(value: object): value is Certificate {
  return 'der' in value && 'tbs' in value && 'publicKeyInfo' in value
}

/** An entry of `secrets`: a secret that is plain octets. */
function isSharedSecret(value: object): value is { data: Uint8Array } {
  return 'data' in value && 'owners' in value && value.data instanceof Uint8Array
}
