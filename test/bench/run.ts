/**
 * `npm run bench`: how fast tunnels come up, what they cost in memory, and whether the number of SAs matters. All from
 * one run, as medians. `-- --quick` takes fewer of everything, to see that the benchmark works; `-- --sas N`
 * is how many SAs are many.
 */
import { cpus, loadavg, release } from 'node:os'
import { parseArgs } from 'node:util'
import type { AuthName } from '../simulation/connection.ts'
import { busyDay, idle as idleSas } from './day.ts'
import { figure, median, table } from './figures.ts'
import { Fleet, type Times } from './fleet.ts'
import { type Latency, listingUnderLoad, loading } from './vici.ts'

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, sas: { type: 'string' }, only: { type: 'string' } },
})
const quick = values.quick ?? false
const runs = quick ? 2 : 7
const setUpsPerRun = quick ? 20 : 150
const heapSas = quick ? 200 : 2000
const heapRuns = quick ? 1 : 3
const few = quick ? 50 : 100
const many = Number(values.sas ?? (quick ? 500 : 10_000))
if (!(many > few)) throw new RangeError(`--sas takes a number above ${few}`)
/** Set-ups around each number of SAs whose median is taken. */
const block = quick ? 20 : 100

const auths: readonly { readonly name: AuthName; readonly title: string }[] = [
  { name: 'psk', title: 'PSK' },
  { name: 'p256', title: 'ECDSA P-256' },
  { name: 'rsa2048', title: 'RSA-2048' },
]

const { gc } = globalThis
if (gc === undefined) {
  console.error('run it as `npm run bench`, which gives node --expose-gc')
  process.exit(2)
}

console.log(`npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`)
console.log(
  `${cpus()[0]?.model.trim()}, ${cpus().length} CPUs, load ${loadavg()[0]?.toFixed(1)}, Linux ${release()}, Node ${process.version}`,
)
const parts: Readonly<Record<string, () => void | Promise<void>>> = {
  'set-ups': setUps,
  heap,
  growth,
  day,
  idle: idling,
  list,
  load,
}
if (values.only !== undefined && !(values.only in parts)) {
  throw new RangeError(`--only takes one of: ${Object.keys(parts).join(', ')}`)
}
for (const [name, part] of Object.entries(parts)) if (values.only === undefined || values.only === name) await part()

/** Both ends in one thread: IKE_SA_INIT and IKE_AUTH with X25519, one Child SA, and the simulated kernel. */
function setUps(): void {
  console.log(`\nSet-ups, both ends in one thread, simulated kernel; ${runs} runs of ${setUpsPerRun}, median (range)`)
  const rows = [['', 'per second', 'CPU µs', 'of that: initiator', 'responder', 'jobs of both', 'kernels']]
  for (const { name, title } of auths) {
    setUpRun(name, 20) // warms up
    const results = Array.from({ length: runs }, () => setUpRun(name, setUpsPerRun))
    const part = (key: keyof Times): string => median(results.map(({ times }) => times[key])).toFixed(0)
    rows.push([
      title,
      figure(results.map(({ perSecond }) => perSecond)),
      figure(results.map(({ cpuUs }) => cpuUs)),
      part('initiator'),
      part('responder'),
      part('jobs'),
      part('kernel'),
    ])
  }
  console.log(table(rows))
}

/** @returns the times in microseconds per set-up */
function setUpRun(auth: AuthName, count: number): { perSecond: number; cpuUs: number; times: Times } {
  const fleet = new Fleet({ auth, clients: count, kernel: 'simulated' })
  gc?.()
  const [cpu, start] = [process.cpuUsage(), performance.now()]
  for (let i = 0; i < count; i++) fleet.setUp(i)
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - start) / 1000
  const times = fleet.take()
  const each = (ms: number): number => (ms * 1000) / count
  return {
    perSecond: count / seconds,
    cpuUs: (user + system) / count,
    times: {
      initiator: each(times.initiator),
      responder: each(times.responder),
      jobs: each(times.jobs),
      kernel: each(times.kernel),
    },
  }
}

/** What stays alive because of an IKE SA with one Child SA; the kernel is one that remembers nothing. */
function heap(): void {
  console.log(`\nMemory per established IKE SA with one Child SA; ${heapSas} SAs, ${heapRuns} runs, median (range)`)
  heapRun(50) // loads and compiles what it needs
  const results = Array.from({ length: heapRuns }, () => heapRun(heapSas))
  const rows = [
    ['', 'bytes of heap', 'of that outside of V8'],
    ['both ends', figure(results.map(({ both }) => both.total)), figure(results.map(({ both }) => both.outside))],
    ['one end', figure(results.map(({ both }) => both.total / 2)), figure(results.map(({ both }) => both.outside / 2))],
  ]
  console.log(table(rows))
}

function heapRun(count: number): { both: { total: number; outside: number } } {
  const fleet = new Fleet({ auth: 'psk', clients: count, kernel: 'easy' })
  const before = memory()
  for (let i = 0; i < count; i++) fleet.setUp(i)
  const after = memory()
  const { ikeSas } = fleet.engine('responder').census
  if (ikeSas !== count) throw new Error(`${ikeSas} of ${count} SAs are there`)
  const outside = (after.outside - before.outside) / count
  return { both: { total: (after.v8 - before.v8) / count + outside, outside } }
}

function memory(): { readonly v8: number; readonly outside: number } {
  gc?.()
  gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return { v8: heapUsed, outside: external }
}

/** The same work with few SAs and with many: what grows with their number is quadratic over all of them. */
function growth(): void {
  console.log(`\nThe same work with ${few} and with ${many} IKE SAs in the engine, µs; median of ${block}`)
  const fleet = new Fleet({ auth: 'psk', clients: many + block, kernel: 'easy' })
  let up = 0
  const measured = [few, many].map((count) => {
    while (up < count - block / 2) fleet.setUp(up++)
    fleet.take()
    const times: Times[] = []
    for (let i = 0; i < block; i++) {
      fleet.setUp(up++)
      times.push(fleet.take())
    }
    const setUp = (key: keyof Times): number => median(times.map((one) => one[key])) * 1000
    const inResponder = (act: () => void): number => {
      fleet.take()
      const samples = Array.from({ length: 20 }, () => {
        act()
        return fleet.take().responder * 1000
      })
      return median(samples)
    }
    const stranger = { address: '203.0.113.9', port: 500 }
    const gateway = { address: '192.0.2.2', port: 500 }
    // A header of an IKE_AUTH request with an SPI that nobody has.
    const lost = new Uint8Array(28).fill(7, 0, 16)
    lost.set([46, 0x20, 35, 0x08, 0, 0, 0, 1, 0, 0, 0, 28], 16)
    return {
      'set-up, initiator': setUp('initiator'),
      'set-up, responder': setUp('responder'),
      'set-up, jobs': setUp('jobs'),
      'a datagram without SA': inResponder(() =>
        fleet.input('responder', { kind: 'datagram', local: gateway, remote: stranger, bytes: lost }),
      ),
      'a timer': inResponder(() => fleet.input('responder', { kind: 'timer' })),
      'an expiry of the kernel': inResponder(() =>
        fleet.input('responder', {
          kind: 'kernel',
          event: { kind: 'expire', protocol: 'ESP', spi: 1, destination: gateway.address, hard: false },
        }),
      ),
      'terminate by id': inResponder(() => {
        fleet.command('responder', { kind: 'terminate', select: { ikeId: 1_000_000 }, force: false, timeoutMs: 0 })
      }),
    }
  })
  const [small, large] = measured
  if (small === undefined || large === undefined) throw new Error('both numbers were measured')
  const rows = [['', `at ${few}`, `at ${many}`, 'ratio']]
  for (const name of Object.keys(small) as (keyof typeof small)[]) {
    rows.push([name, small[name].toFixed(1), large[name].toFixed(1), (large[name] / small[name]).toFixed(1)])
  }
  console.log(table(rows))
  idle(fleet)
}

/** An engine without work asks for no timer, and one with idle SAs for the next deadline only. */
function idle(loaded: Fleet): void {
  const empty = new Fleet({ auth: 'psk', clients: 0, kernel: 'easy' })
  const said = (fleet: Fleet): string => {
    const { at, now } = fleet.timer('responder')
    const { ikeSas, timers } = fleet.engine('responder').census
    const wake =
      at === undefined ? 'never wants to be woken' : `wants to be woken in ${((at - now) / 1000).toFixed(0)} s`
    return `${ikeSas} IKE SAs, ${timers} timers, ${wake}`
  }
  console.log(`\nIdle: ${said(empty)}\n      ${said(loaded)}`)
}

/** How long a day takes in the simulation, with both hosts, their kernels and the network between them. */
function day(): void {
  const seconds = quick ? 3600 : 86_400
  const { cpuSeconds, inputs, rekeyings, checks } = busyDay(seconds)
  console.log(
    `\n${seconds / 3600} h of two peers: both SAs rekeyed every 5 minutes, liveness checked every 30 s, packets`,
  )
  console.log(
    `${cpuSeconds.toFixed(1)} s of CPU for both hosts; ${rekeyings} rekeyings as seen by both, ${checks} checks, ${inputs} datagrams`,
  )
}

/** What established IKE SAs cost that only look whether their peers are alive. */
function idling(): void {
  const { sas, share, checks } = idleSas(many, quick ? 60 : 300)
  console.log(`\n${sas} established IKE SAs, each peer asked every 30 s`)
  console.log(`${(share * 100).toFixed(2)} % of one core in the engine of the gateway; ${checks} checks`)
}

/** What it takes to list all of many IKE SAs through the control socket, and what others notice of it. */
async function list(): Promise<void> {
  const { sas, seconds, cpuSeconds, client, turn, turnCpu } = await listingUnderLoad(many, quick ? 2 : runs)
  console.log(`\nlist-sas with ${sas} IKE SAs, through the socket to the last event; the kernel answers at once`)
  console.log(`${figure(seconds, 2)} s, ${figure(cpuSeconds, 2)} s of them CPU of the daemon`)
  const rows = [['ms', 'p50', 'p99', 'most']]
  const add = (name: string, { p50, p99, most }: Latency) =>
    rows.push([name, ...[p50, p99, most].map((ms) => ms.toFixed(1))])
  for (const [name, { alone, listing }] of Object.entries({
    "another client's stats": client,
    'wait for the event loop': turn,
    'CPU until then': turnCpu,
  })) {
    add(name, alone)
    add('  during list-sas', listing)
  }
  console.log(table(rows))
}

/** What it takes to load many connections through the control socket. */
async function load(): Promise<void> {
  const { connections, seconds, cpuSeconds, heap, outside, resident } = await loading(quick ? 200 : 2000)
  console.log(`\nload-conn of ${connections} connections, one after the other, through the socket`)
  console.log(`${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of them CPU of the daemon`)
  console.log(
    `for each connection ${figureOf(heap)} bytes of heap, ${figureOf(outside)} outside of V8, ${figureOf(resident)} resident`,
  )
}

function figureOf(bytes: number): string {
  return bytes.toFixed(0)
}
