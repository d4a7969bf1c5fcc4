/** Policies without an SA: packets that pass, and packets that are dropped. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const block: Conf = { mode: 'drop', start_action: 'trap' }
const free: Conf = { mode: 'pass', start_action: 'trap' }
const tcp: Conf = { moon_ts: '10.1.0.0/16[tcp]', sun_ts: '10.2.0.0/16[tcp/7777]' }

export const shunts: readonly DropIn[] = [
  {
    name: 'shunt-drop',
    // Wider than the tunnel: under one with the same selectors charon leaves the route of the tunnel.
    ...confs({}, { moon: { children: { block: { ...block, sun_ts: '10.0.0.0/8' } } } }),
    async play({ moon, sun, same }) {
      await moon.shows('--list-pols', /block, DROP/)
      await same('blocked')
      await moon.pingsInVain('10.2.0.10')
      await moon.up()
      await moon.pings('10.2.0.10')
      await same('up')
      await sun.down()
      await moon.pingsInVain('10.2.0.10')
      await same('blocked again')
    },
  },
  {
    name: 'shunt-drop-port',
    ...confs({}, { moon: { children: { block: { ...block, ...tcp } } } }),
    async play({ moon, sun, same }) {
      await moon.up()
      // The tunnel comes before what is dropped: a drop is for what no tunnel takes.
      await moon.reachesTcp('10.2.0.10', 7777)
      await same('up')
      await sun.down()
      await moon.reachesTcpInVain('10.2.0.10', 7777)
      await same('down')
    },
  },
  {
    name: 'shunt-drop-by-command',
    ...confs({}, { moon: { children: { block: { mode: 'drop' } } } }),
    async play({ moon, same }) {
      await same('nothing')
      await moon.swanctl('--install --child block')
      await moon.pingsInVain('10.2.0.10')
      await same('blocked')
      await moon.swanctl('--install --child block')
      await same('twice is once')
      await moon.swanctl('--uninstall --child block')
      await moon.refuses('--uninstall --child block', /policy 'block' not found/)
      await same('gone')
    },
  },
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
  {
    name: 'shunt-pass-network',
    ...confs(
      { child: { moon_ts: '10.1.0.0/16', sun_ts: '0.0.0.0/0' } },
      { moon: { children: { free: { ...free, moon_ts: '10.1.0.0/16', sun_ts: '10.1.0.0/16' } } } },
    ),
    async play({ moon, same }) {
      await same('passes')
      await moon.up()
      await moon.pings('10.2.0.10')
      await moon.pings('10.1.0.10')
      await same('up')
      await moon.down()
      await same('passes still')
    },
  },
  {
    name: 'shunt-reload',
    ...confs({}, { moon: { children: { block } } }),
    async play({ moon, same }) {
      await same('blocked')
      await moon.load(confs({}, { moon: { children: { block: { ...block, sun_ts: '10.2.0.10/32' } } } }).moon)
      await moon.pingsInVain('10.2.0.10')
      await same('another')
      await moon.load(confs({}).moon)
      await moon.shows('--list-pols', /^$/)
      await same('none')
    },
  },
]
