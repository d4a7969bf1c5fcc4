/**
 * The same steps with a whole world of test/simulation, whose rules watch each of them: to run a path again with its
 * drawing, and to walk a small tree without any of the reductions.
 */
import assert from 'node:assert/strict'
import { pair } from '../simulation/pair.ts'
import { bringUp } from '../simulation/rekey.ts'
import { watchSafety } from '../simulation/safety.ts'
import type { World } from '../simulation/world.ts'
import { endState, judge, quietSeconds } from './judge.ts'
import { options, type Plan, seed, wish } from './plans.ts'
import { after, type Limits, nothingSpent, possible, type Spent, type Step } from './steps.ts'

/**
 * The world after a path, and what was thrown on the way or at its end, which is judged. Without `watched` the rules of
 * test/simulation about states are looked at from the end on; those about messages always are.
 */
export function replay(
  plan: Plan,
  limits: Limits,
  path: readonly Step[],
  { watched = true, ended }: { readonly watched?: boolean; readonly ended?: (world: World) => void } = {},
): { world: World; error: unknown } {
  const world = begin()
  const { onStep } = world
  if (!watched) world.onStep = undefined
  let spent = nothingSpent
  try {
    for (const step of path) spent = take(plan, limits, world, spent, step)
    beQuiet(world)
    world.onStep = onStep
    ended?.(world)
    judge(world)
  } catch (error) {
    return { world, error }
  }
  return { world, error: undefined }
}

/** The states of all ends, by `endState`: every path is walked to its end, whatever it has in common with others. */
export function everyEnd(plan: Plan, limits: Limits): Set<string> {
  const ends = new Set<string>()
  const visit = (path: readonly Step[]): void => {
    const world = begin()
    let spent = nothingSpent
    for (const step of path) spent = take(plan, limits, world, spent, step)
    const steps = possible(plan, limits, spent, sceneOf(world), ['lose', 'repeat'])
    for (const step of steps) visit([...path, step])
    if (steps.length > 0) return
    beQuiet(world)
    ends.add(endState(world))
    judge(world)
  }
  visit([])
  return ends
}

function begin(): World {
  const world = pair({ ...options, seed })
  watchSafety(world)
  bringUp(world)
  return world
}

function take(plan: Plan, { jobs }: Limits, world: World, spent: Spent, step: Step): Spent {
  world.holdJobs = jobs
  switch (step.kind) {
    case 'wish': {
      const what = plan[step.side][spent[step.side]]
      if (what !== undefined) wish(world.host(step.side), what)
      if (!jobs) world.finishJobs()
      break
    }
    case 'jobs':
      world.finishJobsOf(world.host(step.side))
      break
    case 'refuse':
      world.host(step.side).kernel.refuse({ kind: step.operation, nth: 1, errno: 'ENOMEM' })
      break
    case 'time':
      world.passTime()
      break
    default: {
      const flight = world.net.flights[step.place]
      assert.ok(flight !== undefined, 'the run could not be repeated')
      if (step.kind === 'lose' || step.kind === 'late') {
        world.net.remove(flight)
        world.ladder.lost(flight.from, flight.label, world.now)
      }
      if (step.kind === 'repeat' || step.kind === 'twice') world.net.duplicate(flight)
      if (step.kind === 'deliver' || step.kind === 'twice') world.deliverThis(flight)
      if (step.kind === 'late') world.passTime()
    }
  }
  return after(spent, step)
}

function beQuiet(world: World): void {
  world.holdJobs = false
  for (const { kernel } of world.hosts) kernel.forgive()
  world.wait(quietSeconds)
}

function sceneOf(world: World): Parameters<typeof possible>[3] {
  return {
    hasJobs: (side) => world.host(side).jobs.length > 0,
    flights: world.net.flights.map(({ from, bytes }) => from + Buffer.from(bytes).toString('latin1')),
  }
}
