import { errnoName, type Native, type NativeEndpoint, native, SystemCallError } from './native.ts'

/** A datagram as it came. All bytes are views that are valid only until the listener returns. */
export interface ReceivedDatagram {
  readonly bytes: Uint8Array
  /** True when the datagram was longer than a slot: `bytes` is its beginning only. */
  readonly truncated: boolean
  /** The sender, a sockaddr. */
  readonly address: Uint8Array
  /** Ancillary data, a row of cmsghdr. */
  readonly control: Uint8Array
}

/**
 * Memory for batches of datagrams: equal slots and one record for each (`struct record` in native/sallyport.c).
 * Sockets of one thread can share a slab for receiving, since its content is used up before the next call.
 */
export interface Slab {
  readonly slots: number
  readonly slotBytes: number
  readonly bytes: Uint8Array
  readonly records: Uint8Array
  readonly view: DataView
}

/** @param slots at most 64 */
export function slab(slots: number, slotBytes: number): Slab {
  const records = new Uint8Array(slots * recordBytes)
  const bytes = new Uint8Array(slots * slotBytes)
  return { slots, slotBytes, bytes, records, view: new DataView(records.buffer) }
}

/** A datagram socket of any family: UDP, netlink or Unix. Failing calls throw `SystemCallError`. */
export class DatagramSocket implements Disposable {
  readonly #native: Native
  readonly #endpoint: NativeEndpoint
  readonly #receiving: Slab
  readonly #sending: Slab
  #ready: (events: number) => void = () => {}

  constructor(domain: number, type: number, protocol: number, receiving: Slab, sending: Slab) {
    this.#native = native()
    const endpoint = this.#native.socket(domain, type, protocol)
    if (typeof endpoint === 'number') throw new SystemCallError('socket', endpoint)
    this.#endpoint = endpoint
    this.#receiving = receiving
    this.#sending = sending
  }

  /** @param value bytes in the kernel's layout, or an `int` */
  setOption(level: number, name: number, value: Uint8Array | number): void {
    const bytes = typeof value === 'number' ? new Uint8Array(Int32Array.of(value).buffer) : value
    checked('setsockopt', this.#native.setsockopt(this.#endpoint, level, name, bytes))
  }

  /** The value of an option, at most `size` octets. */
  option(level: number, name: number, size: number): Uint8Array {
    const room = new Uint8Array(size)
    return room.subarray(0, checked('getsockopt', this.#native.getsockopt(this.#endpoint, level, name, room)))
  }

  bind(address: Uint8Array): void {
    checked('bind', this.#native.bind(this.#endpoint, address))
  }

  connect(address: Uint8Array): void {
    checked('connect', this.#native.connect(this.#endpoint, address))
  }

  /** The sockaddr the socket is bound to. */
  name(): Uint8Array {
    const room = new Uint8Array(addressRoom)
    return room.subarray(0, checked('getsockname', this.#native.getsockname(this.#endpoint, room)))
  }

  /**
   * From now on hands over what arrives, a batch at a time.
   * @param onError is told an errno name when the socket reports an error, e.g. ENOBUFS when netlink events were lost
   */
  listen(onBatch: (batch: readonly ReceivedDatagram[]) => void, onError: (code: string) => void): void {
    this.#ready = (events) => {
      if (events < 0) onError(errnoName(events))
      // A flood must not keep the other sockets and the timers waiting: the rest comes with the next turn of the loop.
      for (let turn = 0; turn < batchesPerTurn; turn++) {
        const batch = this.#receive(onError)
        if (batch.length > 0) onBatch(batch)
        if (batch.length < this.#receiving.slots) return
      }
    }
    checked('poll', this.#native.watch(this.#endpoint, this.#ready))
  }

  /** Hands over what is there already, without waiting for the event loop. Not from within the listener. */
  poll(): void {
    this.#ready(1)
  }

  /**
   * Sends one datagram. Returns undefined, or the errno name if the kernel refused it.
   * @param address the receiver's sockaddr; empty on a connected socket
   */
  send(address: Uint8Array, bytes: Uint8Array, control?: Uint8Array): string | undefined {
    const { slotBytes, bytes: room, records, view } = this.#sending
    if (bytes.length > slotBytes) return 'EMSGSIZE'
    if (address.length > addressRoom || (control?.length ?? 0) > controlRoom) return 'EINVAL'
    room.set(bytes)
    records.set(address, addressAt)
    if (control !== undefined) records.set(control, controlAt)
    view.setUint32(0, bytes.length, true)
    view.setUint16(addressLengthAt, address.length, true)
    view.setUint16(controlLengthAt, control?.length ?? 0, true)
    const result = this.#native.send(this.#endpoint, room, records, 0, 1)
    // A message may hold keys (NEWSA): nothing of it stays behind.
    room.fill(0, 0, bytes.length)
    return result < 0 ? errnoName(result) : undefined
  }

  close(): void {
    this.#native.close(this.#endpoint)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #receive(onError: (code: string) => void): ReceivedDatagram[] {
    const { slotBytes, bytes, records, view } = this.#receiving
    const count = this.#native.receive(this.#endpoint, bytes, records)
    if (count < 0) {
      if (count !== closed) onError(errnoName(count))
      return []
    }
    const batch: ReceivedDatagram[] = []
    for (let slot = 0; slot < count; slot++) {
      const at = slot * recordBytes
      const length = view.getUint32(at, true)
      const addressLength = view.getUint16(at + addressLengthAt, true)
      const controlLength = view.getUint16(at + controlLengthAt, true)
      batch.push({
        bytes: bytes.subarray(slot * slotBytes, slot * slotBytes + Math.min(length, slotBytes)),
        truncated: length > slotBytes,
        address: records.subarray(at + addressAt, at + addressAt + addressLength),
        control: records.subarray(at + controlAt, at + controlAt + controlLength),
      })
    }
    return batch
  }
}

function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, result)
  return result
}

// Offsets of `struct record`, little-endian on both supported CPUs.
const recordBytes = 256
const addressLengthAt = 8
const controlLengthAt = 10
const addressAt = 16
const addressRoom = 112
const controlAt = 128
const controlRoom = 128

const batchesPerTurn = 4
const closed = -9 // EBADF: the listener has closed the socket
