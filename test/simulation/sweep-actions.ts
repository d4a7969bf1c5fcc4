import type { SaSelector } from '../../src/ike/input.ts'
import type { Draw } from './draw.ts'
import { carries, packetOfChild } from './expect.ts'
import type { Host } from './host.ts'
import { configure, connectionOf, kernelOf, type PairOptions } from './pair.ts'
import { checkCarried } from './safety.ts'
import type { ActionName, Plan } from './sweep-plan.ts'
import type { World } from './world.ts'

interface Action {
  readonly weight: number
  readonly act: (world: World, draw: Draw, plan: Plan) => void
}

export const actionTable: Readonly<Record<ActionName, Action>> = {
  'left initiates': { weight: 6, act: ({ left }) => initiate(left) },
  'right initiates': { weight: 3, act: ({ right }) => initiate(right) },
  'both initiate': {
    weight: 2,
    act: ({ hosts }) => {
      for (const host of hosts) initiate(host)
    },
  },
  'left initiates everything': {
    weight: 3,
    act: ({ left }, _draw, { options }) => {
      initiate(left)
      if (options.more) initiate(left, 'more')
    },
  },
  'right initiates more': {
    weight: 2,
    act: ({ right }, _draw, { options }) => {
      if (options.more) initiate(right, 'more')
    },
  },
  'left terminates the child': { weight: 2, act: ({ left }, draw) => terminate(left, { child: 'net' }, draw) },
  'right terminates the child': { weight: 2, act: ({ right }, draw) => terminate(right, { child: 'net' }, draw) },
  'left terminates the IKE SA': { weight: 2, act: ({ left }, draw) => terminate(left, { ike: 'lab' }, draw) },
  'right terminates the IKE SA': { weight: 2, act: ({ right }, draw) => terminate(right, { ike: 'lab' }, draw) },
  'both terminate the IKE SA': {
    weight: 1,
    act: ({ hosts }, draw) => {
      for (const host of hosts) terminate(host, { ike: 'lab' }, draw)
    },
  },
  'a packet from left': { weight: 4, act: (world) => packet(world, world.left) },
  'a packet from right': { weight: 2, act: (world) => packet(world, world.right) },
  'the NAT forgets': {
    weight: 1,
    act: ({ net }) => {
      for (const box of net.nats) box.rebind()
    },
  },
  'the network is cut': {
    weight: 1,
    act: ({ net }) => {
      net.partitioned = true
    },
  },
  'the network is back': {
    weight: 2,
    act: ({ net }) => {
      net.partitioned = false
    },
  },
  'the left kernel refuses': { weight: 1, act: ({ left }, draw) => refuse(left, draw) },
  'the right kernel refuses': { weight: 1, act: ({ right }, draw) => refuse(right, draw) },
  'left rekeys the child': { weight: 2, act: ({ left }) => rekey(left, { child: 'net' }) },
  'right rekeys the child': { weight: 2, act: ({ right }) => rekey(right, { child: 'net' }) },
  'both rekey the child': {
    weight: 2,
    act: ({ hosts }) => {
      for (const host of hosts) rekey(host, { child: 'net' })
    },
  },
  'left rekeys all children': { weight: 2, act: ({ left }) => rekeyAll(left) },
  'both rekey all children': { weight: 2, act: ({ hosts }) => hosts.forEach(rekeyAll) },
  'left rekeys the IKE SA': { weight: 2, act: ({ left }) => rekey(left, { ike: 'lab' }) },
  'right rekeys the IKE SA': { weight: 2, act: ({ right }) => rekey(right, { ike: 'lab' }) },
  'both rekey the IKE SA': {
    weight: 2,
    act: ({ hosts }) => {
      for (const host of hosts) rekey(host, { ike: 'lab' })
    },
  },
  'left reauthenticates': { weight: 2, act: ({ left }) => rekey(left, { ike: 'lab' }, true) },
  'right reauthenticates': { weight: 2, act: ({ right }) => rekey(right, { ike: 'lab' }, true) },
  'both reauthenticate': {
    weight: 1,
    act: ({ hosts }) => {
      for (const host of hosts) rekey(host, { ike: 'lab' }, true)
    },
  },
  'right sends left away': { weight: 2, act: sendAway },
  'left crashes': { weight: 2, act: (world, _draw, { options }) => crash(world, 'left', options) },
  'right crashes': { weight: 2, act: (world, _draw, { options }) => crash(world, 'right', options) },
  'an old datagram comes again': {
    weight: 3,
    act: ({ net, now }, draw) => {
      if (net.past.length > 0) net.duplicate({ ...draw.pick(net.past), at: now })
    },
  },
  'left installs a trap': {
    weight: 1,
    // A trap for virtual IPs would have to know them.
    act: ({ left }, _draw, { virtual }) => {
      if (!virtual) left.command({ kind: 'install', child: 'net' })
    },
  },
  'left uninstalls a trap': { weight: 1, act: ({ left }) => left.command({ kind: 'uninstall', child: 'net' }) },
  'left loads another connection': {
    weight: 1,
    act: ({ left }, _draw, { options }) => {
      const before = connectionOf('left', options)
      const children = before.children.map((child) => ({ ...child, inactivitySeconds: 1000 }))
      left.command({ kind: 'load-connection', connection: { ...before, children } })
    },
  },
  'left loads the connection again': {
    weight: 1,
    act: ({ left }, _draw, { options }) => load(left, options),
  },
  'left unloads the connection': {
    weight: 1,
    act: ({ left }) => left.command({ kind: 'unload-connection', name: 'lab' }),
  },
  'an address comes and goes': {
    weight: 1,
    act: ({ left }) => {
      const { addresses, addedAddresses } = left.kernel
      left.kernel.readdress(addresses.filter((address) => !addedAddresses.includes(address)))
      left.passKernelEvents()
    },
  },
  'left moves': { weight: 2, act: (world, draw, { options }) => move(world, world.left, options, draw) },
  'right moves': { weight: 1, act: (world, draw, { options }) => move(world, world.right, options, draw) },
  'left comes home': { weight: 1, act: ({ left }, _draw, { options }) => comeHome(left, options) },
  'right comes home': { weight: 1, act: ({ right }, _draw, { options }) => comeHome(right, options) },
  'the calendar of left jumps': { weight: 1, act: ({ left }, draw) => jump(left, draw) },
  'the calendar of right jumps': { weight: 1, act: ({ right }, draw) => jump(right, draw) },
  'left is stopped for a while': { weight: 1, act: ({ left, now }, draw) => stop(left, now, draw) },
  'right is stopped for a while': { weight: 1, act: ({ right, now }, draw) => stop(right, now, draw) },
  'the jobs of left are slow': { weight: 1, act: ({ left, now }, draw) => slow(left, now, draw) },
  'the jobs of right are slow': { weight: 1, act: ({ right, now }, draw) => slow(right, now, draw) },
}

/** To one of some other addresses, behind the NAT where the host lives or out of it. In tunnel mode: the selectors stay. */
function move({ net }: World, host: Host, options: PairOptions, draw: Draw): void {
  const { outer = 4, mode } = options
  if (mode === 'transport' || options.connection?.mobike === false) return
  const name = host.name === 'left' ? 1 : 2
  const number = draw.between(1, 3)
  const [home = '', ...others] = kernelOf(host.name === 'left' ? 'left' : 'right', options).addresses
  const box = draw.chance(0.5) ? net.nats.find((nat) => nat.isInside(home)) : undefined
  const outside = outer === 6 ? `2001:db8:${name}::${number}` : `203.0.113.${name * 10 + number}`
  const elsewhere = box === undefined ? outside : `10.0.${name}.${10 + number}`
  box?.hide(elsewhere)
  host.kernel.readdress([elsewhere, ...others])
  host.passKernelEvents()
}

/** By a time server, or by hand. */
function jump(host: Host, draw: Draw): void {
  host.calendarMs += draw.pick([-86_400, -3600, -5, 5, 3600, 86_400]) * 1000
}

/** A virtual machine that is moved, a laptop that sleeps: then everything that was due happens at once. */
function stop(host: Host, now: number, draw: Draw): void {
  host.stalledUntil = now + draw.pick([3, 40, 400, 4000]) * 1000
}

/** Its kernel and its workers have much to do; messages and timers come all the same. */
function slow(host: Host, now: number, draw: Draw): void {
  host.slowUntil = now + draw.pick([1, 10, 60]) * 1000
}

/** Who is at home hears nothing: a look at the addresses would also find a peer that is gone. */
export function comeHome(host: Host, options: PairOptions): void {
  const { addresses } = kernelOf(host.name === 'left' ? 'left' : 'right', options)
  const { kernel } = host
  const now = kernel.addresses.filter((address) => !kernel.addedAddresses.includes(address))
  if (now.join(' ') === addresses.join(' ')) return
  kernel.readdress(addresses)
  host.passKernelEvents()
}

export function load(host: Host, options: PairOptions): void {
  host.command({ kind: 'load-connection', connection: connectionOf(host.name === 'left' ? 'left' : 'right', options) })
}

function initiate(host: Host, child = 'net'): void {
  host.command({ kind: 'initiate', child, timeoutMs: 0 })
}

function terminate(host: Host, select: SaSelector, draw: Draw): void {
  host.command({ kind: 'terminate', select, force: draw.chance(0.1), timeoutMs: 0 })
}

export function rekey(host: Host, select: SaSelector, reauth = false): void {
  host.command({ kind: 'rekey', select, reauth })
}

/** To the gateway that it is already: all that belongs to it happens all the same. */
function sendAway({ left, right }: World): void {
  const address = left.sas()[0]?.remote.address
  if (address === undefined) return
  right.command({ kind: 'redirect', select: { ike: 'lab' }, gateway: { kind: 'address', address } })
}

function rekeyAll(host: Host): void {
  for (const child of ['net', 'more']) rekey(host, { child })
}

/** Power off and on: the host knows its configuration and nothing else. */
function crash(world: World, side: 'left' | 'right', options: PairOptions): void {
  world.host(side).restart()
  configure(world, side, options)
}

/** What takes away a child that a host keeps up, and is meant to: by its own command, or for want of a configuration. */
export const ends: Readonly<Record<'left' | 'right', RegExp>> = {
  left: /left terminates|loads|both terminate/,
  right: /right terminates|right sends|loads|both terminate/,
}

function refuse({ kernel }: Host, draw: Draw): void {
  const kinds = ['allocate-spi', 'install-sa', 'install-policy', 'add-route', 'route-lookup', 'add-address'] as const
  kernel.refuse({
    kind: draw.pick(kinds),
    nth: draw.between(1, 3),
    errno: draw.pick(['ENOMEM', 'EPROTONOSUPPORT', 'EPERM']),
  })
}

/** A packet by the selectors of what is up or trapped, which must not leave as it is; else any between the subnets. */
export function packet(world: World, from: Host): void {
  const child = from.sas().flatMap(({ children }) => children.filter(({ state }) => state === 'INSTALLED'))[0]
  const answer = from.command({ kind: 'list-policies' })()
  const protector = child ?? (answer?.kind === 'policies' ? answer.policies[0] : undefined)
  const packet = protector && packetOfChild(protector)
  const selected = packet !== undefined
  const carried = selected ? world.carry(from, packet) : carries(world, from)
  world.ladder.note(from.name, `* a packet: ${carried}`, world.now)
  checkCarried(carried, from, world.peer(from), selected && from.jobs.length === 0)
}
