/** The drawing of a run: who sent what to whom, what became of it, and what the hosts said about it. */
import type { Flight } from './network.ts'

const columns = 100
const keep = 300

export class Ladder {
  readonly #start: number
  readonly #lines: string[] = []
  #dropped = 0

  constructor(start: number) {
    this.#start = start
  }

  /** A datagram reached its goal. */
  arrived(flight: Flight, now: number): void {
    this.#arrow(flight.from, `${flight.label} #${flight.number} ${flight.bytes.length}B`, now, '>')
  }

  /** A datagram did not: lost by the network, or by order of the test. */
  lost(from: string, label: string, now: number): void {
    this.#arrow(from, `${label} lost`, now, 'x')
  }

  note(host: string, text: string, now: number): void {
    const line = `    ${text.length > columns * 2 ? `${text.slice(0, columns * 2)}…` : text}`
    this.#add(now, host === 'right' ? `|${line.padStart(columns)} |` : `|${line.padEnd(columns)} |`)
  }

  toString(): string {
    const head = `          left${'right'.padStart(columns)}`
    return [head, ...(this.#dropped > 0 ? [`          … ${this.#dropped} lines before`] : []), ...this.#lines].join(
      '\n',
    )
  }

  #arrow(from: string, text: string, now: number, tip: '>' | 'x'): void {
    const right = from === 'right'
    const short = text.length > columns - 6 ? `${text.slice(0, columns - 7)}…` : text
    const shaft = '-'.repeat(Math.max(columns - 4 - short.length, 0))
    this.#add(now, right ? `|${tip === '>' ? '<' : 'x'}${shaft} ${short} -|` : `|- ${short} ${shaft}${tip}|`)
  }

  #add(now: number, line: string): void {
    this.#lines.push(`${((now - this.#start) / 1000).toFixed(3).padStart(9)} ${line}`)
    if (this.#lines.length > keep) {
      this.#lines.shift()
      this.#dropped++
    }
  }
}
