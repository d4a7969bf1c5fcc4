/** Commands that bring swanctl.conf and the folders beside it into the daemon. */
import { ConfigError } from '../../config/config-error.ts'
import { authoritySteps, connectionSteps, poolSteps } from '../../config/swanctl.ts'
import { credentialSteps } from '../../config/swanctl-credentials.ts'
import {
  type LoadRequest,
  type LoadStep,
  openSwanctl,
  type SwanctlSource,
  swanctlDirectory,
} from '../../config/swanctl-steps.ts'
import { findList, findText, type Tree, value } from '../../config/tree.ts'
import { ViciError } from '../../vici/client.ts'
import { type Call, type Command, has, type OptionSpec, request, text } from '../command.ts'
import { valueText } from '../tree-json.ts'

const file: OptionSpec = {
  name: 'file',
  short: 'f',
  argument: 'FILE',
  help: 'this file in place of swanctl.conf; the folders are beside it',
}
const clear: OptionSpec = { name: 'clear', short: 'c', help: 'forget all credentials first' }
const noprompt: OptionSpec = { name: 'noprompt', short: 'n', help: 'do not ask for passphrases' }

export const loadCommands: readonly Command[] = [
  {
    name: 'load-all',
    short: 'q',
    help: 'load credentials, authorities, pools and connections',
    options: [clear, noprompt, file],
    run: (call) =>
      withSource(call, async (source) => {
        const parts = [loadCredentials, ...[authorities, pools, connections].map((part) => sectionsLoader(part))]
        for (const load of parts) {
          const status = await load(call, source)
          if (status !== 0) return status
        }
        return 0
      }),
  },
  {
    name: 'load-authorities',
    short: 'b',
    help: 'load certification authorities, unload those that are gone',
    options: [file],
    run: (call) => withSource(call, (source) => loadSections(call, source, authorities)),
  },
  {
    name: 'load-conns',
    short: 'c',
    help: 'load connections, unload those that are gone',
    options: [file],
    run: (call) => withSource(call, (source) => loadSections(call, source, connections)),
  },
  {
    name: 'load-creds',
    short: 's',
    help: 'load certificates, keys and secrets, unload those that are gone',
    options: [clear, noprompt, file],
    run: (call) => withSource(call, (source) => loadCredentials(call, source)),
  },
  {
    name: 'load-pools',
    short: 'a',
    help: 'load pools of virtual addresses, unload those that are gone',
    options: [file],
    run: (call) => withSource(call, (source) => loadSections(call, source, pools)),
  },
]

/** What a section of the root is loaded into. */
interface Part {
  readonly noun: string
  readonly plural: string
  readonly steps: (source: SwanctlSource) => Iterable<LoadStep>
  /** The command that tells what is there, and the names in its response. */
  readonly get: string
  readonly names: (response: Tree) => readonly string[]
  readonly unload: string
}

const listed =
  (name: string) =>
  (response: Tree): readonly string[] =>
    findList(response, name).map(valueText)

const authorities: Part = {
  noun: 'authority',
  plural: 'authorities',
  steps: authoritySteps,
  get: 'get-authorities',
  names: listed('authorities'),
  unload: 'unload-authority',
}

const pools: Part = {
  noun: 'pool',
  plural: 'pools',
  steps: poolSteps,
  get: 'get-pools',
  names: (response) => response.flatMap((item) => (item.kind === 'section' ? [item.name] : [])),
  unload: 'unload-pool',
}

const connections: Part = {
  noun: 'connection',
  plural: 'connections',
  steps: connectionSteps,
  get: 'get-conns',
  names: listed('conns'),
  unload: 'unload-conn',
}

/** EINVAL */
const invalid = 22

/** Reads swanctl.conf and does something with it; a file with an error changes nothing in the daemon. */
async function withSource(call: Call, load: (source: SwanctlSource) => Promise<number>): Promise<number> {
  const { io, persona } = call
  const given = text(call, 'file')
  const path = given ?? `${swanctlDirectory(io.env)}/swanctl.conf`
  try {
    if (given !== undefined && io.files.stat(given) === undefined) throw new ConfigError(`'${given}' is not there`)
    const source = openSwanctl(path, io.files)
    if (persona === 'sallyport') for (const warning of source.warnings) call.print.error(warning)
    return await load(source)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    call.print.error(error.message)
    call.print.error(`invalid config file '${path}'`)
    return invalid
  }
}

function sectionsLoader(part: Part): (call: Call, source: SwanctlSource) => Promise<number> {
  return (call, source) => loadSections(call, source, part)
}

async function loadSections(call: Call, source: SwanctlSource, part: Part): Promise<number> {
  const { print } = call
  const there = new Set(part.names(await known(call, part.get)))
  let loaded = 0
  let found = 0
  for (const step of part.steps(source)) {
    if ('advice' in step) continue
    found++
    there.delete(step.source)
    if (!('message' in step)) {
      complain(call, step.error)
      continue
    }
    const response = await request(call, step.command, step.message)
    if (accepted(call, step, response, `loading ${part.noun} '${step.source}'`)) {
      loaded++
      if (print.format === 'text') print.line(`loaded ${part.noun} '${step.source}'`)
    }
  }
  let unloaded = 0
  for (const name of there) {
    const response = await request(call, part.unload, [value('name', name)])
    if (accepted(call, { command: part.unload, source: name }, response, `unloading ${part.noun} '${name}'`)) unloaded++
  }
  if (print.format === 'json') return loaded === found ? 0 : invalid
  if (print.format !== 'text') return 0
  if (found === 0) print.line(`no ${part.plural} found, ${unloaded} unloaded`)
  else if (loaded === found) print.line(`successfully loaded ${loaded} ${part.plural}, ${unloaded} unloaded`)
  else {
    print.error(`loaded ${loaded} of ${found} ${part.plural}, ${found - loaded} failed to load, ${unloaded} unloaded`)
    return invalid
  }
  return 0
}

/** What could not be loaded is told, and does not make the command fail, as swanctl has it. */
async function loadCredentials(call: Call, source: SwanctlSource): Promise<number> {
  const { print, io } = call
  if (has(call, 'clear')) print.message('clear-creds reply', await request(call, 'clear-creds'))
  const keys = new Set(listed('keys')(await known(call, 'get-keys')))
  const secrets = new Set(listed('keys')(await known(call, 'get-shared')))
  const ask = has(call, 'noprompt') ? {} : { ask: io.ask ?? (() => undefined) }
  for (const step of credentialSteps(source, { by: 'client', ...ask })) {
    if ('advice' in step) {
      if (call.persona === 'sallyport') print.error(step.advice)
      continue
    }
    if (!('message' in step)) {
      complain(call, step.error)
      continue
    }
    const response = await request(call, step.command, step.message)
    const ok = accepted(call, step, response, failing(step))
    if (!ok) continue
    if (step.command === 'load-shared') secrets.delete(step.source)
    keys.delete(findText(response, 'id') ?? '')
    if (print.format === 'text') print.line(loadedText(step, response))
  }
  for (const [command, ids] of [
    ['unload-key', keys],
    ['unload-shared', secrets],
  ] as const) {
    for (const id of ids) {
      const response = await request(call, command, [value('id', id)])
      accepted(call, { command, source: id }, response, `unloading key '${id}'`)
    }
  }
  return 0
}

/** What the daemon has already; a daemon that does not tell has nothing. */
async function known(call: Call, command: string): Promise<Tree> {
  try {
    const response = await request(call, command)
    if (call.print.format !== 'json') call.print.message(`${command} reply`, response)
    return response
  } catch (error) {
    if (!(error instanceof ViciError)) throw error
    return []
  }
}

/** Prints the response as it is wanted; tells whether it is a yes. As raw messages there is no no. */
function accepted(
  { print }: Call,
  { command, source }: { readonly command: string; readonly source: string },
  response: Tree,
  what: string,
): boolean {
  const ok = findText(response, 'success') === 'yes'
  if (print.format === 'json') print.json([value('command', command), value('name', source), ...response])
  else if (!print.message(`${command} reply`, response) && !ok) {
    print.error(`${what} failed: ${findText(response, 'errmsg') ?? ''}`)
  }
  return ok
}

function failing({ command, source }: LoadRequest): string {
  return command === 'load-shared' ? 'loading shared secret' : `loading '${source}'`
}

function loadedText({ command, source, message }: LoadRequest, response: Tree): string {
  const type = findText(message, 'type') ?? ''
  switch (command) {
    case 'load-cert':
      return `loaded certificate from '${source}'`
    case 'load-key':
      return `loaded ${type === 'any' ? 'private' : type} key from '${source}'`
    case 'load-token':
      return `loaded key ${source} from token [keyid: ${findText(response, 'id') ?? ''}]`
    default:
      return `loaded ${type} secret '${source}'`
  }
}

function complain({ persona, print }: Call, error: ConfigError): void {
  print.error(persona === 'swanctl' ? error.reason : error.message)
}
