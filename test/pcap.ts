/**
 * UDP datagrams from capture files, for tests: pcap and pcapng; Ethernet (with VLAN tags), BSD loopback and raw IP; IPv4
 * with fragments, IPv6 without. Frames of other kinds, and damaged ones, are left out.
 */

/** A datagram of a capture. */
export interface Datagram {
  /** Counted from 1 as in Wireshark; of a fragmented one the frame that completed it. */
  readonly frame: number
  readonly sourcePort: number
  readonly destinationPort: number
  readonly data: Uint8Array
}

/** All UDP datagrams of a capture file. */
export function datagrams(file: Uint8Array): readonly Datagram[] {
  const fragments = new Map<string, Fragment[]>()
  return frames(file).flatMap(({ link, data }, i) => {
    const packet = ipPacket(link, data)
    const udp = packet === undefined ? undefined : udpOf(packet, fragments)
    if (udp === undefined || udp.length < 8) return []
    const view = viewOf(udp)
    const length = Math.min(Math.max(view.getUint16(4), 8), udp.length)
    return [
      {
        frame: i + 1,
        sourcePort: view.getUint16(0),
        destinationPort: view.getUint16(2),
        data: udp.slice(8, length),
      },
    ]
  })
}

/**
 * The IKE messages among them: everything on port 500, and on port 4500 what begins with the non-ESP marker (RFC 3948
 * §2.2), without it.
 */
export function ikeMessages(file: Uint8Array): readonly Datagram[] {
  return datagrams(file).flatMap((datagram) => {
    const { sourcePort, destinationPort, data } = datagram
    if (sourcePort === 500 || destinationPort === 500) return [datagram]
    const marked = data.length > 4 && data.subarray(0, 4).every((octet) => octet === 0)
    if (!marked || (sourcePort !== 4500 && destinationPort !== 4500)) return []
    return [{ ...datagram, data: data.subarray(4) }]
  })
}

interface Frame {
  readonly link: number
  readonly data: Uint8Array
}

function frames(file: Uint8Array): readonly Frame[] {
  return viewOf(file).getUint32(0) === PCAPNG ? pcapngFrames(file) : pcapFrames(file)
}

function pcapFrames(file: Uint8Array): readonly Frame[] {
  const view = viewOf(file)
  const little = view.getUint8(0) === 0xd4 || view.getUint8(0) === 0x4d
  const link = view.getUint32(20, little) & 0xffff
  const found: Frame[] = []
  for (let at = 24; at + 16 <= file.length; ) {
    const length = view.getUint32(at + 8, little)
    found.push({ link, data: file.subarray(at + 16, at + 16 + length) })
    at += 16 + length
  }
  return found
}

function pcapngFrames(file: Uint8Array): readonly Frame[] {
  const view = viewOf(file)
  const found: Frame[] = []
  let links: number[] = []
  let little = true
  for (let at = 0; at + 12 <= file.length; ) {
    if (view.getUint32(at) === PCAPNG) {
      little = view.getUint8(at + 8) === 0x4d
      links = []
    }
    const type = view.getUint32(at, little)
    const length = view.getUint32(at + 4, little)
    if (length < 12) break
    if (type === INTERFACE) links.push(view.getUint16(at + 8, little))
    if (type === ENHANCED_PACKET) {
      const link = links[view.getUint32(at + 8, little)] ?? ETHERNET
      found.push({ link, data: file.subarray(at + 28, at + 28 + view.getUint32(at + 20, little)) })
    }
    at += length
  }
  return found
}

function ipPacket(link: number, frame: Uint8Array): Uint8Array | undefined {
  if (link === LOOPBACK) return frame.subarray(4)
  if (link === RAW) return frame
  if (link !== ETHERNET || frame.length < 18) return undefined
  const view = viewOf(frame)
  const tagged = view.getUint16(12) === VLAN
  const etherType = view.getUint16(tagged ? 16 : 12)
  return etherType === IPV4 || etherType === IPV6 ? frame.subarray(tagged ? 18 : 14) : undefined
}

interface Fragment {
  readonly offset: number
  readonly data: Uint8Array
  readonly more: boolean
}

function udpOf(packet: Uint8Array, fragments: Map<string, Fragment[]>): Uint8Array | undefined {
  const view = viewOf(packet)
  const version = packet.length < 20 ? 0 : view.getUint8(0) >>> 4
  if (version === 6) return packet.length >= 40 && view.getUint8(6) === UDP ? packet.subarray(40) : undefined
  if (version !== 4 || view.getUint8(9) !== UDP) return undefined
  const data = packet.subarray((view.getUint8(0) & 0xf) * 4, view.getUint16(2) || packet.length)
  const offset = (view.getUint16(6) & 0x1fff) * 8
  const more = (view.getUint16(6) & 0x2000) !== 0
  if (offset === 0 && !more) return data
  const key = `${Buffer.from(packet.subarray(12, 20)).toString('hex')} ${view.getUint16(4)}`
  const parts = [...(fragments.get(key) ?? []), { offset, data, more }].sort((a, b) => a.offset - b.offset)
  fragments.set(key, parts)
  const whole = parts.every((part, i) => part.offset === end(parts[i - 1])) && parts.at(-1)?.more === false
  if (!whole) return undefined
  fragments.delete(key)
  return new Uint8Array(Buffer.concat(parts.map((part) => part.data)))
}

function end(fragment: Fragment | undefined): number {
  return fragment === undefined ? 0 : fragment.offset + fragment.data.length
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const PCAPNG = 0x0a0d0d0a
const INTERFACE = 1
const ENHANCED_PACKET = 6
const LOOPBACK = 0
const ETHERNET = 1
const RAW = 101
const VLAN = 0x8100
const IPV4 = 0x0800
const IPV6 = 0x86dd
const UDP = 17
