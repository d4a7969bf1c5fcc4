/** list-sas, list-policies, list-conns, get-conns. */
import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { Connection } from '../../config/connection.ts'
import { findText, list } from '../../config/tree.ts'
import { connectionSection } from '../conns.ts'
import type { Context, Handler } from '../request.ts'
import { ikeSaSection, policySection } from '../sas.ts'
import { saSelector } from './control.ts'

/**
 * Newest first; IKE SAs are listed even when none of their children match. A few at a time: in between everything else has
 * its turn, and a slow reader does not make us hold a list of all.
 */
export const listSas: Handler = async ({ message, stream }, { daemon }) => {
  const select = saSelector(message)
  for (let before: number | undefined; ; ) {
    const answer = await daemon.command({
      kind: 'list-sas',
      select,
      most: sasAtOnce,
      ...(before !== undefined && { before }),
    })
    if (answer.kind !== 'sas') return []
    for (const sa of answer.ikeSas) await stream('list-sa', ikeSaSection(sa))
    before = answer.next
    if (before === undefined) return []
    await turnOfOthers()
  }
}

/** Some milliseconds of work. */
const sasAtOnce = 32

/** Traps and shunts; nothing is listed unless `trap`, `pass` or `drop` is there, with any value. */
export const listPolicies: Handler = async ({ message, stream }, { daemon }) => {
  const wanted = (name: string) => findText(message, name) !== undefined
  const ike = findText(message, 'ike')
  const child = findText(message, 'child')
  const answer = await daemon.command({
    kind: 'list-policies',
    ...(ike !== undefined && { ike }),
    ...(child !== undefined && { child }),
  })
  if (answer.kind !== 'policies') return []
  for (const policy of answer.policies) {
    const kind = policy.mode === 'PASS' ? 'pass' : policy.mode === 'DROP' ? 'drop' : 'trap'
    if (wanted(kind)) await stream('list-policy', policySection(policy))
  }
  return []
}

export const listConns: Handler = async ({ message, stream }, context) => {
  const ike = findText(message, 'ike')
  for (const connection of await connections(context)) {
    if (ike === undefined || ike === connection.name) await stream('list-conn', connectionSection(connection))
  }
  return []
}

export const getConns: Handler = async (_request, context) => {
  return [
    list(
      'conns',
      (await connections(context)).map(({ name }) => name),
    ),
  ]
}

async function connections({ daemon }: Context): Promise<readonly Connection[]> {
  const answer = await daemon.command({ kind: 'list-connections' })
  return answer.kind === 'connections' ? answer.connections : []
}
