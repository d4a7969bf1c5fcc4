/** Commands that do something to SAs and policies. */
import { findText, type Tree, value } from '../../config/tree.ts'
import { type Call, type Command, count, has, type OptionSpec, options, request, text } from '../command.ts'
import { outcome } from '../printer.ts'

const child: OptionSpec = { name: 'child', short: 'c', argument: 'NAME', help: 'the child' }
const ike: OptionSpec = { name: 'ike', short: 'i', argument: 'NAME', help: 'the connection, or the one of the child' }
const childId: OptionSpec = { name: 'child-id', short: 'C', argument: 'ID', help: 'the Child SA with this number' }
const ikeId: OptionSpec = { name: 'ike-id', short: 'I', argument: 'ID', help: 'the IKE SA with this number' }
const timeout: OptionSpec = { name: 'timeout', short: 't', argument: 'SECONDS', help: 'stop waiting then; it goes on' }
const loglevel: OptionSpec = { name: 'loglevel', short: 'l', argument: 'LEVEL', help: 'how much of the log to show' }

export const controlCommands: readonly Command[] = [
  {
    name: 'initiate',
    short: 'i',
    help: 'bring up a child, or an IKE SA without one, and wait for it',
    options: [child, ike, timeout, loglevel],
    run: (call) => watched(call, 'initiate', options(call, 'child', 'ike')),
  },
  {
    name: 'terminate',
    short: 't',
    help: 'close Child SAs or IKE SAs, and wait for it',
    options: [
      child,
      ike,
      childId,
      ikeId,
      { name: 'force', short: 'f', help: 'do not wait for the peer, or only for the timeout' },
      timeout,
      loglevel,
    ],
    run: (call) => watched(call, 'terminate', options(call, 'child', 'ike', 'child-id', 'ike-id', 'force')),
  },
  {
    name: 'rekey',
    short: 'R',
    help: 'rekey SAs',
    options: [child, ike, childId, ikeId, { name: 'reauth', short: 'a', help: 'authenticate again instead' }],
    run: (call) => simple(call, 'rekey', options(call, 'child', 'ike', 'child-id', 'ike-id', 'reauth')),
  },
  {
    name: 'redirect',
    short: 'd',
    help: 'send clients to another gateway',
    options: [
      ike,
      ikeId,
      { name: 'peer-ip', short: 'p', argument: 'ADDRESS', help: 'those at this address, subnet or range' },
      { name: 'peer-id', short: 'd', argument: 'ID', help: 'those of this identity, which may have wildcards' },
      { name: 'gateway', short: 'g', argument: 'GATEWAY', help: 'where to: an address or a name' },
    ],
    run: (call) => simple(call, 'redirect', options(call, 'ike', 'ike-id', 'peer-ip', 'peer-id', 'gateway')),
  },
  {
    name: 'uninstall',
    short: 'U',
    help: 'remove the trap or shunt of a child',
    options: [child, ike],
    run: (call) => policy(call, 'uninstall'),
  },
  {
    name: 'install',
    short: 'p',
    help: 'install the trap or shunt of a child',
    options: [child, ike],
    run: (call) => policy(call, 'install'),
  },
]

/** A command that takes its time: the log of its SA is shown meanwhile. */
export async function watch({ print, daemon }: Call, command: string, message: Tree): Promise<Tree> {
  const client = await daemon()
  return await client.stream(command, 'control-log', message, (event) => {
    if (!print.message('log', event)) {
      print.line(`[${findText(event, 'group') ?? ''}] ${findText(event, 'msg') ?? ''}`)
    }
  })
}

/** The arguments that a watched command has besides its selectors. */
export function watching(call: Call): Tree {
  const seconds = count(text(call, 'timeout') ?? '')
  return [
    ...(seconds === 0 ? [] : [value('timeout', seconds * 1000)]),
    value('loglevel', count(text(call, 'loglevel') ?? '1')),
  ]
}

async function watched(call: Call, command: string, message: Tree): Promise<number> {
  const response = await watch(call, command, [...message, ...watching(call)])
  return outcome(call.print, `${command} reply`, command, response, `${command} completed successfully`)
}

async function simple(call: Call, command: string, message: Tree): Promise<number> {
  const response = await request(call, command, message)
  return outcome(call.print, `${command} reply`, command, response, `${command} completed successfully`)
}

/** swanctl has no `--raw` here, and breaks the line of `--pretty`; scripts that know it read that. */
async function policy(call: Call, command: string): Promise<number> {
  const response = await request(call, command, options(call, 'child', 'ike'))
  const isRaw = call.persona === 'swanctl' && has(call, 'raw') && !has(call, 'pretty')
  const print = isRaw ? { ...call.print, format: 'text' as const, message: () => false } : call.print
  const label = call.persona === 'swanctl' ? `${command}\n reply` : `${command} reply`
  return outcome(print, label, command, response, `${command} completed successfully`)
}
