/** The value of `auth` in local and remote sections: `pubkey`, `rsa-4096-sha256`, `ike:ecdsa-sha384`, `psk`, `eap-md5`. */
import { HASH_ALGORITHM } from '../wire/numbers.ts'
import { ConfigError } from './config-error.ts'
import type { AuthClass, SignatureConstraint } from './connection.ts'

export interface AuthValue {
  readonly class: AuthClass
  readonly signatures: readonly SignatureConstraint[]
  readonly eapMethod?: string
  /** What charon logs and ignores. */
  readonly notes: readonly string[]
}

/** @throws ConfigError. The words of public keys are case-sensitive, `psk` and `eap` are not, as in charon. */
export function parseAuth(text: string): AuthValue {
  if (/^(ike:|pubkey|rsa|ecdsa)/.test(text)) return { class: 'pubkey', ...parseConstraints(text) }
  if (/^psk$/i.test(text)) return { class: 'psk', signatures: [], notes: [] }
  if (/^eap/i.test(text)) return parseEap(text)
  if (/^xauth/i.test(text)) throw new ConfigError('xauth is IKEv1, which Sallyport does not speak; use eap')
  throw new ConfigError(`'${text}' is none of pubkey, rsa…, ecdsa…, ike:…, psk, eap…`)
}

/** `word-word-…`: key types, each followed by a minimum size and the hashes that are allowed with it. */
function parseConstraints(text: string): Pick<AuthValue, 'signatures' | 'notes'> {
  const signatures: {
    keyType: SignatureConstraint['keyType']
    minimumBits?: number
    hashes: number[]
    ikeOnly: boolean
  }[] = []
  const notes: string[] = []
  for (const token of text.split('-')) {
    const ikeOnly = token.startsWith('ike:')
    const word = ikeOnly ? token.slice(4) : token
    const keyType = keyTypes.get(word)
    if (keyType !== undefined) {
      signatures.push({ keyType, hashes: [], ikeOnly })
      continue
    }
    const hash = hashes.get(word)
    let current = signatures.at(-1)
    if (current === undefined || (ikeOnly && !current.ikeOnly)) {
      current = { keyType: current?.keyType ?? 'any', hashes: [], ikeOnly }
      signatures.push(current)
    }
    if (hash !== undefined) current.hashes.push(hash)
    else if (/^\d{1,6}$/.test(word) && (current.keyType === 'rsa' || current.keyType === 'ecdsa')) {
      current.minimumBits = Number(word)
    } else if (word === 'md5' || word === 'sha224') throw new ConfigError(`IKEv2 has no signatures with ${word}`)
    else notes.push(`ignoring invalid auth token: '${token}'`)
  }
  return { signatures, notes }
}

/** `eap`, `eap-method`, `eap-type-vendor`, with `:constraints` for methods that carry TLS. */
function parseEap(text: string): AuthValue {
  const colon = text.indexOf(':')
  const name = (colon < 0 ? text : text.slice(0, colon)).slice('eap'.length)
  const { signatures, notes } = colon < 0 ? { signatures: [], notes: [] } : parseConstraints(text.slice(colon + 1))
  const method = name.replace(/^-/, '').toLowerCase()
  if (method === '') return { class: 'eap', signatures, notes }
  if (eapMethods.has(method) || /^\d{1,3}(-\d{1,8})?$/.test(method)) {
    return { class: 'eap', signatures, notes, eapMethod: method }
  }
  return { class: 'eap', signatures, notes: [...notes, `unknown or invalid EAP method: ${method}`] }
}

const keyTypes: ReadonlyMap<string, SignatureConstraint['keyType']> = new Map([
  ['pubkey', 'any'],
  ['rsa', 'rsa'],
  ['rsa/pss', 'rsa/pss'],
  ['ecdsa', 'ecdsa'],
  ['ed25519', 'ed25519'],
  ['ed448', 'ed448'],
])

const hashes: ReadonlyMap<string, number> = new Map([
  ['sha1', HASH_ALGORITHM.SHA1],
  ['sha256', HASH_ALGORITHM.SHA2_256],
  ['sha384', HASH_ALGORITHM.SHA2_384],
  ['sha512', HASH_ALGORITHM.SHA2_512],
  ['identity', HASH_ALGORITHM.IDENTITY],
])

const eapMethods: ReadonlySet<string> = new Set(
  'identity md5 otp gtc tls ttls sim aka peap mschapv2 tnc pt dynamic radius'.split(' '),
)
