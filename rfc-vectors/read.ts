import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** The text of a vector file, by its path below this folder; `.gz` files are unpacked. */
export function vectorText(path: string): string {
  const bytes = readFileSync(new URL(path, import.meta.url))
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
}

/** A JSON vector file. The caller names the shape that the file has according to its SOURCE.md. */
export function vectors<T>(path: string): T {
  return JSON.parse(vectorText(path)) as T
}

/** Octets from hex. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

/** Hex from octets, so that a failed comparison can be read. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
