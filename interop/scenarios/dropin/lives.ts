/** How SAs are replaced and how they end: rekeying, peers that fall silent, idle children, commands, uniqueness. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const net = 'net INSTALLED TUNNEL 10.1.0.0/16 === 10.2.0.0/16'
const mirrored = 'net INSTALLED TUNNEL 10.2.0.0/16 === 10.1.0.0/16'

/** Who does not answer is given up after six seconds. */
const impatient = ['retransmit_tries = 2', 'retransmit_timeout = 2', 'retransmit_base = 1']

/** moon looks after its peer every second. */
const watchful = (child: Conf): ReturnType<typeof confs> => confs({}, { moon: { conn: { dpd_delay: '1s' }, child } })

export const lives: readonly DropIn[] = [
  {
    name: 'rekey-ike',
    ...confs({}),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.swanctl('--rekey --ike net')
      await moon.shows('--list-sas', /net: #2, ESTABLISHED/)
      await moon.ikes('net ESTABLISHED')
      await sun.ikes('net ESTABLISHED')
      await moon.pings('10.2.0.10')
      await same('rekeyed by moon')
      await sun.swanctl('--rekey --ike net')
      await moon.shows('--list-sas', /net: #3, ESTABLISHED/)
      await moon.ikes('net ESTABLISHED')
      await sun.ikes('net ESTABLISHED')
      await same('rekeyed by sun')
      await moon.down()
    },
  },
  {
    name: 'reauthenticate',
    ...confs({}),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.swanctl('--rekey --reauth --ike net')
      await moon.shows('--list-sas', /net: #2, ESTABLISHED/)
      for (const host of [moon, sun]) await host.ikes('net ESTABLISHED')
      await moon.children(net)
      await sun.children(mirrored)
      await moon.pings('10.2.0.10')
      await same('reauthenticated')
      await moon.down()
    },
  },
  {
    name: 'dpd-clear',
    daemon: impatient,
    ...watchful({ dpd_action: 'clear' }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.cut()
      await moon.ikes()
      await same('given up')
      await moon.heal()
      await moon.up()
      await sun.ikes('net ESTABLISHED')
      await moon.pings('10.2.0.10')
      await same('up again')
      await moon.down()
    },
  },
  {
    name: 'dpd-trap',
    daemon: impatient,
    ...watchful({ dpd_action: 'trap' }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.cut()
      await moon.ikes()
      await moon.shows('--list-pols --trap', /net\/net, TUNNEL/)
      await same('given up')
      await moon.heal()
      await moon.pingsAtLast('10.2.0.10')
      await sun.ikes('net ESTABLISHED')
      await same('up again')
      await moon.down()
    },
  },
  {
    name: 'dpd-restart',
    daemon: impatient,
    ...watchful({ dpd_action: 'restart' }),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.cut()
      await moon.says(/restarting CHILD_SA net/)
      await moon.heal()
      await sun.ikes('net ESTABLISHED')
      await moon.children(net)
      await moon.pings('10.2.0.10')
      await same('up again')
      await moon.down()
    },
  },
  {
    name: 'inactivity',
    ...confs({}, { moon: { child: { inactivity: '6s' } } }),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.pings('10.1.0.10')
      await moon.children()
      await sun.children()
      await sun.ikes('net ESTABLISHED')
      await same('closed')
      await moon.up()
      await sun.ikes('net ESTABLISHED')
      await same('up again')
      await moon.down()
    },
  },
  {
    name: 'terminate-child',
    ...confs({}),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.swanctl('--terminate --child net --timeout 6')
      await sun.children()
      await same('without a child')
      await moon.up()
      await same('with one again')
      await sun.swanctl('--terminate --child-id 2 --timeout 6')
      await moon.children()
      await sun.refuses('--terminate --child net', /no matching SAs to terminate found/)
      await sun.down()
      await same('down')
    },
  },
  {
    name: 'terminate-by-id',
    ...confs({}),
    async play({ moon, sun, same }) {
      await moon.up()
      await moon.refuses('--terminate --ike-id 9', /no matching SAs to terminate found/)
      await moon.swanctl('--terminate --ike-id 1 --timeout 6')
      await sun.ikes()
      await same('down')
      await sun.up()
      await sun.swanctl('--terminate --ike-id 2 --timeout 6')
      await moon.ikes()
      await same('down again')
    },
  },
  {
    name: 'terminate-force',
    ...confs({}),
    async play({ moon, sun, same }) {
      await moon.up()
      await sun.cut()
      await moon.swanctl('--terminate --ike net --force')
      await moon.ikes()
      await sun.ikes('net ESTABLISHED')
      await same('forced')
      await sun.heal()
      await moon.up()
      await sun.ikes('net ESTABLISHED')
      await moon.pings('10.2.0.10')
      await same('up again')
      await sun.down()
    },
  },
  {
    name: 'initiate-timeout',
    ...confs({}),
    async play({ moon, sun, same }) {
      await sun.cut()
      await moon.refuses('--initiate --child net --timeout 1', /CHILD_SA 'net' not established after 1000ms/)
      await sun.heal()
      await moon.children(net)
      await sun.children(mirrored)
      await same('up at last')
      await moon.down()
    },
  },
  {
    name: 'wrong-secret',
    ...confs({}, { sun: { beside: { secrets: { 'ike-lab': { secret: 'another' } } } } }),
    async play({ moon, sun, same }) {
      await moon.refuses('--initiate --child net --timeout 10', /establishing CHILD_SA 'net' failed/)
      await sun.says(/tried 1 shared key for .* but MAC mismatched/)
      for (const host of [moon, sun]) await host.ikes()
      await same('refused')
    },
  },
]
