/** version, stats, reload-settings, get-algorithms, get-counters, reset-counters. */
import { ConfigError } from '../../config/config-error.ts'
import { findText, list, section, type Tree, value } from '../../config/tree.ts'
import { ENCRYPTION } from '../../crypto/encryption.ts'
import { INTEGRITY } from '../../crypto/integrity.ts'
import { KEY_EXCHANGES } from '../../crypto/key-exchange/key-exchange.ts'
import { PRF } from '../../crypto/prf.ts'
import { configLog, failure, findBool, type Handler, success } from '../request.ts'

export const version: Handler = (_request, { daemon }) => {
  const { name, version: number, sysname, release, machine } = daemon.program
  return [
    value('daemon', name),
    value('version', number),
    value('sysname', sysname),
    value('release', release),
    value('machine', machine),
  ]
}

export const stats: Handler = async (_request, { daemon }) => {
  const answer = await daemon.command({ kind: 'stats' })
  const { ikeSas, halfOpen, scheduled } = answer.kind === 'stats' ? answer : { ikeSas: 0, halfOpen: 0, scheduled: 0 }
  const { startedMs, threads } = daemon.program
  const priorities = (critical: number): Tree => [
    value('critical', critical),
    value('high', 0),
    value('medium', 0),
    value('low', 0),
  ]
  const memory = process.memoryUsage()
  return [
    section('uptime', [value('running', running(daemon.now() - startedMs)), value('since', since(startedMs))]),
    section('workers', [value('total', threads), value('idle', threads - 1), section('active', priorities(1))]),
    section('queues', priorities(0)),
    value('scheduled', scheduled),
    section('ikesas', [value('total', ikeSas), value('half-open', halfOpen)]),
    list('plugins', ['sallyport']),
    section('mallinfo', [
      value('sbrk', memory.heapTotal),
      value('mmap', memory.external),
      value('used', memory.heapUsed),
      value('free', Math.max(0, memory.heapTotal - memory.heapUsed)),
    ]),
  ]
}

export const reloadSettings: Handler = async (_request, { daemon }) => {
  try {
    await daemon.reload()
    return success()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    daemon.log(configLog(error.message))
    return failure(`reloading '${error.place?.file ?? 'strongswan.conf'}' failed`)
  }
}

export const getAlgorithms: Handler = () => {
  const names = (rows: readonly { readonly name: string }[]) => rows.map(({ name }) => value(name, 'sallyport'))
  return [
    section('encryption', names(ENCRYPTION.filter(({ aead }) => !aead))),
    section('integrity', names(INTEGRITY)),
    section('aead', names(ENCRYPTION.filter(({ aead }) => aead))),
    section('hasher', names(hashers)),
    section('prf', names(PRF)),
    section('xof', []),
    section('kdf', names([{ name: 'KDF_PRF' }, { name: 'KDF_PRF_PLUS' }])),
    section('drbg', []),
    section('ke', names(KEY_EXCHANGES)),
    section('rng', names([{ name: 'RNG_STRONG' }])),
    section('nonce-gen', names([{ name: 'NONCE_GEN' }])),
  ]
}

const hashers = ['HASH_SHA1', 'HASH_SHA2_256', 'HASH_SHA2_384', 'HASH_SHA2_512', 'HASH_IDENTITY'].map((name) => ({
  name,
}))

export const getCounters: Handler = ({ message }, { daemon }) => {
  const { counters } = daemon
  if (counters === undefined) return [section('counters', []), ...failure('no counters available (plugin missing?)')]
  const names = findBool(message, 'all')
    ? counters.names().filter((name) => name !== '')
    : [findText(message, 'name') ?? '']
  const found = names.flatMap((name) => {
    const numbers = counters.read(name)
    return numbers === undefined
      ? []
      : [
          section(
            name,
            Object.entries(numbers).map(([key, count]) => value(key, count)),
          ),
        ]
  })
  const shown = section('counters', found)
  return found.length === 0 && names.length > 0
    ? [shown, ...failure('no counters found for this connection')]
    : [shown, ...success()]
}

export const resetCounters: Handler = ({ message }, { daemon }) => {
  daemon.counters?.reset(findBool(message, 'all') ? 'all' : (findText(message, 'name') ?? ''))
  return success()
}

/** `2 minutes`: the unit changes above twice its size. */
function running(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const [unit, size] =
    seconds > 172_800
      ? (['day', 86_400] as const)
      : seconds > 7200
        ? (['hour', 3600] as const)
        : seconds > 120
          ? (['minute', 60] as const)
          : (['second', 1] as const)
  const count = Math.floor(seconds / size)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** `Nov 21 06:17:21 2026`, local time; exporters parse it. */
function since(ms: number): string {
  const date = new Date(ms)
  const two = (n: number) => String(n).padStart(2, '0')
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${months[date.getMonth()]} ${two(date.getDate())} ${time} ${date.getFullYear()}`
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
