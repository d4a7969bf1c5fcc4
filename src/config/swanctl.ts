/**
 * The daemon's own reading of /etc/swanctl: it makes the very requests that `swanctl --load-all` would send, in the same
 * order, so that both ways of configuring go through the same code.
 */
import { keyTypeOf, loadPrivateKey, PassphraseMissing } from '../pki/keys.ts'
import { DecodeError } from '../wire/errors.ts'
import { ConfigError, type Place } from './config-error.ts'
import type { ConfigFiles } from './files.ts'
import { type Conf, type ConfSection, type ConfValue, confText, readConf } from './grammar.ts'
import { passphrasePrefixes, sharedPrefixes } from './secret-kinds.ts'
import { list, section, type Tree, type TreeItem, value } from './tree.ts'
import { parseSecret } from './values.ts'

/** A VICI request to make. `source` is the file or section that it comes from, for messages. */
export interface LoadRequest {
  readonly command: 'load-cert' | 'load-key' | 'load-shared' | 'load-authority' | 'load-pool' | 'load-conn'
  readonly source: string
  /** Where the section begins. */
  readonly place?: Place
  readonly message: Tree
}

export interface SwanctlReading {
  readonly requests: readonly LoadRequest[]
  /** What could not be read; everything else is in `requests`. */
  readonly problems: readonly ConfigError[]
  /** What works but should be changed. */
  readonly warnings: readonly string[]
}

/** `$SWANCTL_DIR`, else /etc/swanctl. */
export function swanctlDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return env['SWANCTL_DIR'] || '/etc/swanctl'
}

/**
 * Reads `directory`/swanctl.conf and the folders of credentials beside it. A missing swanctl.conf is an empty one.
 * @throws ConfigError when swanctl.conf does not follow the grammar
 */
export function readSwanctl(directory: string, files: ConfigFiles): SwanctlReading {
  const path = `${directory}/swanctl.conf`
  const empty: Conf = {
    root: { name: '', place: { file: path, line: 1 }, values: new Map(), sections: new Map() },
    files: [],
    warnings: [`${path} is not there: no connections are configured by file`],
  }
  const conf = files.stat(path) === undefined ? empty : readConf(path, files)
  const reading: Reading = { directory, files, requests: [], problems: [], warnings: [...conf.warnings] }
  const secrets = subsections(conf.root, 'secrets')
  readCertificates(reading)
  readKeys(reading, secrets)
  readSecrets(reading, secrets)
  if (secrets.length > 0) for (const file of conf.files) warnIfExposed(reading, file, 'it holds secrets')
  for (const authority of subsections(conf.root, 'authorities')) {
    request(reading, 'load-authority', authority, () => [section(authority.name, authorityTree(authority, reading))])
  }
  for (const pool of subsections(conf.root, 'pools')) {
    request(reading, 'load-pool', pool, () => [section(pool.name, poolTree(pool))])
  }
  for (const connection of subsections(conf.root, 'connections')) {
    request(reading, 'load-conn', connection, () => [section(connection.name, connectionTree(connection, reading))])
  }
  return reading
}

/** A section of swanctl.conf as swanctl sends it: values first, lists split at commas, file names replaced by contents. */
export function connectionTree(
  conf: ConfSection,
  from: { readonly directory: string; readonly files: ConfigFiles },
): Tree {
  const own = [...conf.values].map(([name, item]): TreeItem => {
    const folder = blobFolders.get(name)
    if (folder !== undefined)
      return list(
        name,
        splitList(item).map((file) => readBlob(file, folder, item, from)),
      )
    return listKeys.has(name) ? list(name, splitList(item)) : value(name, item.bytes)
  })
  return [...own, ...[...conf.sections.values()].map((inner) => section(inner.name, connectionTree(inner, from)))]
}

interface Reading extends SwanctlReading {
  readonly directory: string
  readonly files: ConfigFiles
  readonly requests: LoadRequest[]
  readonly problems: ConfigError[]
  readonly warnings: string[]
}

/** The keys whose values swanctl splits at commas. */
const listKeys: ReadonlySet<string> = new Set(
  'local_addrs remote_addrs proposals esp_proposals ah_proposals local_ts remote_ts vips pools groups cert_policy'.split(
    ' ',
  ),
)

/** The keys whose values are names of files in a folder. */
const blobFolders: ReadonlyMap<string, string> = new Map([
  ['certs', 'x509'],
  ['cacerts', 'x509ca'],
  ['pubkeys', 'pubkey'],
])

const certificateFolders: readonly (readonly [folder: string, type: string, flag: string])[] = [
  ['x509', 'X509', 'NONE'],
  ['x509ca', 'X509', 'CA'],
  ['x509ocsp', 'X509', 'OCSP'],
  ['x509aa', 'X509', 'AA'],
  ['x509ac', 'X509_AC', 'NONE'],
  ['x509crl', 'X509_CRL', 'NONE'],
  ['pubkey', 'PUBKEY', 'NONE'],
]

const keyFolders: readonly string[] = ['private', 'rsa', 'ecdsa', 'pkcs8']

function subsections(root: ConfSection, name: string): readonly ConfSection[] {
  return [...(root.sections.get(name)?.sections.values() ?? [])]
}

/** Adds a request, or what is wrong with the section it would have come from. */
function request(reading: Reading, command: LoadRequest['command'], conf: ConfSection, make: () => Tree): void {
  try {
    reading.requests.push({ command, source: conf.name, place: conf.place, message: make() })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    reading.problems.push(error)
  }
}

function readCertificates(reading: Reading): void {
  for (const [folder, type, flag] of certificateFolders) {
    for (const path of filesIn(reading, folder)) {
      const data = readFile(reading, path)
      if (data === undefined) continue
      const message = [value('type', type), value('flag', flag), value('data', data)]
      reading.requests.push({ command: 'load-cert', source: path, message })
    }
  }
}

function readKeys(reading: Reading, secrets: readonly ConfSection[]): void {
  for (const folder of keyFolders) {
    for (const path of filesIn(reading, folder)) {
      warnIfExposed(reading, path, 'it is a private key')
      const data = readFile(reading, path)
      if (data === undefined) continue
      try {
        const name = path.slice(path.lastIndexOf('/') + 1)
        const key = decryptKey(data, passphrases(secrets, folder, name))
        const der = key.export({ format: 'der', type: 'pkcs8' })
        const message = [value('type', keyTypeOf(key).toUpperCase()), value('data', der)]
        reading.requests.push({ command: 'load-key', source: path, message })
      } catch (error) {
        if (!(error instanceof DecodeError) && !(error instanceof PassphraseMissing)) throw error
        reading.problems.push(new ConfigError(`cannot load the private key ${path}: ${error.message}`))
      }
      data.fill(0)
    }
  }
  for (const path of filesIn(reading, 'pkcs12')) {
    const cure = `take it apart with 'openssl pkcs12' into the folders x509, x509ca and private`
    reading.problems.push(new ConfigError(`PKCS#12 files are not supported: ${path}; ${cure}`))
  }
}

function decryptKey(data: Uint8Array, phrases: readonly Uint8Array[]): ReturnType<typeof loadPrivateKey> {
  let failure: unknown
  for (const phrase of [undefined, ...phrases]) {
    try {
      return loadPrivateKey(data, phrase)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** The values of `secret…` in sections whose `file` is this file. */
function passphrases(secrets: readonly ConfSection[], folder: string, name: string): readonly Uint8Array[] {
  return secrets
    .filter((conf) => conf.name.startsWith(folder) && textValue(conf, 'file') === name)
    .flatMap((conf) => [...conf.values].filter(([key]) => key.startsWith('secret')).map(([, item]) => item.bytes))
}

function readSecrets(reading: Reading, secrets: readonly ConfSection[]): void {
  for (const conf of secrets) {
    const type = sharedPrefixes.find((prefix) => conf.name.startsWith(prefix))
    if (type !== undefined) request(reading, 'load-shared', conf, () => secretTree(conf, type))
    else if (conf.name.startsWith('token')) {
      reading.problems.push(new ConfigError(`keys on tokens are not supported: secret '${conf.name}'`, conf.place))
    } else if (!passphrasePrefixes.some((prefix) => conf.name.startsWith(prefix))) {
      reading.warnings.push(`ignoring unsupported secret '${conf.name}'`)
    }
  }
}

function secretTree(conf: ConfSection, type: string): Tree {
  const secret = conf.values.get('secret')
  if (secret === undefined) throw new ConfigError(`secret '${conf.name}' has no 'secret'; add one`, conf.place)
  const owners = [...conf.values].filter(([key]) => key.startsWith('id')).map(([, item]) => item.bytes)
  return [
    value('id', conf.name),
    value('type', type),
    value(
      'data',
      placed(secret, () => parseSecret(secret.bytes)),
    ),
    list('owners', owners),
  ]
}

function authorityTree(conf: ConfSection, reading: Reading): Tree {
  return [...conf.values].map(([name, item]) => {
    if (name === 'cacert') return value(name, readBlob(item.bytes, 'x509ca', item, reading))
    return name === 'crl_uris' || name === 'ocsp_uris' ? list(name, splitList(item)) : value(name, item.bytes)
  })
}

function poolTree(conf: ConfSection): Tree {
  return [...conf.values].map(([name, item]) =>
    name === 'addrs' ? value(name, item.bytes) : list(name, splitList(item)),
  )
}

function splitList(item: ConfValue): readonly Uint8Array[] {
  const words = Buffer.from(item.bytes).toString('latin1').split(',')
  const trimmed = words.map((word) => word.trim()).filter((word) => word !== '')
  return trimmed.map((word) => new Uint8Array(Buffer.from(word, 'latin1')))
}

/** A file in a folder, by name or absolute path, or inline data. */
function readBlob(
  file: Uint8Array,
  folder: string,
  item: ConfValue,
  from: { readonly directory: string; readonly files: ConfigFiles },
): Uint8Array {
  const name = Buffer.from(file).toString('utf8')
  if (/^0[xs]/i.test(name)) return placed(item, () => parseSecret(file))
  const path = name.startsWith('/') ? name : `${from.directory}/${folder}/${name}`
  try {
    return from.files.read(path)
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`, item.place)
  }
}

/** Gives an error of `parse` the place of the value. */
function placed<T>(item: ConfValue, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.message, item.place) : error
  }
}

function textValue(conf: ConfSection, name: string): string | undefined {
  const item = conf.values.get(name)
  return item && confText(item)
}

function filesIn(reading: Reading, folder: string): readonly string[] {
  const paths = reading.files
    .list(`${reading.directory}/${folder}`)
    .map((name) => `${reading.directory}/${folder}/${name}`)
  return paths.filter((path) => reading.files.stat(path)?.regular === true).toSorted()
}

function readFile(reading: Reading, path: string): Uint8Array | undefined {
  try {
    return reading.files.read(path)
  } catch (error) {
    reading.problems.push(new ConfigError(`cannot read ${path}: ${(error as Error).message}`))
    return undefined
  }
}

function warnIfExposed(reading: Reading, path: string, why: string): void {
  const mode = reading.files.stat(path)?.mode ?? 0
  if ((mode & 0o004) === 0) return
  reading.warnings.push(`${path} can be read by everybody and ${why}: run 'chmod 600 ${path}'`)
}
