/**
 * Hands name servers that gateways gave us to the host, in the way that the host is used to: resolvconf, systemd-resolved,
 * or lines of ours on top of resolv.conf.
 */
import { execFile } from 'node:child_process'
import { access, constants, readFile, realpath, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** One to ask; `interface` is where its packets leave. */
export interface ResolverServer {
  readonly address: string
  readonly interface?: string
}

/** What a resolver needs of the world. */
export interface ResolverOptions {
  /** resolv.conf of the host. */
  readonly file: string
  /** The program, if the host has it. */
  readonly resolvconf: string
  /** The name under which resolvconf keeps ours. */
  readonly resolvconfInterface: string
  readonly log: (message: string, failed: boolean) => void
  /** Runs a program to its end; rejects when it fails. */
  readonly run?: (program: string, args: readonly string[], input: string) => Promise<void>
}

/** The name servers that we have handed to the host. */
export class Resolver {
  readonly #options: ResolverOptions
  readonly #run: NonNullable<ResolverOptions['run']>
  #wanted: readonly ResolverServer[] = []
  #inUse: readonly ResolverServer[] = []
  #work: Promise<void> | undefined

  constructor(options: ResolverOptions) {
    this.#options = options
    this.#run = options.run ?? runProgram
  }

  /** From now on these are asked before the host's own, in place of those before. */
  use(servers: readonly ResolverServer[]): void {
    this.#wanted = servers
    this.#work ??= this.#catchUp().finally(() => {
      this.#work = undefined
    })
  }

  /** Resolves when the host knows what it was told last. */
  async settled(): Promise<void> {
    while (this.#work !== undefined) await this.#work
  }

  async #catchUp(): Promise<void> {
    while (this.#wanted !== this.#inUse) {
      const [wanted, before] = [this.#wanted, this.#inUse]
      this.#inUse = wanted
      try {
        await this.#change(wanted, before)
      } catch (error) {
        this.#options.log(
          `handing DNS servers to the host failed: ${error instanceof Error ? error.message : error}`,
          true,
        )
      }
    }
  }

  async #change(wanted: readonly ResolverServer[], before: readonly ResolverServer[]): Promise<void> {
    const way = await this.#way()
    const place = { resolvconf: 'resolvconf', resolved: 'systemd-resolved', file: this.#options.file }[way]
    for (const { address } of without(before, wanted))
      this.#options.log(`removing DNS server ${address} from ${place}`, false)
    for (const { address } of without(wanted, before))
      this.#options.log(`installing DNS server ${address} to ${place}`, false)
    switch (way) {
      case 'resolvconf':
        return this.#useResolvconf(wanted)
      case 'resolved':
        return this.#useResolved(wanted, before)
      case 'file':
        return this.#useFile(wanted)
    }
  }

  async #way(): Promise<'resolvconf' | 'resolved' | 'file'> {
    const { resolvconf, file } = this.#options
    const program = await pathOf(resolvconf)
    // systemd ships its own program under the name of resolvconf, which knows no interfaces but real ones.
    if (program?.endsWith('/resolvectl')) return 'resolved'
    if (program !== undefined) return 'resolvconf'
    return (await pathOf(file))?.startsWith('/run/systemd/resolve/') ? 'resolved' : 'file'
  }

  async #useResolvconf(servers: readonly ResolverServer[]): Promise<void> {
    const { resolvconf, resolvconfInterface } = this.#options
    const lines = servers.map(({ address }) => `nameserver ${address}\n`).join('')
    await this.#run(resolvconf, [servers.length > 0 ? '-a' : '-d', resolvconfInterface], lines)
  }

  async #useResolved(servers: readonly ResolverServer[], before: readonly ResolverServer[]): Promise<void> {
    const interfaces = new Set([...servers, ...before].flatMap(({ interface: name }) => name ?? []))
    for (const name of interfaces) {
      const here = servers.filter((server) => server.interface === name).map(({ address }) => address)
      await this.#run('resolvectl', here.length > 0 ? ['dns', name, ...here] : ['revert', name], '')
    }
  }

  /** Written in place: in containers the file is a mount point. */
  async #useFile(servers: readonly ResolverServer[]): Promise<void> {
    const { file } = this.#options
    const before = await readFile(file, 'utf8').catch(() => '')
    const others = before.split('\n').filter((line) => !line.endsWith(ours))
    const lines = servers.map(({ address }) => `nameserver ${address}   ${ours}`)
    await writeFile(file, [...lines, ...others].join('\n'))
  }
}

/** Marks our lines, also for the next daemon after a crash. */
const ours = '# by sallyport'

function without(list: readonly ResolverServer[], other: readonly ResolverServer[]): readonly ResolverServer[] {
  return list.filter(({ address }) => !other.some((server) => server.address === address))
}

/** Where a file really is; undefined when it is not there, or cannot be read. */
async function pathOf(path: string): Promise<string | undefined> {
  try {
    const real = await realpath(path)
    await access(real, constants.R_OK)
    return real
  } catch {
    return undefined
  }
}

async function runProgram(program: string, args: readonly string[], input: string): Promise<void> {
  const running = promisify(execFile)(program, [...args], { timeout: 10_000 })
  running.child.stdin?.end(input)
  await running
}
