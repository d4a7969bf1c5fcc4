/** Scripts that are told what comes and goes: with the same variables as by charon. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const updown = '/etc/swanctl/updown'

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
]
