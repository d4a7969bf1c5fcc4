/** IKE SAs whose IKE_AUTH has no Child SA (RFC 6023). */
import assert from 'node:assert/strict'
import type { Connection } from '../../src/config/connection.ts'
import { KE } from '../../src/wire/numbers.ts'
import { hybridProposal } from './connection.ts'
import { exchanges, failed, logged, nothingLeaks, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

type Childless = Connection['childless']

function childless(left: Childless, right: Childless, more: PairOptions = {}): PairOptions {
  return { ...more, left: { connection: { childless: left } }, right: { connection: { childless: right } } }
}

function refused(options: PairOptions, select: { child?: string; ike?: string }): World {
  const world = pair(options)
  const answer = world.left.command({ kind: 'initiate', ...select, timeoutMs: 0 })
  world.wait(40)
  failed(answer(), /failed/)
  nothingLeaks(world)
  return world
}

const unsupported = 'peer does not support childless IKE_SA initiation'

/** What an initiator with a child to bring up does, by what both sides have configured. */
const table: Readonly<
  Record<Childless, Readonly<Record<Childless, 'with child' | 'childless' | 'refused' | 'later'>>>
> = {
  allow: { allow: 'with child', prefer: 'with child', force: 'later', never: 'with child' },
  prefer: { allow: 'childless', prefer: 'childless', force: 'childless', never: 'with child' },
  force: { allow: 'childless', prefer: 'childless', force: 'childless', never: 'refused' },
  never: { allow: 'with child', prefer: 'with child', force: 'later', never: 'with child' },
}

for (const left of Object.keys(table) as Childless[]) {
  for (const right of Object.keys(table[left]) as Childless[]) {
    const expected = table[left][right]
    scenario(`childless = ${left} to childless = ${right}: ${expected}`, () => {
      if (expected === 'refused') {
        logged(refused(childless(left, right), { child: 'net' }).left, unsupported)
        return
      }
      if (expected === 'later') {
        // The IKE SA stays; the child comes in an exchange of its own.
        const world = pair(childless(left, right))
        const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
        world.settle()
        failed(answer(), /failed/)
        saidToPeer(world.right, 'IDr AUTH N(NO_PROP)')
        world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
        world.settle()
        sameSingleChild(world)
        return
      }
      /**
       *    |-- IKE_AUTH request 1 [ IDi … AUTH ] ------------------------>|
       *    |<---------------------------- IKE_AUTH response 1 [ IDr AUTH ]|
       *    |-- CREATE_CHILD_SA request 2 [ SA No TSi TSr ] -------------->|
       *    |<-------------- CREATE_CHILD_SA response 2 [ SA No TSi TSr ] -|
       */
      const world = established(childless(left, right))
      const separate = exchanges(world.left).includes('CREATE_CHILD_SA request 2')
      assert.equal(separate, expected === 'childless')
      const announced = world.right.sent.some(({ label }) => label.includes('N(CHDLESS_SUP)'))
      assert.equal(announced, right !== 'never')
      assert.ok(!world.left.sent.some(({ label }) => label.includes('N(CHDLESS_SUP)')))
    })
  }
}

scenario('an IKE SA alone, by command', () => {
  const world = pair()
  const answer = world.left.command({ kind: 'initiate', ike: 'lab', timeoutMs: 0 })
  world.settle()
  assert.deepEqual(answer(), { kind: 'done' })
  for (const host of world.hosts) assert.deepEqual(onlySa(host).children, [])
  world.right.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
})

scenario('an IKE SA alone from a peer that does not allow it', () => {
  logged(refused(childless('allow', 'never'), { ike: 'lab' }).left, unsupported)
})

scenario('the child of a childless IKE SA is refused: the command fails, the IKE SA stays', () => {
  const world = pair({
    ...childless('prefer', 'allow'),
    right: { child: { espProposals: [], ahProposals: [] } },
  })
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  failed(answer(), /failed/)
  assert.equal(onlySa(world.left).state, 'ESTABLISHED')
})

for (let index = 0; index < 6; index++) {
  scenario(`datagram ${index + 1} of 6 is lost`, () => {
    const world = pair(childless('prefer', 'allow'))
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.finishJobs()
    world.deliver(index)
    world.lose()
    world.wait(5)
    sameSingleChild(world)
  })
}

/** RFC 9370 §2.2.5.1: no Child SA is ever under keys that IKE_SA_INIT alone has made. */
scenario('childless with additional key exchanges, then the IKE SA is rekeyed', () => {
  const world = established(childless('force', 'allow', { ike: [hybridProposal([KE.ML_KEM_768])] }))
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: false })
  world.wait(6)
  sameSingleChild(world)
  notLogged(world.left, 'failed')
})
