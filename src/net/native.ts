import { createRequire } from 'node:module'
import { constants } from 'node:os'

/** A socket of the native part. It can only be used through `Native`. */
export interface NativeEndpoint {
  readonly nativeEndpoint: unique symbol
}

/**
 * What `native/sallyport.c` exports. Every function returns a count, or 0, or -errno. Addresses, option values and
 * control messages are bytes in the layout of the kernel.
 */
export interface Native {
  /** Opens a non-blocking, close-on-exec socket. */
  socket(domain: number, type: number, protocol: number): NativeEndpoint | number
  close(endpoint: NativeEndpoint): number
  bind(endpoint: NativeEndpoint, address: Uint8Array): number
  connect(endpoint: NativeEndpoint, address: Uint8Array): number
  /** Writes the local address to `room` and returns its length. */
  getsockname(endpoint: NativeEndpoint, room: Uint8Array): number
  setsockopt(endpoint: NativeEndpoint, level: number, name: number, value: Uint8Array): number
  /** Writes the value to `room` and returns its length. */
  getsockopt(endpoint: NativeEndpoint, level: number, name: number, room: Uint8Array): number
  /** Calls back with 1 while there is something to receive, or with -errno when the socket has an error. Once only. */
  watch(endpoint: NativeEndpoint, ready: (events: number) => void): number
  /** Takes as many datagrams as there are records; their slots are equal parts of `slab`. */
  receive(endpoint: NativeEndpoint, slab: Uint8Array, records: Uint8Array): number
  /** Sends `count` slots from slot `from` on. */
  send(endpoint: NativeEndpoint, slab: Uint8Array, records: Uint8Array, from: number, count: number): number
}

/** The native part, loaded at the first call. Throws an error that names the cure if it cannot be loaded. */
export function native(): Native {
  loaded ??= load()
  return loaded
}

/** A system call that failed. `code` is the symbolic errno, `call` the name of the call. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError'
  readonly code: string
  readonly call: string

  constructor(call: string, errno: number) {
    const code = errnoName(errno)
    super(`${call}: ${code}`)
    this.code = code
    this.call = call
  }
}

/** The symbolic name of an error number, given positive or negative, e.g. `ENOENT`. */
export function errnoName(errno: number): string {
  return errnoNames.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`
}

// Two names can share a number; these are the names that the kernel uses.
const errnoNames: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]): [number, string] => [number, name]),
  [constants.errno.EAGAIN, 'EAGAIN'],
  [constants.errno.EOPNOTSUPP, 'EOPNOTSUPP'],
  [126, 'ENOKEY'],
])

let loaded: Native | undefined

function load(): Native {
  const file = `../../native/linux-${process.arch}.node`
  try {
    return createRequire(import.meta.url)(file) as Native // The file is built from native/sallyport.c, which says so.
  } catch (cause) {
    throw new Error(
      `cannot load native/linux-${process.arch}.node: build it with "npm run build:native" (needs a C compiler)`,
      { cause },
    )
  }
}
