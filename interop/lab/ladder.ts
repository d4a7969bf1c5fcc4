/** An exchange as a ladder of arrows, drawn from the log lines of one of the two daemons. */

/** One message, seen from the daemon that logs. */
export interface Rung {
  readonly direction: 'sent' | 'received'
  /** `IKE_AUTH request 1`. */
  readonly name: string
  /** The payload list, `SA KE No`. */
  readonly payloads: string
  /** What went over the wire; absent for the sum of several fragments. */
  readonly datagram?: { readonly bytes: number; readonly port: number }
}

/** Takes log lines in order and gives back the message that a line completes. */
export function rungReader(): (line: string) => Rung | undefined {
  const generated: { readonly name: string; readonly payloads: string }[] = []
  let received: { readonly bytes: number; readonly port: number } | undefined // the last: repeated ones are not parsed
  return (line) => {
    const message = /(generating|parsed) (\w+ (?:request|response) \d+) \[ (.*?) ?\]\s*$/.exec(line)
    if (message) {
      const [, verb, name = '', payloads = ''] = message
      if (verb === 'parsed') {
        const datagram = received
        received = undefined
        return { direction: 'received', name, payloads, ...(datagram ? { datagram } : {}) }
      }
      generated.push({ name, payloads })
      return undefined
    }
    if (/splitting IKE message/.test(line)) {
      const whole = generated.pop()
      return whole ? { direction: 'sent', ...whole } : undefined
    }
    const packet = /(sending|received) packet: from \S+\[(\d+)\] to \S+\[(\d+)\] \((\d+) bytes\)/.exec(line)
    if (!packet) return undefined
    const datagram = { bytes: Number(packet[4]), port: Math.min(Number(packet[2]), Number(packet[3])) }
    if (packet[1] === 'received') {
      received = datagram
      return undefined
    }
    const message_ = generated.shift()
    return message_ ? { direction: 'sent', ...message_, datagram } : undefined
  }
}

const inner = 66
const margin = '    '

/** The heads of the two lines of life. */
export function drawHeads(left: readonly string[], right: readonly string[]): string[] {
  const rows = left.map((text, n) => {
    const other = right[n] ?? ''
    return `  ${text}${' '.repeat(Math.max(1, inner + 4 - text.length - other.length))}${other}`
  })
  return [...rows, drawGap()]
}

/** A message as lines of text: its name, its payloads, and the arrow. */
export function drawRung({ direction, name, payloads, datagram }: Rung): string[] {
  const sent = direction === 'sent'
  const lines = [name, ...wrap(payloads, inner - 4)].map((text) => {
    const padded = sent ? ` ${text}`.padEnd(inner) : `${text} `.padStart(inner)
    return `${margin}│${padded}│`
  })
  if (!datagram) return [...lines, `${margin}│${' (in fragments) '.padStart(inner / 2 + 8).padEnd(inner)}│`]
  const label = ` ${datagram.bytes} bytes, UDP port ${datagram.port} `
  const line = label.padStart((inner + label.length) >> 1, '─').padEnd(inner - 1, '─')
  return [...lines, `${margin}${sent ? `│${line}▶` : `│◀${line}`}│`, drawGap()]
}

/** The two lines of life with nothing between them. */
export function drawGap(): string {
  return `${margin}│${' '.repeat(inner)}│`
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
