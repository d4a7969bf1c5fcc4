/** Policies without an SA: packets that pass, and packets that are dropped. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const _block: Conf = { mode: 'drop', start_action: 'trap' }
const free: Conf = { mode: 'pass', start_action: 'trap' }
const tcp: Conf = { moon_ts: '10.1.0.0/16[tcp]', sun_ts: '10.2.0.0/16[tcp/7777]' }

export const shunts: readonly DropIn[] = [
  {
    name: 'shunt-pass-port',
    ...confs({ children: { free: { ...free, ...tcp } } }),
    async play({ moon, sun, same, inClear }) {
      await moon.up()
      await moon.reachesTcp('10.2.0.10', 7777)
      await inClear(/^protocol 6 /)
      await moon.pings('10.2.0.10')
      await sun.pings('10.1.0.10')
      await same('up')
      await sun.swanctl('--uninstall --child free')
      await moon.swanctl('--uninstall --child free')
      await moon.reachesTcp('10.2.0.10', 7777)
      await same('without')
      await moon.down()
    },
  },
]
