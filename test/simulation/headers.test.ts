/** The header of every message that is sent (RFC 7296 §3.1), and what can be seen of the payload behind it. */
import assert from 'node:assert/strict'
import { PRF } from '../../src/crypto/prf.ts'
import { decodeMessage } from '../../src/wire/message.ts'
import { EXCHANGE, PAYLOAD } from '../../src/wire/numbers.ts'
import { espProposal, ikeProposal } from './connection.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { the } from './peer.ts'
import { rekey, terminate } from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

interface Sent {
  readonly host: string
  readonly bytes: Buffer
  readonly response: boolean
  readonly initiator: boolean
  readonly exchange: number
  readonly messageId: number
}

/** Every message of both hosts, in clear of the non-ESP marker, oldest first. */
function messages({ hosts }: World): Sent[] {
  return hosts.flatMap((host) =>
    host.sent.flatMap(({ bytes }) => {
      const marked = bytes.length > 4 && bytes.subarray(0, 4).every((octet) => octet === 0)
      const message = Buffer.from(marked ? bytes.subarray(4) : bytes)
      if (message.length < 28) return [] // a keepalive
      const flags = message[19] ?? 0
      const [response, initiator] = [(flags & 0x20) !== 0, (flags & 0x08) !== 0]
      const exchange = message[18] ?? 0
      return [{ host: host.name, bytes: message, response, initiator, exchange, messageId: message.readUInt32BE(20) }]
    }),
  )
}

/** Set up by left, then everything once from each side: rekeyings, a liveness check, deletions. */
function longLife(options: PairOptions = {}): World {
  const world = established({ connection: { dpdDelaySeconds: 20 }, ...options })
  for (const host of world.hosts) {
    rekey(host, 'child')
    world.wait(10)
    rekey(host, 'IKE SA')
    world.wait(50)
  }
  terminate(world.right, 'child')
  world.settle()
  terminate(world.left, 'IKE SA')
  world.settle()
  return world
}

const proposals = {
  'with an AEAD': {},
  'with CBC': { ike: [ikeProposal(undefined, false)], esp: [espProposal()] },
  'with NAT': { nat: 'left' },
} satisfies Record<string, PairOptions>

for (const [what, options] of Object.entries(proposals)) {
  scenario(`version, flags and length, ${what}`, () => {
    const sent = messages(longLife(options))
    assert.ok(sent.length > 20)
    for (const { bytes, exchange } of sent) {
      assert.equal(bytes[17], 0x20, 'major version 2, minor version 0')
      assert.equal((bytes[19] ?? 0) & ~0x28, 0, 'no flag but Initiator and Response')
      assert.equal(bytes.readUInt32BE(24), bytes.length)
      assert.notEqual(bytes.readBigUInt64BE(0), 0n, 'the initiator SPI')
      if (exchange === EXCHANGE.IKE_SA_INIT) continue
      assert.notEqual(bytes.readBigUInt64BE(8), 0n, 'the responder SPI')
      assert.equal(bytes[16], PAYLOAD.SK, 'the only payload outside is SK')
      assert.equal(28 + bytes.readUInt16BE(30), bytes.length, 'and it is the last one')
    }
  })

  scenario(`each request has one answer, and each answer a request, ${what}`, () => {
    const sent = messages(longLife(options))
    const names = (response: boolean) =>
      sent
        .filter((one) => one.response === response)
        .map(({ host, bytes, exchange, messageId }) => {
          const asker = response ? (host === 'left' ? 'right' : 'left') : host
          return `${asker} ${bytes.readBigUInt64BE(0)} ${exchange} ${messageId}`
        })
    assert.deepEqual(names(true).sort(), names(false).sort())
    assert.equal(new Set(names(false)).size, names(false).length)
  })

  /** §2.2, §2.18: in IKE_SA_INIT and after a rekeying. */
  scenario(
    `the Initiator flag is that of the original initiator of the IKE SA, whose messages begin at 0, ${what}`,
    () => {
      const bySa = Map.groupBy(messages(longLife(options)), ({ bytes }) => bytes.readBigUInt64BE(0))
      assert.equal(bySa.size, 3)
      const initiators = [...bySa.values()].map((sent) => {
        const flags = new Map(sent.map(({ host, initiator }) => [initiator, host]))
        for (const { host, initiator } of sent) assert.equal(flags.get(initiator), host)
        for (const host of ['left', 'right']) {
          const ids = sent.filter((one) => one.host === host && !one.response).map(({ messageId }) => messageId)
          assert.deepEqual(ids, [...ids.keys()], `the requests of ${host}`)
        }
        return flags.get(true)
      })
      // Left began, then each has rekeyed once.
      assert.deepEqual(initiators.sort(), ['left', 'left', 'right'])
    },
  )
}

/** §2.6: the responder SPI is zero until the responder has chosen one. */
scenario('the first requests, with a cookie and with another group', () => {
  const world = pair({
    left: { connection: { proposals: [ikeProposal([19, 31])] } },
    right: { connection: { proposals: [ikeProposal([31])] }, settings: { cookieThreshold: 1 } },
  })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.finishJobs()
  const primer = pair({ seed: 2 })
  primer.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  primer.finishJobs()
  const other = primer.net.flights[0]
  assert.ok(other)
  world.inject(world.right, { address: '192.0.2.1', port: 1234 }, other.bytes)
  world.settle()
  const requests = messages(world).filter(({ exchange, response }) => exchange === EXCHANGE.IKE_SA_INIT && !response)
  assert.equal(requests.length, 3)
  const [first] = requests
  for (const { bytes } of requests) {
    assert.equal(bytes.readBigUInt64BE(8), 0n)
    assert.equal(bytes.readBigUInt64BE(0), first?.bytes.readBigUInt64BE(0))
  }
  // §3.3.1, §3.3.6: no SPI, and all groups are offered again, the first of them or the one asked for with a value.
  const [offers, values, nonces] = [
    requests.map(({ bytes }) => the('SA', decodeMessage(bytes).payloads)),
    requests.map(({ bytes }) => the('KE', decodeMessage(bytes).payloads).method),
    requests.map(({ bytes }) => the('Nonce', decodeMessage(bytes).payloads).nonce),
  ]
  for (const { proposals } of offers) {
    assert.deepEqual(proposals, offers[0]?.proposals)
    assert.deepEqual(
      proposals.map(({ number, spi }) => [number, spi.length]),
      [[1, 0]],
    )
  }
  assert.deepEqual(values, [19, 19, 31])
  // §2.10: at least half of the key of any prf.
  for (const { length } of nonces) for (const { keyBytes } of PRF) assert.ok(length >= 16 && length >= keyBytes / 2)
})

/** §3.14: SK with nothing in it names no payload. */
scenario('a liveness check is empty', () => {
  const world = established({ left: { connection: { dpdDelaySeconds: 20 } } })
  const before = messages(world).length
  world.wait(25)
  const later = messages(world).filter(({ exchange }) => exchange === EXCHANGE.INFORMATIONAL)
  assert.equal(messages(world).length, before + later.length)
  assert.equal(later.length, 2)
  for (const { bytes } of later) assert.equal(bytes[28], PAYLOAD.NONE)
})
