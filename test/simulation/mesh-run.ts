/**
 * One run of the sweep with 3 to 6 nodes: a mesh, a star, a ring or a chain, some of them behind a NAT. A troubled time;
 * then the network heals, what is configured to be up is up, everything else comes up, packets cross both ways, and
 * every tunnel is rekeyed once more.
 */
import assert from 'node:assert/strict'
import type { Action, Connection } from '../../src/config/connection.ts'
import type { SaSelector } from '../../src/ike/input.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import { addresses, authRound, child, connection, subnet } from './connection.ts'
import { Draw } from './draw.ts'
import { nothingLeft } from './expect.ts'
import type { Host } from './host.ts'
import { addressOf, Mesh, nameOf } from './mesh.ts'
import { NatBox } from './network.ts'
import { checkCarried, Violation, watchSafety } from './safety.ts'

export interface MeshResult {
  readonly digest: string
  /** What was drawn, in one line. */
  readonly summary: string
  readonly failure?: string
  /** What the nodes said and did in the end of the run. */
  readonly story: string
  readonly hosts: readonly Host[]
}

/** Runs a seed. `journal` takes the lines of the journals of all nodes. */
export function meshRun(seed: number, journal?: (host: string, line: string) => void): MeshResult {
  const draw = new Draw(seed)
  const plan = drawPlan(draw)
  const mesh = new Mesh({
    nodes: plan.nodes.length,
    seed,
    nats: [plan.nat],
    connections: (node) => plan.links.filter(({ ends }) => ends.includes(node)).map((link) => ours(plan, link, node)),
    settings: (node) => ({ windowSize: plan.nodes[node]?.window ?? 1, retransmitTries: 3 }),
    ...(journal && { journal }),
  })
  const result = (failure?: string): MeshResult => ({
    digest: mesh.hosts.map((host) => host.digest()).join(' '),
    summary: plan.summary,
    story: mesh.story.join('\n'),
    hosts: mesh.hosts,
    ...(failure !== undefined && { failure }),
  })
  try {
    watchSafety(mesh)
    troubledTime(mesh, plan, draw)
    liveness(mesh, plan, draw)
    return result()
  } catch (error) {
    return result(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
}

interface Plan {
  readonly nodes: readonly Node[]
  readonly links: readonly Link[]
  readonly nat: NatBox
  readonly faults: { readonly loss: number; readonly duplication: number; readonly mostDelayMs: number }
  readonly actions: readonly { readonly afterSeconds: number; readonly name: ActionName; readonly node: number }[]
  readonly summary: string
}

interface Node {
  readonly start: 'start' | 'trap' | 'none'
  /** It sees to it that what it starts stays up. */
  readonly keeps: boolean
  readonly hidden: boolean
  readonly window: number
  readonly connection: Partial<Connection>
  readonly childSeconds: number
}

/** Two nodes that have a connection to each other. */
interface Link {
  readonly ends: readonly [number, number]
}

type Act = (mesh: Mesh, node: number, draw: Draw, plan: Plan) => void

const actions = {
  initiates: (mesh, node, draw, plan) => {
    const others = neighbours(plan, node).filter((other) => !plan.nodes[other]?.hidden)
    if (others.length > 0) initiate(mesh, node, draw.pick(others))
  },
  'sends packets': (mesh, node, _draw, plan) => {
    for (const other of neighbours(plan, node)) mesh.note(nameOf(node), `* a packet: ${packet(mesh, node, other)}`)
  },
  'rekeys its IKE SAs': (mesh, node, _draw, plan) => eachLink(plan, node, (ike) => rekey(mesh, node, { ike })),
  'rekeys its children': (mesh, node, _draw, plan) =>
    eachLink(plan, node, (_, name) => rekey(mesh, node, { child: name })),
  reauthenticates: (mesh, node, _draw, plan) => eachLink(plan, node, (ike) => rekey(mesh, node, { ike }, true)),
  'terminates a child': (mesh, node, draw, plan) =>
    terminate(mesh, node, { child: `net-${nameOf(draw.pick(neighbours(plan, node)))}` }),
  'terminates an IKE SA': (mesh, node, draw, plan) =>
    terminate(mesh, node, { ike: `to-${nameOf(draw.pick(neighbours(plan, node)))}` }),
  'loads everything again': (mesh, node) => mesh.load(node),
  crashes: (mesh, node) => {
    hostAt(mesh, node).restart()
    mesh.load(node)
  },
  'is stopped for a while': (mesh, node, draw) => {
    hostAt(mesh, node).stalledUntil = mesh.now + draw.pick([5, 60, 400]) * 1000
  },
  'has slow jobs': (mesh, node, draw) => {
    hostAt(mesh, node).slowUntil = mesh.now + draw.pick([1, 10, 60]) * 1000
  },
  'has another calendar': (mesh, node, draw) => {
    hostAt(mesh, node).calendarMs += draw.pick([-86_400, -60, 60, 86_400]) * 1000
  },
  'has a kernel that refuses': (mesh, node, draw) => {
    const kind = draw.pick(['allocate-spi', 'install-sa', 'install-policy'] as const)
    hostAt(mesh, node).kernel.refuse({ kind, nth: draw.between(1, 3), errno: draw.pick(['ENOMEM', 'EPERM']) })
  },
  'is cut off': ({ net }, node) => net.cutOff.add(nameOf(node)),
  'is reached again': ({ net }, node) => net.cutOff.delete(nameOf(node)),
  'sees the NAT forget': ({ net }) => {
    for (const box of net.nats) box.rebind()
  },
} satisfies Record<string, Act>

type ActionName = keyof typeof actions

function drawPlan(draw: Draw): Plan {
  const count = draw.between(3, 6)
  const topology = draw.pick(['mesh', 'star', 'star', 'ring', 'chain'] as const)
  const natted = draw.chance(0.4)
  const nodes = Array.from({ length: count }, (_, i) => drawNode(draw, natted && i > 0 && draw.chance(0.5)))
  const links = linksOf(topology, count).filter(({ ends }) => !ends.every((end) => nodes[end]?.hidden))
  const nat = new NatBox(
    '198.51.100.200',
    nodes.flatMap(({ hidden }, i) => (hidden ? [addressOf(i)] : [])),
  )
  const faults = {
    loss: draw.pick([0, 0.1, 0.3, 0.6]),
    duplication: draw.pick([0, 0, 0.3]),
    mostDelayMs: draw.pick([0, 50, 3000]),
  }
  // A node whose only neighbours are behind the same NAT has none.
  const linked = nodes.flatMap((_, i) => (links.some(({ ends }) => ends.includes(i)) ? [i] : []))
  const names = Object.keys(actions) as ActionName[] // Object.keys forgets the names
  const drawn = Array.from({ length: draw.between(1, 8) }, () => ({
    afterSeconds: draw.pick([0, 0, 1, 5, 30]),
    name: draw.pick(names),
    node: draw.pick(linked),
  }))
  const summary = [
    `${count} nodes, ${topology}`,
    nodes.map(summaryOf).join(', '),
    `loss ${faults.loss}, twice ${faults.duplication}, delay ${faults.mostDelayMs} ms`,
    drawn.map(({ node, name }) => `${nameOf(node)} ${name}`).join(', '),
  ].join('; ')
  return { nodes, links, nat, faults, actions: drawn, summary }
}

function drawNode(draw: Draw, hidden: boolean): Node {
  return {
    start: draw.weighted({ start: 4, none: 1, trap: 1 }),
    keeps: draw.chance(0.8),
    hidden,
    window: draw.pick([1, 1, 2, 4]),
    connection: {
      dpdDelaySeconds: draw.pick([20, 60]),
      keyingTries: 0,
      mobike: draw.chance(0.7),
      unique: draw.weighted({ no: 3, replace: 2, keep: 1, never: 1 }),
      ...(draw.chance(0.2) && { rekeySeconds: 120, randSeconds: 30, overSeconds: 30 }),
    },
    childSeconds: draw.chance(0.2) ? 90 : 3600,
  }
}

function summaryOf({ start, keeps, hidden, window, childSeconds, connection }: Node): string {
  const { unique, mobike, dpdDelaySeconds, rekeySeconds } = connection
  const words = [
    start,
    ...(start === 'start' && keeps ? ['kept up'] : []),
    ...(hidden ? ['behind NAT'] : []),
    `unique=${unique}`,
    `window ${window}`,
    `DPD ${dpdDelaySeconds} s`,
    ...(mobike ? ['MOBIKE'] : []),
    ...(rekeySeconds === undefined ? [] : [`IKE ${rekeySeconds} s`]),
    ...(childSeconds === 3600 ? [] : [`child ${childSeconds} s`]),
  ]
  return `(${words.join(' ')})`
}

function linksOf(topology: 'mesh' | 'star' | 'ring' | 'chain', count: number): Link[] {
  const pairs = Array.from({ length: count }, (_, a) =>
    Array.from({ length: count }, (_, b) => ({ ends: [a, b] as const })),
  )
  const all = pairs.flat().filter(({ ends: [a, b] }) => a < b)
  switch (topology) {
    case 'mesh':
      return all
    case 'star':
      return all.filter(({ ends: [a] }) => a === 0)
    case 'ring':
      return all.filter(({ ends: [a, b] }) => b - a === 1 || b - a === count - 1)
    case 'chain':
      return all.filter(({ ends: [a, b] }) => b - a === 1)
  }
}

/** Nobody can begin towards a node behind the NAT; its peers know it by its name. */
function ours({ nodes }: Plan, { ends }: Link, node: number): Connection {
  const other = ends[0] === node ? ends[1] : ends[0]
  const { start, keeps, childSeconds, ...its } = nodes[node] as Node // links are between nodes of the plan
  const waits = nodes[other]?.hidden === true
  const round = (who: number) => authRound({ class: 'psk', id: parseIdentity(`${nameOf(who)}.lab`) })
  const action = { trap: !waits && start === 'trap', start: !waits && start === 'start' }
  const again: Action = keeps ? action : { trap: false, start: false }
  return connection({
    name: `to-${nameOf(other)}`,
    localAddresses: addresses(addressOf(node)),
    remoteAddresses: addresses(waits ? '%any' : addressOf(other)),
    local: [round(node)],
    remote: [round(other)],
    ...its.connection,
    children: [
      child({
        name: `net-${nameOf(other)}`,
        localTs: [subnet(netOf(node))],
        remoteTs: [subnet(netOf(other))],
        startAction: action,
        dpdAction: again,
        closeAction: again,
        lifetimeSeconds: { rekey: childSeconds, life: childSeconds * 1.2, rand: childSeconds / 10 },
      }),
    ],
  })
}

function netOf(node: number): string {
  return `10.${node + 1}.0.0/16`
}

function hostAt(mesh: Mesh, node: number): Host {
  return mesh.hosts[node] as Host // a plan counts its nodes
}

function neighbours({ links }: Plan, node: number): number[] {
  return links.flatMap(({ ends: [a, b] }) => (a === node ? [b] : b === node ? [a] : []))
}

/** Calls with the names of the connection and of the child. */
function eachLink(plan: Plan, node: number, act: (ike: string, child: string) => void): void {
  for (const other of neighbours(plan, node)) act(`to-${nameOf(other)}`, `net-${nameOf(other)}`)
}

function initiate(mesh: Mesh, node: number, other: number): void {
  hostAt(mesh, node).command({ kind: 'initiate', child: `net-${nameOf(other)}`, timeoutMs: 0 })
}

function rekey(mesh: Mesh, node: number, select: SaSelector, reauth = false): void {
  hostAt(mesh, node).command({ kind: 'rekey', select, reauth })
}

function terminate(mesh: Mesh, node: number, select: SaSelector): void {
  hostAt(mesh, node).command({ kind: 'terminate', select, force: false, timeoutMs: 0 })
}

function troubledTime(mesh: Mesh, plan: Plan, draw: Draw): void {
  mesh.net.faults = { ...plan.faults, corruption: 0, leastDelayMs: 0 }
  for (const { afterSeconds, name, node } of plan.actions) {
    mesh.wait(afterSeconds)
    mesh.note(nameOf(node), `* ${name}`)
    const act: Act = actions[name]
    act(mesh, node, draw, plan)
    mesh.onStep?.()
  }
  mesh.wait(draw.pick([1, 10, 60]))
  mesh.heal()
  mesh.note('', '* the network heals')
}

/** Longer than the longest pause before another attempt, with all retransmissions of the one before. */
const healSeconds = 900
/** Who looks for a dead peer has found it after this time. */
const lookSeconds = 150
/** Longer than all retransmissions. */
const endSeconds = 120

function liveness(mesh: Mesh, plan: Plan, draw: Draw): void {
  const kept = plan.links.filter((link) => link.ends.some((_, i) => keepsUp(plan, link, i)))
  const missing = (links: readonly Link[]): string[] => links.flatMap(({ ends }) => deadEnds(mesh, ends))
  for (let waited = 0; waited < healSeconds && missing(kept).length > 0; waited += 30) mesh.wait(30)
  assert.deepEqual(missing(kept), [], 'was to be kept up')
  mesh.wait(lookSeconds)
  noneIsAlone(mesh)
  mesh.note('', '* everything is brought up')
  for (const link of plan.links) {
    if (deadEnds(mesh, link.ends).length === 0) continue
    const [a, b] = link.ends
    if (plan.nodes[b]?.hidden) initiate(mesh, b, a)
    else initiate(mesh, a, b)
  }
  mesh.wait(20)
  assert.deepEqual(missing(plan.links), [], 'did not come up')
  for (const what of ['children', 'IKE SAs'] as const) {
    mesh.note('', `* all ${what} are rekeyed`)
    for (const { ends } of plan.links) rekeyed(mesh, draw.pick(ends), ends, what)
    assert.deepEqual(missing(plan.links), [], `after the rekeying of the ${what}`)
  }
  mesh.note('', '* all shut down')
  for (const host of mesh.hosts) host.command({ kind: 'shutdown' })
  mesh.wait(endSeconds)
  for (const host of mesh.hosts) nothingLeft(host)
}

/** Whether one end of a link has to see to it that the link is up: not after its own command to end it. */
function keepsUp({ nodes, actions: planned }: Plan, { ends }: Link, which: number): boolean {
  const [ours, theirs] = which === 0 ? ends : [ends[1], ends[0]]
  const [here, there] = [nodes[ours], nodes[theirs]]
  if (here === undefined || there === undefined || there.hidden) return false
  // Who says nothing of a first contact, or prefers what is there, may refuse and be refused.
  const alone = ({ connection: { unique } }: Node): boolean => unique === 'no' || unique === 'replace'
  const ended = planned.some(({ node, name }) => node === ours && /^(terminates|loads)/.test(name))
  return here.start === 'start' && here.keeps && alone(here) && alone(there) && !ended
}

/** The directions of a link in which no packet crosses; a rekeying under way may cost one. */
function deadEnds(mesh: Mesh, [a, b]: readonly [number, number]): string[] {
  return [
    [a, b],
    [b, a],
  ].flatMap(([from = 0, to = 0]) => {
    for (let tries = 0; tries < 3; tries++) {
      if (!isUp(mesh, from, to)) break
      if (packet(mesh, from, to) === 'protected') return []
      mesh.wait(2)
    }
    return [`${nameOf(from)} to ${nameOf(to)}`]
  })
}

function isUp(mesh: Mesh, from: number, to: number): boolean {
  const children = hostAt(mesh, from)
    .sas()
    .flatMap((sa) => sa.children)
  return children.some(({ name, state }) => name === `net-${nameOf(to)}` && state === 'INSTALLED')
}

/** A packet from one node's net to the other's, which must not leave as it is when a policy is there for it. */
function packet(mesh: Mesh, from: number, to: number): string {
  const host = hostAt(mesh, from)
  const answer = host.command({ kind: 'list-policies' })()
  const traps = answer?.kind === 'policies' ? answer.policies : []
  const trapped = traps.some(({ child: its }) => its === `net-${nameOf(to)}`)
  const selected = host.jobs.length === 0 && (trapped || isUp(mesh, from, to))
  const [source, destination] = [`10.${from + 1}.0.1`, `10.${to + 1}.0.1`]
  const udp = { protocol: 17, sourcePort: 40_000, destinationPort: 53, length: 100 }
  const carried = mesh.carry(host, { family: 4, source, destination, ...udp })
  mesh.onStep?.()
  checkCarried(carried, host, hostAt(mesh, to), selected)
  return carried
}

/** A rekeying leaves nothing of what was there. */
function rekeyed(mesh: Mesh, node: number, ends: readonly number[], what: 'children' | 'IKE SAs'): void {
  const host = hostAt(mesh, node)
  const other = nameOf(ends.find((end) => end !== node) ?? node)
  const spis = (): string[] => {
    const sas = host.sas().filter(({ name }) => name === `to-${other}`)
    if (what === 'IKE SAs') return sas.map(({ spiI, spiR }) => `${spiI} ${spiR}`)
    return sas.flatMap(({ children }) => children.map(({ spiIn, spiOut }) => `${spiIn} ${spiOut}`))
  }
  const before = spis()
  rekey(mesh, node, what === 'children' ? { child: `net-${other}` } : { ike: `to-${other}` })
  const still = (): string[] => spis().filter((spi) => before.includes(spi))
  // One of the other end may be under way, and the first request on a new IKE SA may come before it is there.
  for (let waited = 0; waited < 30 && (waited === 0 || still().length > 0); waited += 5) mesh.wait(5)
  assert.deepEqual(still(), [], `${host.name}: the ${what} with ${other} were to be rekeyed`)
}

/** RFC 7296 §2.4: nobody has an IKE SA that its peer does not have. */
function noneIsAlone(mesh: Mesh): void {
  const all = mesh.hosts.flatMap((host) => host.sas().map((sa) => ({ host, sa, name: `${sa.spiI} ${sa.spiR}` })))
  for (const { host, sa, name } of all) {
    if (sa.state !== 'ESTABLISHED' || all.some((other) => other.host !== host && other.name === name)) continue
    throw new Violation(
      `${host.name} has IKE SA ${sa.uniqueId} (${sa.name}) and does not see that the peer has it no more`,
    )
  }
}
