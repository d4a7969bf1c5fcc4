import { concat } from '../crypto/bytes.ts'
import {
  AF_INET,
  AF_INET6,
  directionNumbers,
  UDP_ENCAP_ESPINUDP,
  XFRM_INF,
  XFRM_POLICY_ALLOW,
} from '../kernel/xfrm/numbers.ts'
import { xfrm_userpolicy_info } from '../kernel/xfrm/structs.ts'
import { parseAddress } from '../wire/address.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { DatagramSocket, type ReceivedDatagram, type Slab, slab } from './datagram-socket.ts'
import { SystemCallError } from './native.ts'
import {
  decodePacketInfo,
  decodeSocketAddress,
  encodePacketInfo,
  encodeSocketAddress,
  encodeTrafficClass,
  type SocketAddress,
} from './socket-address.ts'

/** A UDP payload and its way. On port 4500 it includes the non-ESP marker (RFC 3948 §2.2), which is the core's business. */
export interface IkeDatagram {
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly bytes: Uint8Array
  /** Differentiated services code point (RFC 2474) to send it with; 0 by default. */
  readonly dscp?: number
}

export interface IkeSocketOptions {
  /** The port of IKE; 0 is a random one. */
  readonly portIke: number
  /** The port for NAT traversal; 0, or the same as `portIke`, is a random one. */
  readonly portNatT: number
  readonly ipv4?: boolean
  readonly ipv6?: boolean
  /** Whether datagrams go out from the address that they are to have; else from what the kernel chooses. */
  readonly setSource?: boolean
  /** Whether what comes in by an interface is taken. */
  readonly allows?: (ifindex: number) => boolean
  /** SO_MARK: firewall mark of everything sent. */
  readonly mark?: number
  /** Octets of each receive buffer. */
  readonly receiveBufferBytes?: number
  /** Each datagram's bytes are a copy that may be kept. */
  readonly onDatagram: (datagram: IkeDatagram) => void
  /** Is told of errors that a socket reports, in words. */
  readonly onError?: (problem: string) => void
}

/** The open sockets. */
export interface IkeSockets {
  /** The ports that are in use, with random ones filled in. */
  readonly portIke: number
  readonly portNatT: number
  /** What could not be opened, one sentence each; the rest works. */
  readonly problems: readonly string[]
  /**
   * Sends from exactly this address and port. Returns undefined or the errno name: ENOTCONN when no socket has that
   * family and port, ENETUNREACH or EINVAL when the address is not (any more) one of this host, EAGAIN when the send buffer
   * is full. A lost datagram is sent again by IKE's retransmission.
   */
  send(datagram: IkeDatagram): string | undefined
  close(): void
}

/**
 * Opens UDP sockets for IKE and NAT traversal, for both families, on the wildcard address. Packets of these sockets pass
 * by all IPsec policies, and the kernel takes ESP out of the datagrams on the NAT traversal port.
 * @throws SocketsError if not a single socket could be opened
 */
export function openIkeSockets(options: IkeSocketOptions): IkeSockets {
  const { onDatagram, onError = () => {}, setSource = true, allows = () => true } = options
  // Everything received is copied before the next call, so the sockets can share their memory.
  const receiving = slab(32, 65536)
  const sending = slab(1, 65536)
  const opened: OpenSocket[] = []
  const problems: string[] = []
  // 0 until the first family was given a random port; the second then gets the same.
  const ports = { ike: options.portIke, natT: options.portNatT === options.portIke ? 0 : options.portNatT }

  for (const family of [6, 4] as const) {
    if (!(family === 4 ? (options.ipv4 ?? true) : (options.ipv6 ?? true))) continue
    for (const use of ['ike', 'natT'] as const) {
      try {
        const open = openOne(family, ports[use], use, options, receiving, sending)
        ports[use] = open.port
        opened.push(open)
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error
        problems.push(problemOf(error, family, ports[use]))
      }
    }
  }
  if (opened.length === 0) throw new SocketsError(problems)

  /** Interfaces behind which link-local peers live, which an `Endpoint` cannot say. Bounded; the oldest goes first. */
  const scopes = new Map<string, number>()
  const rememberScope = ({ address, scope }: SocketAddress): void => {
    scopes.delete(address)
    scopes.set(address, scope)
    const [oldest] = scopes.keys()
    if (scopes.size > scopesKept && oldest !== undefined) scopes.delete(oldest)
  }

  for (const { socket, port, family } of opened) {
    const receive = (datagram: ReceivedDatagram): void => {
      const remote = decodeSocketAddress(datagram.address)
      const local = decodePacketInfo(datagram.control)
      // Without both ends it cannot be answered; a truncated one cannot be authenticated.
      if (remote === undefined || local === undefined || datagram.truncated) return
      if (!allows(local.ifindex)) return
      if (remote.scope !== 0) rememberScope(remote)
      const { address } = remote
      onDatagram({
        local: { address: local.address, port },
        remote: { address, port: remote.port },
        bytes: datagram.bytes.slice(),
      })
    }
    socket.listen(
      (batch) => batch.forEach(receive),
      (code) => onError(`UDP socket of IPv${family} port ${port}: ${code}`),
    )
  }

  return {
    portIke: ports.ike,
    portNatT: ports.natT,
    problems,
    send({ local, remote, bytes, dscp = 0 }) {
      const source = parseAddress(local.address)
      const destination = parseAddress(remote.address)
      if (source === undefined || destination === undefined || source.length !== destination.length) return 'EINVAL'
      const family = source.length === 4 ? 4 : 6
      const open = opened.find((open) => open.port === local.port && open.family === family)
      if (open === undefined) return 'ENOTCONN'
      const scope = scopes.get(remote.address) ?? 0
      const control = [
        ...(setSource ? [encodePacketInfo(source, scope)] : []),
        ...(dscp === 0 ? [] : [encodeTrafficClass(family, dscp << 2)]),
      ]
      return open.socket.send(encodeSocketAddress(destination, remote.port, scope), bytes, concat(...control))
    },
    close() {
      for (const { socket } of opened) socket.close()
    },
  }
}

/** No socket could be opened at all. */
export class SocketsError extends Error {
  override readonly name = 'SocketsError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.length === 0 ? 'neither IPv4 nor IPv6 is enabled' : problems.join('; '))
    this.problems = problems
  }
}

interface OpenSocket {
  readonly socket: DatagramSocket
  readonly family: 4 | 6
  readonly port: number
}

function openOne(
  family: 4 | 6,
  port: number,
  use: 'ike' | 'natT',
  options: IkeSocketOptions,
  receiving: Slab,
  sending: Slab,
): OpenSocket {
  const domain = family === 4 ? AF_INET : AF_INET6
  const level = family === 4 ? IPPROTO_IP : IPPROTO_IPV6
  const socket = new DatagramSocket(domain, SOCK_DGRAM, 0, receiving, sending)
  try {
    if (family === 6) socket.setOption(level, IPV6_V6ONLY, 1)
    socket.setOption(level, family === 4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1)
    // IKE negotiates the policies, so it cannot be subject to them.
    for (const direction of ['in', 'out'] as const)
      socket.setOption(level, family === 4 ? IP_XFRM_POLICY : IPV6_XFRM_POLICY, bypass(domain, direction))
    if (use === 'natT') socket.setOption(IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
    if (options.mark !== undefined) socket.setOption(SOL_SOCKET, SO_MARK, options.mark)
    enlargeBuffer(socket, options.receiveBufferBytes ?? receiveBufferBytes)
    socket.bind(encodeSocketAddress(new Uint8Array(family === 4 ? 4 : 16), port, 0))
    return { socket, family, port: decodeSocketAddress(socket.name())?.port ?? port }
  } catch (error) {
    socket.close()
    throw error
  }
}

/** A policy that lets everything pass, for one socket and one direction. */
function bypass(domain: number, direction: 'in' | 'out'): Uint8Array {
  return xfrm_userpolicy_info.encode({
    sel: { family: domain },
    lft: {
      soft_byte_limit: XFRM_INF,
      hard_byte_limit: XFRM_INF,
      soft_packet_limit: XFRM_INF,
      hard_packet_limit: XFRM_INF,
    },
    dir: directionNumbers[direction],
    action: XFRM_POLICY_ALLOW,
  })
}

/** Beyond the limit of the system only with CAP_NET_ADMIN. */
function enlargeBuffer(socket: DatagramSocket, bytes: number): void {
  try {
    socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes)
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error
    socket.setOption(SOL_SOCKET, SO_RCVBUF, bytes)
  }
}

function problemOf({ code, call }: SystemCallError, family: 4 | 6, port: number): string {
  const cure = cures[code]
  const where = `IPv${family} port ${port === 0 ? 'of any number' : port}`
  const what = call === 'bind' ? 'unable to bind socket' : `unable to open socket (${call})`
  return `${what}: ${where}: ${code}${cure === undefined ? '' : `: ${cure}`}`
}

const cures: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another IKE daemon is running: stop it, or choose another port',
  EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
  EPERM: 'run as root or give CAP_NET_ADMIN',
  EAFNOSUPPORT: 'the kernel has no IP of this version',
  ENOPROTOOPT: 'the kernel lacks IPsec support (CONFIG_XFRM)',
}

const IPPROTO_IP = 0
const IPPROTO_UDP = 17
const IPPROTO_IPV6 = 41
const SOCK_DGRAM = 2
const SOL_SOCKET = 1
const SO_RCVBUF = 8
const SO_RCVBUFFORCE = 33
const SO_MARK = 36
const IP_PKTINFO = 8
const IP_XFRM_POLICY = 17
const IPV6_V6ONLY = 26
const IPV6_XFRM_POLICY = 35
const IPV6_RECVPKTINFO = 49
const UDP_ENCAP = 100

const receiveBufferBytes = 4 << 20
const scopesKept = 256
