/** What the machine's own apt knows: the Debian mirror in use, its proxy, and how to bring a missing tool. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A Debian archive, from the configuration of this machine. */
export interface Mirror {
  readonly uri: string
  /** The release that this machine runs. */
  readonly release: string
  /** Environment for programs that fetch from it. */
  readonly env: NodeJS.ProcessEnv
}

/** The mirror that apt takes this release's main packages from. Throws a plain reason if there is none. */
export function debianMirror(): Mirror {
  const release = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'
  const targets = output('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI) $(RELEASE) $(COMPONENT)',
    'Identifier: Packages',
  ])
    .split('\n')
    .map((line) => line.split(' '))
  const found =
    targets.find(([, suite, component]) => suite === release && component === 'main') ??
    targets.find(([uri, , component]) => component === 'main' && uri?.includes('debian'))
  if (!found?.[0])
    throw new Error(`apt has no source with the main packages of ${release}: see /etc/apt/sources.list.d`)
  return { uri: found[0], release, env: { ...process.env, ...proxy() } }
}

/** Makes sure that `command` exists, by installing `pkg` with apt if it does not. */
export function ensureTool(command: string, pkg: string, report: (line: string) => void): void {
  if (has(command)) return
  report(`installing ${pkg} with apt`)
  const install = () =>
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', pkg], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      encoding: 'utf8',
    })
  let done = install()
  if (done.status !== 0) {
    spawnSync('apt-get', ['update'], { stdio: 'ignore' })
    done = install()
  }
  if (!has(command)) throw new Error(`${command} is missing and apt could not install ${pkg}: ${lastLine(done.stderr)}`)
}

function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0
}

function proxy(): NodeJS.ProcessEnv {
  const uri = /Acquire::http::Proxy "([^"]+)"/i.exec(output('apt-config', ['dump']))?.[1]
  return uri ? { http_proxy: uri } : {}
}

function output(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8' })
  if (done.error) throw new Error(`${command} does not run (${done.error.message}): the lab needs a Debian machine`)
  return done.stdout
}

function lastLine(text: string | undefined): string {
  return text?.trim().split('\n').at(-1) ?? 'no output'
}
