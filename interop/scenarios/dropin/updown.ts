/** Scripts that are told what comes and goes: with the same variables as by charon. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn, Play } from '../../lab/dropin/dropin.ts'

const updown = '/etc/swanctl/updown'
const calls = 'cat /run/updown.log'

/** Up, what both scripts were told, down, the same. */
async function _upAndDown({ moon, sun, same }: Play): Promise<void> {
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
]
