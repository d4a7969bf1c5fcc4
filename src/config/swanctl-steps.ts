/** What reading /etc/swanctl gives, one thing after the other. */
import { dirname } from 'node:path'
import { ConfigError, type Place } from './config-error.ts'
import type { ConfigFiles } from './files.ts'
import { type ConfSection, type ConfValue, readConf } from './grammar.ts'
import type { Tree } from './tree.ts'

/** A VICI request to make. `source` is the file or section that it comes from, for messages. */
export interface LoadRequest {
  readonly command: LoadCommand
  readonly source: string
  /** Where the section begins. */
  readonly place?: Place
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
  const { root, files: read, warnings } = readConf(path, files)
  return { root, read, warnings, directory, files }
}

/** `$SWANCTL_DIR`, else /etc/swanctl. */
export function swanctlDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return env['SWANCTL_DIR'] || '/etc/swanctl'
}

/** The sections in a section of the root. */
export function subsections(root: ConfSection, name: string): readonly ConfSection[] {
  return [...(root.sections.get(name)?.sections.values() ?? [])]
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
export function exposure({ files }: SwanctlSource, path: string, why: string): readonly LoadStep[] {
  const mode = files.stat(path)?.mode ?? 0
  return (mode & 0o004) === 0
    ? []
    : [{ advice: `${path} can be read by everybody and ${why}: run 'chmod 600 ${path}'` }]
}
