import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { DatagramSocket, slab } from './datagram-socket.ts'
import { native, SystemCallError } from './native.ts'

const AF_UNIX = 1
const AF_INET = 2
const SOCK_DGRAM = 2
const SOL_SOCKET = 1
const SO_RCVBUF = 8

/** sockaddr_in of 127.0.0.1. */
const loopback = (port: number) => Uint8Array.of(2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)

function udp(slots = 8, slotBytes = 2048): DatagramSocket {
  const socket = new DatagramSocket(AF_INET, SOCK_DGRAM, 0, slab(slots, slotBytes), slab(1, 65536))
  socket.bind(loopback(0))
  return socket
}

/** The first `count` datagrams, copied. */
function arriving(socket: DatagramSocket, count: number): Promise<{ bytes: Uint8Array; truncated: boolean }[]> {
  return new Promise((resolve, reject) => {
    const all: { bytes: Uint8Array; truncated: boolean }[] = []
    socket.listen((batch) => {
      for (const { bytes, truncated } of batch) all.push({ bytes: bytes.slice(), truncated })
      if (all.length >= count) resolve(all)
    }, reject)
  })
}

test('datagrams cross in order, in batches larger than the slab', async () => {
  using a = udp()
  using b = udp(4)
  const received = arriving(b, 20)
  for (let i = 0; i < 20; i++) assert.equal(a.send(b.name(), Uint8Array.of(i, 1, 2)), undefined)
  assert.deepEqual(
    (await received).map(({ bytes }) => [...bytes]),
    Array.from({ length: 20 }, (_, i) => [i, 1, 2]),
  )
})

test('a datagram longer than the slot is marked, an empty one is delivered', async () => {
  using a = udp()
  using b = udp(8, 16)
  const received = arriving(b, 2)
  a.send(b.name(), new Uint8Array(17).fill(7))
  a.send(b.name(), new Uint8Array(0))
  assert.deepEqual(await received, [
    { bytes: new Uint8Array(16).fill(7), truncated: true },
    { bytes: new Uint8Array(0), truncated: false },
  ])
})

test('the sender is known and can be answered', async () => {
  using a = udp()
  using b = udp()
  b.listen(
    (batch) => {
      for (const { address, bytes } of batch) b.send(address, bytes)
    },
    () => {},
  )
  const echo = arriving(a, 1)
  a.send(b.name(), Uint8Array.of(42))
  assert.deepEqual([...((await echo)[0]?.bytes ?? [])], [42])
})

test('a connected socket needs no address; errors of the peer reach the listener', async () => {
  using a = udp()
  const gone = udp()
  const name = gone.name().slice()
  gone.close()
  a.connect(name)
  const refused = new Promise<string>((resolve) => a.listen(() => {}, resolve))
  a.send(new Uint8Array(0), Uint8Array.of(1))
  assert.equal(await refused, 'ECONNREFUSED')
})

test('Unix datagrams', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  try {
    const address = (name: string) => Buffer.from(`\x01\x00${join(folder, name)}\x00`, 'latin1')
    using a = new DatagramSocket(AF_UNIX, SOCK_DGRAM, 0, slab(1, 64), slab(1, 64))
    using b = new DatagramSocket(AF_UNIX, SOCK_DGRAM, 0, slab(1, 64), slab(1, 64))
    b.bind(address('b'))
    const received = arriving(b, 1)
    assert.equal(a.send(address('b'), Buffer.from('READY=1')), undefined)
    assert.equal(Buffer.from((await received)[0]?.bytes ?? []).toString(), 'READY=1')
    assert.equal(a.send(address('nobody'), Buffer.from('READY=1')), 'ENOENT')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('options are set and read', () => {
  using socket = udp()
  socket.setOption(SOL_SOCKET, SO_RCVBUF, 65536)
  const value = socket.option(SOL_SOCKET, SO_RCVBUF, 4)
  assert.equal(new DataView(value.buffer).getInt32(0, true), 131072) // the kernel doubles it
})

test('failures name the call and the errno', () => {
  using first = udp()
  using second = new DatagramSocket(AF_INET, SOCK_DGRAM, 0, slab(1, 64), slab(1, 64))
  assert.throws(() => second.bind(first.name()), { name: 'SystemCallError', code: 'EADDRINUSE', call: 'bind' })
  assert.throws(() => new DatagramSocket(AF_INET, 99, 0, slab(1, 64), slab(1, 64)), SystemCallError)
  assert.equal(first.send(first.name(), new Uint8Array(65537)), 'EMSGSIZE')
  assert.equal(first.send(first.name(), new Uint8Array(65536)), 'EMSGSIZE') // more than UDP can carry
  assert.equal(first.send(new Uint8Array(200), new Uint8Array(1)), 'EINVAL')
})

test('a closed socket answers EBADF', () => {
  const socket = udp()
  socket.close()
  socket.close()
  assert.equal(socket.send(loopback(9), new Uint8Array(1)), 'EBADF')
  assert.throws(() => socket.name(), { code: 'EBADF' })
  assert.throws(
    () =>
      socket.listen(
        () => {},
        () => {},
      ),
    { code: 'EBADF' },
  )
  const watched = udp()
  watched.listen(
    () => {},
    () => {},
  )
  watched.close()
  assert.throws(() => watched.name(), { code: 'EBADF' })
})

test('the native part refuses what is not an endpoint, a number or bytes', () => {
  const n = native()
  const call = (f: (...args: never[]) => unknown, ...args: unknown[]) => (f as (...args: unknown[]) => unknown)(...args)
  for (const wrong of [undefined, null, 3, 'x', {}, [], new Uint8Array(4), () => {}]) {
    assert.throws(() => call(n.close, wrong), TypeError)
    assert.throws(() => call(n.receive, wrong, new Uint8Array(1), new Uint8Array(256)), TypeError)
  }
  const endpoint = n.socket(AF_INET, SOCK_DGRAM, 0)
  assert(typeof endpoint === 'object')
  for (const wrong of [undefined, 3, 'x', {}, [], new Uint16Array(4), new ArrayBuffer(8)]) {
    assert.throws(() => call(n.bind, endpoint, wrong), TypeError)
    assert.throws(() => call(n.receive, endpoint, new Uint8Array(9), wrong), TypeError)
  }
  assert.throws(() => call(n.socket), TypeError)
  assert.throws(() => call(n.watch, endpoint, 1), TypeError)
  assert.equal(n.close(endpoint), 0)
})

test('every index of a batch is checked against the slab', () => {
  const n = native()
  const endpoint = n.socket(AF_INET, SOCK_DGRAM, 0)
  assert(typeof endpoint === 'object')
  const EINVAL = -22
  const records = (slots: number) => new Uint8Array(slots * 256)
  const send = (slabBytes: number, meta: Uint8Array, from: number, count: number) =>
    n.send(endpoint, new Uint8Array(slabBytes), meta, from, count)
  for (const [from, count] of [
    [-1, 1],
    [0, -1],
    [0, 3],
    [2, 1],
    [3, 0],
    [0x7fffffff, 0x7fffffff],
    [-0x80000000, 1],
  ] as const)
    assert.equal(send(128, records(2), from, count), EINVAL)
  assert.equal(send(128, new Uint8Array(255), 0, 0), EINVAL)
  assert.equal(send(64 * 65, records(65), 0, 1), EINVAL)
  assert.equal(send(1, records(2), 0, 1), EINVAL)
  assert.equal(send(128, new Uint8Array(513).subarray(1), 0, 1), EINVAL) // not aligned
  assert.equal(n.receive(endpoint, new Uint8Array(0), records(1)), EINVAL)
  assert.equal(send(128, records(2), 2, 0), 0)
  const fields: [number, number][] = [
    [0, 65],
    [8, 113],
    [10, 129],
  ]
  for (const [at, value] of fields) {
    const meta = records(2)
    new DataView(meta.buffer).setUint16(at, value, true)
    assert.equal(send(128, meta, 0, 2), EINVAL)
  }
  const detached = records(2)
  structuredClone(detached, { transfer: [detached.buffer] })
  assert.equal(send(128, detached, 0, 1), EINVAL)
  assert.equal(n.receive(endpoint, new Uint8Array(128), detached), EINVAL)
  n.close(endpoint)
})

test('random send records are sent or refused', () => {
  const n = native()
  const endpoint = n.socket(AF_INET, SOCK_DGRAM, 0)
  assert(typeof endpoint === 'object')
  let seed = 1
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % below
  }
  const bytes = new Uint8Array(4 * 64)
  const records = new Uint8Array(4 * 256)
  const view = new DataView(records.buffer)
  const seen = new Set<number>()
  for (let run = 0; run < 20000; run++) {
    for (let slot = 0; slot < 4; slot++) {
      const at = slot * 256
      for (let i = 0; i < 256; i += 4) view.setUint32(at + i, random(1 << 24))
      // Mostly near the truth, so that more than the first check is reached; never to a port that is someone's.
      view.setUint32(at, random(70), true)
      view.setUint16(at + 8, random(10) ? 16 : random(120), true)
      view.setUint16(at + 10, random(4) ? 0 : random(140), true)
      records.set(loopback(1), at + 16)
      if (random(3) === 0) view.setUint32(at + 128, random(80), true) // cmsg_len
    }
    seen.add(n.send(endpoint, bytes, records, random(5) - 1, random(6) - 1))
  }
  n.close(endpoint)
  assert(seen.has(-22))
  assert(seen.has(4))
})

test('a worker that ends with an open, watched socket takes it along', async () => {
  const source = `
    const { native } = await import(${JSON.stringify(new URL('./native.ts', import.meta.url).href)})
    const { parentPort } = await import('node:worker_threads')
    const n = native()
    const sockets = []
    for (let i = 0; i < 5; i++) {
      const s = n.socket(2, 2, 0)
      n.bind(s, Uint8Array.of(2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0))
      const room = new Uint8Array(16)
      n.getsockname(s, room)
      if (i > 0) n.watch(s, () => {})
      if (i > 2) n.close(s)
      sockets.push([...room])
    }
    n.watch(n.socket(2, 2, 0), () => {}) // nobody holds it
    parentPort.postMessage(sockets)
  `
  for (let run = 0; run < 5; run++) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    const sockets = await new Promise<number[][]>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    assert.equal(await worker.terminate(), 1)
    for (const name of sockets) {
      using again = new DatagramSocket(AF_INET, SOCK_DGRAM, 0, slab(1, 64), slab(1, 64))
      again.bind(Uint8Array.from(name)) // the port is free again
    }
  }
})
