/** Finding out which path leads to the peer (RFC 4555 §3.10): requests go out on several until an answer shows it. */
import type { Path } from '../wire/endpoint.ts'

/** How often a request is sent on all paths. */
export const mostProbes = 10
/** Milliseconds between one time and the next. */
export const probeMs = 2_500

/** The search for a path that works; the best one comes first. */
export class PathProbing {
  readonly #paths: readonly Path[]
  readonly #attempts = new Map<object, number>()

  constructor(paths: readonly Path[]) {
    this.#paths = paths
  }

  /** Where `request` goes this time; undefined when it has been tried often enough. */
  next(request: object): { readonly attempt: number; readonly paths: readonly Path[] } | undefined {
    const attempt = (this.#attempts.get(request) ?? 0) + 1
    if (attempt > mostProbes) return undefined
    this.#attempts.set(request, attempt)
    // First the best alone: who answers first is not always who is nearest.
    return { attempt, paths: attempt === 1 ? this.#paths.slice(0, 1) : this.#paths }
  }

  /** Whether this is one of the paths, whatever the ports. */
  tries({ local, remote }: Path): boolean {
    return this.#paths.some((path) => path.local.address === local.address && path.remote.address === remote.address)
  }
}
