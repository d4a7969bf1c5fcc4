/**
 * IPComp (RFC 3173), agreed on beside a Child SA, RFC 7296 §2.22. Each side names the CPI that it receives on:
 *
 *   HDR, SK {N(IPCOMP_SUPPORTED), SA, ... TSi, TSr}  -->
 *                      <--  HDR, SK {N(IPCOMP_SUPPORTED), SA, ... TSi, TSr}
 *
 * Without it in the answer nothing is compressed. DEFLATE is all that Linux has.
 */
import type { ChildConfig } from '../config/connection.ts'
import { familyOf } from '../wire/address.ts'
import { IPCOMP_TRANSFORM, NOTIFY } from '../wire/numbers.ts'
import type { AddressSelector, NPayload } from '../wire/payloads/index.ts'
import type { IkeSa } from './ike-sa.ts'
import { notify } from './notifies.ts'

/** CPIs of the two IPComp states of a Child SA. */
export interface IpcompAgreement {
  readonly cpiIn: number
  readonly cpiOut: number
}

/** Whether we compress what these selectors let through, if the peer does. The log says why not. */
export function mayCompress(sa: IkeSa, config: ChildConfig, selectors: readonly AddressSelector[]): boolean {
  if (!config.ipcomp) return false
  // As with charon: the states would have to follow the NAT.
  if (sa.udpEncapsulation) return no(sa, 'there is a NAT, or UDP encapsulation is forced')
  // Linux: the transport mode around the compressed packets takes those of one family only.
  const outer = familyOf(sa.local.address)
  if (selectors.some(({ family }) => family !== outer))
    return no(sa, 'the selectors have another family than the hosts')
  return true
}

/** What we say of the CPI that we receive on. */
export function ipcompSupported(cpi: number): NPayload {
  return notify(NOTIFY.IPCOMP_SUPPORTED, Uint8Array.of(cpi >> 8, cpi & 0xff, IPCOMP_TRANSFORM.DEFLATE))
}

/** The CPI that the peer receives on, if it can do DEFLATE. */
export function peerCpi(notifies: readonly NPayload[]): number | undefined {
  for (const { notify: type, data } of notifies) {
    if (type !== NOTIFY.IPCOMP_SUPPORTED || data.length !== 3 || data[2] !== IPCOMP_TRANSFORM.DEFLATE) continue
    const cpi = ((data[0] ?? 0) << 8) | (data[1] ?? 0)
    if (cpi !== 0) return cpi
  }
  return undefined
}

function no(sa: IkeSa, why: string): false {
  sa.core.log('IKE', 1, `IPComp disabled: ${why}`, sa)
  return false
}
