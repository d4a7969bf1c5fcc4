import type { KeyObject } from 'node:crypto'
import type { SignatureScheme } from '../crypto/signatures.ts'
import { type Certificate, sameCertificate } from './certificate.ts'
import { formatIdentity, type IdentityPattern, matchIdentity } from './identity.ts'
import { type KeyType, keyBits, keyTypeOf } from './keys.ts'
import type { RdnMatching } from './name.ts'
import { identitiesOf } from './store.ts'

/** What a connection demands of a peer's key, signature and chain beyond that they are valid. Absent means no demand. */
export interface PeerConstraints {
  /** Kinds of keys that the peer may sign with. */
  readonly keyTypes?: readonly KeyType[]
  /** The least size of each key in the chain, by kind. */
  readonly minimumBits?: Partial<Readonly<Record<KeyType, number>>>
  /** Schemes of the AUTH signature; a kind of key without an entry may use any. */
  readonly authSchemes?: readonly SchemeConstraint[]
  /** Schemes of the signatures in the chain, likewise. */
  readonly chainSchemes?: readonly SchemeConstraint[]
  /** Hashes that may be used with method 14, by IKEv2 number; those that we announced, by default all but SHA-1. */
  readonly announcedHashes?: readonly number[]
  /** A CA in the chain must have this identity. */
  readonly caId?: IdentityPattern
  /** The peer's certificate must be one of these, or its raw key one of `publicKeys`. */
  readonly certificates?: readonly Certificate[]
  readonly publicKeys?: readonly KeyObject[]
  /** One of these CAs must be in the chain. */
  readonly authorities?: readonly Certificate[]
  readonly rdnMatching?: RdnMatching
}

export interface SchemeConstraint {
  readonly keyType: KeyType
  /** IKEv2 hash algorithm: 1 SHA1, 2 SHA2-256, 3 SHA2-384, 4 SHA2-512, 5 Identity. */
  readonly hash: number
  /** Only RSASSA-PSS, or only PKCS #1; absent means both. */
  readonly pss?: boolean
}

/** What is wrong with the scheme of an AUTH signature; undefined if nothing is. */
export function checkScheme(scheme: SignatureScheme, constraints: PeerConstraints): string | undefined {
  const { keyTypes, authSchemes, announcedHashes = DEFAULT_HASHES } = constraints
  const { name, keyType, method, hash = 0 } = scheme
  if (keyTypes !== undefined && !keyTypes.includes(keyType))
    return `constraint check failed: the peer signed with a key of type ${keyType}, ${keyTypes.join(' or ')} is configured`
  // RFC 7427 §4: the signer must use a hash that the other side has listed
  if (method === 14 && !announcedHashes.includes(hash))
    return `constraint check failed: the peer signed with ${name}, a hash we did not announce`
  if (!allows(authSchemes, keyType, hash, scheme.pssSaltBytes !== undefined))
    return `constraint check failed: signature scheme ${name} not acceptable`
  return undefined
}

/** What is wrong with a valid chain; undefined if nothing is. The chain is empty if a raw key was used. */
export function checkChain(
  path: readonly Certificate[],
  key: KeyObject,
  constraints: PeerConstraints,
): string | undefined {
  const { minimumBits, chainSchemes, caId, certificates, publicKeys, authorities, rdnMatching } = constraints
  const [leaf, ...cas] = path
  for (const each of [key, ...cas.map(({ publicKey }) => publicKey)]) {
    const least = minimumBits?.[keyTypeOf(each)]
    if (least !== undefined && keyBits(each) < least)
      return `constraint check failed: ${keyTypeOf(each)} key strength ${keyBits(each)} is below the ${least} bits configured`
  }
  for (const { subjectText, signatureAlgorithm: used } of path.slice(0, -1)) {
    const hash = HASH_NUMBERS.get(used.hash) ?? 0
    if (used.keyType !== undefined && !allows(chainSchemes, used.keyType, hash, used.pssSaltBytes !== undefined))
      return `constraint check failed: signature scheme ${used.name} of certificate "${subjectText}" not acceptable`
  }
  const pinned =
    leaf === undefined
      ? publicKeys?.some((one) => one.equals(key))
      : certificates?.some((one) => sameCertificate(one, leaf))
  if ((certificates !== undefined || publicKeys !== undefined) && !pinned)
    return `constraint check failed: peer not authenticated by one of the certificates or public keys configured for it`
  if (authorities !== undefined && !authorities.some((ca) => cas.some((each) => sameCertificate(ca, each)))) {
    const names = authorities.map((ca) => `"${ca.subjectText}"`)
    return `constraint check failed: peer not authenticated by CA ${names.join(' or ')}`
  }
  const hasCaId = (ca: Certificate): boolean =>
    caId !== undefined && identitiesOf(ca).some((identity) => matchIdentity(identity, caId, rdnMatching) > 0)
  if (caId !== undefined && !cas.some(hasCaId))
    return `constraint check failed: no CA in the trust chain has the identity '${formatIdentity(caId)}'`
  return undefined
}

function allows(
  schemes: readonly SchemeConstraint[] | undefined,
  keyType: KeyType,
  hash: number,
  pss: boolean,
): boolean {
  const relevant = schemes?.filter((scheme) => scheme.keyType === keyType) ?? []
  return relevant.length === 0 || relevant.some((s) => s.hash === hash && (s.pss === undefined || s.pss === pss))
}

const DEFAULT_HASHES: readonly number[] = [2, 3, 4, 5]

const HASH_NUMBERS: ReadonlyMap<string | null, number> = new Map([
  ['sha1', 1],
  ['sha256', 2],
  ['sha384', 3],
  ['sha512', 4],
  [null, 5],
])
