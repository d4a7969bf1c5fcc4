/** Road warriors: virtual IPs, pools, and hosts without them. moon is the road warrior. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

/** A road warrior that asks for `vips`, and a gateway that has `pools`. */
function _roadWarrior(vips: string | undefined, pools: Conf, networks = '10.2.0.0/16'): ReturnType<typeof confs> {
  return confs(
    { child: { moon_ts: undefined, sun_ts: networks } },
    {
      moon: { conn: { vips } },
      sun: { conn: { moon_addrs: '%any', pools: Object.keys(pools).join(', ') }, beside: { pools } },
    },
  )
}

const _p4 = { addrs: '10.77.0.0/24' }
const _p6 = { addrs: 'fec7::/120' }

export const virtualIps: readonly DropIn[] = []
