/** load-authority, unload-authority, get-authorities, list-authorities. */
import { type AuthorityDraft, authorityKeys, caCertificate } from '../../config/authority-keys.ts'
import { ConfigError } from '../../config/config-error.ts'
import type { Authority } from '../../config/credential-set.ts'
import type { ConfigFiles } from '../../config/files.ts'
import { readKeys } from '../../config/key-table.ts'
import { detailOf } from '../../config/load-conn.ts'
import { findText, list, optional, section, type Tree, value } from '../../config/tree.ts'
import type { Certificate } from '../../pki/certificate.ts'
import { configLog, failure, type Handler, success } from '../request.ts'
import { pushCredentials } from './credentials.ts'

export const loadAuthority: Handler = async ({ message, broken }, context) => {
  const { daemon } = context
  if (broken) return failure('parsing request failed')
  for (const item of message) {
    if (item.kind !== 'section') continue
    try {
      daemon.credentials.setAuthority(readAuthority(item.name, item.items, context.files))
      await pushCredentials(context)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      daemon.log(configLog(`loading authority '${item.name}' failed: ${detailOf(error)}`))
      return failure(error.message)
    }
  }
  return success()
}

function readAuthority(name: string, tree: Tree, files: ConfigFiles): Authority {
  const draft: AuthorityDraft = { crlUris: [], ocspUris: [] }
  const noSection = (inner: string) => {
    throw new ConfigError(`invalid section: ${inner}`)
  }
  readKeys(tree, authorityKeys, draft, noSection, 'authority')
  const certificate = draft.certificate ?? (draft.file === undefined ? undefined : fromFile(draft.file, files))
  if (certificate === undefined) throw new ConfigError(`CA certificate missing: ${name}`)
  const { crlUris, ocspUris, certUriBase } = draft
  return { name, certificate, crlUris, ocspUris, ...(certUriBase !== undefined && { certUriBase }) }
}

function fromFile(path: string, files: ConfigFiles): Certificate {
  try {
    return caCertificate(files.read(path))
  } catch (error) {
    throw new ConfigError('invalid value for: file, authority discarded', undefined, error)
  }
}

export const unloadAuthority: Handler = async ({ message }, context) => {
  const name = findText(message, 'name')
  if (name === undefined) return failure('unload: missing authority name')
  if (!context.daemon.credentials.removeAuthority(name)) return failure(`unload: authority '${name}' not found`)
  await pushCredentials(context)
  return success()
}

export const getAuthorities: Handler = (_request, { daemon }) => [
  list(
    'authorities',
    daemon.credentials.authorities.map(({ name }) => name),
  ),
]

export const listAuthorities: Handler = async ({ message, stream }, { daemon }) => {
  const wanted = findText(message, 'name')
  for (const { name, certificate, crlUris, ocspUris, certUriBase } of daemon.credentials.authorities) {
    if (wanted !== undefined && wanted !== name) continue
    const fields = [
      value('cacert', certificate.subjectText),
      list('crl_uris', crlUris),
      list('ocsp_uris', ocspUris),
      ...optional('cert_uri_base', certUriBase),
    ]
    await stream('list-authority', [section(name, fields)])
  }
  return []
}
