/** Marks and interface ids that the daemon chooses: unique to a Child SA or an IKE SA, and kept as long as it lasts. */
import assert from 'node:assert/strict'
import type { ChildConfig } from '../../src/config/connection.ts'
import { carries, installed, kernelIsAsSaid, nothingLeaks, onlyChild, onlySa, own } from './expect.ts'
import type { Host } from './host.ts'
import { type PairOptions, pair } from './pair.ts'
import { rekey } from './rekey.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const mark = (value: number | '%unique' | '%unique-dir', mask = 0xffff_ffff) => ({ value, mask })
const unique: Partial<ChildConfig> = { markIn: mark('%unique'), markOut: mark('%unique') }

/** What the only child carries, in and out: marks, interface ids. */
function carried(host: Host): (number | undefined)[] {
  const { markIn, markOut, ifIdIn, ifIdOut } = onlyChild(host)
  return [markIn?.value, markOut?.value, ifIdIn, ifIdOut]
}

/** Nothing but the left side asks for marks; the right one takes and sends as ever. */
function up(left: NonNullable<PairOptions['left']>, more: PairOptions = {}): World {
  const world = pair({ ...more, left })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  return world
}

function end(world: World): void {
  world.left.command({ kind: 'shutdown' })
  world.settle()
  world.right.command({ kind: 'shutdown' })
  world.settle()
  nothingLeaks(world)
}

/**
 *   packet with mark 1   -> policy with mark 1 -> ESP
 *   packet without       -> no policy: it leaves in clear, or by another tunnel with the same selectors
 */
scenario('a unique mark is on the policies and on what leaves, and on what comes if that is asked for', () => {
  const world = up({ child: unique })
  assert.deepEqual(carried(world.left), [1, 1, undefined, undefined])
  assert.equal(carries(world, world.left, { mark: 1 }), 'protected')
  assert.equal(carries(world, world.left, { mark: 2 }), 'plain')
  assert.deepEqual(new Set(world.left.kernel.policies.map((policy) => policy.mark?.value)), new Set([1]))
  const marks = (one: World): (number | undefined)[] =>
    installed(one.left).map(({ sa }) => (sa?.direction === 'out' ? sa.mark?.value : (sa?.mark?.value ?? 0)))
  assert.deepEqual(marks(world).sort(), [0, 1])
  const both = up({ child: { ...unique, markInSa: true } })
  assert.deepEqual(marks(both).sort(), [1, 1])
  end(world)
})

scenario('rekeying the child, by either side, keeps the numbers', () => {
  const world = up({
    child: { markIn: mark('%unique-dir'), markOut: mark('%unique-dir'), ifIdIn: '%unique-dir', ifIdOut: '%unique-dir' },
  })
  assert.deepEqual(carried(world.left), [1, 2, 1, 2])
  for (const host of [...world.hosts, ...world.hosts]) {
    rekey(host, 'child')
    world.wait(6)
    assert.deepEqual(carried(world.left), [1, 2, 1, 2])
    for (const one of world.hosts) kernelIsAsSaid(one)
  }
  assert.deepEqual(new Set(installed(world.left).map(({ sa }) => sa?.ifId)), new Set([1, 2]))
  end(world)
})

scenario('both rekey the child at once: what is left has the numbers', () => {
  const world = up({ child: unique })
  for (const host of world.hosts) rekey(host, 'child')
  world.wait(10)
  assert.deepEqual(carried(world.left), [1, 1, undefined, undefined])
  end(world)
})

scenario('rekeying the IKE SA keeps its interface ids, and its children have them', () => {
  const world = up({}, { more: true, connection: { ifIdIn: '%unique', ifIdOut: '%unique' } })
  for (const host of [...world.hosts, ...world.hosts]) {
    rekey(host, 'IKE SA')
    world.wait(6)
    for (const one of world.hosts) {
      const { ifIdIn, ifIdOut } = onlySa(one)
      assert.deepEqual([ifIdIn, ifIdOut], [1, 1])
      assert.deepEqual(carried(one), [undefined, undefined, 1, 1])
    }
  }
  // The next child of this IKE SA has them too.
  world.left.command({ kind: 'initiate', child: 'more', timeoutMs: 0 })
  world.settle()
  assert.deepEqual(
    onlySa(world.left).children.map(({ ifIdIn, ifIdOut }) => [ifIdIn, ifIdOut]),
    [
      [1, 1],
      [1, 1],
    ],
  )
  end(world)
})

scenario('interface ids of the child go before those of the connection', () => {
  const world = up({}, { connection: { ifIdIn: 7, ifIdOut: 8 }, child: { ifIdOut: 9 } })
  for (const host of world.hosts) assert.deepEqual(carried(host), [undefined, undefined, 7, 9])
  const policies = world.left.kernel.policies.map(({ direction, ifId }) => `${direction} ${ifId}`)
  assert.deepEqual(policies.sort(), ['fwd 7', 'in 7', 'out 9'])
})

/** As for a gateway whose clients all have the same selectors: the marks tell them apart. */
scenario('two children of one configuration have two marks, two reqids and policies of their own', () => {
  const world = up({ child: unique })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  const { children } = onlySa(world.left)
  assert.deepEqual(children.map(({ markOut }) => markOut?.value).sort(), [1, 2])
  assert.equal(new Set(children.map(({ reqid }) => reqid)).size, 2)
  assert.equal(world.left.kernel.policies.length, 6)
  for (const value of [1, 2]) assert.equal(carries(world, world.left, { mark: value }), 'protected')
  end(world)
})

scenario('reauthentication before the break keeps the marks and chooses interface ids anew', () => {
  const world = up({ child: { ...unique, ifIdIn: '%unique' } })
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
  world.settle()
  world.wait(10)
  assert.deepEqual(carried(world.left), [1, 1, 2, undefined])
  end(world)
})

scenario('reauthentication before the break keeps all children of one configuration', () => {
  const world = up({ child: unique })
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
  world.settle()
  world.wait(10)
  assert.deepEqual(
    onlySa(world.left)
      .children.map(({ markOut }) => markOut?.value)
      .sort(),
    [1, 2],
  )
  end(world)
})

scenario('reauthentication after the break chooses all anew', () => {
  const world = up({ child: { ...unique, ifIdIn: '%unique' }, settings: { makeBeforeBreak: false } })
  world.left.command({ kind: 'rekey', select: { ike: 'lab' }, reauth: true })
  world.settle()
  world.wait(10)
  assert.deepEqual(carried(world.left), [2, 2, 2, undefined])
  end(world)
})

/**
 *   packet with the mark of the trap -> acquire -> a Child SA with a mark of its own
 */
scenario('a trap has numbers of its own', () => {
  const world = pair({ left: { child: { ...unique, ifIdOut: 4, startAction: { trap: true, start: false } } } })
  assert.deepEqual(new Set(world.left.kernel.policies.map((policy) => policy.mark?.value)), new Set([1]))
  assert.equal(world.left.kernel.routes.length, 0, 'the interface has the route')
  assert.equal(carries(world, world.left, { mark: 1, ifId: 4 }), 'XfrmOutNoStates')
  world.settle()
  assert.deepEqual(carried(world.left), [2, 2, undefined, 4])
  assert.equal(world.left.kernel.policies.length, 6)
  end(world)
})

scenario('the script is told the numbers', () => {
  const numbers = { ...unique, ifIdIn: '%unique', ifIdOut: '%unique' } as const
  const world = up({ child: { ...numbers, updown: '/etc/updown' } })
  const [run] = world.left.scripts[0]?.runs ?? []
  assert.equal(run?.['PLUTO_MARK_IN'], '1/0xffffffff')
  assert.equal(run?.['PLUTO_MARK_OUT'], '1/0xffffffff')
  assert.equal(run?.['PLUTO_IF_ID_IN'], '1')
  assert.equal(run?.['PLUTO_IF_ID_OUT'], '1')
})

scenario('a mark that says no mark is for packets without one, and scripts are not told', () => {
  const world = up({ child: { markOut: mark(0), updown: '/etc/updown' } })
  assert.equal(carries(world, world.left), 'protected')
  assert.equal(carries(world, world.left, { mark: 3 }), 'plain')
  assert.equal(world.left.scripts[0]?.runs[0]?.['PLUTO_MARK_OUT'], undefined)
})

scenario('packets get the mark of their direction, whatever that is', () => {
  const same = { value: '%same', mask: 0xff } as const
  const world = up({ child: { ...unique, setMarkIn: same, setMarkOut: { ...same, value: 5 } } })
  const marks = installed(world.left).map(({ sa }) => [sa?.direction, sa?.outputMark])
  assert.deepEqual(Object.fromEntries(marks), { in: { value: 1, mask: 0xff }, out: { value: 5, mask: 0xff } })
})

scenario('both create a child with unique marks at once: one of the two stays', () => {
  const world = pair({ child: unique, connection: { childless: 'prefer' } })
  world.left.command({ kind: 'initiate', ike: 'lab', timeoutMs: 0 })
  world.settle()
  for (const host of world.hosts) host.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.wait(30)
  for (const host of world.hosts) assert.equal(onlySa(host).children.length, 1)
  assert.deepEqual(own(world.left).length, 2)
})
