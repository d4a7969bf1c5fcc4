/** What a capture holds, in the words of the lab: IKE messages, ESP, and anything that should not have been seen. */

/** An IKE message as it crossed the wire; a fragment counts as a message. */
export interface IkeMessage {
  /** Seconds since the epoch. */
  readonly at: number
  readonly from: string
  readonly to: string
  readonly exchange: number
  readonly isResponse: boolean
  readonly messageId: number
  readonly bytes: number
  /** True for a fragment of RFC 7383. */
  readonly isFragment: boolean
  /** The numbers of the notify messages in the clear, in order. */
  readonly notifies: readonly number[]
}

/** A sum of what was seen. */
export interface Seen {
  readonly ike: readonly IkeMessage[]
  /** Sources of ESP packets, one entry per packet. */
  readonly esp: readonly string[]
  /** Sources of ESP in UDP, one entry per packet. */
  readonly espInUdp: readonly string[]
  /** The rest, neighbour discovery aside: each a short description. */
  readonly plain: readonly string[]
  /** Bytes of the largest IP packet with ESP in it. */
  readonly largestEsp: number
}

/** Reads a capture of Ethernet frames as written by tcpdump on a little-endian machine; a cut last frame is ignored. */
export function readCapture(file: Buffer): Seen {
  const seen: Sums = { ike: [], esp: [], espInUdp: [], plain: [], largestEsp: 0 }
  if (file.length < 24) return seen
  if (file.readUInt32LE(0) !== 0xa1b2c3d4 || file.readUInt32LE(20) !== 1) throw new Error('not a capture of Ethernet')
  for (let at = 24; at + 16 <= file.length; ) {
    const length = file.readUInt32LE(at + 8)
    const frame = file.subarray(at + 16, at + 16 + length)
    if (frame.length < length) break
    const time = file.readUInt32LE(at) + file.readUInt32LE(at + 4) / 1e6
    const type = frame.readUInt16BE(12)
    if (type === 0x0800) ipv4(frame.subarray(14), time, seen)
    else if (type === 0x86dd) ipv6(frame.subarray(14), time, seen)
    else if (type !== 0x0806) seen.plain.push(`ethertype 0x${type.toString(16)}`)
    at += 16 + length
  }
  return seen
}

interface Sums {
  readonly ike: IkeMessage[]
  readonly esp: string[]
  readonly espInUdp: string[]
  readonly plain: string[]
  largestEsp: number
}

function ipv4(packet: Buffer, time: number, sums: Sums): void {
  const header = ((packet[0] ?? 0) & 15) * 4
  const from = packet.subarray(12, 16).join('.')
  const to = packet.subarray(16, 20).join('.')
  const isLaterFragment = (packet.readUInt16BE(6) & 0x1fff) > 0
  const body = packet.subarray(header, packet.readUInt16BE(2))
  upper(packet[9] ?? 0, isLaterFragment, body, { from, to, time, header }, sums)
}

function ipv6(packet: Buffer, time: number, sums: Sums): void {
  const from = words(packet.subarray(8, 24))
  const to = words(packet.subarray(24, 40))
  const body = packet.subarray(40)
  const next = packet[6] ?? 0
  if (next === 0) return // hop-by-hop options: multicast listener reports
  if (next === 58 && isNeighbourDiscovery(body[0] ?? 0)) return
  const isFragment = next === 44
  const isLaterFragment = isFragment && body.readUInt16BE(2) >> 3 > 0
  const protocol = isFragment ? (body[0] ?? 0) : next
  upper(protocol, isLaterFragment, isFragment ? body.subarray(8) : body, { from, to, time, header: 40 }, sums)
}

interface Envelope {
  readonly from: string
  readonly to: string
  readonly time: number
  /** Bytes of the IP header. */
  readonly header: number
}

function upper(
  protocol: number,
  isLaterFragment: boolean,
  body: Buffer,
  { from, to, time, header }: Envelope,
  sums: Sums,
): void {
  if (protocol === 50) {
    if (!isLaterFragment) sums.esp.push(from)
    sums.largestEsp = Math.max(sums.largestEsp, header + body.length)
    return
  }
  if (protocol === 2) return // multicast group membership
  if (saysPortUnreachable(protocol, body)) return // a daemon that has ended gets an answer
  if (protocol !== 17) {
    const name = protocol === 1 || protocol === 58 ? 'ICMP' : `protocol ${protocol}`
    sums.plain.push(`${name} from ${from} to ${to}`)
    return
  }
  if (isLaterFragment || body.length <= 9) return // the rest of a datagram, or a NAT keepalive
  const port = Math.min(body.readUInt16BE(0), body.readUInt16BE(2))
  const to4500 = [body.readUInt16BE(0), body.readUInt16BE(2)].includes(4500)
  const data = body.subarray(8)
  if (data.length < 28) {
    sums.plain.push(`a short UDP datagram from ${from}`)
    return
  }
  if (port === 500) sums.ike.push(ike(data, from, to, time))
  else if (to4500 && data.readUInt32BE(0) === 0) sums.ike.push(ike(data.subarray(4), from, to, time))
  else if (to4500) sums.espInUdp.push(from)
  else sums.plain.push(`UDP from ${from} to ${to}`)
}

/** RFC 7296 §3.1; payloads are walked only as far as they are in the clear. */
function ike(data: Buffer, from: string, to: string, at: number): IkeMessage {
  const notifies: number[] = []
  const first = data[16] ?? 0
  let next = first
  for (let offset = 28; next !== 0 && next !== 46 && next !== 53 && offset + 4 <= data.length; ) {
    const length = data.readUInt16BE(offset + 2)
    if (next === 41 && offset + 8 <= data.length) notifies.push(data.readUInt16BE(offset + 6))
    if (length < 4) break
    next = data[offset] ?? 0
    offset += length
  }
  return {
    at,
    from,
    to,
    exchange: data[18] ?? 0,
    isResponse: ((data[19] ?? 0) & 0x20) !== 0,
    messageId: data.readUInt32BE(20),
    bytes: data.length,
    isFragment: first === 53,
    notifies,
  }
}

/** An ICMP error about a datagram to an IKE port. */
function saysPortUnreachable(protocol: number, body: Buffer): boolean {
  const isError = (protocol === 1 && body[0] === 3) || (protocol === 58 && body[0] === 1)
  if (!isError) return false
  const inner = body.subarray(8)
  const [transport, header] = protocol === 1 ? [inner[9], ((inner[0] ?? 0) & 15) * 4] : [inner[6], 40]
  return transport === 17 && inner.length >= header + 4 && [500, 4500].includes(inner.readUInt16BE(header + 2))
}

function isNeighbourDiscovery(type: number): boolean {
  return (type >= 133 && type <= 137) || type === 143
}

function words(address: Buffer): string {
  const text = []
  for (let i = 0; i < 16; i += 2) text.push(address.readUInt16BE(i).toString(16))
  return text.join(':').replace(/(^|:)(0(:|$))+/, '::')
}
