/** initiate, terminate, rekey, redirect, install, uninstall. */
import { ConfigError } from '../../config/config-error.ts'
import { findText, optional, type Tree, value } from '../../config/tree.ts'
import { parseAddressPattern } from '../../config/values.ts'
import type { Between, Command, SaSelector } from '../../ike/input.ts'
import type { Answer, LogEntry } from '../../ike/output.ts'
import { parseIdentityPattern } from '../../pki/identity.ts'
import { formatAddress, parseAddress } from '../../wire/address.ts'
import { DecodeError } from '../../wire/errors.ts'
import { parseGateway } from '../../wire/redirect.ts'
import { type Context, configLog, failure, findBool, findInt, type Handler, type Request, success } from '../request.ts'

export const initiate: Handler = async (request, context) => {
  const { message } = request
  const child = findText(message, 'child')
  const ike = findText(message, 'ike')
  if (child === undefined && ike === undefined) return failure('missing configuration name')
  const what = child === undefined ? `IKE_SA '${ike}'` : `CHILD_SA '${child}'`
  const timeoutMs = findInt(message, 'timeout')
  const answer = await withControlLog(request, context, timeoutMs >= 0, {
    kind: 'initiate',
    ...(ike !== undefined && { ike }),
    ...(child !== undefined && { child }),
    timeoutMs,
    initLimits: findBool(message, 'init-limits'),
    ...between(findText(message, 'my-host'), findText(message, 'other-host')),
  })
  return outcome(answer, `establishing ${what} failed`)
}

/** charon's builds for DMVPN have these arguments; what is no address says nothing. */
function between(myHost: string | undefined, otherHost: string | undefined): { readonly between?: Between } {
  const [local, remote] = [myHost, otherHost].map(address)
  if (local === undefined && remote === undefined) return {}
  return { between: { ...(local !== undefined && { local }), ...(remote !== undefined && { remote }) } }
}

function address(text: string | undefined): string | undefined {
  const bytes = text === undefined ? undefined : parseAddress(text)
  return bytes === undefined || bytes.every((byte) => byte === 0) ? undefined : formatAddress(bytes)
}

export const terminate: Handler = async (request, context) => {
  const { message } = request
  const select = saSelector(message)
  if (Object.keys(select).length === 0) return failure('missing terminate selector')
  context.daemon.log(configLog(`vici terminate ${describe(select)}`))
  const timeoutMs = findInt(message, 'timeout')
  const answer = await withControlLog(request, context, timeoutMs >= 0, {
    kind: 'terminate',
    select,
    force: findBool(message, 'force'),
    timeoutMs,
  })
  const { matches, done, error } = matched(answer, 'no matching SAs to terminate found', (failed) =>
    failed === 1 ? 'terminating SA failed' : 'not all matching SAs could be terminated',
  )
  const counts = [value('matches', matches), value('terminated', done)]
  return error === undefined ? success(...counts) : failure(error, ...counts)
}

export const rekey: Handler = async ({ message }, { daemon }) => {
  const select = saSelector(message)
  if (Object.keys(select).length === 0) return failure('missing rekey selector')
  daemon.log(configLog(`vici rekey ${describe(select)}`))
  const answer = await daemon.command({ kind: 'rekey', select, reauth: findBool(message, 'reauth') })
  const { matches, error } = matched(answer, 'no matching SAs to rekey found', () => 'rekeying SA failed')
  return error === undefined ? success(value('matches', matches)) : failure(error, value('matches', matches))
}

export const redirect: Handler = async ({ message }, { daemon }) => {
  const text = findText(message, 'gateway')
  if (text === undefined) return failure('missing target gateway')
  const gateway = parseGateway(text)
  if (gateway === undefined) return failure('unsupported gateway identity')
  const { ike, ikeId } = saSelector(message)
  const peerIp = orUndefined(findText(message, 'peer-ip'), parseAddressPattern)
  if (peerIp === 'invalid' || peerIp?.kind === 'name') return failure('invalid peer IP selector')
  const peerId = orUndefined(findText(message, 'peer-id'), parseIdentityPattern)
  if (peerId === 'invalid') return failure('invalid peer identity selector')
  if (ike === undefined && ikeId === undefined && peerIp === undefined && peerId === undefined) {
    return failure('missing redirect selector')
  }
  daemon.log(configLog(`vici redirect to ${text}`))
  const answer = await daemon.command({
    kind: 'redirect',
    select: { ...(ike !== undefined && { ike }), ...(ikeId !== undefined && { ikeId }) },
    ...(peerIp && { peerIp }),
    ...(peerId && { peerId }),
    gateway,
  })
  const { matches, error } = matched(answer, 'no matching SAs to redirect found', () => 'redirecting SA failed')
  return error === undefined ? success(value('matches', matches)) : failure(error, value('matches', matches))
}

/** The value of an optional text, or that it is none. */
function orUndefined<T>(text: string | undefined, parse: (text: string) => T): T | 'invalid' | undefined {
  try {
    return text === undefined ? undefined : parse(text)
  } catch (error) {
    if (error instanceof ConfigError || error instanceof DecodeError) return 'invalid'
    throw error
  }
}

export const install: Handler = ({ message }, context) => policy('install', message, context)

export const uninstall: Handler = ({ message }, context) => policy('uninstall', message, context)

async function policy(kind: 'install' | 'uninstall', message: Tree, { daemon }: Context): Promise<Tree> {
  const child = findText(message, 'child')
  const ike = findText(message, 'ike')
  if (child === undefined) return failure('missing configuration name')
  const answer = await daemon.command({ kind, child, ...(ike !== undefined && { ike }) })
  return outcome(answer, kind === 'install' ? `installing policy '${child}' failed` : `policy '${child}' not found`)
}

/** The SAs that a message selects; ids of 0 select nothing. */
export function saSelector(message: Tree): SaSelector {
  const ike = findText(message, 'ike')
  const child = findText(message, 'child')
  const ikeId = findInt(message, 'ike-id')
  const childId = findInt(message, 'child-id')
  return {
    ...(ike !== undefined && { ike }),
    ...(ikeId !== 0 && { ikeId }),
    ...(child !== undefined && { child }),
    ...(childId !== 0 && { childId }),
  }
}

/** `CHILD_SA 'c' #5 of IKE_SA #3` */
function describe({ ike, ikeId, child, childId }: SaSelector): string {
  const named = (name: string | undefined, id: number | undefined) =>
    [...(name === undefined ? [] : [`'${name}'`]), ...(id === undefined ? [] : [`#${id}`])].join(' ')
  const ikeSa = named(ike, ikeId)
  const childSa = named(child, childId)
  if (childSa === '') return `IKE_SA ${ikeSa}`
  return `CHILD_SA ${childSa}${ikeSa === '' ? '' : ` of IKE_SA ${ikeSa}`}`
}

/**
 * Runs a command and streams the log entries of the IKE SAs that it works on as `control-log`, up to the level that
 * the client wants.
 */
async function withControlLog(
  { message, stream }: Request,
  { daemon }: Context,
  wanted: boolean,
  command: Command,
): Promise<Answer> {
  const loglevel = findInt(message, 'loglevel', 1)
  if (!wanted || loglevel < 0) return await daemon.command(command)
  const tracked = new Set<number>()
  const unsubscribe = daemon.subscribe({
    log: (entry) => {
      if (entry.level > loglevel || entry.ikeSa === undefined || !tracked.has(entry.ikeSa.uniqueId)) return
      void stream('control-log', logFields(entry))
    },
  })
  try {
    return await daemon.command(command, (uniqueId) => tracked.add(uniqueId))
  } finally {
    unsubscribe()
  }
}

/** The fields of `control-log`; `log` has the thread's number after the level. */
export function logFields(entry: LogEntry, thread?: number): Tree {
  return [
    value('group', entry.group),
    value('level', entry.level),
    ...optional('thread', thread),
    ...optional('ikesa-name', entry.ikeSa && (entry.ikeSa.name ?? '(unnamed)')),
    ...optional('ikesa-uniqueid', entry.ikeSa?.uniqueId),
    value('msg', entry.message),
  ]
}

function outcome(answer: Answer, failed: string): Tree {
  if (answer.kind === 'failed') return failure(answer.message || failed)
  return answer.kind === 'matched' && answer.message !== undefined ? failure(answer.message) : success()
}

function matched(
  answer: Answer,
  none: string,
  some: (failed: number) => string,
): { readonly matches: number; readonly done: number; readonly error?: string } {
  if (answer.kind === 'failed') return { matches: 0, done: 0, error: answer.message }
  if (answer.kind !== 'matched') return { matches: 0, done: 0 }
  const { matches, done } = answer
  const failed = matches - done
  const error = answer.message ?? (matches === 0 ? none : failed > 0 ? some(failed) : undefined)
  return error === undefined ? { matches, done } : { matches, done, error }
}
