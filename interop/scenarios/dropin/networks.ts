/** Tunnels between networks and between hosts. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn, Play } from '../../lab/dropin/dropin.ts'

const net = 'net INSTALLED TUNNEL 10.1.0.0/16 === 10.2.0.0/16'
const mirrored = 'net INSTALLED TUNNEL 10.2.0.0/16 === 10.1.0.0/16'

/** Up by moon, packets both ways, the same as with charon, down by sun. */
async function upAndDown({ moon, sun, same }: Play): Promise<void> {
  await moon.up()
  await moon.pings('10.2.0.10')
  await sun.pings('10.1.0.10')
  await same('up')
  await sun.down()
  await moon.ikes()
  await same('down')
}

async function upAndDown6({ moon, sun, same }: Play): Promise<void> {
  await moon.up()
  await moon.pings('fec2::10')
  await sun.pings('fec1::10')
  await same('up')
  await sun.down()
  await moon.ikes()
  await same('down')
}

export const networks: readonly DropIn[] = [
  {
    name: 'net2net-psk',
    ...confs({}),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.children(net)
      await sun.children(mirrored)
      await moon.pings('10.2.0.10')
      await sun.pings('10.1.0.10')
      await moon.kernel(/^route 10\.2\.0\.0\/16 via 192\.168\.0\.2 dev eth0 proto static src 10\.1\.0\.10$/)
      await same('up')
      await moon.down()
      await sun.ikes()
      await same('down')
    },
  },
  {
    name: 'net2net-clients',
    clients: true,
    ...confs({}),
    play: upAndDown,
  },
  {
    name: 'net2net-two-networks',
    ...confs({ child: { moon_ts: '10.1.0.0/24, 10.1.8.0/24', sun_ts: '10.2.0.0/24, 10.2.8.0/24' } }),
    play: upAndDown,
  },
  {
    name: 'net2net-ipv6',
    ...confs({
      conn: { moon_addrs: 'fec0::1', sun_addrs: 'fec0::2' },
      child: { moon_ts: 'fec1::/16', sun_ts: 'fec2::/16' },
    }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.pings('fec2::10')
      await sun.pings('fec1::10')
      await moon.kernel(/^route fec2::\/16 via fec0::2 dev eth0 proto static src fec1::10/)
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'host2host-tunnel',
    ...confs({ child: { moon_ts: undefined, sun_ts: undefined } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.children('net INSTALLED TUNNEL 192.168.0.1/32 === 192.168.0.2/32')
      await moon.pings('192.168.0.2', { from: '192.168.0.1' })
      await sun.pings('192.168.0.1', { from: '192.168.0.2' })
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'host2host-transport',
    ...confs({ child: { moon_ts: undefined, sun_ts: undefined, mode: 'transport' } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.children('net INSTALLED TRANSPORT 192.168.0.2/32 === 192.168.0.1/32')
      await moon.pings('192.168.0.2', { from: '192.168.0.1' })
      await sun.pings('192.168.0.1', { from: '192.168.0.2' })
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'net2net-ipv6-in-ipv4',
    ...confs({ child: { moon_ts: 'fec1::/16', sun_ts: 'fec2::/16' } }),
    play: upAndDown6,
  },
  {
    name: 'net2net-ipv4-in-ipv6',
    ...confs({ conn: { moon_addrs: 'fec0::1', sun_addrs: 'fec0::2' } }),
    play: upAndDown,
  },
  {
    name: 'net2net-both-families',
    ...confs({ child: { moon_ts: '10.1.0.0/16, fec1::/16', sun_ts: '10.2.0.0/16, fec2::/16' } }),
    async play({ moon, sun, same }) {
      await sun.up()
      await moon.pings('10.2.0.10')
      await moon.pings('fec2::10')
      await sun.pings('fec1::10')
      await same('up')
      await sun.down()
      await same('down')
    },
  },
  {
    name: 'net2net-narrowed',
    ...confs({}, { sun: { child: { moon_ts: '10.1.0.0/24, 10.9.0.0/24', sun_ts: '10.2.0.0/28' } } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.children('net INSTALLED TUNNEL 10.1.0.0/24 === 10.2.0.0/28')
      await moon.pings('10.2.0.10')
      await same('up')
      await moon.down()
      await sun.up()
      await sun.children('net INSTALLED TUNNEL 10.2.0.0/28 === 10.1.0.0/24')
      await same('up by the other')
      await moon.down()
    },
  },
  {
    name: 'net2net-range',
    ...confs({ child: { moon_ts: '10.1.0.10-10.1.0.20', sun_ts: '10.2.0.10-10.2.0.10' } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.children('net INSTALLED TUNNEL 10.1.0.10..10.1.0.20 === 10.2.0.10/32')
      await moon.pings('10.2.0.10')
      await sun.pings('10.1.0.10')
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'net2net-nothing-in-common',
    ...confs({}, { sun: { child: { moon_ts: '10.9.0.0/16' } } }),
    async play({ moon, sun, same }) {
      await moon.refuses('--initiate --child net --timeout 10', /establishing CHILD_SA 'net' failed/)
      await moon.ikes('net ESTABLISHED')
      await sun.children()
      await same('without a child')
      await moon.down()
    },
  },
  {
    name: 'net2net-childless',
    ...confs({ conn: { childless: 'force' } }),
    async play({ moon, sun, same }) {
      await moon.swanctl('--initiate --ike net --timeout 10')
      await moon.ikes('net ESTABLISHED')
      await moon.children()
      await same('childless')
      await moon.up()
      await moon.ikes('net ESTABLISHED')
      await sun.pings('10.1.0.10')
      await same('up')
      await sun.down()
    },
  },
  {
    name: 'host2host-transport-ipv6',
    ...confs({
      conn: { moon_addrs: 'fec0::1', sun_addrs: 'fec0::2' },
      child: { moon_ts: undefined, sun_ts: undefined, mode: 'transport' },
    }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.children('net INSTALLED TRANSPORT fec0::2/128 === fec0::1/128')
      await moon.pings('fec0::2', { from: 'fec0::1' })
      await same('up')
      await sun.down()
    },
  },
  {
    name: 'host2host-transport-refused-by-one',
    ...confs({ child: { moon_ts: undefined, sun_ts: undefined } }, { moon: { child: { mode: 'transport' } } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.children('net INSTALLED TUNNEL 192.168.0.1/32 === 192.168.0.2/32')
      await sun.pings('192.168.0.1', { from: '192.168.0.2' })
      await same('up')
      await moon.down()
    },
  },
]
