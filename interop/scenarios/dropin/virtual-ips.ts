/** Road warriors: virtual IPs, pools, and hosts without them. moon is the road warrior. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

/** A road warrior that asks for `vips`, and a gateway that has `pools`. */
function roadWarrior(vips: string | undefined, pools: Conf, networks = '10.2.0.0/16'): ReturnType<typeof confs> {
  return confs(
    { child: { moon_ts: undefined, sun_ts: networks } },
    {
      moon: { conn: { vips } },
      sun: { conn: { moon_addrs: '%any', pools: Object.keys(pools).join(', ') }, beside: { pools } },
    },
  )
}

const p4 = { addrs: '10.77.0.0/24' }
const p6 = { addrs: 'fec7::/120' }

export const virtualIps: readonly DropIn[] = [
  {
    name: 'virtual-ip-v4',
    ...roadWarrior('0.0.0.0', { p4 }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.children('net INSTALLED TUNNEL 10.2.0.0/16 === 10.77.0.1/32')
      await moon.pings('10.2.0.10', { from: '10.77.0.1' })
      await sun.pings('10.77.0.1')
      await sun.shows('--list-pools --leases', /10\.77\.0\.1\s+online\s+'moon\.lab\.test'/)
      await same('up')
      await moon.down()
      await sun.shows('--list-pools', /10\.77\.0\.1\s+0 \/ 1 \/ 254/)
      await same('down')
    },
  },
  {
    name: 'virtual-ip-v6',
    ...roadWarrior('::', { p6 }, 'fec2::/16'),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.pings('fec2::10', { from: 'fec7::1' })
      await same('up')
      await sun.down()
      await moon.ikes()
      await same('down')
    },
  },
  {
    name: 'virtual-ip-both',
    ...roadWarrior('0.0.0.0, ::', { p4, p6 }, '10.2.0.0/16, fec2::/16'),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.pings('10.2.0.10', { from: '10.77.0.1' })
      await sun.pings('fec7::1')
      await same('up')
      await moon.down()
      await same('down')
    },
  },
  {
    name: 'virtual-ip-asked-for',
    ...roadWarrior('10.77.0.99', { p4 }),
    async play({ moon, same }) {
      await moon.up()
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'virtual-ip-again',
    ...roadWarrior('0.0.0.0', { p4: { addrs: '10.77.0.20-10.77.0.30' } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.down()
      await moon.up()
      await sun.children('net INSTALLED TUNNEL 10.2.0.0/16 === 10.77.0.20/32')
      await sun.shows('--list-pools', /10\.77\.0\.20\s+1 \/ 0 \/ 11/)
      await same('up again')
      await moon.swanctl('--rekey --ike net --reauth')
      await moon.says(/IKE_SA net\[3\] established/)
      await moon.ikes('net ESTABLISHED')
      await sun.ikes('net ESTABLISHED')
      await same('reauthenticated')
      await moon.down()
    },
  },
  {
    name: 'virtual-ip-not-given',
    ...confs({ child: { moon_ts: undefined } }, { moon: { conn: { vips: '0.0.0.0' } } }),
    async play({ moon, sun, same }) {
      await moon.refuses('--initiate --child net --timeout 10', /establishing CHILD_SA 'net' failed/)
      await sun.children()
      await same('refused')
    },
  },
  {
    name: 'virtual-ip-not-asked-for',
    ...roadWarrior(undefined, { p4 }),
    async play({ moon, sun, same }) {
      await moon.refuses('--initiate --child net --timeout 10', /establishing CHILD_SA 'net' failed/)
      await sun.says(/expected a virtual IP request, sending FAILED_CP_REQUIRED/)
      await same('refused')
    },
  },
  {
    name: 'ip-pool-exhausted',
    ...confs(
      { conn: { unique: 'never' }, child: { moon_ts: undefined } },
      {
        moon: {
          conn: { vips: '0.0.0.0' },
          conns: { second: { conn: { vips: '0.0.0.0', local: { id: 'carol' } }, child: { moon_ts: undefined } } },
        },
        sun: {
          conn: { pools: 'one', remote: { id: '%any' } },
          beside: { pools: { one: { addrs: '10.77.0.7/32' } } },
        },
      },
    ),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.refuses('--initiate --child second --timeout 10', /establishing CHILD_SA 'second' failed/)
      await sun.says(/pool 'one' is full, unable to assign address/)
      await same('full')
      await moon.down()
      await moon.down('second')
      await moon.up('second')
      await sun.shows('--list-pools --leases', /10\.77\.0\.7\s+online\s+'carol'/)
      await same('the other has it')
    },
  },
  {
    name: 'ip-pool-reload',
    ...roadWarrior('0.0.0.0', { p4 }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.shows('--load-pools --file /dev/null', /has online leases, unable to unload/)
      await same('kept')
      sun.write(roadWarrior('0.0.0.0', { p4: { addrs: '10.78.0.0/24' } }).sun)
      await sun.refuses('--load-pools', /has online leases, unable to replace/)
      await moon.down()
      await sun.swanctl('--load-pools')
      await sun.shows('--list-pools', /10\.78\.0\.1\s+0 \/ 0 \/ 254/)
      await same('replaced')
    },
  },
  {
    name: 'ip-pool-attributes',
    plugins: 'resolve',
    daemon: ['plugins {', 'resolve {', 'file = /run/resolv.conf', '}', '}'],
    ...roadWarrior('0.0.0.0', {
      p4: { addrs: '10.77.0.0/24', dns: '10.2.0.53, 10.2.0.54', split_include: '10.2.0.0/16' },
    }),
    async play({ moon, same }) {
      await moon.up()
      await moon.prints('cat /run/resolv.conf', /^nameserver 10\.2\.0\.53/m)
      await moon.prints('cat /run/resolv.conf', /^nameserver 10\.2\.0\.54/m)
      await same('up')
      await moon.down()
      await moon.prints('grep -c nameserver /run/resolv.conf', /^0/)
    },
  },
  {
    name: 'rw-all-traffic',
    ...roadWarrior('0.0.0.0', { p4 }, '0.0.0.0/0'),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.kernel(/^route default via 192\.168\.0\.2 dev eth0 proto static src 10\.77\.0\.1/)
      await moon.pings('10.2.0.10', { from: '10.77.0.1' })
      await sun.pings('10.77.0.1')
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'rw-split-by-gateway',
    ...confs(
      { child: { moon_ts: undefined, sun_ts: '0.0.0.0/0' } },
      { sun: { conn: { moon_addrs: '%any' }, child: { sun_ts: '10.2.0.0/24, 10.2.8.0/24' } } },
    ),
    async play({ moon, same }) {
      await moon.up()
      await moon.children('net INSTALLED TUNNEL 192.168.0.1/32 === 10.2.0.0/24 10.2.8.0/24')
      await moon.pings('10.2.0.10', { from: '192.168.0.1' })
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'rw-two-identities',
    // Each has a network of its own: of two routes to one network charon keeps the later, we the earlier until it goes.
    ...confs(
      { child: { moon_ts: undefined } },
      {
        moon: {
          conns: {
            second: {
              conn: { vips: '0.0.0.0', local: { id: 'carol' } },
              child: { moon_ts: undefined, sun_ts: '10.2.0.0/24' },
            },
          },
          conn: { vips: '0.0.0.0' },
        },
        sun: { conn: { pools: 'p4', moon_addrs: '%any', remote: { id: '%any' } }, beside: { pools: { p4 } } },
      },
    ),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.up('second')
      await moon.pings('10.2.0.10', { from: '10.77.0.1' })
      await sun.pings('10.77.0.2')
      await sun.shows('--list-pools --leases', /10\.77\.0\.2\s+online\s+'carol'/)
      await same('up')
      await moon.down()
      await moon.pings('10.2.0.10', { from: '10.77.0.2' })
      await same('one is left')
      await moon.down('second')
    },
  },
]
