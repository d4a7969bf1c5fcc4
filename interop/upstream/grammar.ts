/** The files of a strongSwan test scenario: who takes part, what is done, and what must be seen. */

/** A command on a host: `host::command`. */
export interface Command {
  readonly host: string
  /** For the shell; the shell of the one who asks sees it first, as with ssh. */
  readonly text: string
}

/** How often the pattern must be found; undefined: the scenario does not say, and nothing is asked. */
export type Hits = 'some' | 'none' | number | undefined

/** A command whose output is looked at: `host::command::pattern::YES`, `NO`, or a number of lines. */
export interface Check extends Command {
  /** A basic regular expression, in double quotes of the shell. */
  readonly pattern: string
  readonly hits: Hits
}

/** The command that stands for what the host's tcpdump has printed. */
export const captured = 'tcpdump'

/** Who takes part (test.conf). */
export interface Parts {
  readonly hosts: readonly string[]
  /** Those that run an IKE daemon. */
  readonly daemons: readonly string[]
  /** Those that capture on eth0. */
  readonly captures: readonly string[]
  /** Those with a RADIUS server. */
  readonly radius: readonly string[]
  /** Configured with swanctl. */
  readonly swanctl: boolean
}

/** The commands of pretest.dat and posttest.dat. */
export function readCommands(text: string): readonly Command[] {
  return fields(text).map(([host = '', command = '']) => ({ host: host.trim(), text: command }))
}

/** The checks of evaltest.dat. */
export function readChecks(text: string): readonly Check[] {
  return fields(text).map(([host = '', command = '', pattern = '', hits = '']) => ({
    host: host.trim(),
    text: command,
    pattern,
    hits: hits === 'YES' ? 'some' : hits === 'NO' ? 'none' : /^\d+$/.test(hits) ? Number(hits) : undefined,
  }))
}

/** test.conf: assignments of the shell. */
export function readParts(text: string): Parts {
  const words = (name: string): string[] => {
    const value = new RegExp(`^\\s*${name}="?([^"\\n]*)"?`, 'm').exec(text)?.[1] ?? ''
    return value.split(/\s+/).filter((word) => word !== '')
  }
  return {
    hosts: words('VIRTHOSTS'),
    daemons: words('IPSECHOSTS'),
    captures: words('TCPDUMPHOSTS'),
    radius: words('RADIUSHOSTS'),
    swanctl: words('SWANCTL').length > 0,
  }
}

/** Replaces the PH_IP_ names of hosts by their addresses, of which testing.conf has a list for each family. */
export function placeholders(testingConf: string): (text: string) => string {
  const addresses = new Map<string, string>()
  for (const [family, names] of [
    ['IPV4', ['IP']],
    ['IPV6', ['IP6', 'IPV6']],
  ] as const) {
    const list = new RegExp(`HOSTNAME${family}="([^"]*)"`).exec(testingConf)?.[1] ?? ''
    for (const [, host = '', first = '', second] of list.matchAll(/(\w+),([^\s,\\]+)(?:,([^\s,\\]+))?/g)) {
      for (const name of names) {
        addresses.set(`PH_${name}_${host.toUpperCase()}`, first)
        if (second !== undefined) addresses.set(`PH_${name}_${host.toUpperCase()}1`, second)
      }
    }
  }
  // The longer name first: alice has a second address, and its name begins with that of the first.
  const known = [...addresses.keys()].sort((a, b) => b.length - a.length)
  const any = new RegExp(known.join('|'), 'g')
  return (text) => (known.length === 0 ? text : text.replace(any, (name) => addresses.get(name) ?? name))
}

/** A network interface of /etc/network/interfaces. */
export interface Interface {
  readonly name: string
  /** Up from the start. */
  readonly auto: boolean
  /** Each with its prefix length. */
  readonly addresses: readonly string[]
  readonly gateway: string | undefined
}

/** The interfaces of a host, but for `lo`. */
export function readInterfaces(text: string): readonly Interface[] {
  const auto = new Set([...text.matchAll(/^auto (.*)$/gm)].flatMap(([, names = '']) => names.split(/\s+/)))
  const found = new Map<string, { addresses: string[]; gateway: string | undefined }>()
  for (const part of text.split(/^(?=iface )/m)) {
    const name = /^iface (\S+) inet6? static/.exec(part)?.[1]
    if (name === undefined) continue
    const value = (key: string): string | undefined => new RegExp(`^\\s+${key} (\\S+)`, 'm').exec(part)?.[1]
    const one = found.get(name) ?? { addresses: [], gateway: undefined }
    found.set(name, one)
    one.addresses.push(`${value('address')}/${prefixLength(value('netmask') ?? '')}`)
    one.gateway ??= value('gateway')
  }
  return [...found].map(([name, one]) => ({ name, auto: auto.has(name), ...one }))
}

function prefixLength(netmask: string): number {
  if (!netmask.includes('.')) return Number(netmask)
  return netmask.split('.').reduce((bits, octet) => bits + Number(octet).toString(2).replaceAll('0', '').length, 0)
}

/** Lines as awk divides them, without comments and what has no command. Their shell makes one space of several. */
function fields(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.split('::').map((field) => field.replace(/\s+/g, ' ')))
    .filter(([, command]) => command !== undefined && command !== '')
}
