/** The configuration that charon and Sallyport share: swanctl.conf, its folders, and strongswan.conf. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectionName, identity } from '../connection.ts'
import { type Host, writeHostFile } from '../hosts.ts'
import type { Credentials } from '../pki.ts'
import type { Side } from './peer.ts'

/** swanctl complains about folders that are not there. */
const folders = 'x509 x509ca x509ocsp x509aa x509ac x509crl pubkey private rsa ecdsa pkcs8 pkcs12'.split(' ')

/** Where a host's own files go. */
export const swanctlPaths: readonly string[] = ['/etc/swanctl', '/etc/strongswan.conf']

/** For strongswan.conf: what swanctl itself needs to read keys and certificates. */
export const swanctlPlugins: string = `swanctl {
  load = openssl pem pkcs1 pkcs8 x509 pubkey
}`

/** Writes everything below /etc that a charon-like daemon on this host reads. */
export function writeSwanctl(side: Side, strongswanConf: string): void {
  const { host, own, anchors } = side
  writeConfs(host, strongswanConf, swanctlConf(side))
  if (own) writeCertificates(host, own, anchors)
}

/** Writes the host's certificate and key (`host.pem`), and those of the CAs that it trusts, to swanctl's folders. */
export function writeCertificates(host: Host<string>, own: Credentials, anchors: readonly string[]): void {
  writeHostFile(host, '/etc/swanctl/x509/host.pem', readFileSync(own.certificate, 'utf8'))
  writeHostFile(host, '/etc/swanctl/private/host.pem', readFileSync(own.key, 'utf8'), 0o600)
  own.intermediates.forEach((file, n) => {
    writeHostFile(host, `/etc/swanctl/x509/sub${n}.pem`, readFileSync(file, 'utf8'))
  })
  anchors.forEach((file, n) => {
    writeHostFile(host, `/etc/swanctl/x509ca/ca${n}.pem`, readFileSync(file, 'utf8'))
  })
}

/** Writes the two files, and swanctl's folders without anything in them. */
export function writeConfs(host: Host<string>, strongswanConf: string, swanctlConf: string): void {
  for (const folder of folders) mkdirSync(join(host.folder, 'etc/swanctl', folder), { recursive: true })
  writeHostFile(host, '/etc/strongswan.conf', strongswanConf)
  writeHostFile(host, '/etc/swanctl/swanctl.conf', swanctlConf, 0o600)
}

/** The text of swanctl.conf for one side. */
export function swanctlConf({ host, other, connection, end, initiates, own }: Side): string {
  const { auth, mode, outer, inner, start } = connection
  const method = auth === 'psk' ? 'psk' : 'pubkey'
  const networks = (given: readonly string[] | undefined, of: typeof host): string =>
    mode === 'transport' ? 'dynamic' : (given ?? inner.map((family) => of.place.network[family])).join(', ')
  const secret = end.secret ?? 'a secret of the lab'
  return `connections {
  ${connectionName} {
    version = 2
    local_addrs = ${host.place.outside[outer]}
    remote_addrs = ${other.place.seen[outer]}
    proposals = ${(end.ike ?? connection.ike).swanctl}
    ${[...connection.settings, ...(end.settings ?? [])].join('\n    ')}
    local {
      auth = ${method}
      id = ${identity(host.name)}
      ${own ? 'certs = host.pem' : ''}
    }
    remote {
      auth = ${method}
      id = ${identity(other.name)}
    }
    children {
      ${connectionName} {
        mode = ${mode}
        local_ts = ${networks(end.localNetworks, host)}
        remote_ts = ${networks(end.remoteNetworks, other)}
        esp_proposals = ${(end.esp ?? connection.esp).swanctl}
        start_action = ${initiates ? start : 'none'}
        ${[...connection.childSettings, ...(end.childSettings ?? [])].join('\n        ')}
      }
    }
  }
  ${(end.connections ?? []).join('\n  ')}
}
pools {
  ${(end.pools ?? []).join('\n  ')}
}
secrets {
  ${(end.secrets ?? []).join('\n  ')}
}
${
  auth === 'psk'
    ? `secrets {
  ike-lab {
    id-moon = ${identity('moon')}
    id-sun = ${identity('sun')}
    ${end.connections ? 'id-second = second.lab.test' : ''}
    secret = "${secret}"
  }
}
`
    : ''
}${
  end.ppk === undefined
    ? ''
    : `secrets {
  ppk-lab {
    id = lab-ppk
    secret = "${end.ppk}"
  }
}
`
}`
}
