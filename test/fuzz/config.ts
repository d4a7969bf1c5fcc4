/** The configuration files: their grammar, the values in them, and proposals. */
import assert from 'node:assert/strict'
import { ConfigError } from '../../src/config/config-error.ts'
import { memoryFiles } from '../../src/config/files.ts'
import { matchesWildcard } from '../../src/config/glob.ts'
import { parseConf } from '../../src/config/grammar.ts'
import { formatProposal, parseProposals } from '../../src/config/proposals.ts'
import { readDaemonSettings } from '../../src/config/strongswan.ts'
import { readSwanctl } from '../../src/config/swanctl.ts'
import {
  parseAction,
  parseAddressPattern,
  parseBytes,
  parseIfId,
  parseMark,
  parseSecret,
  parseTime,
  parseUint32,
} from '../../src/config/values.ts'
import type { Target } from './harness.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (input: Uint8Array) => Buffer.from(input).toString('latin1')
const isConfigError = (error: unknown) => error instanceof ConfigError

const swanctl = [
  `connections {
  gw : tmpl { # the gateway
    remote_addrs = 192.0.2.2, gw.example.org
    local { auth = psk
      id = "C=CH, O=\\"Lab\\"" }
    children { net { local_ts = 10.1.0.0/16[tcp/80] } }
  }
}
tmpl { version = 2
  local { round = 1 } }
secrets { ike-1 { id-a = moon
    secret = 0x616263 } }
pools { p { addrs = 10.0.0.0/24 } }
include conf.d/*.conf
`,
  'a { b = 1 } a : b, c.d { e = }\n',
  'a = "x\\\ny" z',
].map(bytes)

const strongswan = [
  `charon { port = 5000
  retransmit_base = 1.5
  plugins { vici { socket = unix:///x } }
  filelog { f { path = /x
      default = 2 } }
}`,
].map(bytes)

export const targets: readonly Target[] = [
  {
    name: 'config grammar',
    corpus: [...swanctl, ...strongswan],
    decode: (input) => parseConf(input, '/etc/x.conf', memoryFiles({ '/etc/conf.d/a.conf': 'i { j = 1 }' })),
    allowed: isConfigError,
    worst: (size) =>
      ['a{', 'a{}', 'a=\n', '"', 'a=\\', 'a:a,', 'include x\n', '#', '\n', 'a:a{}', 'a="\\\n'].map((piece) =>
        bytes(piece.repeat(Math.ceil(size / piece.length)).slice(0, size)),
      ),
    maxBytes: 16384,
  },
  {
    name: 'config swanctl.conf',
    corpus: swanctl,
    decode: (input) => readSwanctl('/etc/swanctl', memoryFiles({ '/etc/swanctl/swanctl.conf': input })),
    allowed: isConfigError,
  },
  {
    name: 'config strongswan.conf',
    corpus: strongswan,
    decode: (input) => readDaemonSettings('/x', memoryFiles({ '/x': input })),
    allowed: isConfigError,
  },
  {
    name: 'config proposals',
    corpus: [
      'aes128gcm16-prfsha256-x25519-ke1_mlkem768',
      'aes256-sha512-modp4096',
      'null-sha1-none-esn',
      'default',
    ].map(bytes),
    decode(input) {
      const results = (['IKE', 'ESP', 'AH'] as const).map((protocol) => {
        try {
          return parseProposals(protocol, text(input)).map(formatProposal)
        } catch (error) {
          if (!isConfigError(error)) throw error
          return undefined
        }
      })
      if (results.every((result) => result === undefined)) throw new ConfigError('no proposal')
    },
    allowed: isConfigError,
    worst: (size) => [bytes('aes128-'.repeat(Math.ceil(size / 7)).slice(0, size)), bytes('-'.repeat(size))],
  },
  {
    name: 'config values',
    corpus: [
      '4h',
      '0x10',
      '1 g',
      '0x1ff/0xff',
      '%unique',
      'trap|start',
      '10.0.0.0/8',
      '0sAAAA',
      '10.0.0.1-10.0.0.9',
    ].map(bytes),
    decode(input) {
      const parsers = [parseTime, parseUint32, parseBytes, parseMark, parseIfId, parseAction, parseAddressPattern]
      let refused = 0
      for (const parse of [...parsers, () => parseSecret(input)]) {
        try {
          parse(text(input))
        } catch (error) {
          if (!isConfigError(error)) throw error
          refused++
        }
      }
      if (refused > parsers.length) throw new ConfigError('none of them')
    },
    allowed: isConfigError,
  },
  {
    // The first half is the pattern.
    name: 'config wildcards',
    corpus: ['*.conf' + 'a.conf', '[a-c]*?' + 'abc def', '**a*b' + 'aaaab'].map(bytes),
    decode(input) {
      const half = input.length >> 1
      const pattern = text(input.subarray(0, half))
      const name = text(input.subarray(half))
      assert.ok(matchesWildcard(name, '*'))
      matchesWildcard(name, pattern)
    },
    allowed: isConfigError,
    maxBytes: 255,
  },
]
