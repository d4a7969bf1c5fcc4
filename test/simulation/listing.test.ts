/** list-sas, whole and a few at a time. */
import assert from 'node:assert/strict'
import type { Answer } from '../../src/ike/output.ts'
import { carriesPacket } from './expect.ts'
import { established } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

function many(count: number): World {
  const world = established({ settings: { reuseIkeSa: false }, connection: { unique: 'never' } })
  for (let i = 1; i < count; i++) {
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
  }
  return world
}

function listed(world: World, page: { before?: number; most?: number }): Extract<Answer, { kind: 'sas' }> {
  const answer = world.left.command({ kind: 'list-sas', select: {}, ...page })
  world.finishJobs()
  const said = answer()
  assert.equal(said?.kind, 'sas')
  return said as Extract<Answer, { kind: 'sas' }> // as was just seen
}

scenario('in pages: newest first, each once, and none that is gone', () => {
  const world = many(7)
  const ids = (said: Extract<Answer, { kind: 'sas' }>) => said.ikeSas.map(({ uniqueId }) => uniqueId)
  assert.deepEqual(ids(listed(world, {})), [7, 6, 5, 4, 3, 2, 1])
  const first = listed(world, { most: 3 })
  assert.deepEqual([ids(first), first.next], [[7, 6, 5], 5])
  world.left.command({ kind: 'terminate', select: { ikeId: 4 }, force: false, timeoutMs: 0 })
  world.settle()
  const second = listed(world, { most: 2, before: 5 })
  assert.deepEqual([ids(second), second.next], [[3, 2], 2])
  const third = listed(world, { most: 2, before: 2 })
  assert.deepEqual([ids(third), third.next], [[1], undefined])
})

scenario('the counters of both directions, with one question to the kernel', () => {
  const world = established()
  carriesPacket(world)
  const answer = world.left.command({ kind: 'list-sas', select: {} })
  assert.deepEqual(
    world.left.jobs.map(({ job }) => (job.kind === 'kernel' ? job.operation.kind : job.kind)),
    ['query-sas'],
  )
  world.finishJobs()
  const said = answer()
  const [child] = said?.kind === 'sas' ? (said.ikeSas[0]?.children ?? []) : []
  assert.deepEqual([child?.packetsIn, child?.packetsOut], [2n, 2n])
})

scenario('a kernel that refuses to say leaves the counters out', () => {
  const world = established()
  world.left.kernel.refuse({ kind: 'query-sas', nth: 1, errno: 'EPERM' })
  const { ikeSas } = listed(world, {})
  assert.equal(ikeSas[0]?.children[0]?.packetsIn, 0n)
})
