/** load-conn, unload-conn. */
import { ConfigError } from '../../config/config-error.ts'
import { detailOf, loadConnection } from '../../config/load-conn.ts'
import { findText } from '../../config/tree.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { configLog, failure, type Handler, success } from '../request.ts'
import { pushCredentials } from './credentials.ts'

/** Each section is a connection; the first error ends it, what was loaded before stays. */
export const loadConn: Handler = async ({ message, broken }, context) => {
  const { daemon } = context
  if (broken) return failure('parsing request failed')
  for (const item of message) {
    if (item.kind !== 'section') continue
    try {
      const { connection, notes } = loadConnection(item.name, item.items, context.files, daemon.portIke)
      for (const note of notes) daemon.log(configLog(note))
      const before = daemon.credentials.credentials()
      daemon.credentials.addFromConnection(connection, parseCertificate)
      if (daemon.credentials.credentials() !== before) await pushCredentials(context)
      const answer = await daemon.command({ kind: 'load-connection', connection })
      if (answer.kind === 'failed') return failure(answer.message)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      daemon.log(configLog(`loading connection '${item.name}' failed: ${detailOf(error)}`))
      return failure(error.message)
    }
  }
  return success()
}

export const unloadConn: Handler = async ({ message }, { daemon }) => {
  const name = findText(message, 'name')
  if (name === undefined) return failure('unload: missing connection name')
  const answer = await daemon.command({ kind: 'unload-connection', name })
  return answer.kind === 'failed' ? failure(answer.message || `unload: connection '${name}' not found`) : success()
}
