/** How SAs are replaced and how they end: rekeying, peers that fall silent, idle children, commands, uniqueness. */
import { type Conf, confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

const _net = 'net INSTALLED TUNNEL 10.1.0.0/16 === 10.2.0.0/16'
const _mirrored = 'net INSTALLED TUNNEL 10.2.0.0/16 === 10.1.0.0/16'

/** Who does not answer is given up after six seconds. */
const _impatient = ['retransmit_tries = 2', 'retransmit_timeout = 2', 'retransmit_base = 1']

/** moon looks after its peer every second. */
const _watchful = (child: Conf): ReturnType<typeof confs> => confs({}, { moon: { conn: { dpd_delay: '1s' }, child } })

export const lives: readonly DropIn[] = []
