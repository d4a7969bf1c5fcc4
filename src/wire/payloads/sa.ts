import { PROTOCOL, TRANSFORM_ATTRIBUTE } from '../numbers.ts'
import type { Reader } from '../reader.ts'
import type { Writer } from '../writer.ts'
import type { Codec } from './codec.ts'

/** Security Association, RFC 7296 §3.3: proposals in order of preference. */
export interface SAPayload {
  readonly type: 'SA'
  readonly proposals: readonly Proposal[]
}

/** A proposal, RFC 7296 §3.3.1. */
export interface Proposal {
  /** Counted from 1 in an offer; the number of the chosen one in an answer. */
  readonly number: number
  /** `PROTOCOL`. */
  readonly protocol: number
  /** The sender's SPI: 4 octets for AH and ESP; for IKE 8 octets in a rekeying, none in IKE_SA_INIT. */
  readonly spi: Uint8Array
  readonly transforms: readonly Transform[]
}

/** A transform, RFC 7296 §3.3.2. */
export interface Transform {
  /** `TRANSFORM_TYPE`. */
  readonly type: number
  /** The number in the table of that type. */
  readonly id: number
  /** The Key Length attribute, in bits. */
  readonly keyBits?: number
  /**
   * Attributes other than one Key Length in its two-octet form. RFC 7296 §3.3.6: a transform with an attribute that we
   * do not understand must not be selected.
   */
  readonly unknownAttributes?: readonly TransformAttribute[]
}

/** A transform attribute, RFC 7296 §3.3.5. */
export interface TransformAttribute {
  /** 15 bits. */
  readonly type: number
  readonly value: Uint8Array
  /** Whether it came in the form without length, with a value of two octets. */
  readonly short: boolean
}

/** More proposals than any peer offers; bounds the work for one payload. */
const MOST_PROPOSALS = 200
/** RFC 7296 knows one attribute. */
const MOST_ATTRIBUTES = 16

export const sa: Codec<SAPayload> = {
  number: 33,
  type: 'SA',
  decode(body) {
    const proposals: Proposal[] = []
    for (const part of substructures(body, 'proposal', MORE_PROPOSALS)) {
      if (proposals.length === MOST_PROPOSALS) body.fail(`more than ${MOST_PROPOSALS} proposals`)
      proposals.push(decodeProposal(part))
    }
    return { type: 'SA', proposals }
  },
  encode({ proposals }, body) {
    for (const [i, proposal] of proposals.entries()) {
      const at = body.length
      body.u8(i === proposals.length - 1 ? 0 : MORE_PROPOSALS)
      body.zeros(3)
      encodeProposal(proposal, body)
      body.length16(at + 2)
    }
  },
}

function decodeProposal(body: Reader): Proposal {
  const number = body.u8()
  const protocol = body.u8()
  const spiSize = body.u8()
  const count = body.u8()
  if (!spiSizeFits(protocol, spiSize)) body.fail(`an SPI of ${spiSize} octets for protocol ${protocol}`)
  const spi = body.bytes(spiSize)
  const transforms: Transform[] = []
  for (const part of substructures(body, 'transform', MORE_TRANSFORMS)) {
    if (transforms.length === count) body.fail(`more transforms than the ${count} announced`)
    transforms.push(decodeTransform(part))
  }
  if (transforms.length !== count) body.fail(`${transforms.length} transforms, not the ${count} announced`)
  return { number, protocol, spi, transforms }
}

function encodeProposal({ number, protocol, spi, transforms }: Proposal, body: Writer): void {
  body.u8(number)
  body.u8(protocol)
  body.u8(spi.length)
  body.u8(transforms.length)
  body.bytes(spi)
  for (const [i, transform] of transforms.entries()) {
    const at = body.length
    body.u8(i === transforms.length - 1 ? 0 : MORE_TRANSFORMS)
    body.zeros(3)
    encodeTransform(transform, body)
    body.length16(at + 2)
  }
}

function decodeTransform(body: Reader): Transform {
  const type = body.u8()
  body.u8()
  const id = body.u16()
  let keyBits: number | undefined
  const unknownAttributes: TransformAttribute[] = []
  while (body.left > 0) {
    const format = body.u16()
    const short = (format & SHORT_FORM) !== 0
    const attribute = format & ~SHORT_FORM
    const value = short ? body.bytes(2) : body.bytes(body.u16())
    // RFC 7296 §3.3.5: Key Length has the short form. A second one would leave open which is meant.
    if (attribute === TRANSFORM_ATTRIBUTE.KEY_LENGTH && short && keyBits === undefined)
      keyBits = ((value[0] as number) << 8) | (value[1] as number) // two octets, read above
    else if (unknownAttributes.length === MOST_ATTRIBUTES) body.fail(`more than ${MOST_ATTRIBUTES} odd attributes`)
    else unknownAttributes.push({ type: attribute, value, short })
  }
  return {
    type,
    id,
    ...(keyBits !== undefined && { keyBits }),
    ...(unknownAttributes.length > 0 && { unknownAttributes }),
  }
}

function encodeTransform({ type, id, keyBits, unknownAttributes = [] }: Transform, body: Writer): void {
  body.u8(type)
  body.zeros(1)
  body.u16(id)
  if (keyBits !== undefined) {
    body.u16(SHORT_FORM | TRANSFORM_ATTRIBUTE.KEY_LENGTH)
    body.u16(keyBits)
  }
  for (const attribute of unknownAttributes) {
    if (attribute.type >= SHORT_FORM) throw new RangeError(`attribute type ${attribute.type}`)
    body.u16(attribute.short ? SHORT_FORM | attribute.type : attribute.type)
    if (attribute.short && attribute.value.length !== 2) throw new RangeError('a short attribute has two octets')
    if (!attribute.short) body.u16(attribute.value.length)
    body.bytes(attribute.value)
  }
}

/**
 * Proposals and transforms are chained alike: an octet that says whether another one follows (`more`) or not (0), a
 * reserved octet, and the length of the whole in two octets.
 */
function* substructures(body: Reader, name: string, more: number): Generator<Reader> {
  for (let i = 0; body.left > 0; i++) {
    const last = body.u8()
    body.u8()
    const length = body.u16()
    if (length < 4) body.fail(`${name} ${i} is ${length} octets long`)
    const part = body.sub(length - 4, `${name}[${i}]`)
    if (last !== (body.left > 0 ? more : 0)) body.fail(`"last substructure" is ${last} with ${body.left} octets left`)
    yield part
    part.end()
  }
}

/** RFC 7296 §3.3.1, SPI Size. */
function spiSizeFits(protocol: number, size: number): boolean {
  if (protocol === PROTOCOL.IKE) return size === 0 || size === 8
  if (protocol === PROTOCOL.AH || protocol === PROTOCOL.ESP) return size === 4
  return true
}

const MORE_PROPOSALS = 2
const MORE_TRANSFORMS = 3
const SHORT_FORM = 0x8000
