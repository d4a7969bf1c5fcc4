/**
 * A daemon falls silent, or dies and is started again: the other notices by its probes (RFC 7296 §2.4), and the tunnel
 * comes back without anybody's help.
 */

import type { Running, Sas } from './peers/peer.ts'
import { poll } from './poll.ts'
import { bringUp, countersRose, pingBothWays, quiet } from './proofs.ts'
import { nothingElse, onePair } from './rekeys.ts'
import type { Stage } from './stage.ts'

/** Who goes, and how. */
export interface Death {
  readonly kind: 'death'
  readonly of: 'ours' | 'peer'
  /**
   * `frozen`: it is stopped where it is until the other has given it up, and then knows nothing of that. `killed`: it is
   * gone with all that its kernel had. `killed and started`: at once again, long before anybody's probes.
   */
  readonly how: 'frozen' | 'killed' | 'killed and started'
}

/** Up (by `start_action`, or by a command), the end of one daemon, up again. */
export async function proveDeath(stage: Stage, { of, how }: Death): Promise<void> {
  const { ours, theirs, initiator, scenario, ground } = stage
  const [dies, lives] = of === 'ours' ? [ours, theirs] : [theirs, ours]
  if (scenario.connection.start === 'none') await bringUp(initiator)
  await pairOfBoth(stage)
  await pingBothWays(stage)
  const before = await onePair(lives)
  if (how === 'frozen') await dies.freeze()
  else await dies.crash()
  if (how !== 'killed and started') {
    await poll(`${lives.name} to give ${dies.name} up`, 60_000, async () => {
      return !(await lives.sas()).ike.includes(before.ike[0] ?? '')
    })
  }
  if (how === 'frozen') await dies.thaw()
  else await dies.restart()
  for (const daemon of [lives, dies]) await anotherPair(daemon, before)
  await pairOfBoth(stage)
  await nothingElse(stage)
  await pingBothWays(stage)
  for (const host of [ground.moon, ground.sun]) await countersRose(host)
  await quiet(stage)
}

async function pairOfBoth({ ours, theirs }: Stage): Promise<void> {
  for (const daemon of [ours, theirs]) await anotherPair(daemon, { ike: [], children: [], others: [] })
}

/** Waits for a pair that is not the one that was; half-open remains of attempts may take some seconds to go. */
async function anotherPair(daemon: Running, before: Sas): Promise<void> {
  await onePair(daemon, ({ children }) => !before.children.includes(children[0] ?? ''), 60_000)
}
