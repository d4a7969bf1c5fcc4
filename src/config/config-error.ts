/** Where in the configuration something stands; lines and columns count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column?: number
}

/** A configuration that cannot be used. The message names the place and, after a colon, what is wrong and how to cure it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly place: Place | undefined
  /** The message without the place. */
  readonly reason: string
  /** Names of sections and the key, from the outside in, where they are known and the place is not. */
  readonly path: string[] = []

  /** @param cause what lies below, for a message whose text is fixed */
  constructor(message: string, place?: Place, cause?: unknown) {
    super(place === undefined ? message : `${formatPlace(place)}: ${message}`, cause === undefined ? {} : { cause })
    this.place = place
    this.reason = message
  }
}

export function formatPlace(place: Place): string {
  return `${place.file}:${place.line}${place.column === undefined ? '' : `:${place.column}`}`
}
