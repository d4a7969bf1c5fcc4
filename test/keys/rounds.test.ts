/** The keys of `local<suffix>` and `remote<suffix>`: who authenticates how, and as whom. */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { formatIdentity } from '../../src/pki/identity.ts'
import { logged, notLogged, onlySa, saidToPeer, sameSingleChild } from '../simulation/expect.ts'
import { testKey } from '../simulation/test-keys.ts'
import type { World } from '../simulation/world.ts'
import { type Conf, type Confs, certificate, certificates, hosts, initiate, key, refused, up } from './hosts.ts'

/** Right refuses left, and says why in its log. */
async function refusedBy(right: Conf, why: string): Promise<World> {
  const world = await hosts(certificates({ right }))
  initiate(world)
  logged(world.right, why)
  saidToPeer(world.right, 'N(AUTH_FAILED)')
  return world
}

const ofLeft = { 'x509/left.der': certificate('left').files?.['x509/left.der'] ?? '' }

key('connections.<conn>.local.round', 'rounds by their number, not by their place', async () => {
  const both = (name: 'left' | 'right'): Conf => ({ ...certificate(name), local: '' })
  const [left, right] = [both('left'), both('right')]
  const local = 'round = 2 }\nlocal-first { round = 1\n auth = pubkey\n id = left.lab'
  const remote = 'round = 2 }\nremote-first { round = 1\n auth = pubkey\n id = left.lab'
  const world = await hosts({ left: { ...left, local }, right: { ...right, remote } })
  initiate(world)
  sameSingleChild(world)
  logged(world.right, "authentication of 'left.lab' with ")
})

key('connections.<conn>.local.auth', 'pre-shared key or certificate, and signature schemes', async () => {
  await up({})
  const world = await up(certificates({ left: { local: 'auth = ecdsa-sha256' } }))
  logged(world.right, "authentication of 'left.lab' with ECDSA")
})

key('connections.<conn>.remote.auth', 'what the peer must prove itself with', async () => {
  await refusedBy({ remote: 'auth = psk' }, 'it wants a pre-shared key, left.lab used a signature')
  await refusedBy({ remote: 'auth = rsa' }, 'constraint')
})

key('connections.<conn>.local.id', 'whom we say we are; else our address', async () => {
  const world = await up({ left: { local: 'id = carol@lab.org' }, right: { remote: 'id = carol@lab.org' } })
  assert.equal(formatIdentity(onlySa(world.right).remoteId ?? assert.fail('no identity')), 'carol@lab.org')
  await up({ left: { local: 'id =' }, right: { remote: 'id = 192.0.2.1' } })
})

key('connections.<conn>.remote.id', 'whom the peer must be, with wildcards', async () => {
  await up({ right: { remote: 'id = *.lab' } })
  await refusedBy({ remote: 'id = other.lab' }, 'no matching peer config found')
})

key('connections.<conn>.local.xauth_id', 'taken for IKEv1 configurations', async () => {
  await up({ left: { local: 'xauth_id = carol' } })
})

/** Left has a password, and right a certificate and the same password. */
const eap = (local: string, remote: string, secrets = 'eap { id = carol\n secret = Ar3etTnp }'): Confs => {
  const confs = certificates({ left: { local, secrets }, right: { remote, secrets } })
  return { ...confs, both: { secrets } }
}

key('connections.<conn>.local.auth', 'EAP with a method, or with any', async () => {
  for (const method of ['eap-mschapv2', 'eap-md5', 'eap-gtc', 'eap']) {
    const world = await up(eap(`auth = ${method}\n eap_id = carol`, 'auth = eap-dynamic\n eap_id = %any'))
    logged(world.right, "authentication of 'left.lab' with EAP successful")
  }
  await refused({ left: { local: 'auth = eap-tls' } }, /invalid value for: auth/)
  await refused({ left: { local: 'auth = eap }\n local-2 { auth = psk' } }, /invalid value for: auth/)
})

key('connections.<conn>.local.eap_id', 'whose password it is; says nothing without EAP', async () => {
  await up({ left: { local: 'eap_id = carol' } })
  const world = await up(eap('auth = eap\n eap_id = carol', 'auth = eap-mschapv2\n eap_id = %any'))
  logged(world.right, "received EAP identity 'carol'")
})

key('connections.<conn>.remote.eap_id', '%any asks for it, another one is taken for granted', async () => {
  const world = await up(eap('auth = eap\n eap_id = carol', 'auth = eap-md5\n eap_id = carol'))
  notLogged(world.right, 'EAP_IDENTITY')
})

key('connections.<conn>.local.aaa_id', 'no method here has a server behind the server', async () => {
  await up({ left: { local: 'aaa_id = carol' } })
  await up(eap('auth = eap\n eap_id = carol\n aaa_id = radius.lab', 'auth = eap-md5\n eap_id = %any'))
})

key('connections.<conn>.remote.ca_id', 'a CA of the trust chain must have this identity', async () => {
  await up(certificates({ right: { remote: 'ca_id = "CN=Lab CA"' } }))
  await refusedBy({ remote: 'ca_id = "CN=Other CA"' }, "no CA in the trust chain has the identity 'CN=Other CA'")
})

key('connections.<conn>.local.certs', 'the certificate to send; the identity is then its subject', async () => {
  const right = { remote: 'id = "CN=left.lab"' }
  const world = await hosts(certificates({ left: { local: 'id =\ncerts = left.der' }, right }))
  initiate(world)
  sameSingleChild(world)
  await refused(
    certificates({ left: { local: 'certs = missing.der' } }),
    /conf:\d+:\d+: loading certs certificate '.*x509\/missing\.der' failed/,
  )
})

key('connections.<conn>.remote.certs', 'the only certificates that the peer may have', async () => {
  await up(certificates({ right: { remote: 'certs = left.der', files: ofLeft } }))
  await refusedBy({ remote: 'certs = right.der' }, 'constraint')
})

const pemOf = (name: string): string =>
  String(createPublicKey(testKey('p256', name)).export({ format: 'pem', type: 'spki' }))

key('connections.<conn>.local.pubkeys', 'the key to sign with; no certificate is sent', async () => {
  const left = { local: 'pubkeys = left.pem', files: { 'pubkey/left.pem': pemOf('left') } }
  const right = { remote: 'pubkeys = left.pem', files: { 'pubkey/left.pem': pemOf('left') } }
  const world = await up(certificates({ left, right }))
  for (const { label } of world.left.sent) assert.doesNotMatch(label, / CERT /)
})

key('connections.<conn>.remote.pubkeys', 'the only keys that the peer may sign with', async () => {
  const files = { 'pubkey/other.pem': pemOf('other') }
  await refusedBy({ remote: 'pubkeys = other.pem', files }, 'signature validation failed')
})

key('connections.<conn>.remote.cacerts', 'the only CAs that the peer may have its certificate from', async () => {
  await up(certificates({ right: { remote: 'cacerts = lab.der' } }))
  const other = certificate('right', 'p256', 'Other CA').files?.['x509ca/lab.der'] ?? ''
  await refusedBy({ remote: 'cacerts = other.der', files: { 'x509ca/other.der': other } }, 'constraint')
})

for (const [section, folder, file] of [
  ['cert1', 'x509', 'left.der'],
  ['cacert1', 'x509ca', 'lab.der'],
] as const) {
  key('connections.<conn>.remote.cert<suffix>.file', 'read by the daemon, by its path', async () => {
    const remote = `${section} { file = /etc/swanctl/${folder}/${file} }`
    await up(certificates({ right: { remote, files: folder === 'x509' ? ofLeft : {} } }))
    const gone = `${section} { file = /nowhere }`
    await refused(certificates({ right: { remote: gone } }), new RegExp(`unable to load certificate: ${section}`))
  })
}

for (const name of ['handle', 'slot', 'module']) {
  key(`connections.<conn>.remote.cert<suffix>.${name}`, 'there are no tokens', async () => {
    const text = name === 'handle' ? 'cert { handle = 01 }' : `cert { handle = 01\n ${name} = 1 }`
    await refused({ left: { remote: text } }, /unable to load certificate: cert/)
  })
}

key('connections.<conn>.remote.groups', 'nothing here can prove a group: who must be in one is refused', () =>
  refusedBy({ remote: 'groups = staff' }, "group membership 'staff' required, and nothing here can prove it").then(
    () => undefined,
  ),
)

key('connections.<conn>.remote.cert_policy', 'a policy that the certificate must have', async () => {
  await refusedBy({ remote: 'cert_policy = 1.2.3.4' }, 'constraint requires cert policy 1.2.3.4')
})

key('connections.<conn>.remote.revocation', 'strict: an unknown status is not good enough', async () => {
  for (const word of ['relaxed', 'ifuri']) await up(certificates({ right: { remote: `revocation = ${word}` } }))
  await refusedBy({ remote: 'revocation = strict' }, 'is unknown, revocation = strict')
})
