/** The commands that swanctl does not have. */
import { findText, optional, type Tree, value } from '../../config/tree.ts'
import { type Call, type Command, has, text } from '../command.ts'
import { painter, statusLines } from '../listings/status.ts'
import { outcome } from '../printer.ts'
import { UsageError } from '../usage-error.ts'
import { watch, watching } from './control.ts'

const ike = { name: 'ike', short: 'i', argument: 'NAME', help: 'this connection only' }
const child = { name: 'child', short: 'c', argument: 'NAME', help: 'this child' }
const timeout = { name: 'timeout', short: 't', argument: 'SECONDS', help: 'stop waiting then; it goes on' }
const loglevel = { name: 'loglevel', short: 'l', argument: 'LEVEL', help: 'how much of the log to show' }

export const friendlyCommands: readonly Command[] = [
  {
    name: 'up',
    operand: 'NAME',
    help: 'bring up a child (or, if there is none of that name, an IKE SA) and wait for it',
    options: [ike, child, timeout, loglevel],
    run: (call) => upOrDown(call, 'initiate', []),
  },
  {
    name: 'down',
    operand: 'NAME',
    help: 'close the SAs of a child (or of a connection)',
    options: [ike, child, timeout, loglevel, { name: 'force', short: 'f', help: 'do not wait for the peer' }],
    run: (call) => upOrDown(call, 'terminate', has(call, 'force') ? [value('force', 'yes')] : []),
  },
  {
    name: 'status',
    operand: '[NAME]',
    help: 'tunnels and what goes through them',
    options: [ike, child],
    run: status,
  },
]

/** A name without an option is taken for a child first, then for a connection. */
async function upOrDown(call: Call, command: 'initiate' | 'terminate', message: Tree): Promise<number> {
  const own = call.operands[0]
  const ofIke = text(call, 'ike')
  const ofChild = text(call, 'child') ?? own
  if (ofIke === undefined && ofChild === undefined)
    throw new UsageError('which child, or which connection?', call.command)
  const ask = (selectors: Tree) => watch(call, command, [...selectors, ...message, ...watching(call)])
  let response = await ask([...optional('child', ofChild), ...optional('ike', ofIke)])
  const unknown =
    findText(response, 'errmsg') === `CHILD_SA config '${own}' not found` || findText(response, 'matches') === '0'
  if (unknown && own !== undefined && !has(call, 'child') && ofIke === undefined)
    response = await ask(optional('ike', own))
  return outcome(call.print, `${command} reply`, command, response, `${command} completed successfully`)
}

/** As raw messages it is `list-sas`. */
async function status(call: Call): Promise<number> {
  const { print, daemon, io } = call
  const name = text(call, 'ike') ?? call.operands[0]
  const message = [...optional('ike', name), ...optional('child', text(call, 'child'))]
  const found: Tree[] = []
  const client = await daemon()
  const response = await client.stream('list-sas', 'list-sa', message, (event) => {
    if (!print.listing('list-sa event', event)) found.push(event)
  })
  print.listed('list-sas reply', response)
  if (print.format !== 'text') return 0
  if (found.length === 0) print.line(name === undefined ? 'no IKE SAs' : `no IKE SAs of '${name}'`)
  for (const line of statusLines(found, painter(io.terminal === true, io.env))) print.line(line)
  return 0
}
