/** Commands that list what the daemon has. */
import { type Tree, value } from '../../config/tree.ts'
import { type Call, type Command, has, options, request } from '../command.ts'
import { connectionLines } from '../listings/conns.ts'
import { algorithmLines, authorityLines, policyLines, poolLines } from '../listings/others.ts'
import { saLines } from '../listings/sas.ts'

export const listingCommands: readonly Command[] = [
  {
    name: 'list-sas',
    short: 'l',
    help: 'list IKE SAs and their Child SAs',
    options: [
      { name: 'ike', short: 'i', argument: 'NAME', help: 'those of this connection' },
      { name: 'ike-id', short: 'I', argument: 'ID', help: 'the one with this number' },
      { name: 'child', short: 'c', argument: 'NAME', help: 'with the children of this name alone' },
      { name: 'child-id', short: 'C', argument: 'ID', help: 'with the child of this number alone' },
      { name: 'noblock', short: 'n', help: 'without those that are busy' },
    ],
    run: (call) =>
      list(call, 'list-sas', 'list-sa', saLines, options(call, 'ike', 'ike-id', 'child', 'child-id', 'noblock')),
  },
  {
    name: 'monitor-sa',
    short: 'm',
    help: 'follow SAs as they come up and go down',
    options: [],
    run: monitor,
  },
  {
    name: 'list-pols',
    short: 'P',
    help: 'list traps and shunts',
    options: [
      { name: 'child', short: 'c', argument: 'NAME', help: 'those of this child' },
      { name: 'trap', short: 't', help: 'traps' },
      { name: 'drop', short: 'd', help: 'shunts that drop' },
      { name: 'pass', short: 'p', help: 'shunts that let pass' },
    ],
    run: (call) => {
      const kinds = ['trap', 'drop', 'pass']
      const all = { ...call, options: new Map([...call.options, ...kinds.map((kind) => [kind, true] as const)]) }
      const chosen = options(kinds.some((kind) => has(call, kind)) ? call : all, 'child', ...kinds)
      return list(call, 'list-policies', 'list-policy', policyLines, chosen)
    },
  },
  {
    name: 'list-authorities',
    short: 'B',
    help: 'list certification authorities',
    options: [{ name: 'name', short: 'n', argument: 'NAME', help: 'this one' }],
    run: (call) =>
      list(call, 'list-authorities', 'list-authority', authorityLines, options(call, 'name'), 'list-authorities event'),
  },
  {
    name: 'list-conns',
    short: 'L',
    help: 'list the connections that are loaded',
    options: [{ name: 'ike', short: 'i', argument: 'NAME', help: 'this one' }],
    run: (call) => list(call, 'list-conns', 'list-conn', connectionLines, options(call, 'ike')),
  },
  {
    name: 'list-pools',
    short: 'A',
    help: 'list pools of virtual addresses',
    options: [
      { name: 'leases', short: 'l', help: 'and who has which address' },
      { name: 'name', short: 'n', argument: 'NAME', help: 'this one' },
    ],
    run: (call) => show(call, 'get-pools', poolLines, options(call, 'leases', 'name')),
  },
  {
    name: 'list-algs',
    short: 'g',
    help: 'list algorithms and what implements them',
    options: [],
    run: (call) => show(call, 'get-algorithms', algorithmLines, []),
  },
]

/** A listing that comes as events, printed as they come. */
async function list(
  { daemon, print }: Call,
  command: string,
  event: string,
  lines: (event: Tree) => readonly string[],
  message: Tree,
  label = `${event} event`,
): Promise<number> {
  const client = await daemon()
  const response = await client.stream(command, event, message, (found) => {
    if (!print.listing(label, found)) for (const line of lines(found)) print.line(line)
  })
  print.listed(`${command} reply`, response)
  return 0
}

/** A listing that is a response. */
async function show(
  call: Call,
  command: string,
  lines: (response: Tree) => readonly string[],
  message: Tree,
): Promise<number> {
  const response = await request(call, command, message)
  if (!call.print.message(`${command} reply`, response)) for (const line of lines(response)) call.print.line(line)
  return 0
}

/** Until the daemon ends or we are interrupted. */
async function monitor({ daemon, print }: Call): Promise<number> {
  const client = await daemon()
  await client.listen(['ike-updown', 'child-updown'], (name, event) => {
    const shown = print.format === 'json' ? [value('event', name), ...event] : event
    if (!print.message(`${name} event`, shown)) for (const line of saLines(event)) print.line(line)
  })
  await client.closed()
  print.error('connection closed')
  return connectionReset
}

/** ECONNRESET, which is what swanctl makes of a daemon that went. */
const connectionReset = 104
