/** What the two peers of an exploration want from each other. */
import type { SideName } from '../simulation/connection.ts'
import type { Host } from '../simulation/host.ts'
import type { PairOptions } from '../simulation/pair.ts'
import { rekey, terminate, withTwoChildren } from '../simulation/rekey.ts'

/** Of the two hosts: as little as can go wrong with rekeying, so that each step means something. */
export const options: PairOptions = withTwoChildren()
export const seed = 1

export type Wish = 'rekey child' | 'rekey IKE SA' | 'delete child' | 'delete IKE SA' | 'create child'

/** Operations that a kernel may refuse. */
export type Refusal = 'allocate-spi' | 'install-sa'

export interface Plan {
  readonly name: string
  /** In this order on each side, each at any time. */
  readonly left: readonly Wish[]
  readonly right: readonly Wish[]
}

export const plans: readonly Plan[] = (
  [
    [['rekey child'], ['rekey child']],
    [['rekey IKE SA'], ['rekey IKE SA']],
    [['rekey child'], ['rekey IKE SA']],
    [['rekey child'], ['delete child']],
    [['rekey child'], ['delete IKE SA']],
    [['rekey IKE SA'], ['delete child']],
    [['rekey IKE SA'], ['delete IKE SA']],
    [['delete child'], ['delete child']],
    [['delete child'], ['delete IKE SA']],
    [['delete IKE SA'], ['delete IKE SA']],
    [['create child'], ['rekey child']],
    [['create child'], ['rekey IKE SA']],
    [['create child'], ['create child']],
    [['create child'], ['delete child']],
    [['rekey child', 'rekey IKE SA'], ['rekey child']],
    [['rekey child', 'rekey child'], ['rekey child']],
    [['rekey IKE SA', 'rekey child'], ['rekey IKE SA']],
    [['rekey child', 'delete child'], ['rekey child']],
    [['delete child', 'create child'], ['rekey child']],
    [['rekey IKE SA', 'rekey IKE SA'], ['rekey child']],
    [
      ['rekey child', 'rekey IKE SA'],
      ['rekey child', 'rekey IKE SA'],
    ],
    [
      ['rekey child', 'create child'],
      ['rekey IKE SA', 'delete child'],
    ],
  ] satisfies [Wish[], Wish[]][]
).map(([left, right]) => ({ name: `${left.join(', ')} | ${right.join(', ')}`, left, right }))

/** Gives the command; what there is nothing left for is not asked. */
export function wish(host: Host, what: Wish): void {
  if (host.sas().length === 0) return
  switch (what) {
    case 'rekey child':
      return rekey(host, 'child')
    case 'rekey IKE SA':
      return rekey(host, 'IKE SA')
    case 'delete child':
      return void terminate(host, 'child')
    case 'delete IKE SA':
      return void terminate(host, 'IKE SA')
    case 'create child':
      return void host.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  }
}

export const sides: readonly SideName[] = ['left', 'right']
