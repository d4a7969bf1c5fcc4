/** What operators say of the network in strongswan.conf, in a network namespace of its own. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { memoryFiles } from '../config/files.ts'
import { readDaemonSettings } from '../config/strongswan.ts'
import { openIkeSockets } from '../net/ike-sockets.ts'
import { networkOptions } from '../network.ts'
import type { Kernel, KernelRoute } from './operations.ts'
import { openKernel } from './performer.ts'
import { inOwnNamespace } from './testing.ts'

inOwnNamespace('options for the network', import.meta.filename, tests)

function tests(): void {
  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' }).replace(/[ \t]+/g, ' ')
  for (const line of [
    'link set lo up',
    'link add wan type veth peer name internet',
    'link add dsl type veth peer name provider',
    'link set internet up',
    'link set wan up',
    'link set provider up',
    'link set dsl up',
    'address add 192.0.2.1/24 dev wan',
    'address add 203.0.113.1/24 dev dsl',
    'address add 2001:db8::1/64 dev wan nodad',
    'address add 10.1.0.1/16 dev lo',
    'route add default via 192.0.2.254 metric 10',
    'route add default via 203.0.113.254 metric 20',
  ])
    ip(...line.split(' '))

  const route: KernelRoute = {
    family: 4,
    table: 220,
    destination: { address: '10.2.0.0', prefix: 16 },
    source: '10.1.0.1',
    gateway: '192.0.2.254',
    interface: 'wan',
  }

  test('kernel-netlink.mtu and mss are metrics of our routes', async () => {
    await using kernel = open('mtu = 1400\n mss = 1360')
    await kernel.perform({ kind: 'add-route', route })
    assert.match(ip('route', 'show', 'table', '220'), /10\.2\.0\.0\/16 .* mtu 1400 advmss 1360/)
  })

  test('kernel-netlink.fwmark and routing_table_prio are those of the rule', async () => {
    await using kernel = open('fwmark = !0x42/0xff', 'routing_table_prio = 77')
    await kernel.perform({ kind: 'add-route', route })
    assert.match(ip('rule', 'show'), /^77: not from all fwmark 0x42\/0xff lookup 220/m)
    await kernel.perform({ kind: 'flush' })
    await kernel.close()
    assert.doesNotMatch(ip('rule', 'show'), /lookup 220/)
  })

  const way = (kernel: Kernel) => kernel.perform({ kind: 'route-lookup', remote: '198.51.100.9' })

  test('interfaces_ignore: peers are not behind it, and do not hear of its addresses', async () => {
    await using kernel = open('', 'interfaces_ignore = wan, other')
    assert.deepEqual(await way(kernel), { source: '203.0.113.1', gateway: '203.0.113.254', interface: 'dsl' })
    assert.deepEqual(await addresses(kernel), ['10.1.0.1', '203.0.113.1'])
  })

  test('interfaces_use: peers are behind no other', async () => {
    await using kernel = open('', 'interfaces_use = dsl')
    assert.equal((await way(kernel)).interface, 'dsl')
    await using none = open('', 'interfaces_use = nosuch')
    assert.deepEqual(await way(none), {})
  })

  test('ignore_routing_tables: their routes do not lead to peers', async () => {
    ip('rule', 'add', 'from', 'all', 'lookup', '99', 'priority', '50')
    ip('route', 'add', '198.51.100.0/24', 'via', '203.0.113.254', 'table', '99')
    await using plain = open('')
    assert.equal((await way(plain)).interface, 'dsl')
    await using kernel = open('', 'ignore_routing_tables = 98 99')
    assert.equal((await way(kernel)).interface, 'wan')
    ip('rule', 'del', 'priority', '50')
  })

  test('prefer_temporary_addrs: privacy addresses, or none of them', async () => {
    // mngtmpaddr makes a privacy address for a prefix; its address is random.
    execFileSync('sysctl', ['-qw', 'net.ipv6.conf.wan.use_tempaddr=2', 'net.ipv6.conf.wan.accept_dad=0'])
    ip('-6', 'address', 'add', '2001:db8:1::1/64', 'dev', 'wan', 'nodad', 'mngtmpaddr')
    ip('-6', 'route', 'add', '2001:db8:9::/48', 'via', '2001:db8:1::fe', 'dev', 'wan')
    const temporary = /inet6 (2001:db8:1:[0-9a-f:]+)\/64 scope global temporary/.exec(ip('-6', 'address'))?.[1]
    assert.ok(temporary !== undefined)
    await using plain = open('')
    const source = async (kernel: Kernel) =>
      (await kernel.perform({ kind: 'route-lookup', remote: '2001:db8:9::1' })).source
    assert.ok((await addresses(plain)).includes('2001:db8:1::1'))
    assert.ok(!(await addresses(plain)).includes(temporary))
    assert.notEqual(await source(plain), temporary)
    await using kernel = open('', 'prefer_temporary_addrs = yes')
    assert.ok((await addresses(kernel)).includes(temporary))
    assert.ok(!(await addresses(kernel)).includes('2001:db8:1::1'))
  })

  test('kernel-netlink.spdh_thresh and receive_buffer_size are taken, xfrm_acq_expires is set', async () => {
    const thresh = 'spdh_thresh { ipv4 { lbits = 24\n rbits = 16\n }\n ipv6 { lbits = 64\n rbits = 48\n } }'
    await using kernel = open(`${thresh}\n xfrm_acq_expires = 77\n receive_buffer_size = 65536`)
    await way(kernel) // after what was asked for at the beginning
    assert.equal(readFileSync('/proc/sys/net/core/xfrm_acq_expires', 'utf8'), '77\n')
    assert.equal(bufferOf('65536'), true)
  })

  test('kernel-netlink.roam_events and process_route: which changes are told', async () => {
    const heard = async (kernel: string, charon: string, change: readonly string[]): Promise<boolean> => {
      await using one = open(kernel, charon)
      await using all = open('')
      let told = false
      one.onEvent(({ kind }) => {
        told ||= kind === 'roam'
      })
      const roamed = new Promise<void>((resolve) => all.onEvent(({ kind }) => kind === 'roam' && resolve()))
      ip(...change)
      await roamed
      // Both have heard it in the same order; the other one's timer was set first.
      await way(one)
      await new Promise((resolve) => setImmediate(resolve))
      return told
    }
    const address = (text: string) => ['address', 'add', text, 'dev', 'dsl']
    const to = (text: string) => ['route', 'add', text, 'via', '203.0.113.254']
    assert.equal(await heard('', '', address('203.0.113.2/24')), true)
    assert.equal(await heard('roam_events = no', '', address('203.0.113.3/24')), false)
    assert.equal(await heard('', '', to('198.18.1.0/24')), true)
    assert.equal(await heard('', 'process_route = no', to('198.18.2.0/24')), false)
  })

  test('socket-default.fwmark: everything sent has the mark', () => {
    ip('rule', 'add', 'fwmark', '0x42', 'lookup', '55', 'priority', '40')
    ip('route', 'add', 'unreachable', 'default', 'table', '55')
    const send = (mark: number): string | undefined => {
      const sockets = openIkeSockets({ portIke: 0, portNatT: 0, mark, onDatagram: () => {} })
      const local = { address: '192.0.2.1', port: sockets.portIke }
      const code = sockets.send({ local, remote: { address: '198.51.100.9', port: 500 }, bytes: new Uint8Array(1) })
      sockets.close()
      return code
    }
    assert.deepEqual([send(0x42), send(0x41)], ['EHOSTUNREACH', undefined])
    ip('rule', 'del', 'priority', '40')
  })

  /** Whether some netlink socket of this process has a receive buffer of that size (the kernel doubles it). */
  function bufferOf(octets: string): boolean {
    const shown = spawnSync('ss', ['-f', 'netlink', '-m', '-p'], { encoding: 'utf8' })
    if (shown.status !== 0) return true
    return shown.stdout.includes(`rb${Number(octets) * 2}`)
  }

  async function addresses(kernel: Kernel): Promise<readonly string[]> {
    return kernel.perform({ kind: 'local-addresses' })
  }

  /** A kernel with these lines in plugins.kernel-netlink and in charon; it is flushed and closed at the end. */
  function open(netlink: string, charon = ''): Kernel & AsyncDisposable {
    const text = `charon { ${charon}\n plugins { kernel-netlink { ${netlink}\n } } }`
    const settings = readDaemonSettings('/c', memoryFiles({ '/c': text }))
    assert.deepEqual(settings.warnings, [])
    const kernel = openKernel(networkOptions(settings.host, settings.core.routingTable))
    return {
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
