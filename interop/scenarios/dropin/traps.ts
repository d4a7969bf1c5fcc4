/** What brings a child up, and what happens when it ends. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const net = 'net INSTALLED TUNNEL 10.1.0.0/16 === 10.2.0.0/16'
const mirrored = 'net INSTALLED TUNNEL 10.2.0.0/16 === 10.1.0.0/16'

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
    name: 'trap-by-either',
    ...confs({ child: { start_action: 'trap' } }),
    async play({ moon, sun, same }) {
      await sun.pingsAtLast('10.1.0.10')
      await moon.children(net)
      await moon.pings('10.2.0.10')
      await same('up by sun')
      await moon.down()
      await sun.ikes()
      await moon.pingsAtLast('10.2.0.10')
      await same('up by moon')
      await sun.down()
      await moon.ikes()
      await same('trapped again')
    },
  },
  {
    name: 'trap-tcp-port',
    ...ofMoon({ start_action: 'trap' }, { moon_ts: '10.1.0.0/16[tcp]', sun_ts: '10.2.0.0/16[tcp/7777]' }),
    async play({ moon, same, inClear }) {
      await same('trapped')
      await moon.pings('10.2.0.10')
      await inClear(/^ICMP /)
      await moon.ikes()
      await moon.reachesTcp('10.2.0.10', 7777)
      await moon.children('net INSTALLED TUNNEL 10.1.0.0/16[tcp] === 10.2.0.0/16[tcp/7777]')
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'trap-transport',
    ...ofMoon({ start_action: 'trap' }, { mode: 'transport', moon_ts: undefined, sun_ts: undefined }),
    async play({ moon, sun, same }) {
      await same('trapped')
      await moon.pingsAtLast('192.168.0.2', { from: '192.168.0.1' })
      await sun.children('net INSTALLED TRANSPORT 192.168.0.2/32 === 192.168.0.1/32')
      await same('up')
      await sun.down()
      await moon.ikes()
      await same('trapped again')
    },
  },
  {
    name: 'trap-by-command',
    ...confs({}),
    async play({ moon, same }) {
      await moon.swanctl('--install --child net')
      await same('trapped')
      await moon.swanctl('--install --child net')
      await same('twice is once')
      await moon.pingsAtLast('10.2.0.10')
      await moon.swanctl('--uninstall --child net')
      await moon.pings('10.2.0.10')
      await same('up without a trap')
      await moon.down()
      await moon.refuses('--uninstall --child net', /policy 'net' not found/)
      await moon.refuses('--install --child none', /configuration name not found/)
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
  {
    name: 'start-and-trap',
    ...ofMoon({ start_action: 'trap|start' }),
    async play({ moon, sun, same }) {
      await moon.children(net)
      await same('up')
      await sun.down()
      await moon.ikes()
      await same('trapped')
      await moon.pingsAtLast('10.2.0.10')
      await same('up again')
      await moon.down()
    },
  },
  {
    name: 'close-action-start',
    ...ofMoon({ close_action: 'start' }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.swanctl('--terminate --child net --timeout 6')
      await sun.children(mirrored)
      await moon.children(net)
      await same('after the child')
      await sun.down()
      await sun.children(mirrored)
      await moon.children(net)
      await same('after the IKE SA')
      await moon.down()
      await sun.ikes()
      await same('ended by itself')
    },
  },
  {
    name: 'close-action-trap',
    ...ofMoon({ close_action: 'trap' }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.swanctl('--terminate --child net --timeout 6')
      await moon.children()
      await same('after the child')
      await moon.pingsAtLast('10.2.0.10')
      await moon.children(net)
      await same('up again')
      await sun.down()
      await moon.ikes()
      await same('after the IKE SA')
    },
  },
  {
    name: 'close-action-none',
    ...ofMoon({ close_action: 'none' }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.swanctl('--terminate --child net --timeout 6')
      await moon.children()
      await moon.ikes('net ESTABLISHED')
      await same('after the child')
      await moon.up()
      await sun.down()
      await moon.ikes()
      await same('after the IKE SA')
    },
  },
]
