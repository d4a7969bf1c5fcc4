/**
 * Tunnels through the kernel's ESP, between two hosts in network namespaces. This file is also the program that runs on
 * each of the hosts: it takes commands, one a line, and answers with one line each.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { after, afterEach, before, describe, test } from 'node:test'
import { Secret } from '../crypto/secret.ts'
import { type IkeSockets, openIkeSockets } from '../net/ike-sockets.ts'
import type { KernelEvent, KernelPolicy, KernelSa, KernelSelector, SaCrypto, SaLimits, SaMode } from './operations.ts'
import { openKernel } from './performer.ts'

type Side = 'left' | 'right'
const sides: readonly Side[] = ['left', 'right']

/** What is tried. The keys are the same at both ends, since both make them from the direction. */
interface Case {
  readonly crypto: (key: (octets: number) => Secret) => SaCrypto
  readonly protocol?: 'ESP' | 'AH'
  readonly mode?: SaMode
  readonly outer?: 4 | 6
  readonly inner?: 4 | 6
  readonly udp?: boolean
  readonly more?: Partial<KernelSa>
  /** What `ip xfrm state` must show, with single spaces for all white space. */
  readonly shows: RegExp
}

const aead = (name: string, octets: number, icvBits: number): Case['crypto'] => {
  return (key) => ({ kind: 'aead', name, key: key(octets), icvBits })
}
const separate = (
  encryption: [string, number] | undefined,
  integrity: [string, number, number] | undefined,
): Case['crypto'] => {
  return (key) => ({
    kind: 'separate',
    ...(encryption ? { encryption: { name: encryption[0], key: key(encryption[1]) } } : {}),
    ...(integrity ? { integrity: { name: integrity[0], key: key(integrity[1]), truncationBits: integrity[2] } } : {}),
  })
}

const gcm = aead('rfc4106(gcm(aes))', 36, 128)
const cbcSha256 = separate(['cbc(aes)', 16], ['hmac(sha256)', 32, 128])

const cases: Readonly<Record<string, Case>> = {
  'AES-GCM-256': { crypto: gcm, shows: /aead rfc4106\(gcm\(aes\)\) 0x[0-9a-f]{72} 128/ },
  'AES-GCM-128 with a short ICV': { crypto: aead('rfc4106(gcm(aes))', 20, 64), shows: /aead .* 0x[0-9a-f]{40} 64/ },
  'AES-CCM-128': { crypto: aead('rfc4309(ccm(aes))', 19, 128), shows: /rfc4309/ },
  'AES-GMAC': { crypto: aead('rfc4543(gcm(aes))', 20, 128), shows: /rfc4543/ },
  'ChaCha20-Poly1305': {
    crypto: aead('rfc7539esp(chacha20,poly1305)', 36, 128),
    shows: /rfc7539esp\(chacha20,poly1305\)/,
  },
  'AES-CBC and SHA2-256': {
    crypto: cbcSha256,
    shows: /auth-trunc hmac\(sha256\) 0x[0-9a-f]{64} 128 .*enc cbc\(aes\) 0x[0-9a-f]{32} /,
  },
  'AES-CBC-256 and SHA2-512': {
    crypto: separate(['cbc(aes)', 32], ['hmac(sha512)', 64, 256]),
    shows: /hmac\(sha512\) 0x[0-9a-f]{128} 256/,
  },
  'AES-CTR and SHA1': {
    crypto: separate(['rfc3686(ctr(aes))', 20], ['hmac(sha1)', 20, 96]),
    shows: /hmac\(sha1\) 0x[0-9a-f]{40} 96 .*rfc3686/,
  },
  'AES-CBC and XCBC': { crypto: separate(['cbc(aes)', 16], ['xcbc(aes)', 16, 96]), shows: /xcbc\(aes\) .* 96/ },
  'AES-CBC and CMAC': { crypto: separate(['cbc(aes)', 16], ['cmac(aes)', 16, 96]), shows: /cmac\(aes\) .* 96/ },
  'no encryption, SHA2-256': {
    crypto: separate(undefined, ['hmac(sha256)', 32, 128]),
    shows: /enc ecb\(cipher_null\)/,
  },
  'AH with SHA2-256': {
    protocol: 'AH',
    crypto: separate(undefined, ['hmac(sha256)', 32, 128]),
    shows: /proto ah .*auth-trunc hmac\(sha256\)/,
  },
  'transport mode': {
    crypto: gcm,
    mode: 'transport',
    shows: /mode transport.*sel src 192\.0\.2\.\d\/32 dst 192\.0\.2\.\d\/32/,
  },
  'UDP encapsulation': { crypto: gcm, udp: true, shows: /encap type espinudp sport 4500 dport 4500 addr 0\.0\.0\.0/ },
  'IPv6 outside and inside': { crypto: gcm, outer: 6, inner: 6, shows: /src 2001:db8::\d dst 2001:db8::\d/ },
  'IPv6 in IPv4': { crypto: gcm, inner: 6, shows: /flag af-unspec/ },
  'IPv4 in IPv6, UDP encapsulation': { crypto: gcm, outer: 6, udp: true, shows: /encap type espinudp/ },
  ESN: { crypto: gcm, more: { esn: true }, shows: /flag af-unspec esn.*replay_window 32, bitmap-length 1/ },
  'ESN without replay protection': { crypto: gcm, more: { esn: true, replayWindow: 0 }, shows: /replay_window 32/ },
  'ESN, window of 4096': {
    crypto: gcm,
    more: { esn: true, replayWindow: 4096 },
    shows: /replay_window 4096, bitmap-length 128/,
  },
  'window of 64': { crypto: cbcSha256, more: { replayWindow: 64 }, shows: /replay_window 64, bitmap-length 2/ },
  'offload where the device can': { crypto: gcm, more: { hwOffload: 'auto' }, shows: /aead rfc4106/ },
  'no replay protection': { crypto: gcm, more: { replayWindow: 0 }, shows: /replay-window 0 / },
  'marks, flags, padding and limits': {
    crypto: gcm,
    more: {
      outputMark: { value: 0x12, mask: 0xff },
      tfcPadding: 700,
      copyDf: false,
      copyEcn: false,
      copyDscp: 'in',
      limits: {
        softSeconds: 3000,
        hardSeconds: 3600,
        softBytes: 1n << 40n,
        hardBytes: 1n << 41n,
        softPackets: 900n,
        hardPackets: 1000n,
      },
    },
    shows:
      /flag noecn decap-dscp nopmtudisc af-unspec.*extra_flag dont-encap-dscp.*output-mark 0x12\/0xff.*limit: soft 1099511627776\(bytes\), hard 2199023255552\(bytes\).*limit: soft 900\(packets\), hard 1000\(packets\).*expire add: soft 3000\(sec\), hard 3600\(sec\)/,
  },
}

// ---- the test

function tests(): void {
  const reason = reasonToSkip()
  const hosts = {} as Record<Side, Host> // filled in before the first test

  before(() => {
    if (reason !== false) return
    for (const side of sides) ip('netns', 'add', `sp-${side}`)
    ip('link', 'add', 'sp-left', 'netns', 'sp-left', 'type', 'veth', 'peer', 'name', 'sp-right', 'netns', 'sp-right')
    for (const [side, n] of [
      ['left', 1],
      ['right', 2],
    ] as const) {
      const on = (...args: string[]) => ip('-n', `sp-${side}`, ...args)
      on('link', 'set', 'lo', 'up')
      on('link', 'set', `sp-${side}`, 'up')
      on('address', 'add', `192.0.2.${n}/24`, 'dev', `sp-${side}`)
      on('address', 'add', `2001:db8::${n}/64`, 'dev', `sp-${side}`, 'nodad')
      on('address', 'add', `10.${n}.0.1/32`, 'dev', 'lo')
      on('address', 'add', `2001:db8:${n}::1/128`, 'dev', 'lo', 'nodad')
      on('route', 'add', `10.${3 - n}.0.0/16`, 'via', `192.0.2.${3 - n}`, 'src', `10.${n}.0.1`)
      on('route', 'add', `2001:db8:${3 - n}::/48`, 'via', `2001:db8::${3 - n}`, 'src', `2001:db8:${n}::1`)
      hosts[side] = new Host(side)
    }
  })
  afterEach(async () => {
    if (reason !== false) return
    for (const side of sides) {
      assert.equal(await hosts[side].ask('flush'), 'done')
    }
    for (const side of sides) {
      assert.equal(ip('-n', `sp-${side}`, 'xfrm', 'state'), '')
      // The policies of the IKE sockets are listed too; they have no direction.
      assert.doesNotMatch(ip('-n', `sp-${side}`, 'xfrm', 'policy'), /\bdir\b/)
    }
  })
  after(() => {
    if (reason !== false) return
    for (const side of sides) {
      hosts[side].close()
      ip('netns', 'delete', `sp-${side}`)
    }
  })

  for (const [name, each] of Object.entries(cases))
    test(name, { skip: reason }, async () => {
      for (const side of sides) assert.equal(await hosts[side].ask('install', name), 'done')
      ping(each)
      for (const side of sides) {
        for (const direction of ['in', 'out'])
          assert.match(await hosts[side].ask('usage', name, direction), /^[1-9]\d* 3 \d{13}$/, `${side} ${direction}`)
        const shown = ip('-n', `sp-${side}`, '-s', 'xfrm', 'state')
        assert.match(shown.replace(/ \(\d+ bits\)/g, '').replace(/\s+/g, ' '), each.shows)
      }
    })

  test('an inbound state that was larval before', { skip: reason }, async () => {
    for (const side of sides) assert.equal(await hosts[side].ask('install-larval', 'AES-GCM-256'), 'done')
    ping({})
  })

  test('moved states count on', { skip: reason }, async () => {
    for (const name of ['AES-CBC and SHA2-256', 'ESN', 'UDP encapsulation']) {
      for (const side of sides) assert.equal(await hosts[side].ask('install', name), 'done')
      ping({})
      for (const side of sides) {
        ip('-n', `sp-${side}`, 'address', 'replace', `192.0.2.${side === 'left' ? 11 : 12}/24`, 'dev', `sp-${side}`)
        assert.equal(await hosts[side].ask('move', name), 'done')
      }
      ping({})
      for (const side of sides)
        for (const direction of ['in', 'out'])
          assert.match(
            await hosts[side].ask('usage-moved', name, direction),
            /^\d+ 6 \d{13}$/,
            `${name} ${side} ${direction}`,
          )
      // The receiver saw the sender skip some numbers and kept its window.
      assert.match(ip('-n', 'sp-right', 'xfrm', 'state'), /seq 0x0*100[3-9],/)
      await flush(hosts)
    }
  })

  test('limits are told', { skip: reason }, async () => {
    for (const side of sides) assert.equal(await hosts[side].ask('install-limited', 'AES-GCM-256'), 'done')
    ping({})
    assert.match(
      await hosts.left.ask('event', 'expire'),
      /"kind":"expire","protocol":"ESP","spi":\d+,"destination":"192\.0\.2\.\d","hard":false/,
    )
    spawnSync('ip', ['netns', 'exec', 'sp-left', 'ping', '-c5', '-i0.2', '-W1', '10.2.0.1'])
    assert.match(await hosts.left.ask('event', 'expire-hard'), /"hard":true/)
    // The policy asked for another state, and the kernel keeps that wish for a while.
    assert.equal(await hosts.left.ask('flush'), 'done')
    ip('-n', 'sp-left', 'xfrm', 'state', 'flush')
  })

  test('a NAT that chooses another port is told', { skip: reason }, async () => {
    for (const side of sides) assert.equal(await hosts[side].ask('install', 'UDP encapsulation'), 'done')
    ping({})
    assert.equal(await hosts.left.ask('move-port', 'UDP encapsulation'), 'done')
    spawnSync('ip', ['netns', 'exec', 'sp-left', 'ping', '-c2', '-i0.2', '-W1', '10.2.0.1'])
    const mapping = JSON.parse(await hosts.right.ask('event', 'mapping'))
    assert.deepEqual(
      { ...mapping, spi: 0 },
      { kind: 'mapping', spi: 0, reqid: 7, source: '192.0.2.1', newSource: '192.0.2.1', newPort: 4501 },
    )
  })

  test('what the kernel refuses', { skip: reason }, async () => {
    assert.match(await hosts.left.ask('install-wrong-key'), /^install-sa failed: EINVAL /)
    assert.match(
      await hosts.left.ask('install-offloaded'),
      /: the device does not offload this: set hw_offload to auto or no$/,
    )
    assert.equal(await hosts.left.ask('install', 'AES-GCM-256'), 'done')
    assert.match(await hosts.left.ask('install', 'AES-GCM-256'), /^install-sa failed: EEXIST: another state has SPI/)
  })
}

async function flush(hosts: Record<Side, Host>): Promise<void> {
  for (const side of sides) assert.equal(await hosts[side].ask('flush'), 'done')
}

function ping({ mode, inner = 4 }: Partial<Case>): void {
  const destination = mode === 'transport' ? '192.0.2.2' : inner === 4 ? '10.2.0.1' : '2001:db8:2::1'
  const { status, stdout } = spawnSync('ip', ['netns', 'exec', 'sp-left', 'ping', '-c3', '-i0.2', '-W2', destination], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, `${stdout}\n${ip('-n', 'sp-right', '-s', 'xfrm', 'state')}`)
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' })
}

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  const probe =
    'ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1000 mode tunnel enc "cbc(aes)" 0x00112233445566778899aabbccddeeff'
  return spawnSync('unshare', ['-n', 'sh', '-c', probe]).status === 0 ? false : 'needs a kernel with ESP'
}

/** This file as a process in the namespace of a host. */
class Host {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(side: Side) {
    const node = [process.execPath, ...process.execArgv, import.meta.filename]
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    this.#child = spawn('ip', ['netns', 'exec', `sp-${side}`, ...node], {
      env: { ...env, SALLYPORT_ESP_TEST: side },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    assert(this.#child.stdout)
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  async ask(...words: string[]): Promise<string> {
    this.#child.stdin?.write(`${words.join('\t')}\n`)
    return (await this.#lines.next()).value
  }

  close(): void {
    this.#child.stdin?.end()
  }
}

// ---- the host

async function beHost(side: Side): Promise<void> {
  const kernel = openKernel()
  const events: KernelEvent[] = []
  kernel.onEvent((event) => events.push(event))
  const sockets: IkeSockets = openIkeSockets({ portIke: 500, portNatT: 4500, onDatagram: () => {} })

  const install = async (name: string, change: (sa: KernelSa) => KernelSa = (sa) => sa): Promise<void> => {
    for (const direction of ['in', 'out'] as const)
      await kernel.perform({ kind: 'install-sa', sa: change(stateOf(side, name, direction)), larval: false })
    for (const policy of policiesOf(side, name))
      await kernel.perform({ kind: 'install-policy', policy, replace: false })
  }
  const commands: Readonly<Record<string, (name: string, direction: 'in' | 'out') => Promise<string>>> = {
    install: (name) => install(name).then(done),
    'install-limited': (name) => install(name, (sa) => ({ ...sa, limits: limited })).then(done),
    'install-wrong-key': async () => {
      const sa = stateOf(side, 'AES-GCM-256', 'out')
      const crypto = {
        kind: 'aead',
        name: 'rfc4106(gcm(aes))',
        key: Secret.of(new Uint8Array(7)),
        icvBits: 128,
      } as const
      await kernel.perform({ kind: 'install-sa', sa: { ...sa, crypto }, larval: false })
      return 'done'
    },
    'install-offloaded': async () => {
      const sa = stateOf(side, 'AES-GCM-256', 'out')
      await kernel.perform({ kind: 'install-sa', sa: { ...sa, hwOffload: 'packet' }, larval: false })
      return 'done'
    },
    async 'install-larval'(name) {
      const inbound = stateOf(side, name, 'in')
      const { protocol, source, destination, reqid, spi } = inbound
      const ids = { protocol, source, destination, reqid, min: spi, max: spi }
      assert.deepEqual(await kernel.perform({ kind: 'allocate-spi', ...ids }), { spi })
      await kernel.perform({ kind: 'install-sa', sa: inbound, larval: true })
      // Never allocated, or forgotten by the kernel since: installed all the same.
      await kernel.perform({ kind: 'install-sa', sa: stateOf(side, name, 'out'), larval: true })
      for (const policy of policiesOf(side, name))
        await kernel.perform({ kind: 'install-policy', policy, replace: false })
      return 'done'
    },
    async move(name) {
      for (const direction of ['in', 'out'] as const) {
        const old = stateOf(side, name, direction)
        await kernel.perform({ kind: 'move-sa', id: old, sa: moved(old) })
      }
      for (const policy of policiesOf(side, name)) {
        const templates = policy.templates.map(moved)
        await kernel.perform({ kind: 'install-policy', policy: { ...policy, templates }, replace: true })
      }
      return 'done'
    },
    async 'move-port'(name) {
      const old = stateOf(side, name, 'out')
      const encapsulation = { sourcePort: 4501, destinationPort: 4500 }
      await kernel.perform({ kind: 'move-sa', id: old, sa: { ...old, encapsulation } })
      return 'done'
    },
    usage: (name, direction) => usage(stateOf(side, name, direction)),
    'usage-moved': (name, direction) => usage(moved(stateOf(side, name, direction))),
    async event(kind) {
      for (;;) {
        const wanted = (event: KernelEvent) =>
          kind === 'expire-hard' ? event.kind === 'expire' && event.hard : event.kind === kind
        const found = events.find(wanted)
        if (found !== undefined) return JSON.stringify(found)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    flush: async () => {
      events.length = 0
      await kernel.perform({ kind: 'flush' })
      return 'done'
    },
  }
  const usage = async (id: KernelSa): Promise<string> => {
    const { bytes, packets, lastUsedMs } = (await kernel.perform({ kind: 'query-sa', id })) ?? {}
    return `${bytes} ${packets} ${lastUsedMs}`
  }

  for await (const line of createInterface(process.stdin)) {
    const [command = '', name = '', direction] = line.split('\t')
    const answer = await commands[command]?.(name, direction === 'in' ? 'in' : 'out').catch((error: unknown) =>
      String(error instanceof Error ? error.message : error),
    )
    console.log(answer ?? `no command ${command}`)
  }
  sockets.close()
  await kernel.close()
}

const done = () => 'done'
const limited: SaLimits = { softPackets: 2n, hardPackets: 5n }

/** An SA or template between other outer addresses. */
function moved<T extends { readonly source: string; readonly destination: string }>(of: T): T {
  const move = (address: string) => address.replace(/^192\.0\.2\.([12])$/, '192.0.2.1$1')
  return { ...of, source: move(of.source), destination: move(of.destination) }
}

function caseOf(name: string): Case {
  const found = cases[name]
  assert(found, name)
  return found
}

function stateOf(side: Side, name: string, direction: 'in' | 'out'): KernelSa {
  const { crypto, protocol = 'ESP', mode = 'tunnel', outer = 4, udp, more } = caseOf(name)
  const from = (side === 'left') === (direction === 'out') ? 1 : 2
  const address = (n: number) => (outer === 4 ? `192.0.2.${n}` : `2001:db8::${n}`)
  return {
    protocol,
    spi: 0xc0000000 + from,
    source: address(from),
    destination: address(3 - from),
    direction,
    reqid: 7,
    mode,
    crypto: crypto((octets) => Secret.of(Uint8Array.from({ length: octets }, (_, i) => 16 * from + i))),
    ...(udp ? { encapsulation: { sourcePort: 4500, destinationPort: 4500 } } : {}),
    ...(mode === 'transport' ? { selector: selector(name, from) } : {}),
    esn: false,
    replayWindow: 32,
    limits: {},
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out',
    ...more,
  }
}

function selector(name: string, from: number): KernelSelector {
  const { mode, inner = 4 } = caseOf(name)
  const net = (n: number) => {
    if (mode === 'transport') return { address: `192.0.2.${n}`, prefix: 32 }
    return inner === 4 ? { address: `10.${n}.0.0`, prefix: 16 } : { address: `2001:db8:${n}::`, prefix: 48 }
  }
  const any = { port: 0, portMask: 0 }
  return { family: inner, protocol: 0, source: { ...net(from), ...any }, destination: { ...net(3 - from), ...any } }
}

function policiesOf(side: Side, name: string): KernelPolicy[] {
  return (['in', 'fwd', 'out'] as const).map((direction) => {
    const { protocol, mode, reqid, source, destination } = stateOf(side, name, direction === 'out' ? 'out' : 'in')
    const from = (side === 'left') === (direction === 'out') ? 1 : 2
    const template = { protocol, mode, reqid, source, destination }
    return { direction, selector: selector(name, from), action: 'protect', priority: 1000, templates: [template] }
  })
}

// At the end, when all above is initialised.
const host = process.env['SALLYPORT_ESP_TEST'] as Side | undefined
if (host !== undefined) await beHost(host)
else describe('ESP through the kernel', tests)
