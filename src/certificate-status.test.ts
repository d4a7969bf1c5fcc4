import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { CertificateStatus } from './certificate-status.ts'
import type { RevocationSettings } from './config/revocation-options.ts'
import type { PeerAuthentication } from './pki/authenticate.ts'
import { type Certificate, parseCertificate } from './pki/certificate.ts'
import { parseIdentity } from './pki/identity.ts'
import { issueCertificate } from './pki/issue.ts'
import { issueCrl, issueOcspResponse } from './pki/revocation/issue.ts'
import type { StatusAuthority } from './pki/revocation/verify.ts'

const now = Date.parse('2026-11-21T09:00:00Z')
const hour = 3_600_000
const key = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const ca = { subject: 'O=Lab, CN=Lab CA', key: key() }
const moonKey = key()
const validity = { notBefore: now - hour, notAfter: now + hour }
const root = parseCertificate(issueCertificate({ ...ca, ca: true, keyUsage: ['keyCertSign', 'cRLSign'], ...validity }))
const moon = parseCertificate(
  issueCertificate({ subject: 'O=Lab, CN=moon', key: moonKey, issuer: ca, altNames: ['moon.lab'], ...validity }),
)
const octets = Buffer.from('what IKE signs')
const crl = (revoked: readonly Certificate[]): Uint8Array =>
  issueCrl({
    issuer: ca,
    number: 1,
    thisUpdate: now - hour,
    nextUpdate: now + hour,
    revoked: revoked.map(({ serial }) => ({ serial, time: now - hour })),
  })

/** A peer that shows moon's certificate, and has signed with its key or not. */
function peer(authority: Partial<StatusAuthority>, signedBy: typeof moonKey = moonKey): PeerAuthentication {
  return {
    identity: parseIdentity('moon.lab'),
    certificates: [moon.der],
    anchors: [root],
    trustedLeaves: [],
    authMethod: 9,
    authData: sign('sha256', octets, { key: signedBy, dsaEncoding: 'ieee-p1363' }),
    octets,
    now: 0,
    revocation: 'strict',
    status: {
      crls: [],
      authorities: [{ certificate: root, crlUris: [], ocspUris: [], ...authority }],
      ocspSigners: [],
    },
  }
}

interface Lab {
  readonly status: CertificateStatus
  /** The address of the web server. */
  readonly url: string
  /** What was asked of it: method, path, media type. */
  readonly requests: string[]
  readonly folder: string
  readonly logged: string[]
}

async function lab(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  body: (lab: Lab) => Promise<void>,
  changed: Partial<RevocationSettings> = {},
): Promise<void> {
  const requests: string[] = []
  const logged: string[] = []
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-crl-'))
  const server = createServer((request, response) => {
    requests.push([request.method, request.url, request.headers['content-type'] ?? ''].join(' ').trim())
    answer(request, response)
  })
  await new Promise<void>((resolve) => void server.listen(0, 'localhost', resolve))
  const { port } = server.address() as AddressInfo // it listens on a port
  const settings = {
    useCrls: true,
    useOcsp: true,
    timeoutSeconds: 5,
    cache: true,
    writeCrls: false,
    ocspNonceLength: 32,
  }
  const status = new CertificateStatus({
    settings: () => ({ ...settings, ...changed }),
    crlFolder: folder,
    log: (message) => void logged.push(message),
    now: () => now,
  })
  try {
    await body({ status, url: `http://localhost:${port}`, requests, folder, logged })
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true })
  }
}

test('a CRL is fetched once for many peers, and until it is flushed', async () => {
  await lab(
    (_, response) => void response.end(crl([])),
    async ({ status, url, requests }) => {
      const asking = peer({ crlUris: [`${url}/ca.crl`] })
      const verdicts = await Promise.all([status.verifyPeer(asking), status.verifyPeer(asking)])
      assert.deepEqual(
        [...verdicts, await status.verifyPeer(asking)].map(({ ok }) => ok),
        [true, true, true],
      )
      assert.deepEqual(requests, ['GET /ca.crl'])
      status.cache.flush('crls')
      assert.equal((await status.verifyPeer(asking)).ok, true)
      assert.equal(requests.length, 2)
    },
  )
})

test('what a peer has shown is kept when it was verified, and only then', async () => {
  await lab(
    (_, response) => void response.end(crl([])),
    async ({ status, url }) => {
      const shown = () => status.cache.received.map(({ fingerprint }) => fingerprint)
      assert.equal((await status.verifyPeer(peer({ crlUris: [url] }, key()))).ok, false)
      assert.deepEqual(shown(), [])
      assert.equal((await status.verifyPeer(peer({ crlUris: [url] }))).ok, true)
      assert.deepEqual(shown(), [moon.fingerprint])
      // No more than so many, whoever comes.
      const others = Array.from({ length: 40 }, (_, n) => ({ ...moon, fingerprint: String(n) }))
      status.cache.addReceived(others)
      assert.deepEqual(shown().slice(-1), ['39'])
      assert.equal(shown().length, 32)
    },
  )
})

test('a revoked peer is refused', async () => {
  await lab(
    (_, response) => void response.end(crl([moon])),
    async ({ status, url }) => {
      const verdict = await status.verifyPeer(peer({ crlUris: [url] }))
      assert.ok(!verdict.ok)
      assert.match(verdict.message, /certificate was revoked on/)
      assert.ok(verdict.alerts.includes('cert-revoked'))
    },
  )
})

test('an OCSP request is posted', async () => {
  const good = { certificate: moon, issuer: root, signer: ca, thisUpdate: now, nextUpdate: now + hour }
  await lab(
    (_, response) => void response.end(issueOcspResponse({ ...good, status: 'good' })),
    async ({ status, url, requests }) => {
      assert.equal((await status.verifyPeer(peer({ ocspUris: [`${url}/ocsp`] }))).ok, true)
      assert.deepEqual(requests, ['POST /ocsp application/ocsp-request'])
    },
  )
})

test('for a peer that does not have the key of its certificate nothing is fetched', async () => {
  await lab(
    (_, response) => void response.end(crl([])),
    async ({ status, url, requests }) => {
      const verdict = await status.verifyPeer(peer({ crlUris: [url] }, key()))
      assert.equal(verdict.ok, false)
      assert.deepEqual(requests, [])
    },
  )
})

test('what cannot be fetched leaves the status unknown', async () => {
  await lab(
    (_, response) => void response.writeHead(404).end(),
    async ({ status, url }) => {
      const uris = [url, 'ldap://lab/ca', 'file:///nowhere.crl']
      const verdict = await status.verifyPeer(peer({ crlUris: uris }))
      assert.ok(!verdict.ok)
      for (const line of ['the server answers 404', 'no capable fetcher found', 'no such file']) {
        assert.ok(
          verdict.log.some((each) => each.includes(line)),
          line,
        )
      }
    },
  )
})

test('a CRL in a file of the operator; one that was fetched is written', async () => {
  await lab(
    (_, response) => void response.end(crl([])),
    async ({ status, url, folder, logged }) => {
      const path = join(folder, 'mine.crl')
      writeFileSync(path, crl([]))
      assert.equal((await status.verifyPeer(peer({ crlUris: [pathToFileURL(path).href] }))).ok, true)
      status.cache.flush('crls')
      assert.equal((await status.verifyPeer(peer({ crlUris: [url] }))).ok, true)
      const name = `${Buffer.from(root.subjectKeyId ?? []).toString('hex')}.crl`
      while (!logged.some((line) => line.includes(`written crl file '${join(folder, name)}'`))) {
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.ok(readdirSync(folder).includes(name))
    },
    { writeCrls: true },
  )
})

test('without a cache each peer has us ask again', async () => {
  await lab(
    (_, response) => void response.end(crl([])),
    async ({ status, url, requests }) => {
      for (const asking of [peer({ crlUris: [url] }), peer({ crlUris: [url] })]) await status.verifyPeer(asking)
      assert.equal(requests.length, 2)
    },
    { cache: false },
  )
})

for (const [option, asks] of [
  ['useCrls', { crlUris: true }],
  ['useOcsp', { ocspUris: true }],
] as const) {
  test(`${option} = no: nothing is asked`, async () => {
    await lab(
      (_, response) => void response.writeHead(404).end(),
      async ({ status, url, requests }) => {
        await status.verifyPeer(peer({ [Object.keys(asks)[0] ?? '']: [url] }))
        assert.deepEqual(requests, [])
      },
      { [option]: false },
    )
  })
}

test('a server that does not answer is waited for so long and no longer', async () => {
  await lab(
    () => undefined,
    async ({ status, url }) => {
      const verdict = await status.verifyPeer(peer({ crlUris: [url] }))
      assert.ok(!verdict.ok)
    },
    { timeoutSeconds: 0.05 },
  )
})

test('ocsp_nonce_len: octets of the nonce', async () => {
  const lengths: number[] = []
  for (const ocspNonceLength of [1, 32]) {
    await lab(
      (request, response) => {
        let octets = 0
        request.on('data', (chunk: Uint8Array) => {
          octets += chunk.length
        })
        request.on('end', () => {
          lengths.push(octets)
          response.writeHead(404).end()
        })
      },
      async ({ status, url }) => void (await status.verifyPeer(peer({ ocspUris: [url] }))),
      { ocspNonceLength },
    )
  }
  // The lengths around it may take octets more.
  assert.ok((lengths[1] ?? 0) - (lengths[0] ?? 0) >= 31, String(lengths))
})
