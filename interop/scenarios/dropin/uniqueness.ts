/** A second IKE SA between the same identities, from another address of moon: what becomes of the first. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

/** moon has two connections to sun, each from an address of its own. */
function _twice(unique: string): ReturnType<typeof confs> {
  return confs(
    { child: { moon_ts: undefined, sun_ts: '10.2.0.0/16' } },
    {
      moon: {
        conn: { unique: 'never' },
        conns: {
          second: {
            conn: { unique: 'never', moon_addrs: '192.168.0.71' },
            child: { moon_ts: undefined, sun_ts: '10.2.0.0/16' },
          },
        },
      },
      sun: { conn: { unique, moon_addrs: '%any' } },
    },
  )
}

const _secondAddress = 'ip address add 192.168.0.71/24 dev eth0'
const _child = (address: string): string => `net INSTALLED TUNNEL 10.2.0.0/16 === ${address}/32`

export const uniqueness: readonly DropIn[] = []
