/** `sallyport status`: tunnels for people. */
import { findSection, findText, type Tree } from '../../config/tree.ts'
import { additionalKeyExchanges, algorithm, present, texts } from './fields.ts'

/** One line in a table of a peer's children. */
type Row = readonly string[]

/** Puts text in a colour, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string

export type Colour = 'good' | 'busy' | 'bad' | 'faint' | 'name'

const codes: Readonly<Record<Colour, string>> = { good: '32', busy: '33', bad: '31', faint: '2', name: '1' }

/** Colours for a terminal that is to have them: not with NO_COLOR (see no-color.org), nor where TERM says `dumb`. */
export function painter(terminal: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  const isPlain = !terminal || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb'
  return (colour, text) => (isPlain || text === '' ? text : `\u001b[${codes[colour]}m${text}\u001b[0m`)
}

/** All IKE SAs, each with its children below it, in columns; `events` are those of `list-sas`. */
export function statusLines(events: readonly Tree[], paint: Paint): readonly string[] {
  const sas = events.flatMap((event) => event.flatMap((item) => (item.kind === 'section' ? [item] : [])))
  const heads = columns(sas.map(({ name, items }) => head(name, items)))
  const children = sas.map(({ items }) => childrenOf(items))
  const tables = columns(children.flat().map(row))
  let at = 0
  return sas.flatMap(({ items }, n) => {
    const state = findText(items, 'state') ?? ''
    const own = children[n] ?? []
    return [
      paintState(heads[n] ?? '', state, paint),
      `  ${paint('faint', detail(items))}`,
      ...own.map((child) => `  ${paintState(tables[at++] ?? '', findText(child, 'state') ?? '', paint)}`),
      ...hints(items, own).map((hint) => `  ${paint('bad', hint)}`),
    ]
  })
}

/** `2.5 MiB`; below 1 KiB the octets themselves. */
export function bytesText(bytes: number): string {
  let size = bytes
  let unit = 'B'
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']) {
    if (size < 1024) break
    size /= 1024
    unit = next
  }
  return unit === 'B' ? `${size} B` : `${size < 10 ? size.toFixed(1) : Math.floor(size)} ${unit}`
}

/** The two largest units: `45s`, `3m 5s`, `2h 7m`, `4d 3h`. */
export function durationText(seconds: number): string {
  const sizes: readonly (readonly [number, string])[] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
    [1, 's'],
  ]
  const whole = Math.max(0, Math.trunc(seconds))
  const first = sizes.findIndex(([size]) => whole >= size)
  if (first < 0) return '0s'
  const parts = sizes.slice(first, first + 2).map(([size, unit], n) => {
    const of = n === 0 ? whole : whole % (sizes[first]?.[0] ?? 1)
    return [Math.floor(of / size), unit] as const
  })
  return parts.flatMap(([count, unit], n) => (n > 0 && count === 0 ? [] : [`${count}${unit}`])).join(' ')
}

function childrenOf(sa: Tree): readonly Tree[] {
  return (findSection(sa, 'child-sas') ?? []).flatMap((item) => (item.kind === 'section' ? [item.items] : []))
}

function head(name: string, sa: Tree): Row {
  const at = (field: string) => findText(sa, field) ?? ''
  const established = findText(sa, 'established')
  return [
    `${name} #${at('uniqueid')}`,
    at('state'),
    `${at('local-host')} \u2192 ${at('remote-host')}`,
    at('remote-eap-id') || at('remote-id'),
    established === undefined ? '' : `up ${durationText(Number(established))}`,
  ]
}

function detail(sa: Tree): string {
  const suite = [
    ...algorithm(sa, 'encr'),
    ...algorithm(sa, 'integ'),
    ...present(sa, 'prf-alg', 'dh-group'),
    ...additionalKeyExchanges(sa),
    ...(findText(sa, 'ppk') === 'yes' ? ['PPK'] : []),
  ].join('/')
  const addresses = [...texts(sa, 'local-vips'), ...texts(sa, 'remote-vips')]
  const nat = [
    ...(findText(sa, 'nat-local') === 'yes' ? ['we are'] : []),
    ...(findText(sa, 'nat-remote') === 'yes' ? ['the peer is'] : []),
  ].join(' and ')
  const tasks = ['active', 'queued', 'passive'].flatMap((kind) => texts(sa, `tasks-${kind}`))
  return [
    suite,
    ...next(sa, 'rekey-time', 'rekeying'),
    ...next(sa, 'reauth-time', 'reauthentication'),
    ...(addresses.length > 0 ? [`virtual ${addresses.join(' ')}`] : []),
    ...(nat === '' ? [] : [`${nat} behind a NAT`]),
    ...(tasks.length > 0 ? [`at work: ${tasks.join(' ')}`] : []),
  ]
    .filter((part) => part !== '')
    .join(', ')
}

function row(child: Tree): Row {
  const at = (field: string) => findText(child, field) ?? ''
  const traffic = (direction: 'in' | 'out', arrow: string) => {
    const bytes = findText(child, `bytes-${direction}`)
    if (bytes === undefined) return ''
    const used = findText(child, `use-${direction}`)
    const when = used === undefined ? '' : ` (${durationText(Number(used))} ago)`
    return `${arrow} ${bytesText(Number(bytes))}${when}`
  }
  return [
    `${at('name')} #${at('uniqueid')}`,
    at('state'),
    `${texts(child, 'local-ts').join(' ')} \u2194 ${texts(child, 'remote-ts').join(' ')}`,
    `${at('protocol')} ${at('mode').toLowerCase()}${at('encap') === 'yes' ? ' in UDP' : ''}`.trim(),
    traffic('in', '\u2193'),
    traffic('out', '\u2191'),
    next(child, 'rekey-time', 'rekeying').join(''),
  ]
}

function next(tree: Tree, field: string, what: string): readonly string[] {
  const seconds = Number(findText(tree, field) ?? Number.NaN)
  if (Number.isNaN(seconds)) return []
  return [seconds < 0 ? `${what} is due` : `${what} in ${durationText(seconds)}`]
}

/** What usually is wrong with an SA that looks like this, and what to look at. */
function hints(sa: Tree, children: readonly Tree[]): readonly string[] {
  const state = findText(sa, 'state') ?? ''
  if (state === 'CONNECTING') {
    const silent = /^0*$/.test(findText(sa, 'responder-spi') ?? '')
    return [
      silent
        ? 'no answer yet: is the peer there, and do UDP ports 500 and 4500 pass?'
        : 'the peer answers but is not authenticated yet: see the log for AUTHENTICATION_FAILED or NO_PROPOSAL_CHOSEN',
    ]
  }
  if (state !== 'ESTABLISHED') return []
  if (children.length === 0) {
    return ['no child: see the log for TS_UNACCEPTABLE or NO_PROPOSAL_CHOSEN, or bring one up with sallyport up']
  }
  return children.flatMap((child) => {
    const [received, sent] = [Number(findText(child, 'packets-in')), Number(findText(child, 'packets-out'))]
    const age = Number(findText(child, 'install-time') ?? 0)
    if (findText(child, 'state') !== 'INSTALLED' || !(sent > 0 && received === 0 && age > 10)) return []
    const udp = findText(child, 'encap') === 'yes' ? 'UDP port 4500' : 'ESP (IP protocol 50)'
    return [
      `${findText(child, 'name')}: packets leave and none come back: does ${udp} pass, does the other side route?`,
    ]
  })
}

/** Rows as lines whose columns stand below each other. */
function columns(rows: readonly Row[]): readonly string[] {
  const widths: number[] = []
  for (const cells of rows) {
    for (const [n, cell] of cells.entries()) widths[n] = Math.max(widths[n] ?? 0, cell.length)
  }
  return rows.map((cells) =>
    cells
      .map((cell, n) => cell.padEnd(widths[n] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** The state in its colour, and the name before it. */
function paintState(line: string, state: string, paint: Paint): string {
  const good = state === 'ESTABLISHED' || state === 'INSTALLED'
  const busy = /ING$|ED$|CREATED/.test(state)
  const [name = '', rest = ''] = cut(line, line.indexOf('  '))
  const painted = state === '' ? rest : rest.replace(state, paint(good ? 'good' : busy ? 'busy' : 'bad', state))
  return `${paint('name', name)}${painted}`
}

function cut(text: string, at: number): readonly [string, string] {
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at)]
}
