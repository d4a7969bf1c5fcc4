/** A second IKE SA between the same identities, from another address of moon: what becomes of the first. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn, Play } from '../../lab/dropin/dropin.ts'

/** moon has two connections to sun, each from an address of its own. */
function twice(unique: string, second = '10.2.0.0/16'): ReturnType<typeof confs> {
  return confs(
    { child: { moon_ts: undefined, sun_ts: '10.2.0.0/16' } },
    {
      moon: {
        conn: { unique: 'never' },
        conns: {
          second: {
            conn: { unique: 'never', moon_addrs: '192.168.0.71' },
            // Else it depends on whether the first one is gone in time to leave its reqid.
            child: { moon_ts: undefined, sun_ts: second, reqid: '2' },
          },
        },
      },
      sun: { conn: { unique, moon_addrs: '%any' } },
    },
  )
}

const secondAddress = 'ip address add 192.168.0.71/24 dev eth0'
const child = (address: string, network = '10.2.0.0/16'): string => `net INSTALLED TUNNEL ${network} === ${address}/32`

export const uniqueness: readonly DropIn[] = [
  {
    name: 'unique-replace',
    ...twice('replace'),
    async play({ moon, sun, same }) {
      await moon.run(secondAddress)
      await moon.up()
      await moon.up('second')
      await sun.children(child('192.168.0.71'))
      await moon.ikes('second ESTABLISHED')
      await sun.says(/deleting duplicate IKE_SA for peer 'moon\.lab\.test' due to uniqueness policy/)
      await moon.pings('10.2.0.10', { from: '192.168.0.71' })
      await same('the second is left')
      await moon.down('second')
    },
  },
  {
    name: 'unique-keep',
    ...twice('keep'),
    async play({ moon, sun, same }) {
      await moon.run(secondAddress)
      await moon.up()
      await moon.refuses('--initiate --child second --timeout 10', /establishing CHILD_SA 'second' failed/)
      await sun.says(/canceling IKE_SA setup due to uniqueness policy/)
      await sun.children(child('192.168.0.1'))
      await same('the first is left')
      await moon.down()
    },
  },
  ...['never', 'no'].map((unique) => ({
    name: `unique-${unique}`,
    // Each has a network of its own: of two routes to one network charon keeps the later, we the earlier until it goes.
    ...twice(unique, '10.2.0.0/24'),
    async play({ moon, sun, same }: Play): Promise<void> {
      await moon.run(secondAddress)
      await moon.up()
      await moon.up('second')
      await sun.children(child('192.168.0.1'), child('192.168.0.71', '10.2.0.0/24'))
      await moon.pings('10.2.0.10', { from: '192.168.0.1' })
      await moon.pings('10.2.0.10', { from: '192.168.0.71' })
      await same('both are there')
      await moon.down()
      await sun.children(child('192.168.0.71', '10.2.0.0/24'))
      await moon.down('second')
    },
  })),
]
