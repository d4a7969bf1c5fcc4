/** Scripts that are told what comes and goes: with the same variables as by charon. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn, Play } from '../../lab/dropin/dropin.ts'

const updown = '/etc/swanctl/updown'
const calls = 'cat /run/updown.log'

/** Up, what both scripts were told, down, the same. */
async function upAndDown({ moon, sun, same }: Play): Promise<void> {
  await moon.up()
  await moon.prints(calls, /PLUTO_VERB=up-/)
  await sun.prints(calls, /PLUTO_VERB=up-/)
  await same('up')
  await sun.down()
  await moon.prints(calls, /PLUTO_VERB=down-/)
  await same('down')
}

export const updowns: readonly DropIn[] = [
  {
    name: 'updown-net2net',
    ...confs({ child: { updown } }),
    async play(play) {
      const { moon, sun, same } = play
      await moon.up()
      await sun.pings('10.1.0.10')
      await sun.swanctl('--rekey --child net')
      await moon.says(/CHILD_SA net\{\d+\} closed/)
      await same('rekeyed')
      await sun.down()
      await same('down')
    },
  },
  {
    name: 'updown-both-families',
    ...confs({ child: { updown, moon_ts: '10.1.0.0/24, fec1::/16', sun_ts: '10.2.0.0/24, fec2::/16' } }),
    play: upAndDown,
  },
  {
    name: 'updown-host',
    ...confs({ child: { updown, moon_ts: undefined, sun_ts: undefined, mode: 'transport' } }),
    play: upAndDown,
  },
  {
    name: 'updown-ports',
    ...confs({ child: { updown, moon_ts: '10.1.0.0/16[tcp/7000-7999]', sun_ts: '10.2.0.0/16[tcp/http]' } }),
    play: upAndDown,
  },
  {
    name: 'updown-marks',
    ...confs(
      {},
      {
        moon: { child: { updown, hostaccess: 'yes', mark_in: '5', mark_out: '0x10/0xff', if_id_in: 7, if_id_out: 8 } },
        sun: { child: { updown, ipcomp: 'no', reqid: 12 } },
      },
    ),
    play: upAndDown,
  },
  {
    name: 'updown-virtual-ip',
    ...confs(
      { child: { updown, moon_ts: undefined, sun_ts: '10.2.0.0/16, fec2::/16' } },
      {
        moon: { conn: { vips: '0.0.0.0, ::' } },
        sun: {
          conn: { pools: 'p4, p6' },
          beside: { pools: { p4: { addrs: '10.77.0.0/24' }, p6: { addrs: 'fec7::/120' } } },
        },
      },
    ),
    play: upAndDown,
  },
]
