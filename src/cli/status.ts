/** `sallyport status` and `list-conns`: listings for people. */
import { findList, findSection, findText, type Tree } from '../config/tree.ts'
import { valueText } from './tree-json.ts'

/** One `list-sa` event, laid out as swanctl does. */
export function formatSa(event: Tree): string {
  return event.flatMap((item) => (item.kind === 'section' ? ikeLines(item.name, item.items) : [])).join('\n')
}

function ikeLines(name: string, sa: Tree): string[] {
  const at = (field: string) => findText(sa, field) ?? ''
  const own = findText(sa, 'initiator') === 'yes'
  const side = (which: 'local' | 'remote') => {
    const vips = texts(sa, `${which}-vips`)
    const eap = which === 'remote' && findText(sa, 'remote-eap-id') ? ` EAP: '${at('remote-eap-id')}'` : ''
    const address = `'${at(`${which}-id`)}' @ ${at(`${which}-host`)}[${at(`${which}-port`)}]`
    return `  ${which.padEnd(6)} ${address}${eap}${vips.length > 0 ? ` [${vips.join(' ')}]` : ''}`
  }
  const spis = `${at('initiator-spi')}_i${own ? '*' : ''} ${at('responder-spi')}_r${own ? '' : '*'}`
  const algorithms = [...algorithmTexts(sa), ...present(sa, 'prf-alg', 'dh-group'), ...additional(sa)]
  const times = [
    ...timed(sa, 'established', (s) => `established ${s}s ago`),
    ...timed(sa, 'rekey-time', (s) => `rekeying in ${s}s`),
    ...timed(sa, 'reauth-time', (s) => `reauth in ${s}s`),
  ]
  const tasks = ['queued', 'active', 'passive'].flatMap((kind) => {
    const found = texts(sa, `tasks-${kind}`)
    return found.length === 0 ? [] : [`  ${kind}: ${found.join(' ')}`]
  })
  return [
    `${name}: #${at('uniqueid')}, ${at('state')}, IKEv${at('version')}, ${spis}`,
    side('local'),
    side('remote'),
    ...(algorithms.length === 0 ? [] : [`  ${algorithms.join('/')}`]),
    ...(times.length === 0 ? [] : [`  ${times.join(', ')}`]),
    ...tasks,
    ...(findSection(sa, 'child-sas') ?? []).flatMap((item) => (item.kind === 'section' ? childLines(item.items) : [])),
  ]
}

function childLines(child: Tree): string[] {
  const at = (field: string) => findText(child, field) ?? ''
  const udp = findText(child, 'encap') === 'yes' ? '-in-UDP' : ''
  const algorithms = [...algorithmTexts(child), ...present(child, 'dh-group'), ...additional(child)].join('/')
  const esn = findText(child, 'esn') === '1' ? '/ESN' : ''
  const suite = at('protocol') === '' ? '' : `, ${at('protocol')}:${algorithms}${esn}`
  const times = [
    ...timed(child, 'install-time', (s) => `installed ${s}s ago`),
    ...timed(child, 'rekey-time', (s) => `rekeying in ${s}s`),
    ...timed(child, 'life-time', (s) => `expires in ${s}s`),
  ]
  const traffic = (direction: 'in' | 'out') => {
    const mark = findText(child, `mark-${direction}`)
    const mask = findText(child, `mark-mask-${direction}`)
    const ifId = findText(child, `if-id-${direction}`)
    const extra = [
      ...(mark === undefined ? [] : [` (0x${mark}${mask === undefined ? '' : `/0x${mask}`})`]),
      ...(ifId === undefined ? [] : [` (if_id 0x${ifId})`]),
    ].join('')
    const counts = `${at(`bytes-${direction}`).padStart(6)} bytes, ${at(`packets-${direction}`).padStart(5)} packets`
    const used = findText(child, `use-${direction}`)
    const spi = `${at(`spi-${direction}`)}${extra}`
    return `    ${direction.padEnd(3)} ${spi}, ${counts}${used === undefined ? '' : `, ${used.padStart(5)}s ago`}`
  }
  return [
    `  ${at('name')}: #${at('uniqueid')}, reqid ${at('reqid')}, ${at('state')}, ${at('mode')}${udp}${suite}`,
    ...(times.length === 0 ? [] : [`    ${times.join(', ')}`]),
    ...(at('spi-in') === '' ? [] : [traffic('in'), traffic('out')]),
    `    local  ${texts(child, 'local-ts').join(' ')}`,
    `    remote ${texts(child, 'remote-ts').join(' ')}`,
  ]
}

/** One `list-conn` event. */
export function formatConnection(event: Tree): string {
  return event.flatMap((item) => (item.kind === 'section' ? connectionLines(item.name, item.items) : [])).join('\n')
}

function connectionLines(name: string, connection: Tree): string[] {
  const at = (field: string) => findText(connection, field) ?? ''
  const times = [
    Number(at('reauth_time')) > 0 ? `reauthentication every ${at('reauth_time')}s` : 'no reauthentication',
    Number(at('rekey_time')) > 0 ? `rekeying every ${at('rekey_time')}s` : 'no rekeying',
    ...(at('dpd_delay') === '' ? [] : [`dpd delay ${at('dpd_delay')}s`]),
  ]
  const rounds = connection.flatMap((item) => {
    const side = item.kind === 'section' ? /^(local|remote)-\d+$/.exec(item.name)?.[1] : undefined
    return item.kind === 'section' && side !== undefined ? roundLines(side, item.items) : []
  })
  const children = findSection(connection, 'children') ?? []
  return [
    `${name}: ${at('version')}, ${times.join(', ')}`,
    `  local:  ${texts(connection, 'local_addrs').join(' ')}`,
    `  remote: ${texts(connection, 'remote_addrs').join(' ')}`,
    ...rounds,
    ...children.flatMap((item) => {
      if (item.kind !== 'section') return []
      const seconds = Number(findText(item.items, 'rekey_time'))
      return [
        `  ${item.name}: ${findText(item.items, 'mode')}, ${seconds > 0 ? `rekeying every ${seconds}s` : 'no rekeying'}`,
        `    local:  ${texts(item.items, 'local-ts').join(' ')}`,
        `    remote: ${texts(item.items, 'remote-ts').join(' ')}`,
      ]
    }),
  ]
}

function roundLines(side: string, round: Tree): string[] {
  const lines = [`  ${side} ${findText(round, 'class') ?? ''} authentication:`]
  for (const field of ['id', 'eap-type', 'eap_id', 'aaa_id', 'ca_id', 'revocation']) {
    const found = findText(round, field)
    if (found !== undefined) lines.push(`    ${field}: ${found}`)
  }
  for (const field of ['certs', 'cacerts', 'groups']) {
    for (const found of texts(round, field)) lines.push(`    ${field}: ${found}`)
  }
  return lines
}

/** `AES_GCM_16-128`, `HMAC_SHA2_256_128`. */
function algorithmTexts(tree: Tree): string[] {
  return ['encr', 'integ'].flatMap((kind) => {
    const name = findText(tree, `${kind}-alg`)
    const size = findText(tree, `${kind}-keysize`)
    return name === undefined ? [] : [size === undefined ? name : `${name}-${size}`]
  })
}

function additional(tree: Tree): string[] {
  return Array.from({ length: 7 }, (_, n) => n + 1).flatMap((n) => {
    const name = findText(tree, `ake${n}`)
    return name === undefined ? [] : [`KE${n}_${name}`]
  })
}

function present(tree: Tree, ...fields: readonly string[]): string[] {
  return fields.flatMap((field) => findText(tree, field) ?? [])
}

function timed(tree: Tree, field: string, say: (seconds: string) => string): string[] {
  const found = findText(tree, field)
  return found === undefined ? [] : [say(found)]
}

function texts(tree: Tree, field: string): readonly string[] {
  return findList(tree, field).map(valueText)
}
