import type { DropIn } from '../../lab/dropin/dropin.ts'

const _signed = { local: { auth: 'pubkey', certs: 'host.pem' }, remote: { auth: 'pubkey' } }

export const certificates: readonly DropIn[] = []
