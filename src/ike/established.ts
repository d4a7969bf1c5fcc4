/** What happens when both sides of an IKE SA are authenticated. */
import { between } from './exchanges/delete.ts'
import type { IkeSa } from './ike-sa.ts'
import { ikeSaView } from './views.ts'

/** The IKE SA is up: state, log, event, and the times of its lifetime (CHARON 8.3). */
export function announceEstablished(sa: IkeSa): void {
  const { core, connection } = sa
  sa.established()
  // charon puts "established" before "between", and scripts look for it there.
  core.log('IKE', 0, `IKE_SA ${between(sa).replace(' between ', ' established between ')}`, sa)
  if (connection !== undefined) {
    const draw = () => Buffer.from(core.random(4)).readUInt32BE() % Math.max(1, connection.randSeconds)
    if (connection.rekeySeconds > 0) {
      const seconds = connection.rekeySeconds - draw()
      sa.rekeyAtMs = core.now + seconds * 1000
    }
    if (connection.reauthSeconds > 0) {
      const seconds = connection.reauthSeconds - draw()
      sa.reauthAtMs = core.now + seconds * 1000
    }
  }
  core.event({ kind: 'ike-updown', up: true, ikeSa: ikeSaView(sa) })
}
