import { concat, sameBytes } from './bytes.ts'

/** RSASSA-PSS with MGF1 over the same hash: an IKEv2 hash number and the length of the salt. */
export interface PssParameters {
  readonly hash: number
  readonly saltBytes: number
}

/** AlgorithmIdentifier of RSASSA-PSS (RFC 4055 §3.1), spelled as RFC 7427 appendix A.4.3 prints it. */
export function encodePss({ hash, saltBytes }: PssParameters): Uint8Array {
  const oid = hashOids.get(hash)
  if (oid === undefined) throw new RangeError(`hash ${hash} is not one for RSASSA-PSS`)
  const hashAlgorithm = der(0x30, oid, octets('0500'))
  return der(
    0x30,
    idRsassaPss,
    der(
      0x30,
      der(0xa0, hashAlgorithm),
      der(0xa1, der(0x30, idMgf1, hashAlgorithm)),
      der(0xa2, der(2, Uint8Array.of(saltBytes))),
      octets('a303020101'),
    ),
  )
}

/**
 * The parameters in an AlgorithmIdentifier of RSASSA-PSS; `undefined` if it is malformed or names something that we do
 * not have, such as a mask generation with another hash.
 */
export function decodePss(identifier: Uint8Array): PssParameters | undefined {
  const outer = read(identifier)
  if (outer?.tag !== 0x30 || outer.rest.length > 0) return undefined
  if (!startsWith(outer.content, idRsassaPss)) return undefined
  const parameters = read(outer.content.subarray(idRsassaPss.length))
  if (parameters?.tag !== 0x30 || parameters.rest.length > 0) return undefined

  // Every field has a default, and the fields come in order.
  let hash: number | undefined = 1
  let maskHash: number | undefined = 1
  let saltBytes: number | undefined = 20
  let trailer: number | undefined = 1
  let last = 0x9f
  let left = parameters.content
  while (left.length > 0) {
    const field = read(left)
    if (field === undefined || field.tag <= last) return undefined
    last = field.tag
    left = field.rest
    if (field.tag === 0xa0) hash = hashOf(field.content)
    else if (field.tag === 0xa1) maskHash = maskHashOf(field.content)
    else if (field.tag === 0xa2) saltBytes = smallInteger(field.content)
    else if (field.tag === 0xa3) trailer = smallInteger(field.content)
    else return undefined
  }
  if (hash === undefined || hash !== maskHash || saltBytes === undefined || trailer !== 1) return undefined
  return { hash, saltBytes }
}

function hashOf(algorithm: Uint8Array): number | undefined {
  const sequence = read(algorithm)
  if (sequence?.tag !== 0x30 || sequence.rest.length > 0) return undefined
  for (const [hash, oid] of hashOids) {
    // RFC 4055 §2.1: the parameters are NULL or missing.
    if (sameBytes(sequence.content, oid) || sameBytes(sequence.content, concat(oid, octets('0500')))) return hash
  }
  return undefined
}

function maskHashOf(algorithm: Uint8Array): number | undefined {
  const sequence = read(algorithm)
  if (sequence?.tag !== 0x30 || sequence.rest.length > 0 || !startsWith(sequence.content, idMgf1)) return undefined
  return hashOf(sequence.content.subarray(idMgf1.length))
}

function smallInteger(bytes: Uint8Array): number | undefined {
  const integer = read(bytes)
  if (integer?.tag !== 2 || integer.rest.length > 0 || integer.content.length !== 1) return undefined
  const [value = 0x80] = integer.content
  return value < 0x80 ? value : undefined
}

interface Tlv {
  readonly tag: number
  readonly content: Uint8Array
  readonly rest: Uint8Array
}

/** One element with a length below 256, which is all that fits behind the length octet of RFC 7427 §3. */
function read(bytes: Uint8Array): Tlv | undefined {
  const [tag, first, second] = bytes
  if (tag === undefined || first === undefined) return undefined
  const long = first === 0x81 && second !== undefined && second >= 0x80
  if (first >= 0x80 && !long) return undefined
  const start = long ? 3 : 2
  const end = start + (long ? second : first)
  if (end > bytes.length) return undefined
  return { tag, content: bytes.subarray(start, end), rest: bytes.subarray(end) }
}

function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content)
  return concat(Uint8Array.of(tag, body.length), body)
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && sameBytes(bytes.subarray(0, start.length), start)
}

function octets(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

/** OID 1.2.840.113549.1.1.10 and 1.2.840.113549.1.1.8. */
const idRsassaPss = octets('06092a864886f70d01010a')
const idMgf1 = octets('06092a864886f70d010108')

/** SHA-1, SHA2-256, SHA2-384, SHA2-512 by their IKEv2 numbers. */
const hashOids: ReadonlyMap<number, Uint8Array> = new Map([
  [1, octets('06052b0e03021a')],
  [2, octets('0609608648016503040201')],
  [3, octets('0609608648016503040202')],
  [4, octets('0609608648016503040203')],
])
