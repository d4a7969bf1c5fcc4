/** Hosts that move, and what has become of their Child SA then. */
import assert from 'node:assert/strict'
import { nothingLeaks, onlyChild, onlySa, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import type { World } from './world.ts'

/** An address that no host has in the beginning. */
export const elsewhere = '203.0.113.9'

/** The host has these addresses from now on, and the subnet behind it. */
export function readdress(host: Host, ...outside: string[]): void {
  host.kernel.readdress([...outside, ...host.kernel.addresses.filter((address) => address.startsWith('10.'))])
  host.passKernelEvents()
}

/** The same Child SA as before, at these addresses, and packets cross. */
export function movedTo(world: World, left: string, right: string, spiIn: number): void {
  for (const [host, local, remote] of [
    [world.left, left, right],
    [world.right, right, left],
  ] as const) {
    const sa = onlySa(host)
    assert.deepEqual([sa.local.address, sa.remote.address], [local, remote], `the addresses of ${host.name}`)
  }
  assert.equal(onlyChild(world.left).spiIn, spiIn, 'the Child SA has been replaced')
  sameSingleChild(world)
}

/** The IKE SA goes, and nothing of it is left. */
export function terminated(world: World): void {
  world.left.command({ kind: 'terminate', select: { ike: 'lab' }, force: false, timeoutMs: 0 })
  world.settle()
  world.wait(10)
  nothingLeaks(world)
}
