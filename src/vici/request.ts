/** What a command handler gets and gives. */
import type { ConfigFiles } from '../config/files.ts'
import { findText, type Tree, value } from '../config/tree.ts'
import { parseNumberPrefix } from '../config/values.ts'
import type { LogEntry } from '../ike/output.ts'
import type { Daemon } from './daemon.ts'

export interface Request {
  /** The arguments; empty when they could not be decoded, as look-ups in charon find nothing then. */
  readonly message: Tree
  /** The message was no message; commands that read all of it refuse it. */
  readonly broken: boolean
  /**
   * Sends an event to the client that asks, if it is registered for it. Resolves when the client has room for more, so
   * that a long listing waits for a slow reader.
   */
  readonly stream: (event: string, message: Tree) => Promise<void>
}

/** What handlers share beside the daemon. */
export interface Context {
  readonly daemon: Daemon
  /** For certificates that a connection names as files. */
  readonly files: ConfigFiles
}

/** Carries out one command and gives its response. */
export type Handler = (request: Request, context: Context) => Tree | Promise<Tree>

export function success(...between: Tree): Tree {
  return [value('success', 'yes'), ...between]
}

/** `between` are the fields that come before the text. */
export function failure(message: string, ...between: Tree): Tree {
  return [value('success', 'no'), ...between, value('errmsg', message)]
}

/** A number as charon reads one: C's strtol with base 0; empty or with anything behind it is the default. */
export function findInt(tree: Tree, name: string, byDefault = 0): number {
  const text = findText(tree, name)
  if (text === undefined || text === '') return byDefault
  const { number, rest } = parseNumberPrefix(text)
  return rest === '' ? Number(BigInt.asIntN(32, number)) : byDefault
}

/** A truth value as charon reads one; anything that is none is the default. */
export function findBool(tree: Tree, name: string, byDefault = false): boolean {
  const text = findText(tree, name)?.toLowerCase() ?? ''
  if (['yes', 'true', 'enabled', '1'].includes(text)) return true
  return ['no', 'false', 'disabled', '0'].includes(text) ? false : byDefault
}

/** An entry of the group that VICI logs in. */
export function configLog(message: string, level: LogEntry['level'] = 1): LogEntry {
  return { group: 'CFG', level, message }
}
