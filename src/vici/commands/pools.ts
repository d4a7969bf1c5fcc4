/** load-pool, unload-pool, get-pools. */
import { ConfigError } from '../../config/config-error.ts'
import { parsePool } from '../../config/pools.ts'
import { findText, section, value } from '../../config/tree.ts'
import type { PoolView } from '../../ike/view.ts'
import { formatIdentity } from '../../pki/identity.ts'
import { configLog, failure, findBool, type Handler, success } from '../request.ts'

/** Pools in front of one that cannot be loaded are loaded. */
export const loadPool: Handler = async ({ message, broken }, { daemon }) => {
  if (broken) return failure('parsing request failed')
  for (const item of message) {
    if (item.kind !== 'section') continue
    try {
      const pool = parsePool(item.name, item.items)
      for (const note of pool.notes) daemon.log(configLog(note))
      const answer = await daemon.command({ kind: 'load-pool', pool })
      if (answer.kind === 'failed') return failure(answer.message)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return failure(error.message)
    }
  }
  return success()
}

export const unloadPool: Handler = async ({ message }, { daemon }) => {
  const name = findText(message, 'name')
  if (name === undefined) return failure('missing pool name to unload')
  const answer = await daemon.command({ kind: 'unload-pool', name })
  return answer.kind === 'failed' ? failure(answer.message) : success()
}

export const getPools: Handler = async ({ message }, { daemon }) => {
  const name = findText(message, 'name')
  const answer = await daemon.command({ kind: 'list-pools', ...(name !== undefined && { name }) })
  const pools = answer.kind === 'pools' ? answer.pools : []
  const withLeases = findBool(message, 'leases')
  return pools.map((pool) => {
    const { base, size, online, offline } = pool
    const counts = [value('base', base), value('size', size), value('online', online), value('offline', offline)]
    return section(pool.name, [...counts, ...(withLeases ? [section('leases', leasesOf(pool))] : [])])
  })
}

function leasesOf({ leases }: PoolView): ReturnType<typeof section>[] {
  return leases.map(({ address, identity, online }, at) =>
    section(String(at), [
      value('address', address),
      value('identity', formatIdentity(identity)),
      value('status', online ? 'online' : 'offline'),
    ]),
  )
}
