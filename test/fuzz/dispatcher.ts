/**
 * The commands of VICI on a running engine: what comes of any message, for each command. The engine has a peer, an IKE SA
 * and a trap, is in strict mode, so that a mistake of ours throws, and is made anew now and then.
 */
import assert from 'node:assert/strict'
import { memoryFiles } from '../../src/config/files.ts'
import { findText, list, section, type Tree, type TreeItem, value } from '../../src/config/tree.ts'
import { commands } from '../../src/vici/commands/index.ts'
import { decodeName, ELEMENT, encodeMessage } from '../../src/vici/message.ts'
import type { Context } from '../../src/vici/request.ts'
import { scriptedDaemon } from '../../src/vici/testing.ts'
import { DecodeError } from '../../src/wire/errors.ts'
import { Reader } from '../../src/wire/reader.ts'
import { defaultAuthority } from '../simulation/connection.ts'
import { pair } from '../simulation/pair.ts'
import { testAuthority, testCertificate, testKey } from '../simulation/test-keys.ts'
import type { World } from '../simulation/world.ts'
import type { Target } from './harness.ts'

const names = [...commands.keys()]
const authority = testAuthority(defaultAuthority)
const key = testKey('p256', 'left')
const leaf = testCertificate({ name: 'left.lab', key, issuer: authority }).der
const pem = String(key.export({ format: 'pem', type: 'pkcs8' }))

const child = section('net', [
  list('local_ts', ['10.1.0.0/16[tcp/80]', 'dynamic']),
  list('remote_ts', ['10.2.0.0/16']),
  list('esp_proposals', ['aes128gcm16']),
  value('start_action', 'trap|start'),
  value('mark_out', '%unique'),
  value('rekey_time', '1h'),
])
const connection = section('lab', [
  list('local_addrs', ['192.0.2.1']),
  list('remote_addrs', ['192.0.2.2', '10.0.0.0/8', 'gw.example.org']),
  list('proposals', ['aes128gcm16-prfsha256-x25519']),
  list('vips', ['0.0.0.0']),
  list('pools', ['p']),
  value('if_id_in', '%unique'),
  section('local', [value('auth', 'psk'), value('id', 'left.lab'), list('certs', [leaf])]),
  section('remote', [
    value('auth', 'ecdsa-sha256'),
    value('id', '*.lab'),
    list('cacerts', [authority.certificate.der]),
  ]),
  section('children', [child]),
])

/** What each command is usually asked with; the others take nothing. */
const usual: Readonly<Record<string, Tree>> = {
  initiate: [value('child', 'net'), value('ike', 'lab'), value('timeout', 5000), value('loglevel', 1)],
  terminate: [value('child', 'net'), value('ike-id', 1), value('force', 'yes'), value('timeout', -1)],
  rekey: [value('ike', 'lab'), value('reauth', 'yes')],
  redirect: [value('peer-ip', '192.0.2.0/24'), value('peer-id', '*.lab'), value('gateway', '192.0.2.9')],
  install: [value('child', 'net'), value('ike', 'lab')],
  uninstall: [value('child', 'net')],
  'list-sas': [value('ike', 'lab'), value('child-id', 1), value('noblock', 'yes')],
  'list-policies': [value('trap', 'yes'), value('drop', 'yes'), value('child', 'net')],
  'list-conns': [value('ike', 'lab')],
  'list-certs': [value('type', 'X509'), value('flag', 'CA'), value('subject', 'CN=Lab CA')],
  'list-authorities': [value('name', 'a')],
  'load-conn': [connection],
  'unload-conn': [value('name', 'lab')],
  'load-cert': [value('type', 'X509'), value('flag', 'CA'), value('data', leaf)],
  'load-key': [value('type', 'any'), value('data', pem)],
  'unload-key': [value('id', '00'.repeat(20))],
  'load-token': [value('handle', '01'), value('slot', '1'), value('pin', '0')],
  'load-shared': [value('id', 's'), value('type', 'IKE'), value('data', 'x'), list('owners', ['a', '%any'])],
  'unload-shared': [value('id', 's')],
  'flush-certs': [value('type', 'X509_CRL')],
  'load-authority': [section('a', [value('cacert', authority.certificate.der), list('crl_uris', ['http://a/'])])],
  'unload-authority': [value('name', 'a')],
  'load-pool': [section('p', [value('addrs', '10.77.0.0/24'), list('dns', ['10.2.0.53']), list('28672', ['x'])])],
  'unload-pool': [value('name', 'p')],
  'get-pools': [value('leases', 'yes'), value('name', 'p')],
  'get-counters': [value('name', 'lab'), value('all', 'yes')],
  'reset-counters': [value('all', 'yes')],
}

const corpus = names.map((name, i) => Buffer.concat([Uint8Array.of(i), encodeMessage(usual[name] ?? [])]))

/** As much of a message as can be read; what is open at its end is closed. */
function readable(bytes: Uint8Array): { readonly message: Tree; readonly broken: boolean } {
  const reader = new Reader(bytes, 'message')
  const root: TreeItem[] = []
  const open = [root]
  try {
    while (reader.left > 0) {
      const items = open.at(-1) ?? root
      switch (reader.u8()) {
        case ELEMENT.SECTION_START: {
          const inner: TreeItem[] = []
          items.push(section(decodeName(reader), inner))
          if (open.length < mostOpen) open.push(inner)
          break
        }
        case ELEMENT.SECTION_END:
          if (open.length > 1) open.pop()
          break
        case ELEMENT.KEY_VALUE:
          items.push(value(decodeName(reader), reader.bytes(reader.u16())))
          break
        case ELEMENT.LIST_START: {
          const values: Uint8Array[] = []
          items.push(list(decodeName(reader), values))
          while (reader.left > 0 && reader.u8() === ELEMENT.LIST_ITEM) values.push(reader.bytes(reader.u16()))
          break
        }
        default:
          return { message: root, broken: reader.left % 8 === 0 }
      }
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
  }
  return { message: root, broken: false }
}

interface Running {
  readonly world: World
  readonly context: Context
  handled: number
}

/** An engine with a peer; all that it logs and sends is forgotten. */
function start(): Running {
  const world = pair({ child: { startAction: { trap: true, start: false } } })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  const daemon = scriptedDaemon((command, tracking) => {
    const answer = world.left.command(command)
    tracking(1)
    world.settle()
    if (answer() === undefined) world.wait(1)
    // One that waits for a peer that is not there is left waiting.
    return answer() ?? { kind: 'failed', message: 'no answer within a second' }
  }, world.left.engine.counters)
  return { world, context: { daemon, files: memoryFiles({}) }, handled: 0 }
}

let running: Running | undefined

async function dispatch(input: Uint8Array): Promise<void> {
  running ??= start()
  const { world, context } = running
  const name = names[(input[0] ?? 0) % names.length] ?? 'version'
  const { message, broken } = readable(input.subarray(1))
  const stream = async (_event: string, fields: Tree) => void encodeMessage(fields)
  try {
    const response = await commands.get(name)?.({ message: broken ? [] : message, broken, stream }, context)
    assert.ok(response !== undefined, name)
    encodeMessage(response)
    const success = findText(response, 'success')
    assert.ok(success === undefined || success === 'yes' || success === 'no', `${name}: success=${success}`)
    assert.ok(success !== 'no' || findText(response, 'errmsg') !== undefined, `${name}: failed without errmsg`)
  } finally {
    for (const host of world.hosts) host.forget()
    const { commands: asked, logged } = context.daemon as ReturnType<typeof scriptedDaemon>
    asked.length = 0
    logged.length = 0
    if (++running.handled >= longestLife) running = undefined
  }
}

const mostOpen = 8
/** Commands until the engine is made anew. */
const longestLife = 400

export const targets: readonly Target[] = [
  { name: 'dispatcher commands', corpus, decode: dispatch, allowed: () => false, maxBytes: 8192 },
]
