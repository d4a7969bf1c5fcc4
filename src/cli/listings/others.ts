/** Policies, authorities, pools and algorithms as swanctl prints them. */
import { findSection, findText, type Tree } from '../../config/tree.ts'
import { valueText } from '../tree-json.ts'
import { field, joined, texts, told } from './fields.ts'

/** The lines for a `list-policy` event. */
export function policyLines(event: Tree): string[] {
  return event.flatMap((item) => {
    if (item.kind !== 'section') return []
    return [
      `${item.name}, reqid ${field(item.items, 'reqid')}, ${field(item.items, 'mode')}`,
      ...told(item.items, 'label', (label) => `  label:  ${label}`),
      `  local:  ${joined(item.items, 'local-ts')}`,
      `  remote: ${joined(item.items, 'remote-ts')}`,
    ]
  })
}

/** The lines for a `list-authority` event. */
export function authorityLines(event: Tree): string[] {
  return event.flatMap((item) => {
    if (item.kind !== 'section') return []
    const own = item.items
    return [
      `${item.name}:`,
      ...told(own, 'cacert', (name) => `  cacert: ${name}`),
      ...texts(own, 'crl_uris').map((uri, at) => `  ${at === 0 ? 'crl_uris:  ' : '           '}${uri}`),
      ...texts(own, 'ocsp_uris').map((uri) => `  ocsp_uris: ${uri}`),
      ...told(own, 'cert_uri_base', (uri) => `  cert_uri_base: ${uri}`),
    ]
  })
}

/** The lines for the response to `get-pools`. */
export function poolLines(response: Tree): string[] {
  return response.flatMap((item) => {
    if (item.kind !== 'section') return []
    const at = (name: string): string => findText(item.items, name) ?? ''
    const leases = findSection(item.items, 'leases') ?? []
    return [
      `${item.name.padEnd(20)} ${at('base').padEnd(31)} ${at('online').padStart(5)} / ${at('offline')} / ${at('size')}`,
      ...leases.flatMap((lease) => {
        if (lease.kind !== 'section') return []
        const of = (name: string): string => findText(lease.items, name) ?? ''
        return [`  ${of('address').padEnd(30)} ${of('status').padEnd(8)} '${of('identity')}'`]
      }),
    ]
  })
}

/** The lines for the response to `get-algorithms`. */
export function algorithmLines(response: Tree): string[] {
  return response.flatMap((item) => {
    if (item.kind !== 'section') return []
    const own = item.items.flatMap((one) => (one.kind === 'value' ? [`  ${one.name}[${valueText(one.value)}]`] : []))
    return [`${item.name}:`, ...own]
  })
}
