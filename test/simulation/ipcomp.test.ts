/** IPComp beside a Child SA (RFC 3173, RFC 7296 §2.22). */
import assert from 'node:assert/strict'
import { carries, installed, logged, onlyChild, own, saidToPeer, sameSingleChild } from './expect.ts'
import type { Host } from './host.ts'
import { established, type PairOptions, pair } from './pair.ts'
import { closesClean, rekey, stillWorks } from './rekey.ts'
import { watchSafety } from './safety.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

const both: PairOptions = { child: { ipcomp: true } }

/** Packets that are worth compressing, and ones that are not, cross both ways. */
function largeAndSmall(world: World): void {
  for (const host of world.hosts) {
    for (const length of [1400, 40]) assert.equal(carries(world, host, { length }), 'protected', `${length} octets`)
  }
}

/** As `established`; the rules of the sweep hold from the beginning. */
function watched(options: PairOptions): World {
  const world = pair(options)
  watchSafety(world)
  world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  sameSingleChild(world)
  return world
}

/** The IPComp states of a host, by direction. */
function compression(host: Host, direction: 'in' | 'out'): { spi: number; mode: string; packets: bigint }[] {
  return installed(host)
    .filter(({ protocol, sa }) => protocol === 'IPCOMP' && sa?.direction === direction)
    .map(({ spi, mode, packets }) => ({ spi, mode, packets: BigInt(packets) }))
}

function compresses(world: World, mode: 'tunnel' | 'transport' = 'tunnel'): void {
  const [ours, theirs] = [onlyChild(world.left), onlyChild(world.right)]
  assert.ok(ours.cpiIn !== undefined && ours.cpiOut !== undefined)
  assert.ok(ours.cpiIn >= 0x100 && ours.cpiIn <= 0xefff, 'a CPI that may be negotiated')
  assert.deepEqual([ours.cpiIn, ours.cpiOut], [theirs.cpiOut, theirs.cpiIn])
  for (const host of world.hosts) {
    const { cpiIn, cpiOut } = onlyChild(host)
    assert.deepEqual(
      [...compression(host, 'in'), ...compression(host, 'out')].map(({ spi }) => spi),
      [cpiIn, cpiOut],
    )
    for (const state of installed(host)) {
      assert.equal(state.mode, state.protocol === 'IPCOMP' ? mode : 'transport', 'the tunnel is that of IPComp')
    }
  }
}

function compressesNothing(world: World): void {
  sameSingleChild(world)
  for (const host of world.hosts) {
    assert.equal(onlyChild(host).cpiIn, undefined)
    assert.deepEqual(
      own(host).filter(({ protocol }) => protocol === 'IPCOMP'),
      [],
      `IPComp states of ${host.name}`,
    )
  }
}

/**
 *   HDR, SK {..., N(IPCOMP_SUPPORTED), SA, TSi, TSr}  -->
 *                      <--  HDR, SK {..., N(IPCOMP_SUPPORTED), SA, TSi, TSr}
 */
for (const mode of ['tunnel', 'transport'] as const) {
  scenario(`both compress, ${mode} mode`, () => {
    const world = watched({ ...both, mode })
    for (const host of world.hosts) saidToPeer(host, 'N(IPCOMP_SUP)')
    compresses(world, mode)
    if (mode === 'tunnel') largeAndSmall(world)
    rekey(world.left, 'child')
    world.wait(6)
    compresses(world, mode)
    rekey(world.right, 'child')
    world.wait(6)
    rekey(world.right, 'IKE SA')
    world.wait(6)
    compresses(world, mode)
    if (mode === 'tunnel') largeAndSmall(world)
    stillWorks(world)
  })
}

scenario('counters of both states rise, and only what is large is worth it', () => {
  const world = established(both)
  carries(world, world.left, { length: 1400 })
  const [out] = compression(world.left, 'out')
  assert.ok(out !== undefined && out.packets > 0n)
  const child = onlyChild(world.right)
  assert.ok(child.bytesIn >= 1400n)
})

scenario('while a rekeying is under way packets cross', () => {
  const world = watched(both)
  rekey(world.right, 'child')
  for (let i = 0; i < 20; i++) {
    largeAndSmall(world)
    if (world.net.flights.length === 0) break
    world.deliver()
  }
  world.wait(6)
  largeAndSmall(world)
  compresses(world)
})

for (const side of ['left', 'right'] as const) {
  scenario(`only ${side} would compress`, () => {
    const world = established({ [side]: { child: { ipcomp: true } } })
    compressesNothing(world)
    closesClean(world)
  })
}

scenario('not through a NAT', () => {
  const world = established({ ...both, nat: 'left' })
  compressesNothing(world)
  logged(world.left, 'IPComp disabled: there is a NAT, or UDP encapsulation is forced')
})

scenario('not for IPv6 in IPv4: Linux could not', () => {
  const world = established({ ...both, outer: 4, inner: 6 })
  compressesNothing(world)
  logged(world.left, 'IPComp disabled: the selectors have another family than the hosts')
})

scenario('IPv6 in IPv6', () => {
  const world = established({ ...both, outer: 6 })
  compresses(world)
  stillWorks(world)
})

for (const side of ['left', 'right'] as const) {
  scenario(`the kernel of ${side} has no CPI to give: the tunnel comes up without`, () => {
    const world = pair(both)
    world.host(side).kernel.refuse({ kind: 'allocate-spi', nth: 2, errno: 'ENOENT' })
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    compressesNothing(world)
    logged(world.host(side), 'unable to reserve a CPI, IPComp disabled')
    closesClean(world)
  })

  scenario(`the kernel of ${side} has no IPComp`, () => {
    const esp = [{ protocol: 'ESP', family: 4 }] as const
    const world = pair({ ...both, [side]: { kernel: { protocols: esp } } })
    world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
    world.settle()
    logged(world.host(side), 'the kernel has no IPCOMP for IPv4: load ipcomp')
    closesClean(world)
  })

  scenario(`no TFC padding together with IPComp, as asked for on the ${side}`, () => {
    const world = established({ child: { ipcomp: true, tfcPadding: 1200 } })
    compresses(world)
    assert.ok(installed(world.host(side)).every(({ sa }) => sa?.tfcPadding === undefined))
  })
}

/** MOBIKE: both states of each direction follow, the CPIs stay. */
scenario('a host with a compressing child moves', () => {
  const world = established(both)
  const { cpiIn, cpiOut } = onlyChild(world.left)
  world.left.kernel.readdress(['198.51.100.7', '10.1.0.1'])
  world.left.passKernelEvents()
  world.wait(30)
  assert.equal(onlyChild(world.left).cpiIn, cpiIn)
  assert.equal(onlyChild(world.right).cpiIn, cpiOut)
  for (const host of world.hosts) {
    for (const { source, destination } of installed(host)) {
      assert.ok([source, destination].includes('198.51.100.7'))
    }
  }
  sameSingleChild(world)
  largeAndSmall(world)
  stillWorks(world)
})

/** The trap asks for ESP in tunnel mode; what comes of it has the IPComp state between. */
scenario('a packet that meets a trap', () => {
  const world = pair({ ...both, left: { child: { startAction: { trap: true, start: false } } } })
  assert.equal(carries(world, world.left), 'XfrmOutNoStates')
  world.settle()
  compresses(world)
  largeAndSmall(world)
})

/** The kernel removes the ESP states at their hard limit, and leaves those of IPComp to us. */
scenario('the hard limit of a compressing child', () => {
  const world = watched({ child: { ipcomp: true, lifetimeSeconds: { rekey: 0, life: 60, rand: 0 } } })
  world.wait(70)
  compresses(world)
  closesClean(world)
})
