/** What brings a child up, and what happens when it ends. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const net = 'net INSTALLED TUNNEL 10.1.0.0/16 === 10.2.0.0/16'

/** Actions of moon's child alone. */
const ofMoon = (child: Conf, both: Conf = {}): ReturnType<typeof confs> => confs({ child: both }, { moon: { child } })

export const traps: readonly DropIn[] = [
  {
    name: 'trap-by-packet',
    ...ofMoon({ start_action: 'trap' }),
    async play({ moon, sun, same }) {
      await moon.shows('--list-pols', /net\/net, TUNNEL/)
      await moon.ikes()
      await same('trapped')
      await moon.pingsAtLast('10.2.0.10')
      await sun.pings('10.1.0.10')
      await moon.shows('--list-sas --raw', /state=INSTALLED/)
      await same('up')
      await moon.down()
      await moon.ikes()
      await same('trapped again')
      await moon.pingsAtLast('10.2.0.10')
      await moon.down()
      await moon.swanctl('--uninstall --child net')
      await same('gone')
    },
  },
  {
    name: 'start-at-load',
    ...ofMoon({ start_action: 'start' }),
    async play({ moon, sun, same }) {
      await moon.children(net)
      await moon.pings('10.2.0.10')
      await same('up')
      await sun.down()
      await moon.ikes()
      await same('down')
    },
  },
]
