/** load-pool, unload-pool, get-pools. The pools are kept; nothing is given out of them yet. */
import { ConfigError } from '../../config/config-error.ts'
import { parsePool } from '../../config/pools.ts'
import { findText, section, value } from '../../config/tree.ts'
import { configLog, failure, findBool, type Handler, success } from '../request.ts'

export const loadPool: Handler = ({ message, broken }, { daemon, pools }) => {
  if (broken) return failure('parsing request failed')
  for (const item of message) {
    if (item.kind !== 'section') continue
    try {
      const pool = parsePool(item.name, item.items)
      for (const note of pool.notes) daemon.log(configLog(note))
      const old = pools.get(pool.name)
      const same = old?.base === pool.base && old.size === pool.size
      const done = old === undefined ? 'added' : same ? 'updated' : 'replaced'
      pools.set(pool.name, pool)
      daemon.log(configLog(`${done} vici pool ${pool.name}: ${pool.base}, ${pool.size} entries`))
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return failure(error.message)
    }
  }
  return success()
}

export const unloadPool: Handler = ({ message }, { daemon, pools }) => {
  const name = findText(message, 'name')
  if (name === undefined) return failure('missing pool name to unload')
  if (!pools.delete(name)) return failure(`${name} not found`)
  daemon.log(configLog(`unloaded vici pool ${name}`))
  return success()
}

export const getPools: Handler = ({ message }, { pools }) => {
  const wanted = findText(message, 'name')
  const leases = findBool(message, 'leases') ? [section('leases', [])] : []
  return [...pools.values()]
    .filter(({ name }) => wanted === undefined || wanted === name)
    .map(({ name, base, size }) =>
      section(name, [value('base', base), value('size', size), value('online', 0), value('offline', 0), ...leases]),
    )
}
