/** Certificates in place of secrets, and what swanctl lists and forgets of them. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const signed = { local: { auth: 'pubkey', certs: 'host.pem' }, remote: { auth: 'pubkey' } }

export const certificates: readonly DropIn[] = [
  ...(['ecdsa', 'rsa', 'ed25519'] as const).map(
    (kind): DropIn => ({
      name: `cert-${kind}`,
      certificates: kind,
      ...confs({ conn: signed }),
      async play({ moon, sun, same }) {
        await moon.up()
        await moon.pings('10.2.0.10')
        await sun.pings('10.1.0.10')
        await same('up')
        await moon.down()
      },
    }),
  ),
  {
    name: 'cert-flush',
    certificates: 'ecdsa',
    ...confs({ conn: signed }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.swanctl('--flush-certs --type x509_crl')
      await moon.swanctl('--flush-certs')
      await moon.shows('--list-certs', /CN=moon\.lab\.test/)
      await sun.pings('10.1.0.10')
      await same('flushed')
      await moon.down()
      await moon.up()
      await moon.down()
    },
  },
]
