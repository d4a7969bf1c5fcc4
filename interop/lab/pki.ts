/**
 * Certificates of the lab, made when they are wanted and kept nowhere: a CA for each kind of key, one more that nobody
 * trusts, and one with an intermediate and large keys.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Auth, type End, identity } from './connection.ts'
import type { HostName } from './hosts.ts'
import type { Shell } from './shell.ts'

/** Files of one host: PEM, and PKCS #12 (password `lab`) for libreswan's NSS. */
export interface Credentials {
  /** The trust anchor that this host shows its certificate from. */
  readonly anchor: string
  readonly certificate: string
  readonly key: string
  readonly intermediates: readonly string[]
  readonly pkcs12: string
}

type KeyKind = Exclude<Auth, 'psk'>

const newKey: Readonly<Record<KeyKind | 'large', string>> = {
  ecdsa: '-newkey ec -pkeyopt ec_paramgen_curve:P-256',
  rsa: '-newkey rsa:2048',
  ed25519: '-newkey ed25519',
  large: '-newkey rsa:3072',
}

/** The credentials of a host. */
export async function credentials(
  shell: Shell,
  folder: string,
  kind: KeyKind,
  which: NonNullable<End['certificate']>,
  host: HostName,
): Promise<Credentials> {
  const own = join(folder, `${kind}-${which}`)
  if (which === 'expired') await credentials(shell, folder, kind, 'common', host)
  if (!existsSync(join(own, 'done'))) await make(shell, own, kind, which)
  return {
    anchor: join(own, 'ca.pem'),
    certificate: join(own, `${host}.pem`),
    key: join(own, `${host}.key`),
    intermediates: which === 'chain' ? [join(own, 'sub.pem')] : [],
    pkcs12: join(own, `${host}.p12`),
  }
}

async function make(
  shell: Shell,
  folder: string,
  kind: KeyKind,
  which: NonNullable<End['certificate']>,
): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const key = newKey[which === 'chain' && kind === 'rsa' ? 'large' : kind]
  const authority =
    '-addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign -days 30 -batch'
  const validity = which === 'expired' ? '-not_before 20200101000000Z -not_after 20200201000000Z' : '-days 30'
  const issuer = which === 'chain' ? '-CA sub.pem -CAkey sub.key' : '-CA ca.pem -CAkey ca.key'
  const config = '-config /dev/null' // the file of the package adds extensions of its own
  const hosts = (['moon', 'sun'] as const).map(
    (host) =>
      `openssl req ${config} -x509 ${key} -nodes -keyout ${host}.key -out ${host}.pem ${issuer} ${validity} ` +
      `-subj '/O=Lab/CN=${identity(host)}' -addext basicConstraints=CA:false ` +
      `-addext keyUsage=digitalSignature -addext subjectAltName=DNS:${identity(host)} && ` +
      `openssl pkcs12 -export -name ${host} -in ${host}.pem -inkey ${host}.key -certfile ca.pem ` +
      `-passout pass:lab -out ${host}.p12`,
  )
  const commands = [
    `cd ${folder}`,
    // What has expired comes from the CA that is trusted.
    which === 'expired'
      ? `cp ../${kind}-common/ca.pem ../${kind}-common/ca.key .`
      : `openssl req ${config} -x509 ${key} -nodes -keyout ca.key -out ca.pem -subj '/O=Lab/CN=${which} ${kind} CA' ${authority}`,
    ...(which === 'chain'
      ? [
          `openssl req ${config} -x509 ${key} -nodes -keyout sub.key -out sub.pem -CA ca.pem -CAkey ca.key ` +
            `-subj '/O=Lab/CN=${kind} intermediate' ${authority}`,
        ]
      : []),
    ...hosts,
    'touch done',
  ]
  await shell.must(`( ${commands.join(' && ')} )`, 60_000)
}
