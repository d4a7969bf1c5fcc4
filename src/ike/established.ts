/** What happens when both sides of an IKE SA are authenticated. */
import { between } from './exchanges/delete.ts'
import { settleFirstContact } from './first-contact.ts'
import type { IkeSa } from './ike-sa.ts'
import { scheduleLifetime } from './lifetimes.ts'
import { ikeSaView } from './views.ts'

/** The IKE SA is up: state, log, event, and the times of its lifetime (CHARON 8.3). */
export function announceEstablished(sa: IkeSa): void {
  const { core } = sa
  sa.established()
  // charon puts "established" before "between", and scripts look for it there.
  core.log('IKE', 0, `IKE_SA ${between(sa).replace(' between ', ' established between ')}`, sa)
  scheduleLifetime(sa)
  core.event({ kind: 'ike-updown', up: true, ikeSa: ikeSaView(sa) })
  sa.announced = true
  settleFirstContact(sa)
}
