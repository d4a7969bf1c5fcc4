/**
 * Bytes from outside that do not have the form they should have. The only error that a decoder of this project throws.
 *
 * `place` is a path in the structure being read (`SA.proposal[1].transform[0]`), `offset` the octet, counted from the
 * start of the outermost bytes, at which reading stopped.
 */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
  readonly place: string
  readonly offset: number
  /** The notify that RFC 7296 wants for this fault where it is not INVALID_SYNTAX, for example INVALID_MAJOR_VERSION. */
  readonly notify: number | undefined

  constructor(place: string, offset: number, reason: string, notify?: number) {
    super(`${place}${place === '' ? '' : ' '}at offset ${offset}: ${reason}`)
    this.place = place
    this.offset = offset
    this.notify = notify
  }
}
