/** VICI: frames, packets, messages, and what the commands make of them. */
import assert from 'node:assert/strict'
import { ConfigError } from '../../src/config/config-error.ts'
import { memoryFiles } from '../../src/config/files.ts'
import { loadConnection } from '../../src/config/load-conn.ts'
import { parsePool } from '../../src/config/pools.ts'
import { list, section, type Tree, value } from '../../src/config/tree.ts'
import { connectionSection } from '../../src/vici/conns.ts'
import { FrameReader, FrameTooLong, frame } from '../../src/vici/framing.ts'
import { decodeMessage, encodeMessage, maxFrameBytes } from '../../src/vici/message.ts'
import { decodePacket, encodePacket } from '../../src/vici/packet.ts'
import { sampleIkeSa } from '../../src/vici/samples.ts'
import { ikeSaSection } from '../../src/vici/sas.ts'
import { DecodeError } from '../../src/wire/errors.ts'
import type { Target } from './harness.ts'

const connection: Tree = [
  section('gw', [
    list('local_addrs', ['192.0.2.1', '%any']),
    list('remote_addrs', ['10.0.0.0/8', 'gw.example.org', '10.0.0.1-10.0.0.9']),
    list('proposals', ['aes128gcm16-prfsha256-x25519-ke1_mlkem768', 'aes256-sha512-modp4096', 'default']),
    value('version', 2),
    value('dscp', '101110'),
    value('rekey_time', '4h'),
    value('if_id_in', '%unique-dir'),
    section('local', [value('auth', 'rsa-4096-sha256-ike:rsa/pss-sha512'), value('id', 'C=CH, O=Lab, CN=moon')]),
    section('remote', [value('auth', 'eap-mschapv2'), value('id', 'fqdn:^.*\\.org$'), value('round', '2')]),
    section('children', [
      section('net', [
        list('local_ts', ['10.1.0.0/16[tcp/80]', 'dynamic[icmp/8]', '::/0']),
        list('esp_proposals', ['aes128gcm16-x25519-none-esn']),
        value('start_action', 'trap|start'),
        value('mark_out', '0x10/0xff'),
        value('life_bytes', '1g'),
      ]),
    ]),
  ]),
]

const pool: Tree = [section('p', [value('addrs', '10.0.0.8/24'), list('dns', ['10.0.0.1']), list('25', ['x'])])]

const messages = [connection, pool, ikeSaSection(sampleIkeSa), [value('child', 'net'), value('timeout', -1)], []]
const corpus = messages.map(encodeMessage)
const packets = [
  ...messages.map((message) => encodePacket('CMD_REQUEST', 'load-conn', message)),
  encodePacket('EVENT_REGISTER', 'list-sa'),
  encodePacket('EVENT', 'list-sa', connection),
  encodePacket('CMD_UNKNOWN'),
]

const isDecodeError = (error: unknown) => error instanceof DecodeError

export const targets: readonly Target[] = [
  {
    name: 'vici message',
    corpus,
    decode(input) {
      const message = decodeMessage(input)
      assert.deepEqual(decodeMessage(encodeMessage(message)), message)
    },
    allowed: isDecodeError,
    worst: (size) => [
      Uint8Array.from({ length: size }, (_, at) => (at % 2 === 0 ? 1 : 0)),
      Uint8Array.from({ length: size }, (_, at) => (at < 2 ? [4, 0][at] : [5, 0, 0][(at - 2) % 3]) ?? 0),
    ],
    maxBytes: 65535,
  },
  { name: 'vici packet', corpus: packets, decode: decodePacket, allowed: isDecodeError },
  {
    name: 'vici frames',
    corpus: packets.map(frame),
    decode(input) {
      const whole = [...new FrameReader().push(input)]
      const reader = new FrameReader()
      const cut: Uint8Array[] = []
      for (let at = 0; at < input.length; at += 7) cut.push(...reader.push(input.subarray(at, at + 7)))
      assert.ok(Buffer.concat(cut.map(frame)).equals(Buffer.concat(whole.map(frame))))
      for (const packet of whole) assert.ok(packet.length <= maxFrameBytes)
    },
    allowed: (error) => error instanceof FrameTooLong,
  },
  {
    // Whatever a client sends as a connection is one, or is refused in charon's words.
    name: 'vici load-conn',
    corpus,
    decode(input) {
      for (const item of decodeMessage(input)) {
        if (item.kind === 'section')
          connectionSection(loadConnection(item.name, item.items, memoryFiles({})).connection)
      }
    },
    allowed: (error) => isDecodeError(error) || error instanceof ConfigError,
  },
  {
    name: 'vici load-pool',
    corpus: [encodeMessage(pool)],
    decode(input) {
      for (const item of decodeMessage(input)) {
        if (item.kind !== 'section') continue
        const { size } = parsePool(item.name, item.items)
        assert.ok(size > 0 && size <= 2 ** 31)
      }
    },
    allowed: (error) => isDecodeError(error) || error instanceof ConfigError,
  },
]
