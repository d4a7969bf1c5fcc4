/**
 * Two simulated hosts that are configured as operators do it: by the text of swanctl.conf and strongswan.conf, read by the
 * daemon's own reader and loaded by the handlers of VICI. Each key of the matrices in docs has its test here or names one
 * elsewhere; what a key does is seen in messages, in the kernel, in listings.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../src/config/config-error.ts'
import { memoryFiles } from '../../src/config/files.ts'
import { readDaemonSettings } from '../../src/config/strongswan.ts'
import { readSwanctl } from '../../src/config/swanctl.ts'
import type { SimulatedKernelOptions } from '../../src/kernel/simulated/simulated-kernel.ts'
import { loadAll } from '../../src/vici/load-all.ts'
import { type ScriptedDaemon, scriptedDaemon } from '../../src/vici/testing.ts'
import { defaultAuthority, identityOf, places, type SideName } from '../simulation/connection.ts'
import { Draw } from '../simulation/draw.ts'
import { sameSingleChild } from '../simulation/expect.ts'
import { NatBox } from '../simulation/network.ts'
import { type TestKeyType, testAuthority, testCertificate, testKey } from '../simulation/test-keys.ts'
import { World } from '../simulation/world.ts'

/** The lines of one side; they come behind the defaults, so that they win. */
export interface Conf {
  /** Of the connection `lab`, its rounds and its child `net`. */
  readonly connection?: string
  readonly local?: string
  readonly remote?: string
  readonly child?: string
  /** Sections beside `net` in children, and beside `lab` in connections. */
  readonly children?: string
  readonly connections?: string
  /** Of swanctl.conf, beside connections; without it there is one secret for both. */
  readonly secrets?: string
  readonly rest?: string
  /** The section `charon` of strongswan.conf. */
  readonly charon?: string
  /** By path below /etc/swanctl. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  readonly kernel?: Partial<SimulatedKernelOptions>
  readonly names?: ReadonlyMap<string, readonly string[]>
  /** What `http:` URLs lead to. */
  readonly web?: ReadonlyMap<string, Uint8Array>
}

export interface Confs {
  readonly both?: Conf
  readonly left?: Conf
  readonly right?: Conf
  /** Who is behind a NAT. */
  readonly nat?: 'left'
}

/** Two hosts as configured; nothing is up. @throws Error when something of the configuration cannot be loaded */
export async function hosts(confs: Confs = {}): Promise<World> {
  const side = (name: SideName) => {
    const { kernel, names, web } = { ...confs.both, ...confs[name] }
    const first = confs.nat === name ? places[name].private : places[name][4]
    return {
      settings: settingsOf(`${confs.both?.charon ?? ''}\n${confs[name]?.charon ?? ''}`),
      kernel: { addresses: [first, places[name].inner4], ...kernel },
      ...(names && { names }),
      ...(web && { web }),
    }
  }
  const nat = new NatBox(places.left.nat, [places.left.private])
  const nats = confs.nat === 'left' ? [nat] : []
  const world = new World({ seed: 1, draw: new Draw(1), nats, left: side('left'), right: side('right') })
  for (const name of ['left', 'right'] as const) await load(world, name, confs)
  return world
}

/** As `hosts`, and left has brought `net` up. */
export async function up(confs: Confs = {}): Promise<World> {
  const world = await hosts(confs)
  initiate(world)
  sameSingleChild(world)
  return world
}

/** Left brings up a child; what comes of it is in the world. */
export function initiate(world: World, child = 'net'): void {
  world.left.command({ kind: 'initiate', child, timeoutMs: 0 })
  world.settle()
}

/** Loads the configuration of one side, as the daemon does at its start. */
export async function load(world: World, name: SideName, confs: Confs): Promise<ScriptedDaemon> {
  const host = world.host(name)
  const daemon = scriptedDaemon((command) => {
    const answer = host.command(command)
    world.finishJobs()
    return answer()
  })
  const files = memoryFiles({ '/etc/swanctl/swanctl.conf': swanctlConf(name, confs), ...filesOf(name, confs) })
  const { problems } = await loadAll(readSwanctl('/etc/swanctl', files), { daemon, files })
  if (problems.length > 0)
    throw new Error(`${problems.join('\n')}\n${daemon.logged.map((one) => one.message).join('\n')}`)
  return daemon
}

/** A test of one key; its name begins with the key as the matrix has it. */
export function key(name: string, what: string, body: () => void | Promise<void>): void {
  test(`${name}: ${what}`, body)
}

/** The host cannot load this, and the message says why. */
export async function refused(confs: Confs, why: RegExp): Promise<void> {
  await assert.rejects(hosts(confs), why)
}

/** Files by which a side has a certificate of the lab's CA, and trusts it. */
export function certificate(side: SideName, type: TestKeyType = 'p256', authority: string = defaultAuthority): Conf {
  const key = testKey(type, side)
  const issuer = testAuthority(authority)
  return {
    local: 'auth = pubkey',
    files: {
      [`x509/${side}.der`]: testCertificate({ name: identityOf(side), key, issuer }).der,
      [`private/${side}.pem`]: String(key.export({ format: 'pem', type: 'pkcs8' })),
      'x509ca/lab.der': issuer.certificate.der,
    },
  }
}

/** Both sides have certificates and demand them. */
export function certificates(confs: Confs = {}, type?: TestKeyType): Confs {
  const both = (name: SideName): Conf =>
    merge(merge(certificate(name, type), { remote: 'auth = pubkey' }), confs[name] ?? {})
  return { ...confs, left: both('left'), right: both('right') }
}

/** The settings of a strongswan.conf with this section `charon`. @throws ConfigError for a value that is none */
export function settingsOf(charon: string): ReturnType<typeof readDaemonSettings>['core'] {
  const { core, warnings } = readDaemonSettings('/c', memoryFiles({ '/c': `charon {\n${charon}\n}\n` }))
  if (warnings.length > 0) throw new ConfigError(warnings.join('\n'))
  return core
}

function merge(a: Conf, b: Conf): Conf {
  const text = (name: 'connection' | 'local' | 'remote' | 'child') => ({ [name]: `${a[name] ?? ''}\n${b[name] ?? ''}` })
  const lines = { ...text('connection'), ...text('local'), ...text('remote'), ...text('child') }
  return { ...a, ...b, ...lines, files: { ...a.files, ...b.files } }
}

function filesOf(name: SideName, confs: Confs): Record<string, string | Uint8Array> {
  const files = { ...confs.both?.files, ...confs[name]?.files }
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [`/etc/swanctl/${path}`, content]))
}

function swanctlConf(name: SideName, confs: Confs): string {
  const other = name === 'left' ? 'right' : 'left'
  const [own, peer] = [places[name], places[other]]
  const lines = (part: Exclude<keyof Conf, 'files' | 'kernel' | 'names' | 'web'>) =>
    `${confs.both?.[part] ?? ''}\n${confs[name]?.[part] ?? ''}`
  const given = confs[name]?.secrets ?? confs.both?.secrets
  const behindNat = confs.nat === name
  return `connections {
  lab {
    local_addrs = ${behindNat ? own.private : own[4]}
    remote_addrs = ${confs.nat === other ? '%any' : peer[4]}
    proposals = aes128gcm16-prfsha256-x25519
    ${lines('connection')}
    local { auth = psk
      id = ${identityOf(name)}
      ${lines('local')} }
    remote { auth = psk
      id = ${identityOf(other)}
      ${lines('remote')} }
    children {
      net { esp_proposals = aes128gcm16
        local_ts = ${own.inner4.replace(/\d+\.1$/, '0.0/16')}
        remote_ts = ${peer.inner4.replace(/\d+\.1$/, '0.0/16')}
        ${lines('child')} }
      ${lines('children')}
    }
  }
  ${lines('connections')}
}
secrets { ${given ?? 'ike { secret = "a secret that nobody can guess" }'}
}
${lines('rest')}
`
}
