import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import { parseAddress } from '../wire/address.ts'
import { DatagramSocket, slab } from './datagram-socket.ts'
import type { IkeDatagram, IkeSocketOptions, IkeSockets } from './ike-sockets.ts'
import { openIkeSockets, SocketsError } from './ike-sockets.ts'
import { decodeSocketAddress, encodeSocketAddress } from './socket-address.ts'

const skip = process.getuid?.() === 0 ? false : 'socket policies need CAP_NET_ADMIN'

/** Sockets on random ports, with what they receive as promises. */
function open(options: Partial<IkeSocketOptions> = {}): IkeSockets & Disposable & { next(): Promise<IkeDatagram> } {
  const arrived: IkeDatagram[] = []
  let wake = (): void => {}
  const sockets = openIkeSockets({
    portIke: 0,
    portNatT: 0,
    ...options,
    onDatagram(datagram) {
      arrived.push(datagram)
      wake()
    },
  })
  return {
    ...sockets,
    async next() {
      for (;;) {
        const first = arrived.shift()
        if (first !== undefined) return first
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    [Symbol.dispose]: () => sockets.close(),
  }
}

for (const [family, local, remote] of [
  [4, '127.0.0.77', '127.0.0.1'],
  [6, '::1', '::1'],
] as const) {
  test(`IPv${family}: both ends of a datagram are known, and the source is as asked for`, { skip }, async () => {
    using sender = open()
    using receiver = open()
    const bytes = Uint8Array.of(1, 2, 3)
    const code = sender.send({
      local: { address: local, port: sender.portIke },
      remote: { address: remote, port: receiver.portIke },
      bytes,
    })
    assert.equal(code, undefined)
    assert.deepEqual(await receiver.next(), {
      local: { address: remote, port: receiver.portIke },
      remote: { address: local, port: sender.portIke },
      bytes,
    })
  })

  test(`IPv${family}: the NAT traversal port keeps ESP to the kernel and hands up the non-ESP marker`, {
    skip,
  }, async () => {
    using sender = open()
    using receiver = open()
    const local4500 = { address: remote, port: sender.portNatT }
    const remote4500 = { address: remote, port: receiver.portNatT }
    const send = (...bytes: number[]) =>
      assert.equal(sender.send({ local: local4500, remote: remote4500, bytes: Uint8Array.from(bytes) }), undefined)
    send(0xff) // a NAT keepalive (RFC 3948 §2.3)
    send(0xc0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9) // ESP without a state
    send(0, 0, 0, 0, 42)
    assert.deepEqual((await receiver.next()).bytes, Uint8Array.of(0, 0, 0, 0, 42))
  })
}

test('a code point is in the TOS octet or the traffic class of the packet', { skip }, () => {
  using sender = open()
  for (const [domain, level, receive, type, address] of [
    [2, 0, 13, 1, '127.0.0.1'],
    [10, 41, 66, 67, '::1'],
  ] as const) {
    const memory = slab(2, 64)
    using receiver = new DatagramSocket(domain, 2, 0, memory, slab(1, 64))
    receiver.setOption(level, receive, 1)
    receiver.bind(encodeSocketAddress(parseAddress(address) ?? assert.fail(), 0, 0))
    const port = decodeSocketAddress(receiver.name())?.port ?? assert.fail()
    const said: number[][] = []
    receiver.listen(
      (batch) => said.push(...batch.map(({ control }) => [control[12] ?? -1, control[16] ?? -1])),
      (code) => assert.fail(code),
    )
    const send = (more: Partial<IkeDatagram>) =>
      sender.send({
        local: { address, port: sender.portIke },
        remote: { address, port },
        bytes: new Uint8Array(1),
        ...more,
      })
    assert.deepEqual([send({ dscp: 46 }), send({})], [undefined, undefined])
    receiver.poll()
    assert.deepEqual(said, [
      [type, 46 << 2],
      [type, 0],
    ])
  }
})

test('a datagram is a copy that the next one does not overwrite', { skip }, async () => {
  using sender = open()
  using receiver = open()
  const to = { address: '127.0.0.1', port: receiver.portIke }
  const from = { address: '127.0.0.1', port: sender.portIke }
  for (const value of [1, 2]) sender.send({ local: from, remote: to, bytes: new Uint8Array(9000).fill(value) })
  const first = await receiver.next()
  await receiver.next()
  assert.deepEqual(first.bytes, new Uint8Array(9000).fill(1))
})

test('equal ports: NAT traversal gets another one', { skip }, () => {
  using first = open({ ipv6: false })
  first.close()
  using again = open({ ipv6: false, portIke: first.portIke, portNatT: first.portIke })
  assert.equal(again.portIke, first.portIke)
  assert.notEqual(again.portNatT, first.portIke)
})

test('sending says what is wrong', { skip }, () => {
  using sockets = open({ ipv6: false })
  const bytes = new Uint8Array(1)
  const local = { address: '127.0.0.1', port: sockets.portIke }
  const send = (datagram: Partial<IkeDatagram>) => sockets.send({ local, remote: local, bytes, ...datagram })
  assert.equal(send({ local: { ...local, port: 1 } }), 'ENOTCONN')
  assert.equal(send({ local: { address: '::1', port: local.port }, remote: { address: '::1', port: 9 } }), 'ENOTCONN')
  assert.equal(send({ remote: { address: '::1', port: 9 } }), 'EINVAL')
  assert.equal(send({ remote: { address: 'localhost', port: 9 } }), 'EINVAL')
  assert.equal(send({ local: { address: '203.0.113.9', port: local.port } }), 'ENETUNREACH')
  sockets.close()
  assert.equal(send({}), 'EBADF')
})

test('a port in use is named, with the cure, and the other sockets work', { skip }, async () => {
  const other = createSocket('udp4')
  await new Promise<void>((resolve) => other.bind(0, resolve))
  const { port } = other.address()
  try {
    using sockets = open({ ipv6: false, portIke: port })
    assert.deepEqual(sockets.problems, [
      `unable to bind socket: IPv4 port ${port}: EADDRINUSE: another IKE daemon is running: stop it, or choose another port`,
    ])
    assert.notEqual(sockets.portNatT, 0)
  } finally {
    other.close()
  }
})

test('no socket at all is an error', () => {
  assert.throws(() => open({ ipv4: false, ipv6: false }), SocketsError)
})

test('set_source = no: the kernel chooses where datagrams come from', { skip }, async () => {
  using sender = open({ ipv6: false, setSource: false })
  using receiver = open({ ipv6: false })
  const local = { address: '127.0.0.77', port: sender.portIke }
  sender.send({ local, remote: { address: '127.0.0.1', port: receiver.portIke }, bytes: new Uint8Array(1) })
  assert.equal((await receiver.next()).remote.address, '127.0.0.1')
})

test('use_ipv4, use_ipv6: one family alone', { skip }, () => {
  const bytes = new Uint8Array(1)
  for (const [options, own, other] of [
    [{ ipv4: false }, '::1', '127.0.0.1'],
    [{ ipv6: false }, '127.0.0.1', '::1'],
  ] as const) {
    using sockets = open(options)
    const send = (address: string) =>
      sockets.send({ local: { address, port: sockets.portIke }, remote: { address, port: sockets.portIke }, bytes })
    assert.deepEqual([send(own), send(other)], [undefined, 'ENOTCONN'])
  }
})

test('what comes in by an interface that is not used is not heard', { skip }, async () => {
  const heard: number[] = []
  using sender = open({ ipv6: false })
  using deaf = open({
    ipv6: false,
    allows: (ifindex) => {
      heard.push(ifindex)
      return heard.length > 1
    },
  })
  const local = { address: '127.0.0.1', port: sender.portIke }
  const remote = { address: '127.0.0.1', port: deaf.portIke }
  for (const octet of [1, 2]) sender.send({ local, remote, bytes: Uint8Array.of(octet) })
  assert.deepEqual([(await deaf.next()).bytes[0], heard], [2, [1, 1]])
})
