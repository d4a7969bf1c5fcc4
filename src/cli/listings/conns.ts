/** Connections as `swanctl --list-conns` prints them. */
import { findSection, findText, type Tree } from '../../config/tree.ts'
import { field, joined, texts, told } from './fields.ts'

/** The lines for a `list-conn` event. */
export function connectionLines(event: Tree): string[] {
  return event.flatMap((item) => (item.kind === 'section' ? lines(item.name, item.items) : []))
}

function lines(name: string, connection: Tree): string[] {
  const seconds = (what: string) => Number(findText(connection, what) ?? 0)
  const reauth = seconds('reauth_time')
  const rekey = seconds('rekey_time')
  const times = [
    reauth > 0 ? `reauthentication every ${reauth}s` : 'no reauthentication',
    rekey > 0 ? `rekeying every ${rekey}s` : 'no rekeying',
    ...(seconds('dpd_delay') > 0 ? [`dpd delay ${seconds('dpd_delay')}s`] : []),
  ]
  const addresses = (side: string) =>
    texts(connection, `${side}_addrs`).map(
      (address) => `  ${`${side}:`.padEnd(8)}${address}[${findText(connection, `${side}_port`) ?? 0}]`,
    )
  const required = findText(connection, 'ppk_required') === 'yes' ? ', required' : ''
  return [
    `${name}: ${findText(connection, 'version') ?? ''}, ${times.join(', ')}`,
    ...told(connection, 'ppk_id', (id) => `  ppk: ${id}${required}`),
    ...addresses('local'),
    ...addresses('remote'),
    ...connection.flatMap((item) => {
      const side = item.kind === 'section' ? /^(local|remote)/.exec(item.name)?.[1] : undefined
      return item.kind === 'section' && side !== undefined ? roundLines(side, item.items) : []
    }),
    ...(findSection(connection, 'children') ?? []).flatMap((item) =>
      item.kind === 'section' ? childLines(item.name, item.items, seconds('dpd_delay') > 0) : [],
    ),
  ]
}

function roundLines(side: string, round: Tree): string[] {
  const kind = findText(round, 'class') ?? 'unspecified'
  const method = kind === 'EAP' ? (findText(round, 'eap-type') ?? kind) : kind
  const text = (label: string, name: string) => told(round, name, (found) => `    ${label}: ${found}`)
  const list = (label: string, name: string) =>
    texts(round, name).length === 0 ? [] : [`    ${label}: ${texts(round, name).join(' ')}`]
  return [
    `  ${side} ${method} authentication:`,
    ...text('id', 'id'),
    ...text('ca_id', 'ca_id'),
    ...text('eap_id', 'eap_id'),
    ...text('xauth_id', 'xauth_id'),
    ...text('aaa_id', 'aaa_id'),
    ...list('groups', 'groups'),
    ...list('cert policy', 'cert_policy'),
    ...list('certs', 'certs'),
    ...list('cacerts', 'cacerts'),
  ]
}

function childLines(name: string, child: Tree, hasDpd: boolean): string[] {
  const limit = (what: string, unit: string) => {
    const found = field(child, `rekey_${what}`)
    return found === '0' ? [] : [`${found}${unit}`]
  }
  const isShunt = /^(PASS|DROP)$/.test(field(child, 'mode'))
  const limits = [...limit('time', 's'), ...limit('bytes', ' bytes'), ...limit('packets', ' packets')].join(' or ')
  const rekeying = isShunt || limits === '' ? 'no rekeying' : `rekeying every ${limits}`
  const action = hasDpd ? `, dpd action is ${field(child, 'dpd_action')}` : ''
  return [
    `  ${name}: ${field(child, 'mode')}, ${rekeying}${action}`,
    ...told(child, 'label', (label) => `    label:  ${label}`),
    `    local:  ${joined(child, 'local-ts')}`,
    `    remote: ${joined(child, 'remote-ts')}`,
    ...told(child, 'interface', (found) => `    interface: ${found}`),
    ...told(child, 'priority', (found) => `    priority: ${found}`),
  ]
}
