/** VICI messages as lines of text, one for each field, in which whatever differs from run to run reads the same. */
import type { Tree } from '../../src/config/tree.ts'

/** What identifies SAs in a recording: each number gets another, in the order in which they are seen. */
export class Numbers {
  readonly #seen = new Map<string, Map<string, number>>()

  /** `#1` for the first number of that kind. */
  of(kind: 'IKE SA' | 'Child SA', text: string): string {
    const known = this.#seen.get(kind) ?? new Map<string, number>()
    this.#seen.set(kind, known)
    const number = known.get(text) ?? known.size + 1
    known.set(text, number)
    return `#${number}`
  }
}

/** `path = value`, `path[] = item item`, `path{}`: in the order of the message. */
export function lines(message: Tree, numbers: Numbers, within = ''): string[] {
  const isChild = within.split('.').includes('child-sas')
  return message.flatMap((item): string[] => {
    const name = /(^|\.)child-sas$/.test(within) ? childName(item.name, numbers) : item.name
    const path = within === '' ? name : `${within}.${name}`
    if (item.kind === 'section') return [`${path}{}`, ...lines(item.items, numbers, path)]
    if (item.kind === 'list')
      return [path === 'plugins' ? 'plugins[]' : `${path}[] = ${item.values.map(text).join(' ')}`]
    return [`${path} = ${normal(path, item.name, text(item.value), isChild ? 'Child SA' : 'IKE SA', numbers)}`]
  })
}

/** A line of a log without what is counted, drawn by lot, or the time. */
export function normalLog(line: string): string {
  return line
    .replaceAll(/\b[0-9a-f]{16}(?=_[ir]\b)/g, 'SPI')
    .replaceAll(/\b[0-9a-f]{8}(?=_[io]\b)/g, 'SPI')
    .replaceAll(/(SPIs? )(?:0x)?[0-9a-f]{8}/g, '$1SPI')
    .replaceAll(/([[{#])\d+([\]}]?)/g, '$1N$2')
    .replaceAll(/\b\d+(?=(s| seconds| bytes|\.\d+ s)\b)/g, 'N')
}

/** The section of a child is named by its unique number, but for the events of patched and of rekeyed children. */
function childName(name: string, numbers: Numbers): string {
  return name.replace(/-(\d+)$/, (_, number: string) => `-${numbers.of('Child SA', number)}`)
}

function normal(path: string, name: string, value: string, kind: 'IKE SA' | 'Child SA', numbers: Numbers): string {
  if (name === 'uniqueid') return numbers.of(kind, value)
  if (name === 'ikesa-uniqueid') return numbers.of('IKE SA', value)
  if (name === 'msg') return normalLog(value)
  if (spis.has(name)) return /^0+$/.test(value) ? 'none' : `${value.length} digits`
  if (counts.has(name) || counted.test(path)) return /^-?\d+$/.test(value) ? 'N' : value
  if (path === 'uptime.running') return value.replace(/^\d+ (second|minute|hour|day)s?$/, 'N units')
  if (path === 'uptime.since') return value.replace(/^[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4}$/, 'a date')
  return value
}

const spis: ReadonlySet<string> = new Set('initiator-spi responder-spi spi-in spi-out cpi-in cpi-out'.split(' '))

const counts: ReadonlySet<string> = new Set(
  'established rekey-time reauth-time life-time install-time use-in use-out bytes-in bytes-out packets-in packets-out'.split(
    ' ',
  ),
)

/** What `stats` counts. */
const counted = /^(workers|queues|mallinfo|scheduled)(\.|$)/

/** As a client shows it; what is no text, by its length. */
function text(bytes: Uint8Array): string {
  for (const byte of bytes) if (byte < 0x20 && byte !== 0x0a && byte !== 0x09) return `(${bytes.length} bytes)`
  return Buffer.from(bytes).toString('latin1')
}
