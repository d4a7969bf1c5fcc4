/** Frames of the VICI stream: u32 length (not counting itself) and that many bytes. */
import { maxFrameBytes } from './message.ts'

/** A frame longer than VICI allows; the stream cannot be followed any further. */
export class FrameTooLong extends Error {
  override readonly name = 'FrameTooLong'
  readonly length: number

  constructor(length: number) {
    super(`vici message length ${length} exceeds ${maxFrameBytes} bytes limit`)
    this.length = length
  }
}

/** The frame around `packet`. @throws FrameTooLong */
export function frame(packet: Uint8Array): Uint8Array {
  if (packet.length > maxFrameBytes) throw new FrameTooLong(packet.length)
  const bytes = new Uint8Array(4 + packet.length)
  new DataView(bytes.buffer).setUint32(0, packet.length)
  bytes.set(packet, 4)
  return bytes
}

/** Cuts a stream into frames. Holds at most one unfinished frame. */
export class FrameReader {
  #chunks: Uint8Array[] = []
  #held = 0
  /** Length of the frame being read, undefined while its length field is. */
  #wanted: number | undefined;

  /**
   * The packets that `chunk` completes, in order.
   * @throws FrameTooLong as soon as a length field says so; frames before it in the same chunk were yielded already
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let rest = chunk
    for (;;) {
      const wanted = this.#wanted ?? 4
      const missing = wanted - this.#held
      if (rest.length < missing) {
        if (rest.length > 0) this.#chunks.push(rest)
        this.#held += rest.length
        return
      }
      this.#chunks.push(rest.subarray(0, missing))
      rest = rest.subarray(missing)
      const bytes = new Uint8Array(Buffer.concat(this.#chunks, wanted))
      this.#chunks = []
      this.#held = 0
      if (this.#wanted !== undefined) {
        this.#wanted = undefined
        yield bytes
      } else {
        const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
        if (length > maxFrameBytes) throw new FrameTooLong(length)
        this.#wanted = length
      }
    }
  }
}
