/** What `swanctl --load-all` does, done by the daemon itself at its start, through the same commands. */
import { ConfigError, formatPlace, type Place } from '../config/config-error.ts'
import { detailOf, loadConnection } from '../config/load-conn.ts'
import type { SwanctlReading } from '../config/swanctl.ts'
import { type LoadRequest, placeOf } from '../config/swanctl-steps.ts'
import { findText } from '../config/tree.ts'
import { commands } from './commands/index.ts'
import { type Context, configLog } from './request.ts'

export interface LoadOutcome {
  readonly loaded: number
  /** One line for each thing that could not be read or loaded. */
  readonly problems: readonly string[]
}

/** Carries out every request; what fails is logged and counted, and does not keep the rest from being loaded. */
export async function loadAll(reading: SwanctlReading, context: Context): Promise<LoadOutcome> {
  const { daemon } = context
  const problems = reading.problems.map(({ message }) => message)
  for (const warning of reading.warnings) daemon.log({ ...configLog(warning), severity: 'warn' })
  let loaded = 0
  for (const request of reading.requests) {
    const problem = await load(request, context)
    if (problem === undefined) loaded++
    else problems.push(problem)
  }
  for (const problem of problems) daemon.log({ ...configLog(problem), severity: 'error' })
  return { loaded, problems }
}

async function load(request: LoadRequest, context: Context): Promise<string | undefined> {
  const { command, source, message } = request
  const handler = commands.get(command)
  if (handler === undefined) return `there is no command '${command}'`
  const response = await handler({ message, broken: false, stream: async () => undefined }, context)
  if (findText(response, 'success') === 'yes') return undefined
  const reason = findText(response, 'errmsg') ?? 'no reason given'
  const { place, detail } = faultIn(request, reason, context)
  const at = place === undefined ? '' : `${formatPlace(place)}: `
  return `${at}${command} of '${source}' failed: ${detail}`
}

/** Where in the file the fault is, and what charon's words leave out: the reason, with the cure. */
function faultIn(
  { command, conf, place, message }: LoadRequest,
  reason: string,
  { files, daemon }: Context,
): { readonly place: Place | undefined; readonly detail: string } {
  const [item] = message
  if (conf === undefined || item?.kind !== 'section') return { place, detail: reason }
  if (command === 'load-conn') {
    try {
      loadConnection(item.name, item.items, files, daemon.portIke)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return { place: placeOf(conf, error.path), detail: detailOf(error) }
    }
  }
  const named = [...conf.values.keys()].find((name) => new RegExp(`\\b${RegExp.escape(name)}\\b`).test(reason))
  return { place: placeOf(conf, named === undefined ? [] : [named]), detail: reason }
}
