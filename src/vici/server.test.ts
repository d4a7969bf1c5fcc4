import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { memoryFiles } from '../config/files.ts'
import { findText, formatTree, list, section, value } from '../config/tree.ts'
import type { Answer } from '../ike/output.ts'
import { ViciClient, ViciError } from './client.ts'
import { FrameReader, frame } from './framing.ts'
import { decodeMessage, maxFrameBytes } from './message.ts'
import { ownerOf } from './owner.ts'
import { encodePacket } from './packet.ts'
import { sampleIkeSa } from './samples.ts'
import { listenVici } from './server.ts'
import { type ScriptedDaemon, scriptedDaemon } from './testing.ts'
import { parseViciUri } from './uri.ts'

/** A server over a real socket in a directory of its own. */
async function served(daemon: ScriptedDaemon) {
  const directory = mkdtempSync(join(tmpdir(), 'vici-'))
  const path = join(directory, 'charon.vici')
  const uri = `unix://${path}`
  const server = await listenVici({ uri, daemon, files: memoryFiles({}) })
  return {
    path,
    uri,
    async [Symbol.asyncDispose]() {
      await server.close()
      rmSync(directory, { recursive: true })
    },
  }
}

/** A client that sends and receives raw packets. */
async function rawClient(path: string) {
  const socket: Socket = connect({ path })
  const received: Uint8Array[] = []
  const frames = new FrameReader()
  let wake = () => {}
  let ended = false
  socket.on('data', (chunk) => {
    received.push(...frames.push(chunk))
    wake()
  })
  socket.on('close', () => {
    ended = true
    wake()
  })
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  const changed = () => new Promise<void>((resolve) => (wake = resolve))
  return {
    socket,
    send: (packet: Uint8Array) => socket.write(frame(packet)),
    async next(): Promise<Uint8Array> {
      while (received.length === 0) {
        if (ended) assert.fail('the server closed the connection')
        await changed()
      }
      return received.shift() ?? assert.fail()
    },
    async closed(): Promise<void> {
      while (!ended) await changed()
    },
    [Symbol.dispose]: () => socket.destroy(),
  }
}

const ascii = (text: string) => Buffer.from(text, 'latin1')
const request = (name: string, body: Uint8Array = new Uint8Array()) =>
  Buffer.concat([Buffer.of(0, name.length), ascii(name), body])

test('raw packets and what is answered', async () => {
  const daemon = scriptedDaemon()
  await using server = await served(daemon)
  using client = await rawClient(server.path)
  const exchange = async (packet: Uint8Array) => {
    client.send(packet)
    return Buffer.from(await client.next()).toString('latin1')
  }
  assert.equal(
    await exchange(request('version')),
    '\x01\x03\x06daemon\0\x0echaron-systemd\x03\x07version\0\x056.1.0\x03\x07sysname\0\x05Linux' +
      '\x03\x07release\0\x036.1\x03\x07machine\0\x06x86_64',
  )
  assert.equal(await exchange(request('nosuch')), '\x02')
  assert.equal(await exchange(Buffer.concat([Buffer.of(3, 6), ascii('nosuch')])), '\x06')
  const log = (type: number) => Buffer.concat([Buffer.of(type, 5), ascii('alert')])
  assert.equal(await exchange(log(3)), '\x05')
  assert.equal(await exchange(log(3)), '\x05')
  assert.equal(await exchange(log(4)), '\x05')
  assert.equal(await exchange(log(4)), '\x05')
  assert.equal(await exchange(log(4)), '\x06')
  const unanswered = [
    Buffer.concat([Buffer.of(7, 3), ascii('abc')]),
    Buffer.of(1),
    Buffer.of(0x63),
    Buffer.of(),
    Buffer.concat([Buffer.of(0, 0x32), ascii('version')]),
    Buffer.concat([Buffer.of(3, 2), ascii('a\n')]),
  ]
  for (const packet of unanswered) client.send(packet)
  // Whatever came before was not answered: the next answer belongs to this request.
  assert.equal(await exchange(request('nosuch')), '\x02')
  assert.match(await exchange(request('version', Buffer.of(9, 9, 9))), /charon-systemd/)
  const text = daemon.logged.map(({ message }) => message)
  for (const expected of [
    'vici client 1 connected',
    'vici client 1 requests: version',
    'vici client 1 invalid request: nosuch',
    'vici client 1 invalid registration: nosuch',
    'vici client 1 registered for: alert',
    'vici client 1 unregistered from: alert',
    'unsupported vici operation: 7',
    'unsupported vici operation: 99',
    'invalid vici message',
    'invalid vici request message',
    'invalid vici register message',
  ]) {
    assert.ok(text.includes(expected), expected)
  }
})

test('the longest frame is answered, a longer one ends the connection', async () => {
  const daemon = scriptedDaemon()
  await using server = await served(daemon)
  using client = await rawClient(server.path)
  const body = new Uint8Array(maxFrameBytes - request('version').length)
  client.send(request('version', body))
  assert.equal((await client.next())[0], 1)
  client.socket.write(Buffer.of(0, 8, 0, 1))
  await client.closed()
  assert.ok(
    daemon.logged.some(({ message }) => message === 'vici message length 524289 exceeds 524288 bytes limit, ignored'),
  )
})

const rows: readonly (readonly [string, ReturnType<typeof section>[] | ReturnType<typeof value>[], string])[] = [
  ['load-conn', [], 'success=yes'],
  ['load-conn', [value('x', '1')], 'success=yes'],
  ['load-conn', [section('x', [value('foo', 1)])], 'success=no errmsg=unknown option: foo, config discarded'],
  [
    'load-conn',
    [section('x', [value('proposals', 'aes128-sha256-ecp256')])],
    'success=no errmsg=unknown option: proposals, config discarded',
  ],
  [
    'load-conn',
    [section('x', [list('version', ['2'])])],
    'success=no errmsg=unknown option: version, config discarded',
  ],
  ['load-conn', [section('x', [section('foo', [])])], 'success=no errmsg=invalid section: foo'],
  [
    'load-conn',
    [section('x', [section('local', [section('cert1', [])])])],
    'success=no errmsg=handle or file path missing: cert1',
  ],
  ['load-conn', [section('x1', []), section('x2', [])], 'success=yes'],
  ['initiate', [], 'success=no errmsg=missing configuration name'],
  ['initiate', [value('child', 'zz')], "success=no errmsg=CHILD_SA config 'zz' not found"],
  ['terminate', [], 'success=no errmsg=missing terminate selector'],
  ['terminate', [value('ike', 'zz')], 'success=no matches=0 terminated=0 errmsg=no matching SAs to terminate found'],
  ['rekey', [value('ike', 'zz')], 'success=no matches=0 errmsg=no matching SAs to rekey found'],
  ['get-conns', [], 'conns=[b a]'],
  ['unload-shared', [value('id', 'zz')], 'success=yes'],
  ['get-counters', [value('name', 'zz')], 'counters {} success=no errmsg=no counters found for this connection'],
  ['reset-counters', [value('name', 'zz')], 'success=yes'],
  ['list-sas', [], ''],
  ['redirect', [], 'success=no errmsg=missing target gateway'],
  ['flush-certs', [value('type', 'x')], "success=no errmsg=invalid certificate type 'x'"],
]

function answers(kind: string): Answer | undefined {
  switch (kind) {
    case 'initiate':
      return { kind: 'failed', message: "CHILD_SA config 'zz' not found" }
    case 'terminate':
    case 'rekey':
      return { kind: 'matched', matches: 0, done: 0 }
    case 'list-connections':
      return { kind: 'connections', connections: ['b', 'a'].map((name) => ({ name }) as never) }
    default:
      return undefined
  }
}

test('commands and their responses', async (t) => {
  const daemon = scriptedDaemon(({ kind }) => answers(kind), {
    names: () => [],
    read: () => undefined,
    reset: () => {},
  })
  await using server = await served(daemon)
  await using client = await ViciClient.connect(server.uri)
  for (const [command, message, expected] of rows) {
    await t.test(`${command} {${formatTree(message)}}`, async () => {
      assert.equal(formatTree(await client.request(command, message)), expected)
    })
  }
  assert.deepEqual(
    daemon.commands.flatMap((command) => (command.kind === 'load-connection' ? command.connection.name : [])),
    ['x1', 'x2'],
  )
  await assert.rejects(client.request('nosuch'), ViciError)
  await assert.rejects(
    client.listen(['nosuch'], () => {}),
    ViciError,
  )
})

test('a broken message is refused by commands that read all of it', async () => {
  await using server = await served(scriptedDaemon())
  using client = await rawClient(server.path)
  client.send(request('load-conn', Buffer.of(9)))
  assert.equal(formatTree(decodeMessage((await client.next()).subarray(1))), 'success=no errmsg=parsing request failed')
})

test('a blocked command blocks its own connection only, and events pass it', async () => {
  let finish = (_answer: Answer) => {}
  const daemon = scriptedDaemon(({ kind }) =>
    kind === 'initiate' ? new Promise<Answer>((resolve) => (finish = resolve)) : undefined,
  )
  await using server = await served(daemon)
  using slow = await rawClient(server.path)
  await using other = await ViciClient.connect(server.uri)
  slow.send(encodePacket('EVENT_REGISTER', 'alert'))
  assert.equal((await slow.next())[0], 5)
  slow.send(encodePacket('CMD_REQUEST', 'initiate', [value('child', 'net')]))
  slow.send(encodePacket('CMD_REQUEST', 'version', []))
  assert.equal(findText(await other.request('version'), 'version'), '6.1.0')
  daemon.raise({ kind: 'alert', alert: 'retransmit-send' })
  const event = await slow.next()
  assert.equal(event[0], 7)
  finish({ kind: 'done' })
  assert.equal(formatTree(decodeMessage((await slow.next()).subarray(1))), 'success=yes')
  assert.match(Buffer.from(await slow.next()).toString('latin1'), /charon-systemd/)
})

test('an event is delivered as often as the client registered for it', async () => {
  const daemon = scriptedDaemon()
  await using server = await served(daemon)
  using client = await rawClient(server.path)
  for (let n = 0; n < 2; n++) {
    client.send(encodePacket('EVENT_REGISTER', 'alert'))
    await client.next()
  }
  daemon.raise({ kind: 'alert', alert: 'shutdown-signal' })
  const expected = Buffer.from(encodePacket('EVENT', 'alert', [value('type', 'shutdown-signal')]))
  assert.deepEqual([Buffer.from(await client.next()), Buffer.from(await client.next())], [expected, expected])
})

test('control-log has what the tracked IKE SA logs, up to the level wanted, before the response', async () => {
  const ikeSa = { name: 'net', uniqueId: 7 }
  const daemon: ScriptedDaemon = scriptedDaemon((command, tracking) => {
    if (command.kind !== 'initiate') return undefined
    daemon.log({ group: 'IKE', level: 1, message: 'not tracked yet', ikeSa })
    tracking(7)
    daemon.log({ group: 'IKE', level: 0, message: 'initiating', ikeSa })
    daemon.log({ group: 'IKE', level: 2, message: 'too detailed', ikeSa })
    daemon.log({ group: 'NET', level: 1, message: 'of another', ikeSa: { name: 'x', uniqueId: 8 } })
    daemon.log({ group: 'ENC', level: 1, message: 'generating', ikeSa: { name: undefined, uniqueId: 7 } })
    return { kind: 'done' }
  })
  await using server = await served(daemon)
  await using client = await ViciClient.connect(server.uri)
  const seen: string[] = []
  const initiate = async (...arguments_: ReturnType<typeof value>[]) =>
    await client.stream('initiate', 'control-log', [value('child', 'net'), ...arguments_], (m) =>
      seen.push(formatTree(m)),
    )
  await initiate()
  assert.deepEqual(seen, [
    'group=IKE level=0 ikesa-name=net ikesa-uniqueid=7 msg=initiating',
    'group=ENC level=1 ikesa-name=(unnamed) ikesa-uniqueid=7 msg=generating',
  ])
  seen.length = 0
  await initiate(value('loglevel', -1))
  await initiate(value('timeout', -1))
  assert.deepEqual(seen, [])
})

test('log has levels 0 and 1 of everything, once', async () => {
  const daemon = scriptedDaemon()
  await using server = await served(daemon)
  await using client = await ViciClient.connect(server.uri)
  const seen: string[] = []
  const stop = await client.listen(['log'], (_name, message) => seen.push(formatTree(message)))
  daemon.log({ group: 'DMN', level: 1, message: 'hello' })
  daemon.log({ group: 'DMN', level: 2, message: 'detail' })
  await stop()
  assert.deepEqual(seen, ['group=DMN level=1 thread=0 msg=hello'])
})

test('the socket is for owner and group only, and an old one is replaced', async () => {
  const daemon = scriptedDaemon()
  await using server = await served(daemon)
  assert.equal(statSync(server.path).mode & 0o777, 0o660)
  const again = await listenVici({ uri: server.uri, daemon })
  await again.close()
})

test('charon.user and charon.group: whose the socket is', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  const files = memoryFiles({ '/etc/passwd': 'root:x:0:0::/:\nvpn:x:4321:1::/:\n', '/etc/group': 'vpn:x:1234:\n' })
  const directory = mkdtempSync(join(tmpdir(), 'vici-'))
  const path = join(directory, 'charon.vici')
  const owner = ownerOf('vpn', 'vpn', files)
  const server = await listenVici({ uri: `unix://${path}`, daemon: scriptedDaemon(), owner })
  const { uid, gid, mode } = statSync(path)
  assert.deepEqual([uid, gid, mode & 0o777], [4321, 1234, 0o660])
  await server.close()
  rmSync(directory, { recursive: true })
  assert.deepEqual(ownerOf(undefined, '77', files), { gid: 77 })
  assert.throws(() => ownerOf('nobody-here', undefined, files), /there is no user 'nobody-here' in \/etc\/passwd/)
})

test('a file that is no socket is not removed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'vici-'))
  const path = join(directory, 'charon.vici')
  writeFileSync(path, 'precious')
  await assert.rejects(
    listenVici({ uri: `unix://${path}`, daemon: scriptedDaemon() }),
    /EADDRINUSE; something else is there/,
  )
  const nowhere = listenVici({ uri: `unix://${directory}/no/vici`, daemon: scriptedDaemon() })
  await assert.rejects(nowhere, /cannot open the control socket unix:.*EACCES; its directory is missing/)
  rmSync(directory, { recursive: true })
})

test('a client that does not read is dropped, others are not', async () => {
  const daemon = scriptedDaemon()
  await using server = await served(daemon)
  using deaf = await rawClient(server.path)
  await using other = await ViciClient.connect(server.uri)
  deaf.send(encodePacket('EVENT_REGISTER', 'log'))
  await deaf.next()
  deaf.socket.pause()
  const message = 'x'.repeat(60_000)
  for (let n = 0; n < 400; n++) daemon.log({ group: 'LIB', level: 1, message })
  assert.equal(findText(await other.request('version'), 'version'), '6.1.0')
  assert.ok(daemon.logged.some((entry) => /vici client 1 does not read/.test(entry.message)))
})

test('a long listing waits for its reader', async () => {
  const view = {
    uniqueId: 1,
    state: 'CREATED',
    local: { address: '::1', port: 500 },
    remote: { address: '::1', port: 500 },
  }
  const filler = {
    ...view,
    spiI: 0n,
    spiR: 0n,
    ppk: false,
    initiator: true,
    children: [],
    remoteVips: [],
    tasksQueued: [],
  }
  const bulky = {
    ...filler,
    localVips: Array.from({ length: 900 }, () => '192.0.2.200'),
    tasksActive: [],
    tasksPassive: [],
  }
  const ikeSas = Array.from({ length: 3000 }, () => bulky as never)
  await using server = await served(scriptedDaemon(() => ({ kind: 'sas', ikeSas })))
  await using client = await ViciClient.connect(server.uri)
  let seen = 0
  await client.stream('list-sas', 'list-sa', [], () => seen++)
  assert.equal(seen, 3000)
})

test('list-sas asks for a few at a time, and others have their turn in between', async () => {
  const told: string[] = []
  const page = [{ ...sampleIkeSa, uniqueId: 3 }, sampleIkeSa]
  const daemon = scriptedDaemon((command) => {
    if (command.kind === 'stats') told.push('stats')
    if (command.kind !== 'list-sas') return undefined
    told.push(`from ${command.before}`)
    const left = (command.before ?? 50) - 1
    return { kind: 'sas', ikeSas: page, ...(left > 0 && { next: left }) }
  })
  await using server = await served(daemon)
  await using lister = await ViciClient.connect(server.uri)
  await using other = await ViciClient.connect(server.uri)
  let seen = 0
  const listing = lister.stream('list-sas', 'list-sa', [], () => seen++)
  while (seen === 0) await new Promise((resolve) => setImmediate(resolve))
  await other.request('stats')
  await listing
  assert.equal(seen, 100)
  assert.deepEqual(told.filter((one) => one !== 'stats').slice(0, 3), ['from undefined', 'from 49', 'from 48'])
  assert.ok(told.indexOf('stats') < told.length - 1, 'the other client did not wait for the end')
})

test('URIs', () => {
  assert.deepEqual(parseViciUri('unix:///var/run/charon.vici'), { kind: 'unix', path: '/var/run/charon.vici' })
  assert.deepEqual(parseViciUri('tcp://[::1]:4502'), { kind: 'tcp', host: '::1', port: 4502 })
  assert.deepEqual(parseViciUri('tcp://localhost:4502'), { kind: 'tcp', host: 'localhost', port: 4502 })
  assert.deepEqual(parseViciUri('systemd://vici'), { kind: 'systemd', name: 'vici' })
  for (const bad of ['/var/run/x', 'unix://x', 'tcp://x', 'tcp://::1:1', 'tcp://x:99999']) {
    assert.throws(() => parseViciUri(bad), /no address of a VICI socket/)
  }
})

test('over TCP', async () => {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const uri = `tcp://127.0.0.1:${(probe.address() as AddressInfo).port}`
  probe.close()
  await once(probe, 'close')
  const server = await listenVici({ uri, daemon: scriptedDaemon() })
  const client = await ViciClient.connect(uri)
  assert.equal(findText(await client.request('version'), 'daemon'), 'charon-systemd')
  await client[Symbol.asyncDispose]()
  await server.close()
})
