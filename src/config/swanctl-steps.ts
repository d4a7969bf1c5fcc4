/** What reading /etc/swanctl gives, one thing after the other. */
import { dirname } from 'node:path'
import { ConfigError, formatPlace, type Place } from './config-error.ts'
import type { ConfigFiles } from './files.ts'
import { type ConfSection, type ConfValue, readConf } from './grammar.ts'
import type { Tree } from './tree.ts'

/** A VICI request to make. `source` is the file or section that it comes from, for messages. */
export interface LoadRequest {
  readonly command: LoadCommand
  readonly source: string
  /** Where the section begins. */
  readonly place?: Place
  /** The section, to find the place of a key that is refused. */
  readonly conf?: ConfSection
  readonly message: Tree
}

export type LoadCommand =
  | 'load-cert'
  | 'load-key'
  | 'load-token'
  | 'load-shared'
  | 'load-authority'
  | 'load-pool'
  | 'load-conn'

/** What gives no request, and why. */
export interface LoadTrouble {
  readonly command: LoadCommand
  readonly source: string
  readonly error: ConfigError
  /** Nothing that was wanted is missing. */
  readonly isIgnored: boolean
}

/** One thing found; an advice is about something that works but should be changed. */
export type LoadStep = LoadRequest | LoadTrouble | { readonly advice: string }

/** A swanctl.conf that was read, and the directory that has its folders. */
export interface SwanctlSource {
  readonly root: ConfSection
  /** The files that `root` was read from. */
  readonly read: readonly string[]
  readonly warnings: readonly string[]
  readonly directory: string
  readonly files: ConfigFiles
}

/**
 * Reads a swanctl.conf; the folders are beside it. A file that is not there is an empty one.
 * @throws ConfigError when it does not follow the grammar
 */
export function openSwanctl(path: string, files: ConfigFiles): SwanctlSource {
  const directory = dirname(path)
  if (files.stat(path) === undefined) {
    return {
      root: { name: '', place: { file: path, line: 1 }, values: new Map(), sections: new Map() },
      read: [],
      warnings: [`${path} is not there: no connections are configured by file`],
      directory,
      files,
    }
  }
  const { root, files: read, templates, warnings } = readConf(path, files)
  return { root, read, warnings: [...warnings, ...unread(root, templates)], directory, files }
}

/** Sections that are neither read nor inherited from: swanctl passes over them, but they are hardly meant so. */
function unread(root: ConfSection, templates: ReadonlySet<string>): readonly string[] {
  const strays = [...root.sections.values()].filter(({ name }) => !known.has(name) && !templates.has(name))
  return strays.map(
    ({ name, place }) =>
      `${formatPlace(place)}: nobody reads the section '${name}'; there are connections, secrets, pools and authorities`,
  )
}

const known: ReadonlySet<string> = new Set(['connections', 'secrets', 'pools', 'authorities'])

/** `$SWANCTL_DIR`, else /etc/swanctl. */
export function swanctlDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return env['SWANCTL_DIR'] || '/etc/swanctl'
}

/** The sections in a section of the root. */
export function subsections(root: ConfSection, name: string): readonly ConfSection[] {
  return [...(root.sections.get(name)?.sections.values() ?? [])]
}

/** The request that a section makes, or what is wrong with it. */
export function attemptSection(command: LoadCommand, conf: ConfSection, make: () => Tree): LoadStep {
  const step = attempt(command, conf.name, conf.place, make)
  return 'message' in step ? { ...step, conf } : step
}

/** The place of what a path of names leads to, or of the last section on the way. */
export function placeOf(conf: ConfSection, path: readonly string[]): Place {
  const [first, ...rest] = path
  const inner = first === undefined ? undefined : conf.sections.get(first)
  if (inner !== undefined) return placeOf(inner, rest)
  return (first === undefined ? undefined : conf.values.get(first)?.place) ?? conf.place
}

/** A request, or what is wrong with what it would have been made of. */
export function attempt(command: LoadCommand, source: string, place: Place | undefined, make: () => Tree): LoadStep {
  try {
    return { command, source, ...(place && { place }), message: make() }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { command, source, error, isIgnored: false }
  }
}

/** Gives an error of `parse` the place of the value. */
export function placed<T>(item: ConfValue, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.message, item.place) : error
  }
}

/** An advice when everybody may read a file. */
export function exposure(source: SwanctlSource, path: string, why: string): readonly LoadStep[] {
  const exposed = exposedTo(source, path, why)
  return exposed === undefined ? [] : [{ advice: exposed }]
}

/** That everybody may read a file, and the cure; undefined when its own mode, or that of a folder above it, says no. */
export function exposedTo({ files }: SwanctlSource, path: string, why: string): string | undefined {
  if (((files.stat(path)?.mode ?? 0) & 0o004) === 0) return undefined
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const mode = files.stat(folder)?.mode
    if (mode !== undefined && (mode & 0o001) === 0) return undefined
    if (folder === dirname(folder)) break
  }
  return `${path} can be read by everybody and ${why}: run 'chmod 600 ${path}'`
}
