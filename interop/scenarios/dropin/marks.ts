/** Marks and interface ids: in policies, on states, and on packets. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

/** Of moon's child alone: sun has none. */
const ofMoon = (child: Record<string, string | number>): ReturnType<typeof confs> => confs({}, { moon: { child } })

const unique = { mark_in: '%unique', mark_out: '%unique', set_mark_in: '%same' }
const uniqueIds = { if_id_in: '%unique', if_id_out: '%unique' }

export const marks: readonly DropIn[] = [
  {
    name: 'mark-out',
    ...ofMoon({ mark_in: 42, mark_out: 42, set_mark_in: 42 }),
    async play({ moon, same, inClear }) {
      await moon.up()
      await moon.kernel(/^policy .* dir out .*mark 0x2a\/0xffffffff/)
      await moon.pings('10.2.0.10', { options: '-m 42' })
      await same('up')
      await moon.pingsInVain('10.2.0.10', { options: '-m 43' })
      await inClear(/^ICMP from 10\.1\.0\.10/)
      await moon.down()
      await same('down')
    },
  },
  {
    name: 'mark-in-sa',
    ...ofMoon({ mark_in: 42, mark_out: 42, mark_in_sa: 'yes' }),
    async play({ moon, same }) {
      await moon.up()
      await moon.kernel(/^state .*mark 0x2a\/0xffffffff/, 2)
      // The state is not found without the mark, so answers come back only when somebody marks ESP.
      await moon.pingsInVain('10.2.0.10', { options: '-m 42' })
      await moon.marksIncoming(42)
      await moon.pings('10.2.0.10', { options: '-m 42' })
      await same('up')
      await moon.down()
    },
  },
  {
    name: 'mark-set-in',
    ...ofMoon({ set_mark_in: '0x22' }),
    async play({ moon, sun, same }) {
      await sun.up()
      await moon.kernel(/^state src 192\.168\.0\.2 .*output-mark 0x22/)
      await sun.pings('10.1.0.10')
      await same('up')
      await sun.down()
    },
  },
  {
    name: 'if-id-child',
    ...ofMoon({ if_id_in: 23, if_id_out: 24 }),
    async play({ moon, sun, same, inClear }) {
      await moon.up()
      await moon.kernel(/^policy .* dir out .*if_id 0x18/)
      await moon.kernel(/^state .*if_id 0x17/)
      await same('up')
      // Without an interface of that id no packet meets the policies.
      await moon.pingsInVain('10.2.0.10')
      await inClear(/^ICMP from 10\.1\.0\.10/)
      await sun.down()
      await same('down')
    },
  },
  {
    name: 'if-id-connection',
    ...confs(
      { child: { moon_ts: '10.1.0.0/24' }, children: { far: { moon_ts: '10.1.8.0/24' } } },
      { moon: { conn: { if_id_in: 23, if_id_out: 24 }, children: { far: { if_id_out: 25 } } } },
    ),
    async play({ moon, same }) {
      await moon.up('net')
      await moon.up('far')
      await moon.kernel(/^state .*if_id 0x17/, 2)
      await moon.kernel(/^state .*if_id 0x19/)
      await same('up')
      await moon.swanctl('--rekey --ike net')
      await moon.says(/IKE_SA net\[\d+\] rekeyed between/)
      await moon.ikes('net ESTABLISHED')
      await same('rekeyed')
      await moon.down()
    },
  },
  {
    name: 'mark-unique',
    ...confs(
      { child: { moon_ts: '10.1.0.0/24' }, children: { far: { moon_ts: '10.1.8.0/24' } } },
      { moon: { child: unique, children: { far: unique } } },
    ),
    async play({ moon, same }) {
      await moon.up('net')
      await moon.up('far')
      await moon.kernel(/^policy src 10\.1\.0\.0\/24 .* dir out .*mark 0x1\/0xffffffff/)
      await moon.kernel(/^policy src 10\.1\.8\.0\/24 .* dir out .*mark 0x2\/0xffffffff/)
      await moon.pings('10.2.0.10', { options: '-m 1' })
      await same('up')
      await moon.swanctl('--rekey --child far')
      await moon.says(/CHILD_SA far\{2\} closed/)
      await same('rekeyed')
      await moon.down()
      await moon.up('net')
      await moon.kernel(/^policy .* dir out .*mark 0x3\/0xffffffff/)
      await same('up again')
      await moon.down()
    },
  },
  {
    name: 'if-id-unique',
    ...confs(
      { child: { moon_ts: '10.1.0.0/24' }, children: { far: { moon_ts: '10.1.8.0/24' } } },
      { moon: { child: uniqueIds, children: { far: uniqueIds } } },
    ),
    async play({ moon, same }) {
      await moon.up('net')
      await moon.up('far')
      await moon.kernel(/^state .*if_id 0x1/, 2)
      await moon.kernel(/^state .*if_id 0x2/, 2)
      await same('up')
      await moon.swanctl('--rekey --child net')
      await moon.says(/CHILD_SA net\{1\} closed/)
      await same('rekeyed')
      await moon.down()
    },
  },
]
