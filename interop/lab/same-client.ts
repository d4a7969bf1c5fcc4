/**
 * Our command under the name `swanctl` beside swanctl 6.1: the same calls, from the same files, to the same daemon that
 * was started anew. What they print on both outputs, and their exit status, must be the same.
 */
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeHostFile } from './hosts.ts'
import type { Running } from './peers/peer.ts'
import { startSallyport } from './peers/sallyport.ts'
import { startStrongswan } from './peers/strongswan.ts'
import { poll } from './poll.ts'
import type { Stage } from './stage.ts'
import { commands, events, type Form, files, same } from './subcommands.ts'
import { difference, type Printed, shape, text, withoutNewer } from './surface.ts'

/** Where our command is by its other name, on the host. */
const link = '/run/bin/swanctl'

/** What is not the same, and why. */
const wanted: ReadonlyMap<string, string> = new Map([
  ['--load-conns --file /etc/swanctl/syntax.conf', 'a file that cannot be read unloads nothing, and is an error'],
])

/** Throws with the first difference of each call. */
export async function proveSameClient(stage: Stage, daemon: 'sallyport' | 'strongswan'): Promise<void> {
  const { moon } = stage.ground
  for (const [name, content] of Object.entries(files)) writeHostFile(moon, `/etc/swanctl/${name}`, content, 0o600)
  writeHostFile(moon, '/etc/swanctl/more-options', '--child nosuch\n')
  writeHostFile(moon, `${link}.txt`, '')
  symlinkSync('/sallyport/src/cli/sallyport.ts', join(moon.folder, link))
  const start = daemon === 'sallyport' ? startSallyport : startStrongswan
  const again = async (running: Running): Promise<Running> => {
    await running.stop()
    return await start(stage.moonSide)
  }
  let running = await again(stage.ours)
  const reference = await talk(stage, moon.root === '/' ? 'swanctl' : `chroot ${moon.root} swanctl`)
  writeFileSync(join(moon.folder, 'run/surface-charon.txt'), text(reference))
  running = await again(running)
  const ours = await talk(stage, `/opt/node/node --no-concurrent-recompilation ${link}`)
  writeFileSync(join(moon.folder, 'run/surface-ours.txt'), text(ours))
  await running.stop()
  const differences = [...reference].flatMap(([call, expected]) =>
    wanted.has(call) ? [] : difference(call, ours.get(call), expected),
  )
  if (differences.length > 0) throw new Error(differences.join('\n               '))
  const equal = [...wanted.keys()].filter((call) => ours.get(call) === reference.get(call))
  if (equal.length > 0) throw new Error(`no longer different: ${equal.join(', ')}`)
}

/** All calls one after the other; the events of the SAs are watched meanwhile. */
async function talk({ ground: { moon } }: Stage, client: string): Promise<Printed> {
  const printed = new Map<string, string>()
  const read = (name: string): string => readFileSync(join(moon.folder, 'run', name), 'utf8')
  await moon.shell.must(`timeout 400 stdbuf -oL ${client} --monitor-sa --pretty >/run/monitor.log 2>&1 & sleep 3`)
  for (const [words, form] of calls()) {
    const { code } = await moon.shell.run(`timeout 30 ${client} ${words} >/run/client.out 2>/run/client.err`)
    const parts = [`status ${code}`, form(read('client.out')), 'on stderr:', withoutHelp(read('client.err'))]
    printed.set(printed.has(words) ? `${words} (again)` : words, parts.join('\n'))
  }
  const ended = (): boolean => events(read('monitor.log')).some((line) => line === 'ike-updown down')
  await poll('--monitor-sa', 5000, ended).catch(() => {})
  printed.set('--monitor-sa --pretty', events(read('monitor.log')).join('\n'))
  return printed
}

/** Those of subcommands.ts, what only asks also in plain text, and what is wrong already on the command line. */
function calls(): readonly (readonly [words: string, form: Form])[] {
  const asking = /^--(list-|stats|version|counters(?!.*--reset))/
  const all = commands.flatMap(([words, form]): readonly (readonly [string, Form])[] => {
    if (!asking.test(words)) return [[words, form === withoutNewer ? same : form]]
    const bare = words.replace(/ --(pretty|raw)$/, '')
    return [bare, words].map((one) => [one, varying])
  })
  const firsts = [...new Map(all.map((call) => [call[0], call])).values()]
  return [...firsts, ...mistakes.map((words) => [words, same] as const)]
}

const mistakes: readonly string[] = [
  '--nosuch',
  '-Z',
  '--list',
  '--stats=x',
  '--stats --nosuch',
  '--stats -Z',
  '--stats --raw=x',
  '--stats --uri',
  '--stats --uri unix:///nowhere',
  '--stats --uri tcp://127.0.0.1:1',
  '--stats --uri nonsense',
  '--initiate --options /etc/swanctl/more-options',
  '--initiate --chi nosuch',
  '-i -c nosuch',
  '--terminate --ike --child',
  '-r -r',
  '-lr',
]

/** Without what counts, is drawn by lot, or passes. */
function varying(out: string): string {
  return shape(out)
    .replaceAll(/^(uptime|worker threads|job queues|jobs scheduled|IKE_SAs|mallinfo): .*/gm, '$1')
    .replaceAll(/(=| = )\d+( \w+s?)?(?=[ }\n])/g, '$1N')
    .replaceAll(/^( *(?:running|since) = ).*/gm, '$1')
    .replaceAll(/(running|since)=[^}]*?(?= since=|\})/g, '$1=')
    .replaceAll(/^( *(?:in|out) ).*/gm, '$1')
    .replaceAll(/\b[0-9a-f]{8,16}\b/g, 'HEX')
}

/** The help that goes with mistakes has words of its own; and what libraries tell of their work is not for us. */
function withoutHelp(err: string): string {
  return err
    .split('\n')
    .filter((line) =>
      /^(swanctl: |error: |connecting to |loaded |loading |unloading |\w[\w-]* failed: |missing |ignoring )/.test(line),
    )
    .join('\n')
}
