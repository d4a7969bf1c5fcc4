/** The bytes of a text, in memory of their own, so that they can be kept and sent to another thread alone. */
export function textBytes(text: string, encoding: 'utf8' | 'latin1' | 'hex' | 'base64' = 'utf8'): Uint8Array {
  return Uint8Array.from(Buffer.from(text, encoding))
}

/** Bytes as Latin-1: each byte one character, nothing lost. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Whether two arrays hold the same bytes; for public data only, the time depends on them. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
