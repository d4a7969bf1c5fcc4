/** SAs as `swanctl --list-sas` prints them. */
import { findSection, findText, type Tree } from '../../config/tree.ts'
import { additionalKeyExchanges, algorithm, field, joined, present, texts, told } from './fields.ts'

/** The lines for a `list-sa` event, and for the events of SAs that come up and go down. */
export function saLines(event: Tree): string[] {
  return event.flatMap((item) => {
    if (item.kind !== 'section') return []
    const children = findSection(item.items, 'child-sas')
    if (children === undefined) return []
    return [
      ...ikeLines(item.name, item.items),
      ...children.flatMap((child) => (child.kind === 'section' ? childLines(child.items) : [])),
    ]
  })
}

function ikeLines(name: string, sa: Tree): string[] {
  const at = (one: string) => field(sa, one)
  const initiator = findText(sa, 'initiator') === 'yes'
  const vips = (side: string) => {
    const found = texts(sa, `${side}-vips`)
    return found.length === 0 ? '' : ` [${found.join(' ')}]`
  }
  const end = (side: string) => `'${at(`${side}-id`)}' @ ${at(`${side}-host`)}[${at(`${side}-port`)}]`
  const other = [
    ...told(sa, 'remote-eap-id', (id) => ` EAP: '${id}'`),
    ...told(sa, 'remote-xauth-id', (id) => ` XAuth: '${id}'`),
  ].join('')
  const spis = `${at('initiator-spi')}_i${initiator ? '*' : ''} ${at('responder-spi')}_r${initiator ? '' : '*'}`
  const times = [
    ...told(sa, 'established', (s) => `established ${s}s ago`),
    ...told(sa, 'rekey-time', (s) => `rekeying in ${s}s`),
    ...told(sa, 'reauth-time', (s) => `reauth in ${s}s`),
  ]
  const suite = [
    ...algorithm(sa, 'encr'),
    ...algorithm(sa, 'integ'),
    at('prf-alg'),
    at('dh-group'),
    ...additionalKeyExchanges(sa),
    ...told(sa, 'ppk', () => 'PPK'),
  ]
  const tasks = ['queued', 'active', 'passive'].flatMap((kind) => {
    const found = texts(sa, `tasks-${kind}`)
    return found.length === 0 ? [] : [`  ${`${kind}:`.padEnd(8)} ${found.join(' ')}`]
  })
  return [
    `${name}: #${at('uniqueid')}, ${at('state')}, IKEv${at('version')}, ${spis}`,
    `  local  ${end('local')}${vips('local')}`,
    `  remote ${end('remote')}${other}${vips('remote')}`,
    ...(findText(sa, 'encr-alg') === undefined ? [] : [`  ${suite.join('/')}`]),
    ...(findText(sa, 'established') === undefined ? [] : [`  ${times.join(', ')}`]),
    ...tasks,
  ]
}

function childLines(child: Tree): string[] {
  const at = (one: string) => field(child, one)
  const udp = findText(child, 'encap') === 'yes' ? '-in-UDP' : ''
  const suite = [
    ...algorithm(child, 'encr'),
    ...algorithm(child, 'integ'),
    ...present(child, 'dh-group'),
    ...additionalKeyExchanges(child),
    ...told(child, 'esn', () => 'ESN'),
  ].join('/')
  const times = [
    `installed ${at('install-time')}s ago`,
    ...told(child, 'rekey-time', (s) => `rekeying in ${s}s`),
    ...told(child, 'life-time', (s) => `expires in ${s}s`),
  ]
  const traffic = (direction: 'in' | 'out') => {
    const spi = [at(`spi-${direction}`), ...present(child, `cpi-${direction}`)].join('/')
    const mark = told(child, `mark-${direction}`, (text) =>
      [text, ...present(child, `mark-mask-${direction}`)].map((one) => `0x${one}`).join('/'),
    )
    const tags = [mark.join(''), ...told(child, `if-id-${direction}`, (text) => `0x${text}`)].join('|')
    const used = told(child, `use-${direction}`, (s) => `, ${s.padStart(5)}s ago`).join('')
    const counts = `${at(`bytes-${direction}`).padStart(6)} bytes, ${at(`packets-${direction}`).padStart(5)} packets`
    return `    ${direction.padEnd(3)} ${spi}${tags === '' ? '' : ` (${tags})`}, ${counts}${used}`
  }
  const names = [`#${at('uniqueid')}`, `reqid ${at('reqid')}`, ...told(child, 'cpu', (cpu) => `cpu ${cpu}`)]
  return [
    `  ${at('name')}: ${names.join(', ')}, ${at('state')}, ${at('mode')}${udp}, ${at('protocol')}:${suite}`,
    `    ${times.join(', ')}`,
    traffic('in'),
    traffic('out'),
    ...told(child, 'label', (label) => `    label  ${label}`),
    `    local  ${joined(child, 'local-ts')}`,
    `    remote ${joined(child, 'remote-ts')}`,
  ]
}
