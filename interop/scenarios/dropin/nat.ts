/** Hosts behind NATs, UDP encapsulation that is asked for, and hosts that move. */
import { type Confs, confs, type Different } from '../../lab/dropin/conf.ts'
import type { DropIn, Play } from '../../lab/dropin/dropin.ts'

/** The usual configuration where moon, sun or both have other addresses for themselves than for others. */
function translated(
  nat: NonNullable<DropIn['nat']>,
  both: Different = {},
  own: Parameters<typeof confs>[1] = {},
): Confs {
  const moon = nat === 'sun' ? ['192.168.0.1', '192.168.0.1'] : ['172.16.0.2', '192.168.0.9']
  const sun = {
    moon: ['192.168.0.2', '192.168.0.2'],
    sun: ['172.16.0.2', '192.168.0.9'],
    both: ['172.17.0.2', '192.168.0.8'],
  }[nat]
  return confs(both, {
    moon: { ...own.moon, conn: { moon_addrs: moon[0], sun_addrs: sun[1], ...own.moon?.conn } },
    sun: { ...own.sun, conn: { moon_addrs: moon[1], sun_addrs: sun[0], ...own.sun?.conn } },
  })
}

async function upAndDown({ moon, sun, same }: Play): Promise<void> {
  await moon.up()
  await moon.pings('10.2.0.10')
  await sun.pings('10.1.0.10')
  await same('up')
  await moon.down()
  await sun.ikes()
  await same('down')
}

export const nats: readonly DropIn[] = [
  { name: 'nat-moon', nat: 'moon', ...translated('moon'), play: upAndDown },
  { name: 'nat-sun', nat: 'sun', ...translated('sun'), play: upAndDown },
  { name: 'nat-both', nat: 'both', ...translated('both'), play: upAndDown },
  {
    name: 'nat-virtual-ip',
    nat: 'moon',
    ...translated(
      'moon',
      { child: { moon_ts: undefined, updown: '/etc/swanctl/updown' } },
      {
        moon: { conn: { vips: '0.0.0.0' } },
        sun: { conn: { moon_addrs: '%any', pools: 'p4' }, beside: { pools: { p4: { addrs: '10.77.0.0/24' } } } },
      },
    ),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.pings('10.2.0.10', { from: '10.77.0.1' })
      await sun.pings('10.77.0.1')
      await same('up')
      await moon.down()
      await same('down')
    },
  },
  { name: 'encap-forced', ...confs({ conn: { encap: 'yes' } }), play: upAndDown },
  { name: 'mobike-off', ...confs({ conn: { mobike: 'no' } }), play: upAndDown },
  {
    name: 'mobike-moves',
    ...confs({}, { moon: { conn: { moon_addrs: '%any' } }, sun: { conn: { moon_addrs: '%any' } } }),
    async play({ moon, sun, same }) {
      await moon.run(withoutIpv6)
      await moon.up()
      await moon.pings('10.2.0.10')
      await moon.run(moves)
      await moon.kernel(/^state src 192\.168\.0\.71 /)
      await sun.kernel(/^state .*dst 192\.168\.0\.71 /)
      await moon.pings('10.2.0.10')
      await sun.pings('10.1.0.10')
      await same('moved')
      await moon.down()
      await same('down')
    },
  },
]

/** Which family is tried first when the host has moved is a matter of luck. */
const withoutIpv6 = 'ip -6 address flush scope global; ip -6 address flush scope site; true'
const moves =
  'ip address del 192.168.0.1/24 dev eth0 && ip address add 192.168.0.71/24 dev eth0 && ip route replace default via 192.168.0.2'
