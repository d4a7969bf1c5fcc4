/** Time passes in a run of the sweep. */
import assert from 'node:assert/strict'
import type { Draw } from './draw.ts'
import { onlyChild, packetOfChild } from './expect.ts'
import type { Host } from './host.ts'
import { Violation } from './safety.ts'
import type { Carried, World } from './world.ts'

export function runFor(world: World, draw: Draw, seconds: number): void {
  runUntil(world, draw, world.now + seconds * 1000)
}

/**
 * Each host sends packets all the while. Some wait for a few steps between the choice of their way and their way out, as on
 * a busy processor: between hosts that rekey, over a network that loses nothing, none is lost.
 */
export function runUnderTraffic(world: World, draw: Draw, seconds: number, action: () => void): void {
  const packets = world.hosts.map((host) => packetOfChild(onlyChild(host)))
  action()
  const longestMs = 500
  const until = world.now + seconds * 1000
  let chosen: { readonly host: Host; readonly atMs: number; readonly go: () => Carried }[] = []
  do {
    const going = chosen.filter(({ atMs }) => world.now - atMs <= longestMs && draw.chance(0.5))
    chosen = chosen.filter((one) => !going.includes(one) && world.now - one.atMs <= longestMs)
    for (const { host, go } of going) {
      const carried = go()
      if (carried !== 'protected') throw new Violation(`a packet of ${host.name} was lost on its way: ${carried}`)
    }
    for (const [i, host] of world.hosts.entries()) {
      const packet = packets[i]
      assert.ok(packet !== undefined)
      chosen.push({ host, atMs: world.now, go: world.begin(host, packet) })
    }
  } while (world.step(draw, until))
  world.now = Math.max(world.now, until)
}

export function runUntil(world: World, draw: Draw, until: number, most: number = Number.POSITIVE_INFINITY): void {
  for (let steps = 0; world.step(draw, until); steps++) {
    if (steps >= most) return
    if (steps > 50_000) throw new Error('the hosts do not come to rest')
  }
  world.now = Math.max(world.now, until)
}
