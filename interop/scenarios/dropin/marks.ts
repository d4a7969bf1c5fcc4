/** Marks and interface ids: in policies, on states, and on packets. */
import { confs } from '../../lab/dropin/conf.ts'
import type { DropIn } from '../../lab/dropin/dropin.ts'

/** Of moon's child alone: sun has none. */
const _ofMoon = (child: Record<string, string | number>): ReturnType<typeof confs> => confs({}, { moon: { child } })

const _unique = { mark_in: '%unique', mark_out: '%unique', set_mark_in: '%same' }
const _uniqueIds = { if_id_in: '%unique', if_id_out: '%unique' }

export const marks: readonly DropIn[] = []
