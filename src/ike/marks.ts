/**
 * Marks and interface ids: what ties the states and policies of a Child SA to packets and interfaces besides their
 * selectors. A configuration may leave the choice to us: `%unique` is one number for each Child SA, `%unique-dir` two.
 * The interface ids of a connection are chosen once for each IKE SA, and its children without any of their own have them.
 */
import type { ChildConfig, ConfiguredMark, UniqueValue } from '../config/connection.ts'
import type { Mark } from '../kernel/operations.ts'

/** Interface ids, of an IKE SA or a Child SA. */
export interface InterfaceIds {
  readonly ifIdIn?: number
  readonly ifIdOut?: number
}

/** What the kernel objects of one Child SA carry. */
export interface Marking extends InterfaceIds {
  readonly markIn?: Mark
  readonly markOut?: Mark
}

interface ConfiguredIds {
  readonly ifIdIn?: UniqueValue | undefined
  readonly ifIdOut?: UniqueValue | undefined
}

/** Gives out numbers that nobody else has had: marks and interface ids, each counted from 1. */
export class UniqueNumbers {
  #mark = 0
  #ifId = 0

  /** The interface ids of an IKE SA. */
  interfaceIds({ ifIdIn, ifIdOut }: ConfiguredIds): InterfaceIds {
    const [own, other] = choose(ifIdIn, ifIdOut, () => this.#nextIfId())
    return { ...(own && { ifIdIn: own }), ...(other && { ifIdOut: other }) }
  }

  /**
   * The marks and interface ids of a Child SA.
   * @param inherited what it has where its own configuration says nothing
   * @param kept marks of the one that it replaces
   */
  marking(
    config: Pick<ChildConfig, 'markIn' | 'markOut' | 'ifIdIn' | 'ifIdOut'>,
    inherited: ConfiguredIds,
    kept: Pick<Marking, 'markIn' | 'markOut'> = {},
  ): Marking {
    const { ifIdIn = inherited.ifIdIn, ifIdOut = inherited.ifIdOut } = config
    const ids = this.interfaceIds({ ifIdIn, ifIdOut })
    const [valueIn, valueOut] = choose(
      kept.markIn?.value ?? uniqueValue(config.markIn),
      kept.markOut?.value ?? uniqueValue(config.markOut),
      () => this.#nextMark(),
    )
    const markIn = withMask(valueIn, config.markIn)
    const markOut = withMask(valueOut, config.markOut)
    return { ...ids, ...(markIn && { markIn }), ...(markOut && { markOut }) }
  }

  #nextMark(): number {
    this.#mark = after(this.#mark)
    return this.#mark
  }

  #nextIfId(): number {
    this.#ifId = after(this.#ifId)
    return this.#ifId
  }
}

/** The marks of policies that let pass or drop: nothing is unique about them, and they have no interface ids. */
export function shuntMarking({ markIn, markOut }: ChildConfig): Pick<Marking, 'markIn' | 'markOut'> {
  const [own, other] = [plainMark(markIn), plainMark(markOut)]
  return { ...(own && { markIn: own }), ...(other && { markOut: other }) }
}

/** Whether every Child SA of a child has numbers of its own, so that two of them are not the same. */
export function isUnique({ markIn, markOut, ifIdIn, ifIdOut }: ChildConfig): boolean {
  return [markIn?.value, markOut?.value, ifIdIn, ifIdOut].some((value) => typeof value === 'string')
}

/** The mark that packets get when the state has processed them; `%same` is the mark of the direction itself. */
export function outputMark(configured: ConfiguredMark | undefined, same: Mark | undefined): Mark | undefined {
  return configured?.value === '%same' ? withMask(same?.value ?? 0, configured) : plainMark(configured)
}

function plainMark(configured: ConfiguredMark | undefined): Mark | undefined {
  return withMask(typeof configured?.value === 'number' ? configured.value : undefined, configured)
}

/** Chooses for both directions: where either asks for numbers of their own, none is used twice. */
function choose(
  valueIn: UniqueValue | undefined,
  valueOut: UniqueValue | undefined,
  next: () => number,
): readonly [number | undefined, number | undefined] {
  const asked = [valueIn, valueOut].filter((value) => typeof value === 'string')
  if (typeof valueIn !== 'string' && typeof valueOut !== 'string') return [valueIn, valueOut]
  const shared = asked.includes('%unique-dir') ? undefined : next()
  return [
    typeof valueIn === 'string' ? (shared ?? next()) : valueIn,
    typeof valueOut === 'string' ? (shared ?? next()) : valueOut,
  ]
}

/** Neither 0, which is none, nor the two numbers that stand for `%unique` and `%unique-dir`. */
function after(last: number): number {
  return last >= 0xffff_fffd ? 1 : last + 1
}

function uniqueValue(mark: ConfiguredMark | undefined): UniqueValue | undefined {
  return mark?.value === '%same' ? undefined : mark?.value
}

/** A mark without a value under a mask stands for packets that have none; without both there is no mark. */
function withMask(value: number | undefined, configured: ConfiguredMark | undefined): Mark | undefined {
  if (value === undefined || configured === undefined) return undefined
  return value === 0 && configured.mask === 0 ? undefined : { value, mask: configured.mask }
}
