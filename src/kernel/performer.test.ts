import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { Secret } from '../crypto/secret.ts'
import { defaultNetworkOptions } from '../net/network-options.ts'
import { RTNLGRP_IPV4_ROUTE } from '../net/rtnetlink.ts'
import { NETLINK_ROUTE, NetlinkEvents } from './netlink/netlink-socket.ts'
import {
  type Kernel,
  KernelError,
  type KernelEvent,
  type KernelPolicy,
  type KernelSa,
  type KernelSelector,
  type SaCrypto,
} from './operations.ts'
import { type HostKernel, openKernel } from './performer.ts'
import { inOwnNamespace } from './testing.ts'

inOwnNamespace('the kernel', import.meta.filename, tests)

function tests(): void {
  /** What `ip` prints, without what differs between its versions. */
  const ip = (...args: string[]) =>
    execFileSync('ip', args, { encoding: 'utf8' })
      .replaceAll(' ptype main', '')
      .replace(/[ \t]+/g, ' ')
      .replace(/ $/gm, '')
  ip('link', 'set', 'lo', 'up')
  ip('link', 'add', 'wan', 'type', 'veth', 'peer', 'name', 'internet')
  ip('link', 'set', 'internet', 'up')
  ip('link', 'set', 'wan', 'up')
  ip('address', 'add', '192.0.2.1/24', 'dev', 'wan')
  ip('address', 'add', '2001:db8::1/64', 'dev', 'wan', 'nodad')
  ip('address', 'add', '10.1.0.1/16', 'dev', 'lo')
  ip('route', 'add', 'default', 'via', '192.0.2.254')

  test('an SPI comes from the range and belongs to a larval state', async () => {
    await using kernel = open()
    for (const [protocol, source, destination] of [
      ['ESP', '192.0.2.2', '192.0.2.1'],
      ['AH', '2001:db8::2', '2001:db8::1'],
    ] as const) {
      const range = { min: 0xc0000000, max: 0xcfffffff }
      const { spi } = await kernel.perform({ kind: 'allocate-spi', protocol, source, destination, reqid: 5, ...range })
      assert(spi >= range.min && spi <= range.max)
      const state = ip('xfrm', 'state')
      assert.match(
        state,
        new RegExp(
          `src ${source} dst ${destination}\n proto ${protocol.toLowerCase()} spi 0x${spi.toString(16)} reqid 5 mode tunnel`,
        ),
      )
      const id = { protocol, spi, source, destination }
      assert.deepEqual(await kernel.perform({ kind: 'query-sa', id }), { bytes: 0n, packets: 0n })
      await kernel.perform({ kind: 'delete-sa', id })
      assert.equal(await kernel.perform({ kind: 'query-sa', id }), undefined)
      await kernel.perform({ kind: 'delete-sa', id }) // it is gone already
    }
  })

  test('an exhausted range of SPIs is an error with a cure', async () => {
    await using kernel = open()
    const operation = {
      kind: 'allocate-spi',
      protocol: 'ESP',
      source: '192.0.2.2',
      destination: '192.0.2.1',
      reqid: 1,
      min: 0xc0000001,
      max: 0xc0000001,
    } as const
    assert.deepEqual(await kernel.perform(operation), { spi: 0xc0000001 })
    await assert.rejects(kernel.perform(operation), {
      name: 'KernelError',
      operation: 'allocate-spi',
      cure: 'no SPI is free in the configured range: widen it',
    })
    ip('xfrm', 'state', 'flush') // the kernel keeps a state without SPI for a while
  })

  test('a state is taken, or the error says what the kernel lacks', async (t) => {
    await using kernel = open()
    for (const [family, crypto, algorithms, modules] of [
      [4, gcmKey(), 'rfc4106(gcm(aes))', 'esp4, gcm, aes, seqiv'],
      [6, gcmKey(), 'rfc4106(gcm(aes))', 'esp6, gcm, aes, seqiv'],
      [4, cbcKey(), 'cbc(aes) or hmac(sha256)', 'esp4, cbc, aes, hmac, sha256_generic, authenc, echainiv'],
    ] as const) {
      const [source, destination] = family === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2']
      const sa = { ...espSa(source, destination), crypto }
      const problem = await kernel.perform({ kind: 'install-sa', sa, larval: false }).then(
        () => 'none',
        (error: unknown) => (error instanceof KernelError ? error.message : String(error)),
      )
      t.diagnostic(problem)
      if (problem === 'none') assert.match(ip('xfrm', 'state'), /proto esp spi 0xc0000001 reqid 1 mode tunnel/)
      else if (problem.includes('ENOSYS'))
        assert(problem.endsWith(`: the kernel does not have ${algorithms}: load ${modules}`), problem)
      else {
        assert(problem.startsWith('install-sa failed: EPROTONOSUPPORT'), problem)
        assert(problem.endsWith(`: the kernel has no ESP for IPv${family}: load esp${family}`), problem)
      }
      await kernel.perform({ kind: 'flush' })
    }
  })

  test('an algorithm that no kernel has', async () => {
    await using kernel = open()
    const crypto = { kind: 'aead', name: 'no(such)', key: Secret.of(new Uint8Array(20)), icvBits: 128 } as const
    const sa = { ...espSa('192.0.2.1', '192.0.2.2'), crypto }
    await assert.rejects(kernel.perform({ kind: 'install-sa', sa, larval: false }), {
      name: 'KernelError',
      operation: 'install-sa',
      errno: 'ENOSYS',
      cure: 'the kernel does not have no(such): load esp4, no, such, seqiv',
    })
    assert.equal(ip('xfrm', 'state'), '')
  })

  test('policies of all directions, families and actions, with all that is part of their key', async () => {
    await using kernel = open()
    const install = (policy: KernelPolicy) => kernel.perform({ kind: 'install-policy', policy, replace: false })
    await install(tunnelPolicy('out'))
    await install(tunnelPolicy('in'))
    await install({ ...tunnelPolicy('fwd'), mark: { value: 0xff01, mask: 0xff }, ifId: 9 })
    assert.equal(
      ip('xfrm', 'policy'),
      [
        'src 10.2.0.0/16 dst 10.1.0.0/16',
        ' dir fwd priority 375423',
        ' mark 0x1/0xff',
        ' tmpl src 192.0.2.2 dst 192.0.2.1',
        ' proto esp reqid 3 mode tunnel',
        ' if_id 0x9',
        'src 10.2.0.0/16 dst 10.1.0.0/16',
        ' dir in priority 375423',
        ' tmpl src 192.0.2.2 dst 192.0.2.1',
        ' proto esp reqid 3 mode tunnel',
        'src 10.1.0.0/16 dst 10.2.0.0/16',
        ' dir out priority 375423',
        ' tmpl src 192.0.2.1 dst 192.0.2.2',
        ' proto esp spi 0xc0000007 reqid 3 mode tunnel',
        '',
      ].join('\n'),
    )
    await kernel.perform({ kind: 'flush' })
    assert.equal(ip('xfrm', 'policy'), '')

    // Transport mode, ports, an interface; and shunts.
    const udp: KernelSelector = {
      family: 6,
      protocol: 17,
      source: { address: '2001:db8::1', prefix: 128, port: 53, portMask: 0xffff },
      destination: { address: '2001:db8::', prefix: 64, port: 0x1000, portMask: 0xf000 },
      interface: 'wan',
    }
    const template = { protocol: 'AH', mode: 'transport', reqid: 4, source: '', destination: '' } as const
    await install({ direction: 'out', selector: udp, action: 'protect', priority: 1, templates: [template] })
    await install({ direction: 'in', selector: udp, action: 'drop', priority: 2, templates: [] })
    await install({ direction: 'fwd', selector: udp, action: 'pass', priority: 3, templates: [] })
    assert.equal(
      ip('xfrm', 'policy'),
      [
        'src 2001:db8::1/128 dst 2001:db8::/64 proto udp sport 53 dport 4096 dev wan',
        ' dir fwd priority 3',
        'src 2001:db8::1/128 dst 2001:db8::/64 proto udp sport 53 dport 4096 dev wan',
        ' dir in action block priority 2',
        'src 2001:db8::1/128 dst 2001:db8::/64 proto udp sport 53 dport 4096 dev wan',
        ' dir out priority 1',
        ' tmpl src :: dst ::',
        ' proto ah reqid 4 mode transport',
        '',
      ].join('\n'),
    )
    for (const direction of ['in', 'out', 'fwd'] as const)
      await kernel.perform({ kind: 'delete-policy', key: { direction, selector: udp } })
    await kernel.perform({ kind: 'delete-policy', key: { direction: 'in', selector: udp } }) // it is gone already
    assert.equal(ip('xfrm', 'policy'), '')
  })

  test('a second policy with the same key is refused unless it shall replace the first', async () => {
    await using kernel = open()
    const policy = tunnelPolicy('out')
    await kernel.perform({ kind: 'install-policy', policy, replace: false })
    await assert.rejects(kernel.perform({ kind: 'install-policy', policy, replace: false }), {
      errno: 'EEXIST',
      cure: 'another policy has the same selectors: is another IKE daemon running?',
    })
    await kernel.perform({ kind: 'install-policy', policy: { ...policy, priority: 77 }, replace: true })
    assert.match(ip('xfrm', 'policy'), /priority 77$/m)
  })

  test('a policy of a daemon that was killed is taken over, and the reqids that it used are known', async () => {
    const policy = tunnelPolicy('out')
    const killed = openKernel()
    await killed.perform({ kind: 'install-policy', policy, replace: false })
    ip('xfrm', 'policy', 'add', 'src', '10.8.0.0/16', 'dst', '10.9.0.0/16', 'dir', 'in', 'action', 'block')
    const larval = { protocol: 'ESP', source: '192.0.2.2', destination: '192.0.2.1' } as const
    const range = { reqid: 17, min: 0xc0000000, max: 0xcfffffff }
    const { spi } = await killed.perform({ kind: 'allocate-spi', ...larval, ...range })
    await killed.close()
    const said: string[] = []
    await using kernel = open((message) => said.push(message))
    const inUse = await kernel.reqidsInUse()
    assert.deepEqual(
      inUse.toSorted((a, b) => a - b),
      [3, 17],
    )
    await kernel.perform({ kind: 'install-policy', policy: { ...policy, priority: 77 }, replace: false })
    assert.deepEqual(said, ['policy 10.1.0.0/16 === 10.2.0.0/16 out already exists, try to update it'])
    assert.match(ip('xfrm', 'policy'), /priority 77$/m)
    await kernel.perform({ kind: 'flush' })
    assert.doesNotMatch(ip('xfrm', 'policy'), /priority 77$/m)
    await kernel.perform({ kind: 'delete-sa', id: { ...larval, spi } })
    ip('xfrm', 'policy', 'flush')
    assert.deepEqual(await kernel.reqidsInUse(), [])
  })

  test('what a daemon that was killed has left is removed, and nothing else', async () => {
    ip('xfrm', 'policy', 'add', 'src', '10.8.0.0/16', 'dst', '10.9.0.0/16', 'dir', 'in', 'action', 'block')
    ip('xfrm', 'state', 'allocspi', 'src', '192.0.2.9', 'dst', '192.0.2.1', 'proto', 'esp', 'min', '777', 'max', '777')
    const before = [ip('xfrm', 'policy'), ip('xfrm', 'state')]
    const killed = openKernel()
    for (const mark of [undefined, { value: 7, mask: 0xff }]) {
      const policies = (['in', 'out', 'fwd'] as const).map((direction) => tunnelPolicy(direction))
      for (const policy of policies) {
        await killed.perform({ kind: 'install-policy', policy: { ...policy, ...(mark && { mark }) }, replace: false })
      }
    }
    const spis = { min: 0xc0000000, max: 0xcfffffff }
    const ends = { protocol: 'ESP', source: '192.0.2.2', destination: '192.0.2.1', reqid: 3 } as const
    await killed.perform({ kind: 'allocate-spi', ...ends, ...spis })
    await killed.close()
    await using kernel = open()
    assert.equal(await kernel.removeLeft({ min: 0xd0000000, max: 0xdfffffff }), 0)
    assert.equal(await kernel.removeLeft(spis), 7)
    assert.deepEqual([ip('xfrm', 'policy'), ip('xfrm', 'state')], before)
    ip('xfrm', 'policy', 'flush')
    ip('xfrm', 'state', 'flush')
  })

  test('flush removes what is ours, and only that', async () => {
    await using kernel = open()
    ip('xfrm', 'policy', 'add', 'src', '10.8.0.0/16', 'dst', '10.9.0.0/16', 'dir', 'out', 'action', 'block')
    ip('xfrm', 'state', 'allocspi', 'src', '192.0.2.9', 'dst', '192.0.2.1', 'proto', 'esp', 'min', '777', 'max', '777')
    const before = [ip('xfrm', 'policy'), ip('xfrm', 'state'), ip('route', 'show', 'table', 'all'), ip('address')]
    await kernel.perform({ kind: 'install-policy', policy: tunnelPolicy('out'), replace: false })
    await kernel.perform({
      kind: 'allocate-spi',
      protocol: 'ESP',
      source: '192.0.2.2',
      destination: '192.0.2.1',
      reqid: 1,
      min: 0xc0000000,
      max: 0xcfffffff,
    })
    await kernel.perform({ kind: 'add-address', address: '10.3.0.1', peer: '192.0.2.2' })
    await kernel.perform({ kind: 'add-route', route: route('10.3.0.1') })
    await kernel.perform({ kind: 'flush' })
    assert.deepEqual(
      [ip('xfrm', 'policy'), ip('xfrm', 'state'), ip('route', 'show', 'table', 'all'), ip('address')],
      before,
    )
    ip('xfrm', 'policy', 'flush')
    ip('xfrm', 'state', 'flush')
  })

  test('a packet without a state is acquired, with the outer addresses and its own selector', async () => {
    await using kernel = open()
    const acquired = event(kernel, 'acquire')
    await kernel.perform({ kind: 'install-policy', policy: tunnelPolicy('out'), replace: false })
    // A trap of somebody else is none of our business.
    ip(
      'xfrm',
      'policy',
      'add',
      'src',
      '10.1.0.1/32',
      'dst',
      '10.7.0.0/16',
      'dir',
      'out',
      'tmpl',
      'src',
      '192.0.2.1',
      'dst',
      '192.0.2.3',
      'proto',
      'esp',
      'reqid',
      '99',
      'mode',
      'tunnel',
    )
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(5000, '10.1.0.1', resolve))
    // Until the state is there the kernel refuses to send.
    socket.on('error', () => {})
    socket.send('x', 6000, '10.7.0.1', () => socket.send('x', 6000, '10.2.3.4', () => {}))
    const { sequence, ...acquire } = (await acquired) as Extract<KernelEvent, { kind: 'acquire' }>
    socket.close()
    assert(sequence > 0)
    assert.deepEqual(acquire, {
      kind: 'acquire',
      reqid: 3,
      protocol: 'ESP',
      source: '192.0.2.1',
      destination: '192.0.2.2',
      packet: {
        family: 4,
        protocol: 17,
        source: { address: '10.1.0.1', prefix: 32, port: 5000, portMask: 0xffff },
        destination: { address: '10.2.3.4', prefix: 32, port: 6000, portMask: 0xffff },
      },
    })
    ip('xfrm', 'policy', 'flush')
    ip('xfrm', 'state', 'flush')
  })

  test('route lookup: source, next hop, interface and a local address inside a subnet', async () => {
    await using kernel = open()
    const lookup = (remote: string, more: object = {}) => kernel.perform({ kind: 'route-lookup', remote, ...more })
    assert.deepEqual(await lookup('192.0.2.2'), { source: '192.0.2.1', interface: 'wan' })
    const within = { address: '10.1.0.0', prefix: 16 }
    assert.deepEqual(await lookup('198.51.100.1', { within }), {
      source: '192.0.2.1',
      gateway: '192.0.2.254',
      interface: 'wan',
      localWithin: '10.1.0.1',
    })
    assert.deepEqual(await lookup('192.0.2.2', { local: '10.1.0.1' }), { source: '10.1.0.1', interface: 'wan' })
    assert.deepEqual(await lookup('192.0.2.2', { local: '10.99.0.1' }), {})
    assert.deepEqual(await lookup('2001:db8::7'), { source: '2001:db8::1', interface: 'wan' })
    assert.deepEqual(await lookup('2001:db8:1::7', { within: { address: '10.5.0.0', prefix: 16 } }), {})
  })

  test('a tunnel that leads to its own peer does not hide the way to the peer', async () => {
    await using kernel = open()
    await kernel.perform({ kind: 'add-address', address: '10.3.0.1', peer: '198.51.100.1' })
    const all = { ...route('10.3.0.1'), destination: { address: '0.0.0.0', prefix: 0 } }
    await kernel.perform({ kind: 'add-route', route: all })
    assert.match(ip('route', 'get', '198.51.100.1'), /src 10\.3\.0\.1/)
    assert.deepEqual(await kernel.perform({ kind: 'route-lookup', remote: '198.51.100.1' }), {
      source: '192.0.2.1',
      gateway: '192.0.2.254',
      interface: 'wan',
    })
    await kernel.perform({ kind: 'flush' })
  })

  test('routes with a source address in a table of their own', async () => {
    await using kernel = open()
    await kernel.perform({ kind: 'add-route', route: route('10.1.0.1') })
    await kernel.perform({ kind: 'add-route', route: route('10.1.0.1') }) // twice is once
    const v6 = {
      family: 6,
      table: 220,
      destination: { address: '2001:db8:2::', prefix: 48 },
      source: '2001:db8::1',
      interface: 'wan',
    } as const
    await kernel.perform({ kind: 'add-route', route: v6 })
    assert.equal(ip('route', 'show', 'table', '220'), '10.2.0.0/16 via 192.0.2.254 dev wan proto static src 10.1.0.1\n')
    assert.match(ip('-6', 'route', 'show', 'table', '220'), /^2001:db8:2::\/48 dev wan proto static src 2001:db8::1 /)
    assert.match(ip('rule'), /^220: from all lookup 220$/m)
    assert.match(ip('-6', 'rule'), /^220: from all lookup 220$/m)
    await kernel.perform({ kind: 'delete-route', route: route('10.1.0.1') })
    await kernel.perform({ kind: 'delete-route', route: route('10.1.0.1') })
    await kernel.perform({ kind: 'delete-route', route: v6 })
    assert.equal(ip('route', 'show', 'table', 'all').includes('table 220'), false)
    await kernel.close()
    assert.doesNotMatch(ip('rule'), /220/)
    assert.doesNotMatch(ip('-6', 'rule'), /220/)
  })

  test('the rule for the table is there before any route, and goes in the end', async () => {
    const kernel = openKernel({ ...defaultNetworkOptions, routingTable: 220 })
    await kernel.perform({ kind: 'local-addresses' })
    assert.match(ip('rule'), /^220: from all lookup 220$/m)
    assert.match(ip('-6', 'rule'), /^220: from all lookup 220$/m)
    await kernel.close()
    assert.doesNotMatch(ip('rule'), /220/)
    assert.doesNotMatch(ip('-6', 'rule'), /220/)
  })

  test('a route that the kernel refuses', async () => {
    await using kernel = open()
    await assert.rejects(kernel.perform({ kind: 'add-route', route: route('10.99.0.1') }), {
      name: 'KernelError',
      operation: 'add-route',
      errno: 'EINVAL',
      cure: 'is the source address of the route an address of this host?',
    })
    await assert.rejects(kernel.perform({ kind: 'add-route', route: { ...route('10.1.0.1'), interface: 'nope' } }), {
      errno: 'ENODEV',
    })
  })

  test('virtual IPs are shared, and an address of somebody else is left alone', async () => {
    await using kernel = open()
    for (const [address, peer] of [
      ['10.3.0.1', '192.0.2.2'],
      ['2001:db8:3::1', '2001:db8::2'],
      ['10.1.0.1', '192.0.2.2'],
    ] as const) {
      await kernel.perform({ kind: 'add-address', address, peer })
      await kernel.perform({ kind: 'add-address', address, peer })
      await kernel.perform({ kind: 'delete-address', address })
      assert(ip('address').includes(` ${address}/`))
    }
    assert.match(ip('address', 'show', 'dev', 'wan'), /inet 10\.3\.0\.1\/32 /)
    assert.match(ip('address', 'show', 'dev', 'wan'), /inet6 2001:db8:3::1\/128 .*deprecated/)
    const within = { address: '2001:db8:3::', prefix: 48 }
    const { localWithin } = await kernel.perform({ kind: 'route-lookup', remote: '2001:db8::2', within })
    assert.equal(localWithin, '2001:db8:3::1')
    for (const address of ['10.3.0.1', '2001:db8:3::1', '10.1.0.1', '10.77.0.1'])
      await kernel.perform({ kind: 'delete-address', address })
    assert.equal(ip('address').includes('10.3.0.1'), false)
    assert.equal(ip('address').includes('2001:db8:3::1'), false)
    assert(ip('address').includes(' 10.1.0.1/16 '))
  })

  test('a change of addresses is an event, our own changes are none', async () => {
    await using kernel = open()
    let roams = 0
    kernel.onEvent(({ kind }) => {
      if (kind === 'roam') roams++
    })
    await kernel.perform({ kind: 'add-route', route: route('10.1.0.1') })
    await kernel.perform({ kind: 'add-address', address: '10.3.0.1', peer: '192.0.2.2' })
    const roamed = event(kernel, 'roam')
    assert.equal(roams, 0)
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.equal(roams, 0)
    ip('address', 'add', '192.0.2.17/24', 'dev', 'wan')
    await roamed
  })

  test('notifications that the kernel had to drop are noticed', async () => {
    const lost = new Promise<void>((resolve) => {
      const events = new NetlinkEvents(
        NETLINK_ROUTE,
        [RTNLGRP_IPV4_ROUTE],
        () => {},
        () => {
          events.close()
          resolve()
        },
      )
    })
    const routes = Array.from({ length: 20000 }, (_, i) => `route add 10.99.${i >> 8}.${i & 255}/32 dev wan table 9\n`)
    execFileSync('ip', ['-batch', '-'], { input: routes.join('') }) // nobody reads meanwhile
    await lost
    ip('route', 'flush', 'table', '9')
  })

  test('operations happen in the order in which they are asked for', async () => {
    await using kernel = open()
    // Each takes another number of steps before it speaks to the kernel.
    const install = kernel.perform({ kind: 'install-policy', policy: tunnelPolicy('out'), replace: false })
    const flush = kernel.perform({ kind: 'flush' })
    await Promise.all([install, flush])
    assert.equal(ip('xfrm', 'policy'), '')
  })

  test('many operations at once', async () => {
    await using kernel = open()
    const operation = { kind: 'allocate-spi', protocol: 'ESP', source: '192.0.2.2', destination: '192.0.2.1' } as const
    const spis = await Promise.all(
      Array.from({ length: 200 }, (_, reqid) =>
        kernel.perform({ ...operation, reqid, min: 0xc0000000, max: 0xcfffffff }),
      ),
    )
    assert.equal(new Set(spis.map(({ spi }) => spi)).size, 200)
    assert.equal(ip('xfrm', 'state', 'count'), ' SAD count 200\n')
  })

  test('a larval state that expires is told, and nothing that is not ours', async () => {
    const kernel = openKernel()
    try {
      const setting = '/proc/sys/net/core/xfrm_acq_expires'
      assert.equal(readFileSync(setting, 'utf8'), '165\n') // as long as a negotiation may take
      writeFileSync(setting, '1')
      const expired = event(kernel, 'expire')
      ip(
        'xfrm',
        'state',
        'allocspi',
        'src',
        '192.0.2.9',
        'dst',
        '192.0.2.1',
        'proto',
        'esp',
        'min',
        '777',
        'max',
        '777',
      )
      const ids = { protocol: 'ESP', source: '192.0.2.2', destination: '192.0.2.1' } as const
      const { spi } = await kernel.perform({ kind: 'allocate-spi', ...ids, reqid: 1, min: 0xc0000000, max: 0xcfffffff })
      assert.deepEqual(await expired, { kind: 'expire', protocol: 'ESP', spi, destination: '192.0.2.1', hard: true })
    } finally {
      await kernel.close()
    }
  })

  test('a closed kernel refuses', async () => {
    const kernel = openKernel()
    await kernel.close()
    await assert.rejects(kernel.perform({ kind: 'route-lookup', remote: '192.0.2.2' }), { errno: 'EBADF' })
  })

  // The last one: what IPv6 does with an interface that came up goes on for seconds.
  test('a route that the kernel drops with its interface comes back with it', async () => {
    await using kernel = open()
    await kernel.perform({ kind: 'add-route', route: route('10.1.0.1') })
    ip('link', 'set', 'wan', 'down')
    assert.equal(ip('route', 'show', 'table', 'all').includes('table 220'), false)
    const roamed = event(kernel, 'roam')
    ip('link', 'set', 'wan', 'up')
    ip('address', 'replace', '2001:db8::1/64', 'dev', 'wan', 'nodad')
    ip('route', 'add', 'default', 'via', '192.0.2.254')
    await roamed
    await kernel.perform({ kind: 'local-addresses' })
    assert.equal(ip('route', 'show', 'table', '220'), '10.2.0.0/16 via 192.0.2.254 dev wan proto static src 10.1.0.1\n')
    await kernel.perform({ kind: 'delete-route', route: route('10.1.0.1') })
    assert.equal(ip('route', 'show', 'table', 'all').includes('table 220'), false)
  })

  /** A kernel that is flushed and closed at the end of a test. */
  function open(log?: (message: string) => void): HostKernel & AsyncDisposable {
    const kernel = openKernel(undefined, log)
    return {
      removeLeft: (spis) => kernel.removeLeft(spis),
      reqidsInUse: () => kernel.reqidsInUse(),
      perform: (operation) => kernel.perform(operation),
      onEvent: (listener) => kernel.onEvent(listener),
      close: () => kernel.close(),
      async [Symbol.asyncDispose]() {
        await kernel.perform({ kind: 'flush' }).catch(() => {}) // closed by the test
        await kernel.close()
      },
    }
  }
}

function event(kernel: Kernel, kind: KernelEvent['kind']): Promise<KernelEvent> {
  return new Promise((resolve) =>
    kernel.onEvent((event) => {
      if (event.kind === kind) resolve(event)
    }),
  )
}

function gcmKey(): SaCrypto {
  return { kind: 'aead', name: 'rfc4106(gcm(aes))', key: Secret.of(new Uint8Array(36).fill(0xbb)), icvBits: 128 }
}

function cbcKey(): SaCrypto {
  return {
    kind: 'separate',
    encryption: { name: 'cbc(aes)', key: Secret.of(new Uint8Array(16).fill(1)) },
    integrity: { name: 'hmac(sha256)', key: Secret.of(new Uint8Array(32).fill(2)), truncationBits: 128 },
  }
}

function espSa(source: string, destination: string): KernelSa {
  return {
    protocol: 'ESP',
    spi: 0xc0000001,
    source,
    destination,
    direction: 'out',
    reqid: 1,
    mode: 'tunnel',
    crypto: gcmKey(),
    esn: false,
    replayWindow: 32,
    limits: {},
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out',
  }
}

function tunnelPolicy(direction: 'in' | 'out' | 'fwd'): KernelPolicy {
  const any = { port: 0, portMask: 0 }
  const ours = { address: '10.1.0.0', prefix: 16, ...any }
  const theirs = { address: '10.2.0.0', prefix: 16, ...any }
  const out = direction === 'out'
  const [source, destination] = out ? [ours, theirs] : [theirs, ours]
  const [outer, peer] = out ? ['192.0.2.1', '192.0.2.2'] : ['192.0.2.2', '192.0.2.1']
  return {
    direction,
    selector: { family: 4, protocol: 0, source, destination },
    action: 'protect',
    priority: 375423,
    templates: [
      {
        protocol: 'ESP',
        mode: 'tunnel',
        reqid: 3,
        source: outer,
        destination: peer,
        ...(out ? { spi: 0xc0000007 } : {}),
      },
    ],
  }
}

function route(source: string) {
  return {
    family: 4,
    table: 220,
    destination: { address: '10.2.0.0', prefix: 16 },
    source,
    gateway: '192.0.2.254',
    interface: 'wan',
  } as const
}
