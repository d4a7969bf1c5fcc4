/** Commands about the daemon itself. */
import { findList, findSection, findText, type Tree, value } from '../../config/tree.ts'
import { ownVersion, surfaceVersion } from '../../vici/versions.ts'
import { type Call, type Command, has, options, request } from '../command.ts'
import { outcome } from '../printer.ts'
import { valueText } from '../tree-json.ts'

export const daemonCommands: readonly Command[] = [
  {
    name: 'log',
    short: 'T',
    help: "follow the daemon's log (levels 0 and 1)",
    options: [],
    run: log,
  },
  {
    name: 'version',
    short: 'V',
    help: 'versions of this program and of the daemon',
    options: [{ name: 'daemon', short: 'd', help: "the daemon's" }],
    run: version,
  },
  {
    name: 'stats',
    short: 'S',
    help: 'what the daemon has and does',
    options: [],
    run: stats,
  },
  {
    name: 'counters',
    short: 'C',
    help: 'counters of IKE messages and events',
    options: [
      { name: 'name', short: 'n', argument: 'NAME', help: 'of this connection; without it, of all together' },
      { name: 'all', short: 'a', help: 'of each connection' },
      { name: 'reset', short: 'R', help: 'set them to 0 instead' },
    ],
    run: counters,
  },
  {
    name: 'reload-settings',
    short: 'r',
    help: 'have the daemon read strongswan.conf again',
    options: [],
    run: async (call) =>
      outcome(call.print, 'reload-settings reply', 'reload-settings', await request(call, 'reload-settings')),
  },
]

/** Until the daemon ends or we are interrupted. */
async function log({ daemon, print }: Call): Promise<number> {
  const client = await daemon()
  await client.listen(['log'], (_name, message) => {
    if (print.message('log', message)) return
    const prefix = `${(findText(message, 'thread') ?? '').padStart(2, '0')}[${findText(message, 'group')}]`
    for (const line of loggedLines(message)) print.line(`${prefix} ${line}`)
  })
  await client.closed()
  print.error('connection closed')
  return 1
}

/** A message may have several lines, and then it is no text by VICI's rules. */
function loggedLines(message: Tree): readonly string[] {
  const found = message.find((item) => item.kind === 'value' && item.name === 'msg')
  return found?.kind === 'value' ? Buffer.from(found.value).toString('utf8').split('\n') : ['']
}

async function version(call: Call): Promise<number> {
  const { print, persona } = call
  if (!has(call, 'daemon')) {
    const own: Tree = [value('program', 'sallyport'), value('version', ownVersion), value('interface', surfaceVersion)]
    if (persona === 'swanctl') print.line(`strongSwan swanctl ${surfaceVersion}`)
    else if (!print.message('version', own))
      print.line(`sallyport ${ownVersion}, with the commands of swanctl ${surfaceVersion}`)
    return 0
  }
  const answer = await request(call, 'version')
  if (print.message('version reply', answer)) return 0
  const at = (name: string) => findText(answer, name) ?? ''
  const prefix = persona === 'swanctl' ? 'strongSwan ' : ''
  print.line(`${prefix}${at('version')} ${at('daemon')} (${at('sysname')}, ${at('release')}, ${at('machine')})`)
  return 0
}

async function stats(call: Call): Promise<number> {
  const answer = await request(call, 'stats')
  const { print } = call
  if (print.message('stats reply', answer)) return 0
  const at = (...path: readonly string[]): string => {
    let tree: Tree = answer
    for (const name of path.slice(0, -1)) tree = findSection(tree, name) ?? []
    return findText(tree, path.at(-1) ?? '') ?? ''
  }
  const levels = (...path: readonly string[]): string =>
    ['critical', 'high', 'medium', 'low'].map((level) => at(...path, level)).join('/')
  print.line(`uptime: ${at('uptime', 'running')}, since ${at('uptime', 'since')}`)
  const working = levels('workers', 'active')
  print.line(`worker threads: ${at('workers', 'total')} total, ${at('workers', 'idle')} idle, working: ${working}`)
  print.line(`job queues: ${levels('queues')}`)
  print.line(`jobs scheduled: ${at('scheduled')}`)
  print.line(`IKE_SAs: ${at('ikesas', 'total')} total, ${at('ikesas', 'half-open')} half-open`)
  if (findSection(answer, 'mem') !== undefined) {
    print.line(`memory usage: ${at('mem', 'total')} bytes, ${at('mem', 'allocs')} allocations`)
  }
  if (findSection(answer, 'mallinfo') !== undefined) {
    const memory = ['sbrk', 'mmap', 'used', 'free'].map((name) => `${name} ${at('mallinfo', name)}`)
    print.line(`mallinfo: ${memory.join(', ')}`)
  }
  print.line(`loaded plugins: ${findList(answer, 'plugins').map(valueText).join(' ')}`)
  return 0
}

async function counters(call: Call): Promise<number> {
  const { print } = call
  const command = has(call, 'reset') ? 'reset-counters' : 'get-counters'
  const response = await request(call, command, options(call, 'name', 'all'))
  const done = command === 'reset-counters' ? 'reset-counters completed successfully' : undefined
  const status = outcome(print, 'counters reply', command, response, done)
  if (status !== 0 || print.format !== 'text') return status
  for (const item of findSection(response, 'counters') ?? []) {
    if (item.kind !== 'section') continue
    print.line(`${item.name || 'global'}:`)
    for (const counter of item.items) {
      if (counter.kind === 'value') print.line(`  ${counter.name.padEnd(22)}: ${valueText(counter.value)}`)
    }
  }
  return 0
}
