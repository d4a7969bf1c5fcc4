/** A scenario of the source tree, read: its commands and checks with addresses in place of names, and its hosts' files. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Check, type Command, placeholders, readChecks, readCommands, readParts } from './grammar.ts'
import { hostNames } from './site.ts'

export interface Scenario {
  readonly name: string
  /** All hosts that take part. */
  readonly hosts: readonly string[]
  readonly daemons: readonly string[]
  readonly captures: readonly string[]
  /** Whether a CRL, an OCSP response or a certificate has to be fetched. */
  readonly needsWeb: boolean
  readonly before: readonly Command[]
  readonly checks: readonly Check[]
  readonly after: readonly Command[]
  /** The folder of the scenario's files for a host, or none. Made by `writeFiles`. */
  readonly folder: string
}

/** Reads a scenario of the prepared folder, and writes its hosts' files to `folder`. */
export function readScenario(prepared: string, name: string, folder: string): Scenario {
  const from = join(prepared, 'testing/tests', name)
  const replace = placeholders(readFileSync(join(prepared, 'testing/testing.conf'), 'utf8'))
  const text = (file: string): string => replace(readFileSync(join(from, file), 'utf8'))
  const parts = readParts(text('test.conf'))
  const before = readCommands(text('pretest.dat'))
  const checks = readChecks(text('evaltest.dat'))
  const after = readCommands(text('posttest.dat'))
  // Some are only pinged, and test.conf does not count them.
  const all = ['pretest.dat', 'evaltest.dat', 'posttest.dat']
    .map((file) => readFileSync(join(from, file), 'utf8'))
    .join()
  const named = hostNames.filter((host) => new RegExp(`(?:^|[_-])${host}|\\b${host}\\.`, 'im').test(all))
  const taking = new Set([...parts.hosts, ...parts.daemons, ...parts.captures, ...named, 'winnetou'])
  if (existsSync(join(from, 'hosts'))) copy(join(from, 'hosts'), folder, replace)
  return {
    name,
    hosts: hostNames.filter((host) => taking.has(host)),
    daemons: parts.daemons,
    captures: parts.captures,
    needsWeb: /\b(?:crl|ocsp|revoked)|wget|hash-and-url|http:/i.test(`${name} ${all}`),
    before,
    checks,
    after,
    folder,
  }
}

/** Copies files, what is text with addresses in place of names; links become what they point to. */
function copy(from: string, to: string, replace: (text: string) => string): void {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) {
    const [source, target] = [join(from, name), join(to, name)]
    const status = statSync(source)
    if (status.isDirectory()) {
      copy(source, target, replace)
      continue
    }
    const bytes = readFileSync(source)
    // One character for each octet, so that nothing but the names changes.
    const text = replace(bytes.toString('latin1'))
    writeFileSync(target, name === 'strongswan.conf' ? withDebiansPlugins(text) : text, {
      encoding: 'latin1',
      mode: status.mode,
    })
  }
}

/** Plugins that Debian's packages do not have, where those of another library do the same. */
const elsewhere: Readonly<Record<string, string>> = {
  'af-alg': 'openssl',
  botan: 'openssl',
  gcrypt: 'openssl',
  wolfssl: 'openssl',
  ml: 'openssl',
}

/** Nor are they built with the integrity test. */
function withDebiansPlugins(text: string): string {
  return text
    .replace(/^\s*integrity_test = yes$/gm, '')
    .replace(/^(\s*load = )(.*)$/gm, (_, start: string, names: string) => {
      const words = names.split(/\s+/).map((word) => elsewhere[word] ?? word)
      return start + [...new Set(words)].join(' ')
    })
}
