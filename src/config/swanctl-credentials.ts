/** The credentials of /etc/swanctl: its folders of certificates and keys, and the secrets of swanctl.conf. */
import type { KeyObject } from 'node:crypto'
import { keyTypeOf, loadPrivateKey, PassphraseMissing } from '../pki/keys.ts'
import { readPkcs12 } from '../pki/pkcs12.ts'
import { DecodeError } from '../wire/errors.ts'
import { ConfigError, type Place } from './config-error.ts'
import { reasonOf } from './files.ts'
import { type ConfSection, confText } from './grammar.ts'
import { passphrasePrefixes, sharedPrefixes } from './secret-kinds.ts'
import {
  attempt,
  exposedTo,
  exposure,
  type LoadCommand,
  type LoadRequest,
  type LoadStep,
  placed,
  type SwanctlSource,
  subsections,
} from './swanctl-steps.ts'
import { list, type Tree, value } from './tree.ts'
import { parseSecret } from './values.ts'

/**
 * Who reads private keys. The daemon does when it reads the folders itself; swanctl passes on what is not encrypted, or
 * cannot be decrypted here, as it stands in the file.
 */
export interface KeyReading {
  readonly by: 'daemon' | 'client'
  /** Asks a person for a secret; undefined when nobody answers. Without it, nobody is asked. */
  readonly ask?: (question: string) => Uint8Array | undefined
}

/** In swanctl's order: certificates, keys, containers, tokens, secrets. */
export function* credentialSteps(source: SwanctlSource, reading: KeyReading): Generator<LoadStep> {
  const secrets = subsections(source.root, 'secrets')
  yield* certificateSteps(source)
  for (const folder of keyFolders) {
    for (const path of filesIn(source, folder)) yield* keySteps(source, secrets, folder, path, reading)
  }
  for (const path of filesIn(source, 'pkcs12')) yield* containerSteps(source, secrets, path, reading)
  for (const conf of secrets.filter(isToken)) {
    if (reading.by === 'daemon') {
      const error = new ConfigError(`keys on tokens are not supported: secret '${conf.name}'`, conf.place)
      yield { command: 'load-token', source: conf.name, error, isIgnored: false }
      continue
    }
    const message = [...conf.values].map(([name, item]) => value(name, item.bytes))
    yield { command: 'load-token', source: conf.name, place: conf.place, message }
  }
  for (const conf of secrets.filter((one) => !isToken(one))) yield* secretSteps(source, conf, reading)
}

const certificateFolders: readonly (readonly [folder: string, type: string, flag: string | undefined])[] = [
  ['x509', 'X509', 'NONE'],
  ['x509ca', 'X509', 'CA'],
  ['x509ocsp', 'X509', 'OCSP'],
  ['x509aa', 'X509', 'AA'],
  ['x509ac', 'X509_AC', undefined],
  ['x509crl', 'X509_CRL', undefined],
  ['pubkey', 'PUBKEY', undefined],
]

const keyFolders: readonly string[] = ['private', 'rsa', 'ecdsa', 'pkcs8']

/** How often somebody may mistype a passphrase. */
const maxQuestions = 3

function* certificateSteps(source: SwanctlSource): Generator<LoadStep> {
  for (const [folder, type, flag] of certificateFolders) {
    for (const path of filesIn(source, folder)) {
      yield attempt('load-cert', path, undefined, () => certificateMessage(type, flag, read(source, path)))
    }
  }
}

function certificateMessage(type: string, flag: string | undefined, data: Uint8Array): Tree {
  return [value('type', type), ...(flag === undefined ? [] : [value('flag', flag)]), value('data', data)]
}

function* keySteps(
  source: SwanctlSource,
  secrets: readonly ConfSection[],
  folder: string,
  path: string,
  reading: KeyReading,
): Generator<LoadStep> {
  if (reading.by === 'client') yield* exposure(source, path, 'it is a private key')
  const name = baseName(path)
  const phrases = passphrases(secrets, folder, name)
  const asIs = folder === 'private' || folder === 'pkcs8' ? 'any' : folder
  let data: Uint8Array
  try {
    data = read(source, path)
  } catch (error) {
    yield trouble('load-key', path, error)
    return
  }
  try {
    if (reading.by === 'daemon') {
      const key = unlock(data, [undefined, ...phrases], loadPrivateKey)
      const exposed = exposedTo(source, path, 'it is a private key')
      if (exposed !== undefined && !isLocked(data)) throw new ConfigError(`${path} is not taken: ${exposed}`)
      yield keyRequest(path, key)
      return
    }
    if (phrases.length > 0 || reading.ask !== undefined) {
      const found = unlockOrAsk(data, phrases, `${folder} file '${name}'`, reading, loadPrivateKey)
      if (found !== undefined) {
        yield keyRequest(path, found)
        return
      }
      if (phrases.length > 0) yield warning('load-key', path, `configured decryption secret for '${name}' invalid`)
    }
    yield { command: 'load-key', source: path, message: [value('type', asIs), value('data', Uint8Array.from(data))] }
  } catch (error) {
    yield trouble('load-key', path, error, `cannot load the private key ${path}`)
  } finally {
    data.fill(0)
  }
}

/** A PKCS#12 container has certificates and keys; all of them are loaded. */
function* containerSteps(
  source: SwanctlSource,
  secrets: readonly ConfSection[],
  path: string,
  reading: KeyReading,
): Generator<LoadStep> {
  yield* exposure(source, path, 'it holds private keys')
  const name = baseName(path)
  const phrases = passphrases(secrets, 'pkcs12', name)
  try {
    const data = read(source, path)
    const opened =
      reading.by === 'daemon'
        ? unlock(data, phrases.length === 0 ? [undefined] : phrases, readPkcs12)
        : unlockOrAsk(data, phrases, `pkcs12 file '${name}'`, reading, readPkcs12)
    if (opened === undefined) {
      if (phrases.length > 0) yield warning('load-key', path, `configured decryption secret for '${name}' invalid`)
      return
    }
    // The issuers are last in a container, and first for the daemon.
    for (const der of opened.certificates.toReversed()) {
      yield { command: 'load-cert', source: path, message: certificateMessage('X509', 'NONE', der) }
    }
    for (const key of opened.keys) yield keyRequest(path, key)
  } catch (error) {
    yield trouble('load-key', path, error, `cannot load ${path}`)
  }
}

/** The traditional formats of RSA and ECDSA keys are those that every daemon reads. */
function keyRequest(path: string, key: KeyObject): LoadRequest {
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs8'
  const der = key.export({ format: 'der', type })
  return {
    command: 'load-key',
    source: path,
    message: [value('type', keyTypeOf(key).toUpperCase()), value('data', der)],
  }
}

/** Whether a key needs a passphrase. */
function isLocked(data: Uint8Array): boolean {
  try {
    loadPrivateKey(data)
    return false
  } catch {
    return true
  }
}

/** The first that one of the passphrases opens. Throws what the last of them met. */
function unlock<T>(
  data: Uint8Array,
  phrases: readonly (Uint8Array | undefined)[],
  open: (data: Uint8Array, phrase?: Uint8Array) => T,
): T {
  let failure: unknown
  for (const phrase of phrases) {
    try {
      return open(data, phrase)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** Configured passphrases, else none, else those that somebody gives; undefined when nothing opens it. */
function unlockOrAsk<T>(
  data: Uint8Array,
  phrases: readonly Uint8Array[],
  what: string,
  { ask }: KeyReading,
  open: (data: Uint8Array, phrase?: Uint8Array) => T,
): T | undefined {
  const tried = (phrase?: Uint8Array): { readonly opened?: T; readonly isLocked?: boolean } => {
    try {
      return { opened: open(data, phrase) }
    } catch (error) {
      if (!(error instanceof DecodeError) && !(error instanceof PassphraseMissing)) throw error
      return { isLocked: phrase !== undefined || error instanceof PassphraseMissing }
    }
  }
  for (const phrase of phrases) {
    const { opened } = tried(phrase)
    if (opened !== undefined) return opened
  }
  if (phrases.length > 0) return undefined
  let state = tried()
  for (let n = 0; state.isLocked && ask !== undefined && n < maxQuestions; n++) {
    const phrase = ask(`Password for ${what}: `)
    if (phrase === undefined || phrase.length === 0) break
    state = tried(phrase)
    phrase.fill(0)
  }
  return state.opened
}

/** The values of `secret…` in sections whose `file` is this file. */
function passphrases(secrets: readonly ConfSection[], folder: string, name: string): readonly Uint8Array[] {
  return secrets
    .filter((conf) => conf.name.startsWith(folder) && fileOf(conf) === name)
    .flatMap((conf) => [...conf.values].filter(([key]) => key.startsWith('secret')).map(([, item]) => item.bytes))
}

function fileOf(conf: ConfSection): string | undefined {
  const item = conf.values.get('file')
  return item && confText(item)
}

/** A key that is on a token. */
function isToken({ name }: ConfSection): boolean {
  return name.startsWith('token')
}

function* secretSteps(source: SwanctlSource, conf: ConfSection, reading: KeyReading): Generator<LoadStep> {
  const type = sharedPrefixes.find((prefix) => conf.name.startsWith(prefix))
  if (type !== undefined) {
    yield attempt('load-shared', conf.name, conf.place, () => {
      const tree = secretTree(conf, type)
      if (reading.by === 'daemon') for (const item of conf.values.values()) refuseExposed(source, item.place, conf.name)
      return tree
    })
  } else if (!passphrasePrefixes.some((prefix) => conf.name.startsWith(prefix))) {
    yield warning('load-shared', conf.name, `ignoring unsupported secret '${conf.name}'`)
  }
}

/** swanctl takes them; what the daemon reads by itself nobody has been asked for. */
function refuseExposed(source: SwanctlSource, place: Place, secret: string): void {
  const exposed = exposedTo(source, place.file, 'it holds secrets')
  if (exposed !== undefined) throw new ConfigError(`secret '${secret}' is not taken: ${exposed}`, place)
}

function secretTree(conf: ConfSection, type: string): Tree {
  const secret = conf.values.get('secret')
  if (secret === undefined) throw new ConfigError(`missing secret in '${conf.name}', ignored`, conf.place)
  const owners = [...conf.values].filter(([key]) => key.startsWith('id')).map(([, item]) => item.bytes)
  const data = placed(secret, () => parseSecret(secret.bytes))
  return [value('id', conf.name), value('type', type), value('data', data), list('owners', owners)]
}

function filesIn({ directory, files }: SwanctlSource, folder: string): readonly string[] {
  const paths = files.list(`${directory}/${folder}`).map((name) => `${directory}/${folder}/${name}`)
  return paths.filter((path) => files.stat(path)?.regular === true).toSorted()
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function read({ files }: SwanctlSource, path: string): Uint8Array {
  try {
    return files.read(path)
  } catch (error) {
    throw new ConfigError(`loading '${path}' failed: ${reasonOf(error)}`)
  }
}

function warning(command: LoadCommand, source: string, message: string): LoadStep {
  return { command, source, error: new ConfigError(message), isIgnored: true }
}

function trouble(command: LoadCommand, source: string, error: unknown, prefix?: string): LoadStep {
  if (error instanceof ConfigError) return { command, source, error, isIgnored: false }
  if (!(error instanceof DecodeError) && !(error instanceof PassphraseMissing)) throw error
  return { command, source, error: new ConfigError(`${prefix}: ${error.message}`), isIgnored: false }
}
