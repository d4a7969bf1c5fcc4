/** What a host shows at a point of a drop-in scenario, in a form that is the same for equal behaviour. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from '../hosts.ts'
import { child, isSection, list, readPretty, type Section, value } from '../peers/vici-raw.ts'
import { addressLines, inKernel, printed, shapeKernel } from './kernel-lines.ts'

/** Lines by what they are about. */
export type Look = Readonly<Record<string, readonly string[]>>

/** Looks at everything that swanctl and the kernel of a host show. */
export async function look(host: Host): Promise<Look> {
  const commands = ['timeout 20 swanctl --list-sas --pretty', 'timeout 20 swanctl --list-pols --pretty', ...inKernel]
  const [sas = '', policies = '', ...kernel] = await printed(host, commands)
  return {
    'swanctl --list-sas': shape(sas).split('\n'),
    // The reqid is there since charon 6.0.7.
    'swanctl --list-pols': policies
      .replaceAll(/^\s*reqid = .*\n/gm, '')
      .trim()
      .split('\n'),
    kernel: shapeKernel(kernel),
    addresses: addressLines(kernel),
    'updown scripts': updownLines(host),
  }
}

/** The first difference of a look from what charon showed; undefined if there is none. */
export function difference(shown: Look, charons: Look): string | undefined {
  for (const [about, expected] of Object.entries(charons)) {
    const found = shown[about] ?? []
    const missing = expected.filter((line) => !found.includes(line))
    const extra = found.filter((line) => !expected.includes(line))
    if (missing.length + extra.length > 0) {
      return `${about}: ${text(extra)} where charon has ${text(missing)}`
    }
    if (found.join('\n') !== expected.join('\n'))
      return `${about}: another order or number of the same lines than charon's`
  }
  return undefined
}

function text(lines: readonly string[]): string {
  return lines.length === 0
    ? 'nothing'
    : `'${lines
        .map((line) => line.trim())
        .join("', '")
        .slice(0, 700)}'`
}

/** What updown scripts were told: one line for each call. */
export function updownLines(host: Host): readonly string[] {
  const file = join(host.folder, 'run/updown.log')
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8').trim().split('\n')
}

/** `name STATE MODE selectors === selectors` of each child that `swanctl --list-sas --pretty` prints. */
export function childLines(pretty: string): readonly string[] {
  return sections(pretty).flatMap(([, sa]) =>
    (child(sa, 'child-sas')?.entries ?? []).flatMap(([, net]) => {
      if (!isSection(net)) return []
      const selectors = `${list(net, 'local-ts').join(' ')} === ${list(net, 'remote-ts').join(' ')}`
      return [`${value(net, 'name')} ${value(net, 'state')} ${value(net, 'mode')} ${selectors}`]
    }),
  )
}

/** `name STATE` of each IKE SA. */
export function ikeLines(pretty: string): readonly string[] {
  return sections(pretty).map(([name, sa]) => `${name} ${value(sa, 'state')}`)
}

function sections(pretty: string): (readonly [string, Section])[] {
  return readPretty(pretty).entries.flatMap(([label, event]) =>
    label === 'list-sa event' && isSection(event)
      ? event.entries.flatMap(([name, sa]) => (isSection(sa) ? [[name, sa] as const] : []))
      : [],
  )
}

/** `swanctl --list-sas --pretty` with everything that counts or is drawn by lot replaced, and without what comes with time. */
function shape(pretty: string): string {
  return pretty
    .replaceAll(/^\s*(use-in|use-out) = .*\n/gm, '')
    .replaceAll(/^\s*nat-fake = .*\n/gm, '') // newer than the charon that is compared with
    .replaceAll(/((?:initiator|responder)-spi|spi-in|spi-out|cpi-in|cpi-out) = [0-9a-f]+/g, '$1 = SPI')
    .replaceAll(/(bytes-in|bytes-out|packets-in|packets-out|established|[a-z]+-time|uniqueid) = -?\d+/g, '$1 = N')
    .replaceAll(/^(\s*[^\s{]+)-\d+ \{/gm, '$1-N {')
    .trim()
}
