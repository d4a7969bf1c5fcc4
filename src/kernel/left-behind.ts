/**
 * What a daemon that was killed has left in the kernel. Nobody rekeys or deletes it, and packets go on meeting it: peers see
 * no reason to begin anew, and traps are served by states that are not theirs.
 */

/** A state, as far as it matters here. Addresses are those of its ends. */
export interface StateEnds {
  readonly spi: number
  readonly source: string
  readonly destination: string
  /** 0 if it has none. */
  readonly reqid: number
}

/** A template of a policy. Without addresses those of the packet count (transport mode). */
export interface TemplateEnds {
  readonly reqid: number
  readonly source?: string
  readonly destination?: string
}

/** Tells what is left behind from what is somebody else's. */
export interface LeftBehind {
  readonly hasState: (state: StateEnds) => boolean
  readonly hasPolicy: (templates: readonly TemplateEnds[]) => boolean
}

/**
 * An inbound state with an SPI of our range is left behind if we have just started: two daemons cannot have the same port,
 * and manual keys have other SPIs. With it go all states and policies of the same reqid between the same ends.
 * @param local the addresses of this host
 */
export function leftBehind(
  states: readonly StateEnds[],
  local: ReadonlySet<string>,
  spis: { readonly min: number; readonly max: number },
): LeftBehind {
  const inbound = states.filter(
    ({ spi, destination, reqid }) => reqid !== 0 && spi >= spis.min && spi <= spis.max && local.has(destination),
  )
  const ends = new Set(inbound.map(name))
  const reqids = new Set(inbound.map(({ reqid }) => reqid))
  return {
    hasState: (state) => ends.has(name(state)),
    hasPolicy: (templates) =>
      templates.some(({ reqid, source, destination }) =>
        source === undefined || destination === undefined
          ? reqids.has(reqid)
          : ends.has(name({ reqid, source, destination })),
      ),
  }
}

/** The same for both directions. */
function name({ reqid, source, destination }: Omit<StateEnds, 'spi'>): string {
  return [reqid, ...[source, destination].sort()].join(' ')
}
