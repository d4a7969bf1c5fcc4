/**
 * A peer that gets ESP with an SPI that it does not know has forgotten a Child SA, and may say so, RFC 7296 §1.5. Inside an
 * IKE SA that is authentic; still it ends nothing, for the peer may be confused. The Child SA is rekeyed: a peer that knows
 * it goes on with another one, and one that does not says CHILD_SA_NOT_FOUND, after which it is made anew (§2.25).
 *
 *   HDR, SK {N(INVALID_SPI)}  -->
 *                      <--  HDR, SK {}
 *                      <--  HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}
 */
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'
import type { IkeSa } from './ike-sa.ts'
import { rekeyChild } from './lifetimes.ts'

/** Packets under way when an SA was installed or replaced are no reason yet. */
const settledMs = 30_000

/** As responder to an INFORMATIONAL request: takes up what it says of our Child SAs. */
export function heardInvalidSpi(sa: IkeSa, notifies: readonly NPayload[]): void {
  const { core } = sa
  for (const { notify, data } of notifies) {
    if (notify !== NOTIFY.INVALID_SPI || data.length !== 4) continue
    const spi = new DataView(data.slice().buffer).getUint32(0)
    const child = [...sa.children.values()].find(
      (one) => one.spiOut === spi && one.state === 'INSTALLED' && !one.doubted,
    )
    if (child?.installedAtMs === undefined || core.now - child.installedAtMs < settledMs) continue
    core.log('IKE', 1, `peer has no CHILD_SA ${child.name}{${child.uniqueId}} any more, rekeying it`, sa)
    child.doubted = true // once is enough
    sa.whenAnswered(() => rekeyChild(sa, child))
  }
}
