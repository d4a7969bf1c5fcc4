/** Pairs of hosts whose certificates are to be found on a web server (RFC 7296 §3.6). */
import { createHash } from 'node:crypto'
import type { Credentials } from '../../src/ike/credentials.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { type AuthName, credentialsFor, defaultAuthority, type SideName } from './connection.ts'
import type { PairOptions } from './pair.ts'
import { testAuthority } from './test-keys.ts'

export const webBase = 'http://certs.lab/'

/** Where a certificate is. */
export function urlOf({ der }: Certificate): string {
  return webBase + createHash('sha1').update(der).digest('hex')
}

/** Both look certificates up, and name the authority's web server in place of sending theirs. */
export function byUrl(options: PairOptions, auth: AuthName): PairOptions {
  const side = (name: SideName) => ({ ...options[name], credentials: withBase(options[name]?.credentials, name, auth) })
  const [left, right] = [side('left'), side('right')]
  const all = [...left.credentials.certificates, ...right.credentials.certificates]
  const web = new Map(all.map((certificate) => [urlOf(certificate), certificate.der]))
  return { ...options, left, right, web, settings: { ...options.settings, hashAndUrl: true } }
}

function withBase(given: Credentials | undefined, side: SideName, auth: AuthName): Credentials {
  const { certificate } = testAuthority(defaultAuthority)
  return { ...(given ?? credentialsFor(side, auth)), certUriBases: [{ authority: certificate, base: webBase }] }
}
