/** Compares two recordings of the same calls: the same fields in the same order, the same values where they can be. */
import { lines, Numbers } from './normal.ts'
import { type Entry, read, type Said } from './recording.ts'

/** A difference that is known: why, and where. */
export interface Known {
  readonly why: string
  /** The line of a difference, as `compare` gives it. */
  readonly line: RegExp
}

/** What one client said and heard, cut where the daemon has answered. */
interface Call {
  readonly label: string
  /** Events, and in the end the answer: each as a title and its fields. */
  readonly heard: readonly Heard[]
}

interface Heard {
  readonly title: string
  readonly fields: readonly string[]
}

/** Log entries are many, and are compared apart. */
const logs: ReadonlySet<string> = new Set(['log', 'control-log'])

/** The differences, each in a line; none when the recordings say the same. */
export function compare(ours: readonly Entry[], expected: readonly Entry[], known: readonly Known[] = []): string[] {
  const a = clients(ours)
  const b = clients(expected)
  const found = [...b].flatMap(([client, calls]) => compareCalls(`client ${client}`, a.get(client) ?? [], calls))
  return found.filter((line) => !known.some((one) => one.line.test(line)))
}

function compareCalls(client: string, ours: readonly Call[], expected: readonly Call[]): string[] {
  return expected.flatMap((call, n) => {
    const mine = ours[n]
    if (mine === undefined) return [`${client}, ${call.label}: nothing where charon has ${titles(call)}`]
    const where = `${client}, ${call.label}`
    if (mine.label !== call.label) return [`${where}: asked '${mine.label}' instead`]
    if (titles(mine) !== titles(call)) return [`${where}: ${titles(mine)} where charon has ${titles(call)}`]
    return call.heard.flatMap((heard, at) =>
      compareFields(`${where}, ${heard.title}`, mine.heard[at]?.fields ?? [], heard.fields),
    )
  })
}

function titles(call: Call): string {
  return call.heard.map(({ title }) => title).join(', ') || 'nothing'
}

function compareFields(where: string, ours: readonly string[], expected: readonly string[]): string[] {
  const missing = expected.filter((line) => !ours.includes(line))
  const more = ours.filter((line) => !expected.includes(line))
  if (missing.length + more.length > 0) {
    return [
      ...missing.map((line) => `${where}: only charon has ${line}`),
      ...more.map((line) => `${where}: only ours has ${line}`),
    ]
  }
  const at = expected.findIndex((line, n) => line !== ours[n])
  return at < 0 ? [] : [`${where}: ${ours[at]} where charon has ${expected[at]}`]
}

/** The calls of each client, by its number. */
function clients(entries: readonly Entry[]): ReadonlyMap<number, readonly Call[]> {
  const numbers = new Numbers()
  const found = new Map<number, { asked: string[]; heard: Heard[]; calls: Call[] }>()
  for (const entry of entries) {
    const one = found.get(entry.client) ?? { asked: [], heard: [], calls: [] }
    found.set(entry.client, one)
    const said = read(entry)
    if (entry.from === 'client') {
      if (said.type !== 'closed' && isAnswered(said)) one.asked.push(label(said, numbers))
      continue
    }
    if (said.type === 'closed' || (said.type === 'EVENT' && logs.has(said.name))) continue
    one.heard.push(heard(said, numbers))
    if (said.type === 'EVENT') continue
    one.calls.push({ label: one.asked.shift() ?? 'unasked', heard: one.heard })
    one.heard = []
  }
  return new Map(
    [...found].map(([client, { heard: rest, calls }]) => [
      client,
      rest.length === 0 ? calls : [...calls, { label: 'in the end', heard: rest }],
    ]),
  )
}

/** What a daemon takes for no request gets no answer. */
function isAnswered({ type }: Said): boolean {
  return type === 'CMD_REQUEST' || type === 'EVENT_REGISTER' || type === 'EVENT_UNREGISTER'
}

/** `list-sas {ike = net}` */
function label({ type, name, message }: Said, numbers: Numbers): string {
  if (type !== 'CMD_REQUEST') return `${type} ${name}`
  const fields = message === undefined ? '(no message)' : lines(message, numbers).join(', ')
  return `${name} {${fields.length > 100 ? `${fields.slice(0, 97)}...` : fields}}`
}

function heard({ type, name, message }: Said, numbers: Numbers): Heard {
  const title = type === 'EVENT' ? `event ${name}` : type
  if (message !== undefined) return { title, fields: lines(message, numbers) }
  return { title, fields: type === 'CMD_RESPONSE' || type === 'EVENT' ? ['(no message)'] : [] }
}

/** The fields that log events have, each once, in the order of first sight; and what they say. */
export function logEvents(
  entries: readonly Entry[],
  event: 'log' | 'control-log',
): { readonly fields: string; readonly message: string }[] {
  const numbers = new Numbers()
  return entries
    .filter(({ from }) => from === 'daemon')
    .map(read)
    .filter(({ type, name }) => type === 'EVENT' && name === event)
    .map(({ message = [] }) => ({
      fields: message.map(({ name }) => name).join(' '),
      message:
        lines(message, numbers)
          .find((line) => line.startsWith('msg = '))
          ?.slice(6) ?? '',
    }))
}
