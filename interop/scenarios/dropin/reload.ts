/** `swanctl --load-all` with another file while tunnels are up: what stays, what is updated, what is replaced. */
import { type Conf, confs, type Different } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const net = 'net INSTALLED TUNNEL 10.1.0.0/16 === 10.2.0.0/16'
const far: Conf = { moon_ts: '10.1.8.0/24', sun_ts: '10.2.8.0/24' }
const farLine = 'far INSTALLED TUNNEL 10.1.8.0/24 === 10.2.8.0/24'

/** sun takes what moon has; only moon's file changes. */
const both: Different = { children: { far } }
const of = (moon: Different): Conf => confs(both, { moon }).moon
const first = (moon: Different): ReturnType<typeof confs> => confs(both, { moon })

export const reloads: readonly DropIn[] = [
  {
    name: 'reload-equal',
    ...first({}),
    async play({ moon, same }) {
      await moon.up()
      await moon.load(of({}))
      await moon.says(/updated vici connection: net/)
      await moon.children(net)
      await moon.pings('10.2.0.10')
      await same('as before')
      await moon.down()
    },
  },
  {
    name: 'reload-equal-started',
    ...first({ child: { start_action: 'start' } }),
    async play({ moon, same }) {
      await moon.children(net)
      await moon.load(of({ child: { start_action: 'start' } }))
      await moon.says(/updated vici connection: net/)
      await moon.children(net)
      await same('as before')
      await moon.down()
      await moon.load(of({ child: { start_action: 'start' } }))
      await moon.children()
      await same('not started again')
    },
  },
  {
    name: 'reload-child-changed-started',
    ...first({ child: { start_action: 'start' }, children: { far: { start_action: 'start' } } }),
    async play({ moon, same }) {
      await moon.children(net, farLine)
      await moon.load(
        of({ child: { start_action: 'start', moon_ts: '10.1.0.0/24' }, children: { far: { start_action: 'start' } } }),
      )
      await moon.says(/vici closing CHILD_SA 'net' #\d+/)
      await moon.children('net INSTALLED TUNNEL 10.1.0.0/24 === 10.2.0.0/16', farLine)
      await same('one is another')
      await moon.down()
    },
  },
  {
    name: 'reload-child-added',
    ...confs(both, { moon: { children: { far: { start_action: 'none' } } } }),
    async play({ moon, same }) {
      await moon.up()
      await moon.load(
        of({ children: { far: { start_action: 'start' }, trapped: { moon_ts: '10.1.9.0/24', start_action: 'trap' } } }),
      )
      await moon.children(net, farLine)
      await moon.shows('--list-pols', /net\/trapped, TUNNEL/)
      await same('more')
      await moon.down()
    },
  },
  {
    name: 'reload-child-removed',
    ...first({ child: { start_action: 'start' }, children: { far: { start_action: 'start' } } }),
    async play({ moon, sun, same }) {
      await moon.children(net, farLine)
      await moon.load(confs({ child: { start_action: 'start' } }).moon)
      await moon.children(net)
      await sun.children('net INSTALLED TUNNEL 10.2.0.0/16 === 10.1.0.0/16')
      await moon.pings('10.2.0.10')
      await same('one is left')
      await moon.load(confs({ child: undefined }).moon)
      await sun.ikes()
      await same('none is left')
    },
  },
  {
    name: 'reload-conn-changed',
    ...first({}),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.load(of({ conn: { rekey_time: '2h' } }))
      await moon.says(/replaced vici connection: net/)
      await moon.children(net)
      await same('stays as it was')
      await moon.refuses('--initiate --child net', /establishing CHILD_SA 'net' failed|not established/).catch(() => {})
      await sun.pings('10.1.0.10')
      await moon.down()
    },
  },
  {
    name: 'reload-conn-changed-started',
    ...first({ child: { start_action: 'start' } }),
    async play({ moon, sun, same }) {
      await moon.children(net)
      await moon.load(of({ conn: { rekey_time: '2h' }, child: { start_action: 'start' } }))
      await moon.says(/replaced vici connection: net/)
      await moon.says(/vici closing IKE_SA 'net' #1/)
      await moon.shows('--list-sas', /net: #2, ESTABLISHED/)
      for (const host of [moon, sun]) await host.ikes('net ESTABLISHED')
      await moon.children(net)
      await moon.pings('10.2.0.10')
      await same('another one')
      await moon.down()
    },
  },
  {
    name: 'reload-conn-removed',
    ...first({
      child: { start_action: 'start' },
      conns: { spare: { child: { moon_ts: '10.1.9.0/24', start_action: 'trap' } } },
    }),
    async play({ moon, sun, same }) {
      await moon.children(net)
      await moon.shows('--list-pols', /spare\/spare, TUNNEL/)
      await moon.load(of({ child: { start_action: 'start' } }))
      await moon.says(/removed vici connection: spare/)
      await same('one is left')
      await moon.load({})
      await sun.ikes()
      await same('none is left')
    },
  },
  {
    name: 'reload-trap-changed',
    ...first({ child: { start_action: 'trap' } }),
    async play({ moon, same }) {
      await moon.shows('--list-pols', /net\/net, TUNNEL/)
      await moon.load(of({ child: { start_action: 'trap', sun_ts: '10.2.0.0/24' } }))
      await moon.shows('--list-pols', /10\.2\.0\.0\/24/)
      await same('another')
      await moon.load(of({}))
      await moon.shows('--list-pols', /^$/)
      await same('none')
    },
  },
  {
    name: 'reload-wrong-file',
    ...first({}),
    async play({ moon, same }) {
      await moon.up()
      moon.write(of({ child: { start_action: 'nonsense' }, conns: { fine: { child: far } } }))
      await moon.refuses('--load-all --noprompt', /loading connection 'net' failed: invalid value for: start_action/)
      await moon.shows('--list-conns', /fine: IKEv2/)
      await moon.shows('--list-conns', /net: IKEv2/)
      await moon.children(net)
      await same('the one before stays')
      await moon.down()
      await moon.up()
      await moon.down()
    },
  },
]
