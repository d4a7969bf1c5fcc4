import { DecodeError } from '../wire/errors.ts'
import { latin1, textBytes } from './bytes.ts'

/** One PEM block, RFC 7468: its label (`CERTIFICATE`) and its DER. */
export interface PemBlock {
  readonly label: string
  readonly der: Uint8Array
  /** The headers of RFC 1421 in front of the data (`DEK-Info: …`); old encrypted keys have them. */
  readonly headers: readonly string[]
  /** The block as it stands in the text. */
  readonly text: string
}

/** All PEM blocks of a text, in order; what stands between them is comment. Throws DecodeError for a broken block. */
export function decodePem(input: string | Uint8Array): PemBlock[] {
  const text = typeof input === 'string' ? input : latin1(input)
  if (text.length > MAX_PEM) fail(0, `${text.length} bytes are more than ${MAX_PEM}`)
  const blocks: PemBlock[] = []
  for (let at = text.indexOf(BEGIN); at >= 0; at = text.indexOf(BEGIN, at)) {
    const labelEnd = text.indexOf(DASHES, at + BEGIN.length)
    const label = text.slice(at + BEGIN.length, labelEnd < 0 ? at + BEGIN.length : labelEnd)
    if (labelEnd < 0 || !/^[A-Z0-9 ]{1,64}$/.test(label)) fail(at, 'a block begins without a label')
    const end = text.indexOf(`-----END ${label}${DASHES}`, labelEnd)
    if (end < 0) fail(at, `the block ${label} does not end`)
    const lines = text.slice(labelEnd + DASHES.length, end).split(/\r\n|\r|\n/)
    const headers = lines.filter((line) => line.includes(':'))
    const base64 = lines
      .filter((line) => !line.includes(':'))
      .join('')
      .replace(/[ \t]/g, '')
    if (!isBase64(base64)) fail(at, `the block ${label} is not Base64`)
    const after = end + `-----END ${label}${DASHES}`.length
    blocks.push({ label, der: textBytes(base64, 'base64'), headers, text: `${text.slice(at, after)}\n` })
    if (blocks.length > MAX_BLOCKS) fail(at, `more than ${MAX_BLOCKS} blocks`)
    at = after
  }
  return blocks
}

/** Whether bytes look like PEM rather than DER. */
export function isPem(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(BEGIN)
}

/** A PEM block in lines of 64 characters. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `${BEGIN}${label}${DASHES}\n${lines.join('\n')}\n-----END ${label}${DASHES}\n`
}

function isBase64(text: string): boolean {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return text.length > 0 && text.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(text.slice(0, text.length - padding))
}

function fail(offset: number, reason: string): never {
  throw new DecodeError('PEM', offset, reason)
}

const BEGIN = '-----BEGIN '
const DASHES = '-----'
const MAX_PEM = 4 * 1024 * 1024
const MAX_BLOCKS = 1024
