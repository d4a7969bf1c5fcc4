import { DatagramSocket, type ReceivedDatagram, slab } from '../../net/datagram-socket.ts'
import { errnoName, SystemCallError } from '../../net/native.ts'
import { DecodeError } from '../../wire/errors.ts'
import {
  type Attribute,
  decodeMessages,
  decodeStatus,
  encodeMessage,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  value32,
} from './message.ts'
import { type Numbers, type Struct, struct, u16, u32 } from './struct.ts'

export const NETLINK_ROUTE = 0
export const NETLINK_XFRM = 6

/** A request without its sequence number. */
export interface NetlinkRequest {
  readonly type: number
  /** Without NLM_F_REQUEST and NLM_F_ACK, which every request has. */
  readonly flags?: number
  readonly fixed: Uint8Array
  readonly attributes?: readonly Attribute[]
}

/** The kernel refused a request. `code` is the symbolic errno, `detail` the kernel's explanation, if any. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly code: string
  readonly detail: string | undefined

  constructor(code: string, detail?: string) {
    super(detail === undefined ? code : `${code} (${detail})`)
    this.code = code
    this.detail = detail
  }
}

/** The result, or undefined instead of a `NetlinkError` with one of `codes`. */
export async function ignoring<T>(codes: readonly string[], done: Promise<T>): Promise<T | undefined> {
  try {
    return await done
  } catch (error) {
    if (error instanceof NetlinkError && codes.includes(error.code)) return undefined
    throw error
  }
}

interface Pending {
  readonly request: NetlinkRequest
  readonly answers: NetlinkMessage[]
  readonly resolve: (answers: NetlinkMessage[]) => void
  readonly reject: (error: NetlinkError) => void
  sequence: number
  interrupted: boolean
  attempts: number
}

/** Requests to one netlink family and their answers, one after the other: the kernel allows one dump at a time. */
export class NetlinkRequests {
  readonly #socket: DatagramSocket
  readonly #waiting: Pending[] = []
  #active: Pending | undefined
  #sequence = 0
  #pumping = false
  #closed = false

  /** @throws SystemCallError */
  constructor(protocol: number) {
    this.#socket = openNetlink(protocol, 0)
    this.#socket.listen(
      (batch) => this.#receive(batch),
      (code) => this.#fail(code),
    )
  }

  /**
   * Sends a request and resolves with the messages that answer it; the acknowledgement is not among them.
   * @throws NetlinkError with the kernel's errno
   */
  request(request: NetlinkRequest): Promise<NetlinkMessage[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new NetlinkError('EBADF', 'the netlink socket is closed'))
      this.#waiting.push({ request, answers: [], resolve, reject, sequence: 0, interrupted: false, attempts: 0 })
      this.#pump()
    })
  }

  /** All objects of a kind. */
  dump(request: NetlinkRequest): Promise<NetlinkMessage[]> {
    return this.request({ ...request, flags: (request.flags ?? 0) | NLM_F_DUMP })
  }

  close(): void {
    this.#closed = true
    this.#socket.close()
    for (const pending of this.#waiting.splice(0)) pending.reject(closedError())
    this.#active?.reject(closedError())
    this.#active = undefined
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    while (this.#active === undefined && !this.#closed) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      this.#active = next
      this.#send(next)
      // The kernel has answered by now, all but long dumps: no need to wait for the event loop to notice.
      this.#socket.poll()
    }
    this.#pumping = false
  }

  #send(pending: Pending): void {
    this.#sequence = (this.#sequence + 1) >>> 0
    pending.sequence = this.#sequence
    pending.attempts++
    pending.interrupted = false
    pending.answers.length = 0
    const { type, flags = 0, fixed, attributes } = pending.request
    const bytes = encodeMessage(type, flags | NLM_F_REQUEST | NLM_F_ACK, pending.sequence, fixed, attributes)
    const code = this.#socket.send(kernelAddress, bytes)
    bytes.fill(0) // NEWSA holds keys
    if (code !== undefined) this.#finish(pending, new NetlinkError(code))
  }

  #receive(batch: readonly ReceivedDatagram[]): void {
    for (const datagram of batch) {
      if (!fromKernel(datagram)) continue
      try {
        if (datagram.truncated) throw new DecodeError('netlink', datagram.bytes.length, 'longer than the slot')
        for (const message of decodeMessages(datagram.bytes)) this.#answer(message)
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        if (this.#active) this.#finish(this.#active, new NetlinkError('EBADMSG', error.message))
      }
      datagram.bytes.fill(0) // answers to GETSA hold keys
    }
    this.#pump()
  }

  #answer(message: NetlinkMessage): void {
    const pending = this.#active
    if (pending === undefined || message.sequence !== pending.sequence) return
    if (message.flags & NLM_F_DUMP_INTR) pending.interrupted = true
    if (message.type === NLMSG_ERROR) {
      const { errno, detail } = decodeStatus(message)
      this.#finish(pending, errno === 0 ? undefined : new NetlinkError(errnoName(errno), detail))
    } else if (message.type === NLMSG_DONE) {
      // Objects came or went between the parts of a dump: some may be missing.
      if (pending.interrupted && pending.attempts < attemptsPerDump) this.#send(pending)
      else this.#finish(pending, doneError(message))
    } else {
      pending.answers.push(message)
    }
  }

  #finish(pending: Pending, error: NetlinkError | undefined): void {
    if (this.#active === pending) this.#active = undefined
    if (error === undefined) pending.resolve(pending.answers)
    else pending.reject(error)
  }

  /** The socket's own error. After ENOBUFS an answer is lost, and nobody knows whether the request was carried out. */
  #fail(code: string): void {
    if (this.#active) this.#finish(this.#active, new NetlinkError(code, 'the answer is lost'))
    this.#pump()
  }
}

/** Notifications of multicast groups, on a socket of their own, so that a flood of them cannot push out an answer. */
export class NetlinkEvents {
  readonly #socket: DatagramSocket

  /**
   * @param onMessage must not throw anything but DecodeError, which is counted and forgotten
   * @param onLost is called when the kernel had to drop notifications
   * @param bufferBytes octets of notifications that may wait
   * @throws SystemCallError
   */
  constructor(
    protocol: number,
    groups: readonly number[],
    onMessage: (message: NetlinkMessage) => void,
    onLost: () => void,
    bufferBytes: number = eventBufferBytes,
  ) {
    this.#socket = openNetlink(protocol, bufferBytes)
    for (const group of groups) this.#socket.setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    this.#socket.listen((batch) => {
      for (const datagram of batch) {
        if (!fromKernel(datagram)) continue
        if (datagram.truncated) onLost()
        else decodeEach(datagram.bytes, onMessage)
      }
    }, onLost)
  }

  close(): void {
    this.#socket.close()
  }
}

function decodeEach(bytes: Uint8Array, onMessage: (message: NetlinkMessage) => void): void {
  try {
    for (const message of decodeMessages(bytes)) onMessage(message)
  } catch (error) {
    // A notification of a form we do not know: nobody waits for it.
    if (!(error instanceof DecodeError)) throw error
  }
}

function openNetlink(protocol: number, receiveBuffer: number): DatagramSocket {
  const socket = new DatagramSocket(AF_NETLINK, SOCK_RAW, protocol, slab(4, 65536), slab(1, 65536))
  try {
    socket.bind(sockaddr_nl.encode({ nl_family: AF_NETLINK }))
    socket.setOption(SOL_NETLINK, NETLINK_EXT_ACK, 1)
    socket.setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1) // errors do not repeat the request, which may hold keys
    if (receiveBuffer > 0) enlarge(socket, receiveBuffer)
  } catch (error) {
    socket.close()
    throw error
  }
  return socket
}

/** SO_RCVBUFFORCE needs CAP_NET_ADMIN; without it the limit of the system applies. */
function enlarge(socket: DatagramSocket, bytes: number): void {
  try {
    socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes)
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error
    socket.setOption(SOL_SOCKET, SO_RCVBUF, bytes)
  }
}

/** The end of a dump can say that it failed on the way. */
function doneError(message: NetlinkMessage): NetlinkError | undefined {
  const errno = message.body.length < 4 ? 0 : value32(message.body) | 0
  return errno < 0 ? new NetlinkError(errnoName(errno)) : undefined
}

/** Any process may send to a netlink socket; only the kernel has port 0. */
function fromKernel({ address }: ReceivedDatagram): boolean {
  return address.length >= sockaddr_nl.size && sockaddr_nl.decode(address).nl_pid === 0
}

function closedError(): NetlinkError {
  return new NetlinkError('EBADF', 'the netlink socket was closed')
}

type NetlinkAddress = Numbers<'nl_family' | 'nl_pad' | 'nl_pid' | 'nl_groups'>
const sockaddr_nl: Struct<NetlinkAddress> = struct('sockaddr_nl', 12, {
  nl_family: u16,
  nl_pad: u16,
  nl_pid: u32,
  nl_groups: u32,
})

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOL_SOCKET = 1
const SO_RCVBUF = 8
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11

const kernelAddress = sockaddr_nl.encode({ nl_family: AF_NETLINK })
const eventBufferBytes = 4 << 20
const attemptsPerDump = 5
