/**
 * /etc/swanctl as the requests that `swanctl --load-all` sends, in the same order. The daemon makes them to itself when it
 * starts, and the client sends them, so that all ways of configuring go through the same code.
 */
import { ConfigError } from './config-error.ts'
import { type ConfigFiles, reasonOf } from './files.ts'
import type { ConfSection, ConfValue } from './grammar.ts'
import { credentialSteps } from './swanctl-credentials.ts'
import {
  attemptSection,
  type LoadRequest,
  type LoadStep,
  openSwanctl,
  placed,
  type SwanctlSource,
  subsections,
} from './swanctl-steps.ts'
import { list, section, type Tree, type TreeItem, value } from './tree.ts'
import { parseSecret } from './values.ts'

export interface SwanctlReading {
  readonly requests: readonly LoadRequest[]
  /** What could not be read; everything else is in `requests`. */
  readonly problems: readonly ConfigError[]
  /** What works but should be changed. */
  readonly warnings: readonly string[]
}

/**
 * Reads `directory`/swanctl.conf and the folders of credentials beside it, for the daemon. A missing swanctl.conf is an
 * empty one.
 * @throws ConfigError when swanctl.conf does not follow the grammar
 */
export function readSwanctl(directory: string, files: ConfigFiles): SwanctlReading {
  const source = openSwanctl(`${directory}/swanctl.conf`, files)
  const requests: LoadRequest[] = []
  const problems: ConfigError[] = []
  const warnings: string[] = [...source.warnings]
  for (const step of allSteps(source)) {
    if ('advice' in step) warnings.push(step.advice)
    else if ('message' in step) requests.push(step)
    else if (step.isIgnored) warnings.push(step.error.message)
    else problems.push(step.error)
  }
  return { requests, problems, warnings }
}

function* allSteps(source: SwanctlSource): Generator<LoadStep> {
  yield* credentialSteps(source, { by: 'daemon' })
  yield* authoritySteps(source)
  yield* poolSteps(source)
  yield* connectionSteps(source)
}

export function* authoritySteps(source: SwanctlSource): Generator<LoadStep> {
  for (const conf of subsections(source.root, 'authorities')) {
    yield attemptSection('load-authority', conf, () => [section(conf.name, authorityTree(conf, source))])
  }
}

export function* poolSteps(source: SwanctlSource): Generator<LoadStep> {
  for (const conf of subsections(source.root, 'pools')) {
    yield attemptSection('load-pool', conf, () => [section(conf.name, poolTree(conf))])
  }
}

export function* connectionSteps(source: SwanctlSource): Generator<LoadStep> {
  for (const conf of subsections(source.root, 'connections')) {
    yield attemptSection('load-conn', conf, () => [section(conf.name, connectionTree(conf, source))])
  }
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
        splitList(item).map((file) => readBlob(file, folder, name, item, from)),
      )
    return listKeys.has(name) ? list(name, splitList(item)) : value(name, item.bytes)
  })
  return [...own, ...[...conf.sections.values()].map((inner) => section(inner.name, connectionTree(inner, from)))]
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

function authorityTree(conf: ConfSection, source: SwanctlSource): Tree {
  return [...conf.values].map(([name, item]) => {
    if (name === 'cacert') return value(name, readBlob(item.bytes, 'x509ca', 'ca', item, source))
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

/** A file in a folder, by name or absolute path, or inline data. `kind` is what messages call it. */
function readBlob(
  file: Uint8Array,
  folder: string,
  kind: string,
  item: ConfValue,
  from: { readonly directory: string; readonly files: ConfigFiles },
): Uint8Array {
  const name = Buffer.from(file).toString('utf8')
  if (/^0[xs]/i.test(name)) return placed(item, () => parseSecret(file))
  const path = name.startsWith('/') ? name : `${from.directory}/${folder}/${name}`
  try {
    return from.files.read(path)
  } catch (error) {
    throw new ConfigError(`loading ${kind} certificate '${path}' failed: ${reasonOf(error)}`, item.place)
  }
}
