import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { fetchFile } from './fetch.ts'

/** Runs `body` with the URL of a web server on loopback. */
async function served(listener: RequestListener, body: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => void server.listen(0, 'localhost', resolve))
  const { port } = server.address() as AddressInfo // it listens on a port
  try {
    await body(`http://localhost:${port}/cert.der`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

test('what is there', async () => {
  await served(
    (request, response) => response.end(request.url),
    async (url) => assert.equal(Buffer.from(await fetchFile(url, 100, 5000)).toString(), '/cert.der'),
  )
})

for (const [what, listener, reason] of [
  ['another status', (_, response) => response.writeHead(404).end(), /answers 404/],
  ['a redirect', (_, response) => response.writeHead(302, { location: '/other' }).end(), /answers 302/],
  ['too much', (_, response) => response.end(Buffer.alloc(101)), /more than 100 octets/],
  ['no answer', () => {}, /no answer within 200 ms/],
  [
    'an answer without an end',
    (_, response) => void response.writeHead(200, { 'content-length': 50 }).write('a'),
    /no answer within 200 ms|aborted/,
  ],
  ['no HTTP', (request) => void request.socket.end('nonsense\r\n\r\n'), /Parse Error|hang up/],
] as const satisfies readonly (readonly [string, RequestListener, RegExp])[]) {
  test(`an error: ${what}`, async () => {
    await served(listener, async (url) => {
      await assert.rejects(fetchFile(url, 100, 200), reason)
    })
  })
}

test('nobody there', async () => {
  let url = ''
  await served(
    () => {},
    async (found) => {
      url = found
    },
  )
  await assert.rejects(fetchFile(url, 100, 5000), /ECONNREFUSED/)
})

test('sixteen at a time, and the seventeenth is refused', async () => {
  await served(
    () => {},
    async (url) => {
      const all = await Promise.allSettled(Array.from({ length: 17 }, () => fetchFile(url, 100, 300)))
      const reasons = all.map((one) => (one.status === 'rejected' ? String(one.reason) : ''))
      assert.equal(reasons.filter((reason) => reason.includes('under way already')).length, 1)
      assert.equal(reasons.filter((reason) => reason.includes('no answer within')).length, 16)
    },
  )
  await served(
    (_request, response) => response.end('again'),
    async (url) => assert.equal((await fetchFile(url, 100, 5000)).length, 5),
  )
})
