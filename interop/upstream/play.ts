/** Plays a scenario on its hosts: what comes before, the checks, what comes after, and whether the kernels are empty then. */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { poll } from '../lab/poll.ts'
import { type Check, captured, type Hits } from './grammar.ts'
import type { Scenario } from './scenario.ts'
import { type DaemonName, openSite, type Site, type SiteHost } from './site.ts'

/** A check that did not give what the scenario says. */
export interface Miss {
  readonly host: string
  readonly command: string
  readonly pattern: string
  readonly hits: Hits
  /** What was there instead: the end of what the command printed. */
  readonly seen: string
}

export interface Result {
  readonly misses: readonly Miss[]
  /** Checks of Sallyport's log that did not find their text: the words are charon's. */
  readonly logTexts: readonly Miss[]
}

const log = '/var/log/daemon.log'

/** Runs the scenario. `keep` is the folder for what a person wants to see afterwards. */
export async function play(
  scenario: Scenario,
  daemons: Readonly<Record<string, DaemonName>>,
  prepared: string,
  keep: string,
): Promise<Result> {
  mkdirSync(keep, { recursive: true })
  const began = Date.now()
  const record = (text: string): void =>
    appendFileSync(join(keep, 'console.log'), `${((Date.now() - began) / 1000).toFixed(1)} ${text}\n`)
  const site = await openSite(prepared, {
    hosts: scenario.hosts,
    daemons,
    files: (host) => (existsSync(join(scenario.folder, host)) ? join(scenario.folder, host) : undefined),
  })
  try {
    await Promise.all(scenario.captures.map((name) => startCapture(hostOf(site, name))))
    if (scenario.checks.some(({ text }) => text.trim().startsWith('ssh '))) {
      for (const host of site.hosts.values()) await host.shell.must('/usr/sbin/sshd')
    }
    if (scenario.needsWeb) await startWeb(hostOf(site, 'winnetou'), prepared)
    for (const command of scenario.before) await tell(site, command, record)
    const capturing = new Set(scenario.captures)
    const missed: Miss[] = []
    for (const check of scenario.checks) {
      const host = site.hosts.get(check.host)
      if (host === undefined) continue
      if (check.text === captured && capturing.delete(check.host)) await stopCapture(host)
      const miss = await ask(host, check, record)
      if (miss !== undefined) missed.push(miss)
    }
    for (const host of site.hosts.values()) await keepKernel(host, keep)
    for (const command of scenario.after) await tell(site, command, record)
    for (const name of scenario.daemons) missed.push(...(await leftOvers(hostOf(site, name))))
    const isLogText = ({ host, command }: Miss): boolean =>
      daemons[host] === 'sallyport' && command.trim() === `cat ${log}`
    return { misses: missed.filter((miss) => !isLogText(miss)), logTexts: missed.filter(isLogText) }
  } finally {
    for (const host of site.hosts.values()) keepLogs(host, keep)
    await site.close()
  }
}

function hostOf(site: Site, name: string): SiteHost {
  const host = site.hosts.get(name)
  if (host === undefined) throw new Error(`there is no host ${name}`)
  return host
}

/** A command before or after: what it prints and how it ends does not count. */
async function tell(
  site: Site,
  { host: name, text }: { readonly host: string; readonly text: string },
  record: (text: string) => void,
): Promise<void> {
  const host = site.hosts.get(name)
  record(`${name}# ${text}`)
  if (host === undefined) return record(`there is no host ${name}`)
  const ran = await host.shell.run(`remote "${text}"`, 90_000)
  if (ran.text.trim() !== '') record(ran.text.trim())
  if (ran.code !== 0) record(`status ${ran.code}`)
}

/** The result is undefined if all is as it should be. */
async function ask(host: SiteHost, check: Check, record: (text: string) => void): Promise<Miss | undefined> {
  const { text, pattern, hits } = check
  const command = text === captured ? 'cat /tmp/tcpdump.log' : text
  const { code } = await host.shell.run(
    `remote ${command} >/tmp/check.out 2>/tmp/check.err; grep "${pattern}" /tmp/check.out >/tmp/check.hits`,
    90_000,
  )
  const read = (name: string): string => readFileSync(join(host.folder, 'tmp', `check.${name}`), 'utf8').trimEnd()
  const found = read('hits')
  const lines = found === '' ? 0 : found.split('\n').length
  const isMet = hits === undefined || (hits === 'some' ? code === 0 : hits === 'none' ? code !== 0 : lines === hits)
  record(`${isMet ? '' : '~~~~ '}${host.name}# ${text} | grep "${pattern}"  [${hits ?? 'shown'}]\n${found}`)
  if (isMet) return undefined
  const all = `${read('out')}\n${read('err')}`.trim()
  record(`~~~~ there was:\n${all}`)
  return { host: host.name, command: text, pattern, hits, seen: hits === 'none' ? found : all }
}

/** States and policies that are left when the daemons have ended, but for the kernel's own of IPComp. */
async function leftOvers(host: SiteHost): Promise<readonly Miss[]> {
  const { text } = await host.shell.run(
    `ip xfrm state | grep 'proto.*spi' | grep -v 'proto 4'; ip xfrm policy | grep -v '^\\s*socket'`,
  )
  if (text.trim() === '') return []
  return [{ host: host.name, command: 'ip xfrm state; ip xfrm policy', pattern: '', hits: 'none', seen: text.trim() }]
}

/** CRLs and OCSP. Without it whoever asks is told at once that nobody listens. */
async function startWeb({ shell, folder }: SiteHost, prepared: string): Promise<void> {
  const program = '/opt/node/node --no-concurrent-recompilation /sallyport/interop/upstream/web.ts'
  await shell.must(`${program} ${prepared}/www >/tmp/web.log 2>&1 & web=$!`)
  const said = join(folder, 'tmp/web.log')
  await poll('the web server', 30_000, () => existsSync(said) && readFileSync(said, 'utf8').includes('listening'))
}

async function startCapture(host: SiteHost): Promise<void> {
  await host.shell.must(
    'tcpdump -l --immediate-mode -i eth0 not port ssh and not port domain >/tmp/tcpdump.log 2>/tmp/tcpdump.err & capture=$!',
  )
  const said = join(host.folder, 'tmp/tcpdump.err')
  await poll('tcpdump to listen', 20_000, () => existsSync(said) && readFileSync(said, 'utf8').includes('listening on'))
}

/** Ends the capture when all that it has received is printed. */
async function stopCapture(host: SiteHost): Promise<void> {
  const said = join(host.folder, 'tmp/tcpdump.err')
  for (let n = 0; n < 20; n++) {
    const before = readFileSync(said, 'utf8').length
    await host.shell.run('kill -USR1 $capture')
    const counts = await poll('tcpdump to count', 5_000, () =>
      /(\d+) packets? captured, (\d+) packets? received/.exec(readFileSync(said, 'utf8').slice(before)),
    ).catch(() => undefined)
    if (!counts || counts[1] === counts[2]) break
  }
  await host.shell.run('kill $capture; wait $capture')
}

async function keepKernel(host: SiteHost, keep: string): Promise<void> {
  const { text } = await host.shell
    .run('ip -s xfrm state; ip -s xfrm policy; cat /proc/net/xfrm_stat; ip address; ip route show table all')
    .catch((error: Error) => ({ text: error.message }))
  writeFileSync(join(keep, `${host.name}-kernel.txt`), text)
}

function keepLogs(host: SiteHost, keep: string): void {
  for (const file of ['log/daemon.log', 'log/ike-daemon.out', 'tmp/tcpdump.log']) {
    const from = join(host.folder, file)
    if (existsSync(from)) copyFileSync(from, join(keep, `${host.name}-${file.split('/')[1]}`))
  }
}
