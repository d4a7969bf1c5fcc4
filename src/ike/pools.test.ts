import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultCoreSettings } from '../config/daemon-settings.ts'
import type { Pool } from '../config/pools.ts'
import { seededRandom } from '../crypto/random.ts'
import { formatIdentity, parseIdentity } from '../pki/identity.ts'
import { Core } from './core.ts'
import { type Lease, type LeaseHolder, Pools } from './pools.ts'

const [alice, bob, carol] = ['alice@lab', 'bob@lab', 'carol@lab'].map((text) => parseIdentity(text)) as [
  ReturnType<typeof parseIdentity>,
  ReturnType<typeof parseIdentity>,
  ReturnType<typeof parseIdentity>,
]

const p4: Pool = { name: 'p4', base: '10.77.0.1', size: 2, attributes: [], notes: [] }
const p6: Pool = { name: 'p6', base: 'fec7::ffff', size: 2, attributes: [], notes: [] }

function loaded(...configs: readonly Pool[]): { pools: Pools; said: () => string[] } {
  const core = new Core({ random: seededRandom(Buffer.from('pools')), settings: defaultCoreSettings, strict: true })
  const pools = new Pools(core)
  for (const config of configs) assert.equal(pools.load(config), undefined)
  core.takeOutputs()
  const said = (): string[] => core.takeOutputs().flatMap((out) => (out.kind === 'log' ? [out.entry.message] : []))
  return { pools, said }
}

function at(address: string, port = 4500): LeaseHolder {
  return { remote: { address, port } }
}

function taken(lease: Lease | undefined): Lease {
  assert.ok(lease !== undefined, 'no lease')
  return lease
}

test('an identity gets its own address again, and another one a fresh one', () => {
  const { pools, said } = loaded(p4)
  const first = at('192.0.2.1')
  const lease = taken(pools.acquire(['p4'], alice, 4, undefined, first))
  assert.equal(lease.address, '10.77.0.1')
  pools.release(lease, first)
  assert.equal(taken(pools.acquire(['p4'], bob, 4, undefined, at('192.0.2.9'))).address, '10.77.0.2')
  assert.equal(taken(pools.acquire(['p4'], alice, 4, undefined, at('192.0.2.3'))).address, '10.77.0.1')
  assert.deepEqual(said(), [
    "assigning new lease to 'alice@lab'",
    "lease 10.77.0.1 by 'alice@lab' went offline",
    "assigning new lease to 'bob@lab'",
    "reassigning offline lease to 'alice@lab'",
  ])
})

test('a lease in use is given again to the same place only', () => {
  const { pools, said } = loaded(p4)
  const [old, next, elsewhere] = [at('192.0.2.1'), at('192.0.2.1'), at('192.0.2.1', 1024)]
  const lease = taken(pools.acquire(['p4'], alice, 4, undefined, old))
  assert.equal(pools.acquire(['p4'], alice, 4, undefined, next), lease)
  assert.equal(taken(pools.acquire(['p4'], alice, 4, undefined, elsewhere)).address, '10.77.0.2')
  pools.release(lease, old)
  assert.equal(pools.online, 2)
  pools.release(lease, next)
  assert.equal(pools.online, 1)
  assert.deepEqual(said().slice(1), [
    "reassigning online lease to 'alice@lab'",
    "assigning new lease to 'alice@lab'",
    "lease 10.77.0.1 by 'alice@lab' went offline",
  ])
})

test('one IKE SA that asks twice gets two addresses', () => {
  const { pools } = loaded(p4)
  const holder = at('192.0.2.1')
  const addresses = [1, 2].map(() => taken(pools.acquire(['p4'], alice, 4, undefined, holder)).address)
  assert.deepEqual(addresses, ['10.77.0.1', '10.77.0.2'])
})

test('a pool without fresh addresses takes the one that is free for the longest time; then it is full', () => {
  const { pools, said } = loaded(p4)
  const [a, b] = [at('192.0.2.1'), at('192.0.2.2')]
  const ofAlice = taken(pools.acquire(['p4'], alice, 4, undefined, a))
  const ofBob = taken(pools.acquire(['p4'], bob, 4, undefined, b))
  pools.release(ofBob, b)
  pools.release(ofAlice, a)
  said()
  assert.equal(taken(pools.acquire(['p4'], carol, 4, undefined, at('192.0.2.3'))).address, '10.77.0.2')
  assert.equal(taken(pools.acquire(['p4'], alice, 4, undefined, a)).address, '10.77.0.1')
  assert.equal(pools.acquire(['p4'], bob, 4, undefined, b), undefined)
  assert.deepEqual(said(), [
    "reassigning existing offline lease by 'bob@lab' to 'carol@lab'",
    "reassigning offline lease to 'alice@lab'",
    "pool 'p4' is full, unable to assign address",
  ])
})

test('several pools: own leases of any pool before fresh ones of the first', () => {
  const second: Pool = { ...p4, name: 'second', base: '10.78.0.1', size: 1 }
  const { pools } = loaded({ ...p4, size: 1 }, second)
  const names = ['p4', 'second', 'missing']
  const [a, b] = [at('192.0.2.1'), at('192.0.2.2')]
  const ofAlice = taken(pools.acquire(names, alice, 4, undefined, a))
  const ofBob = taken(pools.acquire(names, bob, 4, undefined, b))
  assert.deepEqual([ofAlice.address, ofBob.address], ['10.77.0.1', '10.78.0.1'])
  pools.release(ofAlice, a)
  pools.release(ofBob, b)
  assert.equal(taken(pools.acquire(names, bob, 4, undefined, b)).address, '10.78.0.1')
})

test('the family must fit, and a certain address is given only to whom it belongs', () => {
  const { pools } = loaded(p4, p6)
  const holder = at('192.0.2.1')
  assert.equal(pools.acquire(['p4'], alice, 6, undefined, holder), undefined)
  assert.equal(taken(pools.acquire(['p4', 'p6'], alice, 6, undefined, holder)).address, 'fec7::ffff')
  assert.equal(taken(pools.acquire(['p4', 'p6'], bob, 6, undefined, holder)).address, 'fec7::1:0')
  const lease = taken(pools.acquire(['p4'], alice, 4, '10.77.0.2', holder))
  assert.equal(lease.address, '10.77.0.1')
  pools.release(lease, holder)
  assert.equal(taken(pools.acquire(['p4'], alice, 4, '10.77.0.1', at('192.0.2.7'))), lease)
})

test('loading again keeps the leases of the same addresses; leases in use keep the pool', () => {
  const { pools, said } = loaded(p4)
  const holder = at('192.0.2.1')
  const lease = taken(pools.acquire(['p4'], alice, 4, undefined, holder))
  said()
  assert.equal(pools.load({ ...p4, attributes: [{ name: 'dns', values: ['10.2.0.53'] }] }), undefined)
  const moved = { ...p4, base: '10.78.0.1' }
  assert.equal(pools.load(moved), 'vici pool p4 has online leases, unable to replace')
  assert.equal(pools.unload('p4'), 'p4 has online leases, unable to unload')
  pools.release(lease, holder)
  const [view] = pools.views('p4')
  assert.deepEqual([view?.online, view?.offline, view?.size], [0, 1, 2])
  assert.deepEqual(
    view?.leases.map(({ address, identity, online }) => [address, formatIdentity(identity), online]),
    [['10.77.0.1', 'alice@lab', false]],
  )
  assert.equal(pools.load(moved), undefined)
  assert.deepEqual(pools.views(), [{ name: 'p4', base: '10.78.0.1', size: 2, online: 0, offline: 0, leases: [] }])
  assert.equal(pools.unload('p4'), undefined)
  assert.equal(pools.unload('p4'), 'p4 not found')
  assert.deepEqual(said(), [
    'updated vici pool p4: 10.77.0.1, 2 entries',
    "lease 10.77.0.1 by 'alice@lab' went offline",
    'replaced vici pool p4: 10.78.0.1, 2 entries',
    'unloaded vici pool p4',
  ])
})

test('a successor takes over without a gap', () => {
  const { pools } = loaded(p4)
  const [old, next] = [at('192.0.2.1'), at('192.0.2.1')]
  const lease = taken(pools.acquire(['p4'], alice, 4, undefined, old))
  pools.pass(lease, old, next)
  pools.release(lease, old)
  assert.equal(pools.online, 1)
  pools.release(lease, next)
  assert.equal(pools.online, 0)
})
