/** Protocols and ports in selectors, several children of one IKE SA, and what a child can ask of its policies. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

export const children: readonly DropIn[] = [
  {
    name: 'protoport-icmp',
    ...confs({ child: { moon_ts: '10.1.0.0/16[icmp]', sun_ts: '10.2.0.0/16[icmp]' } }),
    async play({ moon, sun, same, inClear }) {
      await moon.up()
      await moon.children('net INSTALLED TUNNEL 10.1.0.0/16[icmp] === 10.2.0.0/16[icmp]')
      await moon.kernel(/^policy .* proto icmp .*dir out/)
      await moon.pings('10.2.0.10')
      await same('up')
      await moon.reachesTcp('10.2.0.10', 7777)
      await inClear(/^protocol 6 /)
      await sun.pings('10.1.0.10')
      await moon.down()
    },
  },
  {
    name: 'protoport-tcp-port',
    ...confs({ child: { moon_ts: '10.1.0.0/16[tcp]', sun_ts: '10.2.0.0/16[tcp/7777]' } }),
    async play({ moon, sun, same, inClear }) {
      await sun.up()
      await moon.children('net INSTALLED TUNNEL 10.1.0.0/16[tcp] === 10.2.0.0/16[tcp/7777]')
      await moon.reachesTcp('10.2.0.10', 7777)
      await moon.shows('--list-sas --raw', /packets-out=[1-9]/)
      await same('up')
      await moon.reachesTcp('10.2.0.10', 7778)
      await inClear(/^protocol 6 /)
      await sun.down()
    },
  },
  {
    name: 'multi-child',
    ...confs({
      child: { moon_ts: '10.1.0.0/24', sun_ts: '10.2.0.0/24' },
      children: { far: { moon_ts: '10.1.8.0/24', sun_ts: '10.2.8.0/24' } },
    }),
    async play({ moon, sun, same }) {
      await moon.up('net')
      await moon.up('far')
      await sun.children(
        'net INSTALLED TUNNEL 10.2.0.0/24 === 10.1.0.0/24',
        'far INSTALLED TUNNEL 10.2.8.0/24 === 10.1.8.0/24',
      )
      await sun.ikes('net ESTABLISHED')
      await moon.pings('10.2.0.10')
      await same('both up')
      await sun.swanctl('--terminate --child net --timeout 6')
      await moon.children('far INSTALLED TUNNEL 10.1.8.0/24 === 10.2.8.0/24')
      await same('one is left')
      await sun.up('net')
      await same('both are up again')
      await moon.down()
    },
  },
  {
    name: 'protoport-udp-range',
    ...confs({ child: { moon_ts: '10.1.0.0/16[udp]', sun_ts: '10.2.0.0/16[udp/7000-7999]' } }),
    async play({ moon, sun, same, inClear }) {
      await moon.up()
      await sun.children('net INSTALLED TUNNEL 10.2.0.0/16[udp/7000-7999] === 10.1.0.0/16[udp]')
      await moon.sendsUdp('10.2.0.10', 7500)
      await same('up')
      await moon.sendsUdp('10.2.0.10', 9500)
      await inClear(/^UDP from 10\.1\.0\.10/)
      await inClear(/^ICMP from 10\.2\.0\.10/) // nobody listens
      await sun.down()
    },
  },
  {
    name: 'protoport-dual',
    ...confs({
      child: { moon_ts: '10.1.0.0/16[icmp]', sun_ts: '10.2.0.0/16[icmp]' },
      children: { web: { moon_ts: '10.1.0.0/16[tcp]', sun_ts: '10.2.0.0/16[tcp/7777]' } },
    }),
    async play({ moon, sun, same }) {
      await moon.up('net')
      await moon.up('web')
      await moon.pings('10.2.0.10')
      await moon.reachesTcp('10.2.0.10', 7777)
      await same('up')
      await sun.swanctl('--terminate --child web --timeout 6')
      await moon.children('net INSTALLED TUNNEL 10.1.0.0/16[icmp] === 10.2.0.0/16[icmp]')
      await same('one is left')
      await moon.down()
    },
  },
  {
    name: 'protoport-narrowed',
    ...confs({}, { sun: { child: { moon_ts: '10.1.0.0/16[tcp]', sun_ts: '10.2.0.0/16[tcp/http]' } } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.children('net INSTALLED TUNNEL 10.1.0.0/16[tcp] === 10.2.0.0/16[tcp/http]')
      await moon.reachesTcp('10.2.0.10', 80)
      await same('up')
      await sun.down()
    },
  },
  {
    name: 'multi-child-overlapping',
    ...confs({
      child: { moon_ts: '10.1.0.0/16', sun_ts: '10.2.0.0/16' },
      children: { near: { moon_ts: '10.1.0.0/24', sun_ts: '10.2.0.0/24', esp_proposals: 'aes256gcm16' } },
    }),
    async play({ moon, sun, same }) {
      await moon.up('net')
      await moon.pings('10.2.0.10')
      await moon.up('near')
      await moon.pings('10.2.0.10', { count: 7 })
      await moon.shows('--list-sas --child near --raw', /packets-out=7 /)
      await sun.pings('10.1.0.10')
      await same('up')
      await moon.swanctl('--terminate --child near --timeout 6')
      await moon.pings('10.2.0.10')
      await same('the wider one is left')
      await sun.down()
    },
  },
  {
    name: 'multi-child-reqid',
    ...confs({ child: { reqid: 77 } }, { sun: { child: { reqid: 78 } } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.kernel(/^state .* reqid 77 /, 2)
      await sun.kernel(/^policy .* reqid 78 /, 3)
      await sun.pings('10.1.0.10')
      await same('up')
      await moon.down()
      await moon.up()
      await same('up again')
      await moon.down()
    },
  },
]
