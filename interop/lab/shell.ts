/** A bash that stays: commands go in one after the other, without the price of entering the namespaces each time. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { quote } from './guest.ts'

/** How a command ended, and what it printed on both outputs. */
export interface Ran {
  readonly code: number
  readonly text: string
}

/** Commands run strictly one after the other. */
export class Shell {
  readonly #child: ChildProcessWithoutNullStreams
  #seen = ''
  #waiting: { readonly done: (ran: Ran) => void; readonly failed: (error: Error) => void } | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #ended: Error | undefined

  /** `argv` ends in a bash that reads commands from its standard input. */
  constructor(argv: readonly [string, ...string[]]) {
    const [command, ...args] = argv
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdout.on('data', (chunk: Buffer) => this.#read(chunk.toString()))
    this.#child.stderr.on('data', (chunk: Buffer) => this.#read(chunk.toString()))
    this.#child.stdin.on('error', () => {})
    this.#child.once('exit', (code, signal) => {
      this.#ended = new Error(`the shell ended (${code ?? signal}): ${this.#seen.slice(-300)}`)
      this.#waiting?.failed(this.#ended)
    })
  }

  /** Runs a command, for `timeoutMs` at most. A command that does not end in time leaves the shell unusable. */
  async run(command: string, timeoutMs = 30_000): Promise<Ran> {
    const mine = this.#turn.then(() => this.#one(command, timeoutMs))
    this.#turn = mine.catch(() => {})
    return mine
  }

  /** As `run`, but a status other than 0 is an error. */
  async must(command: string, timeoutMs?: number): Promise<string> {
    const { code, text } = await this.run(command, timeoutMs)
    if (code !== 0) throw new Error(`${command.slice(0, 200)}: status ${code}: ${text.trim().slice(-600)}`)
    return text
  }

  /** Ends the shell and, if it is the first process of a PID namespace, everything in it. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #one(command: string, timeoutMs: number): Promise<Ran> {
    if (this.#ended) return Promise.reject(this.#ended)
    return new Promise<Ran>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#ended = new Error(`no end of '${command.slice(0, 200)}' in ${timeoutMs} ms: ${this.#seen.slice(-600)}`)
        this.#waiting = undefined
        reject(this.#ended)
      }, timeoutMs)
      this.#seen = ''
      this.#waiting = {
        done: (ran) => {
          clearTimeout(timer)
          resolve(ran)
        },
        failed: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.#child.stdin.write(`eval ${quote(command)} </dev/null 2>&1; printf '\\n\\001%d\\001\\n' $?\n`)
    })
  }

  #read(text: string): void {
    this.#seen += text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the mark is a control character so that no output has it
    const end = /\n\u0001(\d+)\u0001\n/.exec(this.#seen)
    if (!end) return
    const ran = { code: Number(end[1]), text: this.#seen.slice(0, end.index) }
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.done(ran)
  }
}
