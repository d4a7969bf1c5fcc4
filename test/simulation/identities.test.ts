/** Who the two may be (RFC 7296 §3.5, §4): every type of identity, with secrets and with certificates. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Credentials } from '../../src/ike/credentials.ts'
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts'
import { formatIdentity, type Identity, parseIdentity } from '../../src/pki/identity.ts'
import { issueCertificate } from '../../src/pki/issue.ts'
import { publicKeyId } from '../../src/pki/keys.ts'
import { decodeMessage } from '../../src/wire/message.ts'
import { CERT_ENCODING, ID_TYPE } from '../../src/wire/numbers.ts'
import { authRound, credentialsFor, identityOf, roundOf, sharedSecret } from './connection.ts'
import { logged, onlySa, sameSingleChild } from './expect.ts'
import { established, pair } from './pair.ts'
import { begun, names as namesOf, the } from './peer.ts'
import { scenario } from './scenario.ts'
import { testAuthority } from './test-keys.ts'

/** Names of left by type. */
const names: Readonly<Record<number, string>> = {
  [ID_TYPE.IPV4_ADDR]: '192.0.2.77',
  [ID_TYPE.FQDN]: 'left.example',
  [ID_TYPE.RFC822_ADDR]: 'left@example.org',
  [ID_TYPE.IPV6_ADDR]: '2001:db8::77',
  [ID_TYPE.DER_ASN1_DN]: 'C=CH, O=Lab, CN=left',
  [ID_TYPE.DER_ASN1_GN]: 'asn1gn:#820161',
  [ID_TYPE.KEY_ID]: 'keyid:left',
}

for (const [type, name] of Object.entries(names)) {
  scenario(`a shared key for ${name}`, () => {
    const id = parseIdentity(name)
    assert.equal(id.type, Number(type))
    const secrets = [sharedSecret('a secret of these two', name, identityOf('right'))]
    const credentials = { ...credentialsFor('left', 'psk'), secrets }
    const world = established({
      left: { credentials, connection: { local: [authRound({ class: 'psk', id })] } },
      right: { credentials, connection: { remote: [authRound({ class: 'psk', id })] } },
    })
    assert.deepEqual(onlySa(world.right).remoteId, id)
  })
}

const caKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const valid = { notBefore: Date.UTC(2020), notAfter: Date.UTC(2049) }
const root = parseCertificate(issueCertificate({ subject: 'CN=Root', key: caKey, ca: true, ...valid }))

const rsa = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey

/** A certificate of left that has all the names. */
function certificateOf(key: KeyObject): Certificate {
  const altNames = [names[1], names[2], names[3], names[5]].flatMap((name) => name ?? [])
  const issuer = { subject: 'CN=Root', key: caKey }
  return parseCertificate(issueCertificate({ subject: 'C=CH, O=Lab, CN=left', key, issuer, altNames, ...valid }))
}

/** Left has a certificate under `root`; right trusts that, and has a shared key or a certificate of the lab. */
function byCertificate(id: Identity, key: KeyObject, chain: readonly Certificate[], responder: 'psk' | 'p256'): void {
  const secrets = [sharedSecret('a secret of these two', identityOf('right'))]
  const left: Credentials = {
    anchors: [testAuthority('Lab CA').certificate, ...chain.slice(1)],
    certificates: chain.slice(0, 1),
    privateKeys: new Map([[publicKeyId(key), key]]),
    secrets,
  }
  const right: Credentials = { ...credentialsFor('right', responder), anchors: [root], secrets }
  const world = established({
    left: {
      credentials: left,
      connection: { local: [authRound({ id })], remote: [roundOf('right', responder)] },
    },
    right: {
      credentials: right,
      connection: { local: [roundOf('right', responder)], remote: [authRound({ id })] },
    },
  })
  assert.deepEqual(onlySa(world.right).remoteId, id)
  logged(world.right, `authentication of '${formatIdentity(id)}' with RSA_EMSA_PKCS1_SHA2_256 successful`)
  sameSingleChild(world)
}

for (const bits of [1024, 2048]) {
  const key = rsa(bits)
  const certificate = certificateOf(key)
  const keyId = `keyid:#${certificate.publicKeyId}`
  for (const name of [names[1], names[2], names[3], names[5], names[9], keyId].flatMap((one) => one ?? [])) {
    const shown = name === keyId ? 'the key identifier' : name
    scenario(`a certificate with RSA ${bits} for ${shown}, and a shared key of the responder`, () =>
      byCertificate(parseIdentity(name), key, [certificate], 'psk'),
    )
  }
  scenario(`a certificate with RSA ${bits} on either side`, () =>
    byCertificate(parseIdentity('left.example'), key, [certificate], 'p256'),
  )
}

/** §4: a shared key proves the initiator, a certificate the responder. */
scenario('a shared key of the initiator, and a certificate of the responder', () => {
  const world = pair({ left: { auth: 'psk' }, right: { auth: 'rsa2048' } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
  logged(world.left, "authentication of 'right.lab' with RSA_EMSA_PKCS1_SHA2_256 successful")
  logged(world.right, "authentication of 'left.lab' with pre-shared key successful")
})

/** §3.7: SHA-1 of the SubjectPublicKeyInfo of each CA, one after the other. */
scenario('CERTREQ names the trusted CAs', () => {
  const { world } = begun({ right: { auth: 'p256', connection: { remote: [authRound({})] } } })
  const [answer] = world.right.sent
  assert.ok(answer)
  const { encoding, data } = the('CERTREQ', decodeMessage(answer.bytes).payloads)
  assert.equal(encoding, CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE)
  const ca = createPublicKey(testAuthority('Lab CA').key).export({ format: 'der', type: 'spki' })
  assert.deepEqual(Buffer.from(data), createHash('sha1').update(ca).digest())
})

/** A chain of four: the end entity, and three CAs below the root, which alone is trusted. */
function chainOfFour(key: KeyObject): readonly Certificate[] {
  let issuer = { subject: 'CN=Root', key: caKey }
  const authorities: Certificate[] = []
  for (const n of [1, 2, 3]) {
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const subject = `CN=Sub ${n}`
    authorities.unshift(parseCertificate(issueCertificate({ subject, key: own, issuer, ca: true, ...valid })))
    issuer = { subject, key: own }
  }
  const leaf = issueCertificate({ subject: 'CN=left', key, issuer, altNames: ['left.example'], ...valid })
  return [parseCertificate(leaf), ...authorities]
}

scenario('four certificates are sent and accepted', () => {
  const key = rsa(2048)
  byCertificate(parseIdentity('left.example'), key, chainOfFour(key), 'psk')
})

/** §3.6: the first certificate has the key of AUTH. */
scenario('four certificates, the end entity first', () => {
  const key = rsa(2048)
  const [leaf, ...authorities] = chainOfFour(key)
  assert.ok(leaf)
  const credentials: Credentials = {
    anchors: authorities,
    certificates: [leaf],
    privateKeys: new Map([[publicKeyId(key), key]]),
    secrets: credentialsFor('right', 'psk').secrets,
  }
  const { peer } = begun({
    right: {
      credentials,
      connection: { sendCert: 'always', local: [authRound({ id: parseIdentity('left.example') })] },
    },
  })
  const answer = peer.auth({ signed: true }) ?? []
  const sent = answer.filter((payload) => payload.type === 'CERT')
  assert.deepEqual(
    sent.map(({ encoding, data }) => [encoding, Buffer.from(data)]),
    [leaf, ...authorities].map(({ der }) => [CERT_ENCODING.X_509_CERTIFICATE_SIGNATURE, Buffer.from(der)]),
  )
  assert.equal(the('AUTH', answer).method, 1)
})

/** RFC 7296 §3.5: reserved octets mean nothing. §2.15: AUTH covers the payload as it was sent. */
scenario('the reserved octets of an ID payload are not zero', () => {
  const { world, peer } = begun()
  peer.auth({ reserved: Uint8Array.of(1, 2, 255) })
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  assert.deepEqual(onlySa(world.right).remoteId, parseIdentity('left.lab'))
})

scenario('the reserved octets of an ID payload are not those that AUTH covers', () => {
  const { world, peer } = begun()
  const answer = peer.auth({ reserved: Uint8Array.of(1, 2, 255), covered: new Uint8Array(3) })
  assert.deepEqual(namesOf(answer), ['N(AUTHENTICATION_FAILED)'])
  assert.deepEqual(world.right.sas(), [])
})
