/**
 * Netlink messages as bytes: a header, a structure that depends on the type, and attributes (linux/netlink.h).
 * Decoders throw `DecodeError`.
 */
import { DecodeError } from '../../wire/errors.ts'
import { i32, type Numbers, type Partially, type Struct, struct, text, u16, u32 } from './struct.ts'

/** A message as received: `body` is everything behind the header. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Uint8Array
}

/** An attribute to send. */
export interface Attribute {
  readonly type: number
  readonly value: Uint8Array
}

/** The first value of each attribute type. */
export type Attributes = ReadonlyMap<number, Uint8Array>

/** What NLMSG_ERROR says: 0 is an acknowledgement. `detail` is the kernel's own explanation, if it gave one. */
export interface NetlinkStatus {
  readonly errno: number
  readonly detail: string | undefined
}

/** A request: header, fixed part and attributes. The caller wipes it when it holds keys. */
export function encodeMessage(
  type: number,
  flags: number,
  sequence: number,
  fixed: Uint8Array,
  attributes: readonly Attribute[] = [],
): Uint8Array {
  let length = nlmsghdr.size + align4(fixed.length)
  for (const { value } of attributes) length += nlattr.size + align4(value.length)
  const bytes = new Uint8Array(length)
  bytes.set(nlmsghdr.encode({ nlmsg_len: length, nlmsg_type: type, nlmsg_flags: flags, nlmsg_seq: sequence }))
  bytes.set(fixed, nlmsghdr.size)
  let at = nlmsghdr.size + align4(fixed.length)
  for (const { type, value } of attributes) {
    bytes.set(nlattr.encode({ nla_len: nlattr.size + value.length, nla_type: type }), at)
    bytes.set(value, at + nlattr.size)
    at += nlattr.size + align4(value.length)
  }
  return bytes
}

/** The messages in one datagram; their bodies are copies. */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = []
  for (let at = 0; at < bytes.length; ) {
    const header = nlmsghdr.decode(bytes.subarray(at))
    const length = header.nlmsg_len
    if (length < nlmsghdr.size || at + length > bytes.length)
      throw new DecodeError('nlmsghdr', at, `length ${length}, ${bytes.length - at} octets there`)
    messages.push({
      type: header.nlmsg_type,
      flags: header.nlmsg_flags,
      sequence: header.nlmsg_seq,
      body: bytes.slice(at + nlmsghdr.size, at + length),
    })
    at += align4(length)
  }
  return messages
}

/** The attributes behind the first `fixed` octets of a message, or inside a nested attribute. Values are views. */
export function decodeAttributes(bytes: Uint8Array, fixed = 0): Attributes {
  const attributes = new Map<number, Uint8Array>()
  for (let at = align4(fixed); at < bytes.length; ) {
    const { nla_len: length, nla_type } = nlattr.decode(bytes.subarray(at))
    if (length < nlattr.size || at + length > bytes.length)
      throw new DecodeError('nlattr', at, `length ${length}, ${bytes.length - at} octets there`)
    const type = nla_type & NLA_TYPE_MASK
    if (!attributes.has(type)) attributes.set(type, bytes.subarray(at + nlattr.size, at + length))
    at += align4(length)
  }
  return attributes
}

/** Reads NLMSG_ERROR. */
export function decodeStatus(message: NetlinkMessage): NetlinkStatus {
  const { error, msg } = nlmsgerr.decode(message.body)
  const errno = error === 0 ? 0 : Math.abs(error)
  if (!(message.flags & NLM_F_ACK_TLVS)) return { errno, detail: undefined }
  // Without NLM_F_CAPPED the whole request is repeated before the attributes.
  const repeated = message.flags & NLM_F_CAPPED ? 0 : align4(Math.max(msg.nlmsg_len, nlmsghdr.size) - nlmsghdr.size)
  const detail = decodeAttributes(message.body, nlmsgerr.size + repeated).get(NLMSGERR_ATTR_MSG)
  return { errno, detail: detail && text(detail) }
}

/** Attributes inside the value of another one. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const length = attributes.reduce((sum, { value }) => sum + align4(nlattr.size + value.length), 0)
  const bytes = new Uint8Array(length)
  let at = 0
  for (const { type, value } of attributes) {
    bytes.set(nlattr.encode({ nla_len: nlattr.size + value.length, nla_type: type }), at)
    bytes.set(value, at + nlattr.size)
    at += align4(nlattr.size + value.length)
  }
  return bytes
}

/** A structure as the value of an attribute. */
export function attribute<T>(type: number, layout: Struct<T>, value: Partially<T>): Attribute {
  return { type, value: layout.encode(value) }
}

/** A 32-bit number as the value of an attribute. */
export function attribute32(type: number, value: number): Attribute {
  return { type, value: new Uint8Array(Uint32Array.of(value).buffer) }
}

/** A 32-bit number from an attribute. */
export function value32(value: Uint8Array): number {
  return number32.decode(value).value
}

type MessageHeader = Numbers<'nlmsg_len' | 'nlmsg_type' | 'nlmsg_flags' | 'nlmsg_seq' | 'nlmsg_pid'>
export const nlmsghdr: Struct<MessageHeader> = struct('nlmsghdr', 16, {
  nlmsg_len: u32,
  nlmsg_type: u16,
  nlmsg_flags: u16,
  nlmsg_seq: u32,
  nlmsg_pid: u32,
})
export const nlattr: Struct<Numbers<'nla_len' | 'nla_type'>> = struct('nlattr', 4, { nla_len: u16, nla_type: u16 })
export const nlmsgerr: Struct<Numbers<'error'> & { readonly msg: MessageHeader }> = struct('nlmsgerr', 20, {
  error: i32,
  msg: nlmsghdr,
})
const number32 = struct('__u32', 4, { value: u32 })

export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLM_F_REQUEST = 0x01
export const NLM_F_MULTI = 0x02
export const NLM_F_ACK = 0x04
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200

const NLMSGERR_ATTR_MSG = 1
const NLA_TYPE_MASK = 0x3fff

function align4(length: number): number {
  return (length + 3) & ~3
}
