/** Command lines against a daemon without a core, for tests. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryFiles } from '../config/files.ts'
import { listenVici, type ViciServer } from '../vici/server.ts'
import type { ScriptedDaemon } from '../vici/testing.ts'
import type { Persona } from './command.ts'
import { run } from './sallyport.ts'

interface Ran {
  readonly exit: number
  readonly out: string
  readonly err: string
}

export interface Against extends AsyncDisposable {
  readonly server: ViciServer
  readonly call: (...argv: string[]) => Promise<Ran>
  /** The same under the name `swanctl`. */
  readonly swanctl: (...argv: string[]) => Promise<Ran>
}

/** Runs command lines against a daemon behind a real socket; `more` are files besides strongswan.conf. */
export async function against(
  daemon: ScriptedDaemon,
  more: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<Against> {
  const directory = mkdtempSync(join(tmpdir(), 'cli-'))
  const uri = `unix://${join(directory, 'vici')}`
  const server = await listenVici({ uri, daemon })
  return {
    server,
    call: (...argv: string[]) => call('sallyport', argv),
    swanctl: (...argv: string[]) => call('swanctl', argv),
    async [Symbol.asyncDispose]() {
      await server.close().catch(() => undefined)
      rmSync(directory, { recursive: true })
    },
  }
  async function call(persona: Persona, argv: readonly string[]): Promise<Ran> {
    let out = ''
    let err = ''
    const files = memoryFiles({ '/etc/strongswan.conf': `swanctl { socket = ${uri}\n }`, ...more })
    const io = { out: (t: string) => (out += t), err: (t: string) => (err += t), env: {}, files }
    const exit = await run(argv, io, persona)
    return { exit, out, err }
  }
}
