/** What the kernel of a host holds, each entry as one line, without what is drawn by lot. */
import type { Host } from '../hosts.ts'

/**
 * Commands that print it: states and policies, then rules, addresses and routes of each family. As few processes as can be,
 * since each takes its time in a busy guest; the table comes last, because where it is missing nothing follows.
 */
export const inKernel: readonly string[] = [
  ip('-4', ['xfrm state']),
  ip('-4', ['xfrm policy']),
  ip('-4', ['address show', 'rule show', 'route show table 220']),
  ip('-6', ['address show', 'rule show', 'route show table 220']),
]

function ip(family: string, lines: readonly string[]): string {
  return `printf '${lines.join('\\n')}\\n' | ip ${family} -batch - 2>/dev/null || true`
}

/** What each command prints; all run in one go. */
export async function printed({ shell }: Host, commands: readonly string[]): Promise<string[]> {
  const mark = '---- next'
  const text = await shell.must(commands.map((command) => `{ ${command}; } || exit 1`).join(`; echo '${mark}'; `))
  return text.split(`${mark}\n`)
}

/** States, policies, routes of table 220 and rules. */
export async function kernelLines(host: Host): Promise<readonly string[]> {
  return shapeKernel(await printed(host, inKernel))
}

/** The same from what `inKernel` printed. */
export function shapeKernel([states = '', policies = '', ...families]: readonly string[]): readonly string[] {
  return [
    ...entries(states, 'state')
      .filter((line) => !line.includes('spi 0x00000000')) // a packet asks for a state
      .map((line) => line.replaceAll(/0x[0-9a-f]{32,}/g, 'KEY').replaceAll(/spi 0x[0-9a-f]+/g, 'spi SPI'))
      .map((line) => line.replaceAll(counting, '')),
    ...entries(policies, 'policy')
      .filter((line) => !/ socket (in|out)/.test(line))
      // charon names the outbound state in the template, too, which the reqid does as well.
      .map((line) => line.replaceAll(/ spi 0x[0-9a-f]+(?= reqid)/g, '')),
    ...families.flatMap((printed) =>
      printed
        .split('\n')
        .map((line) => line.trimEnd().replaceAll(/\s+/g, ' '))
        .filter((line) => /^\S+/.test(line) && !/^(0|32766|32767):|^\d+: \S+: </.test(line))
        .map((line) => (/^\d+:/.test(line) ? `rule ${line}` : `route ${line}`)),
    ),
  ].sort()
}

/** The addresses of the host's interfaces, those of single links left out. */
export function addressLines([, , ...families]: readonly string[]): readonly string[] {
  return families
    .flatMap((text) => text.split(/^(?=\d+: )/m))
    .flatMap((part) => {
      const device = /^\d+: ([^:@\s]+)[^:]*: </.exec(part)?.[1]
      return [...part.matchAll(/^\s+(inet6? (?!fe80:)\S+)/gm)].map(([, address]) => `${address} ${device}`)
    })
    .sort()
}

/** What a state counts. */
const counting =
  / (dir \S+|(oseq-|seq-)?hi 0x\S+|seq \S+|oseq \S+|bitmap \S+|anti-replay (esn )?context:|lastused \S+ \S+|pcpu-num \S+)/g

function entries(text: string, what: string): readonly string[] {
  return text
    .split(/^(?=src )/m)
    .filter((entry) => entry.startsWith('src '))
    .map((entry) => `${what} ${entry.replaceAll(/\s+/g, ' ').trim()}`)
}
