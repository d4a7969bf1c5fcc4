/** What the sections of `secrets` are, by the beginning of their names, and the keys in them. */

export interface SecretKind {
  readonly prefix: string
  /** `shared` goes to the daemon, `passphrase` opens a file here. */
  readonly use: 'shared' | 'passphrase' | 'token'
  readonly keys: readonly string[]
  /** Why there is no such thing here. */
  readonly refused?: string
  /** Why it can be loaded and listed, and nothing asks for it. */
  readonly listed?: string
}

const shared = ['secret', 'id<suffix>']
const file = ['file', 'secret']

/** In swanctl's order: the first whose prefix fits is it. */
export const secretKinds: readonly SecretKind[] = [
  { prefix: 'eap', use: 'shared', keys: shared },
  { prefix: 'xauth', use: 'shared', keys: shared, listed: 'no XAuth with IKEv2' },
  { prefix: 'ntlm', use: 'shared', keys: shared },
  { prefix: 'ike', use: 'shared', keys: shared },
  { prefix: 'ppk', use: 'shared', keys: shared },
  { prefix: 'private', use: 'passphrase', keys: file },
  { prefix: 'rsa', use: 'passphrase', keys: file },
  { prefix: 'ecdsa', use: 'passphrase', keys: file },
  { prefix: 'pkcs8', use: 'passphrase', keys: file },
  { prefix: 'pkcs12', use: 'passphrase', keys: file },
  { prefix: 'token', use: 'token', keys: ['handle', 'slot', 'module', 'pin'], refused: 'no tokens' },
]

export const sharedPrefixes: readonly string[] = prefixes('shared')
export const passphrasePrefixes: readonly string[] = prefixes('passphrase')

function prefixes(use: SecretKind['use']): readonly string[] {
  return secretKinds.filter((kind) => kind.use === use).map(({ prefix }) => prefix)
}
