/** INITIAL_CONTACT and the uniqueness policies, for both kinds of authentication (CHARON 9.9). */
import assert from 'node:assert/strict'
import { type AuthName, credentialsFor, identityOf } from './connection.ts'
import { exchanges, failed, logged, notLogged, onlySa, saidToPeer, sameSingleChild } from './expect.ts'
import { connectionOf, established, type PairOptions, pair } from './pair.ts'
import { scenario } from './scenario.ts'
import type { World } from './world.ts'

type Unique = 'no' | 'never' | 'keep' | 'replace'

function initiate(world: World): () => unknown {
  const answer = world.left.command({ kind: 'initiate', child: 'net', timeoutMs: 0 })
  world.settle()
  return answer
}

/** left crashes and begins again. */
function again(world: World, options: PairOptions, auth: AuthName): () => unknown {
  world.left.restart()
  world.left.command({ kind: 'credentials', credentials: credentialsFor('left', auth) })
  world.left.command({ kind: 'load-connection', connection: connectionOf('left', options) })
  return initiate(world)
}

for (const auth of ['psk', 'p256'] as const) {
  /**
   *   HDR, SK {IDi, N(INITIAL_CONTACT), ...}  -->     the old IKE SA goes without a word
   */
  for (const unique of ['no', 'keep', 'replace'] as const) {
    scenario(`${auth}, unique = ${unique}: a restarted peer has no other IKE SA`, () => {
      const options: PairOptions = { auth, connection: { unique } }
      const world = established(options)
      again(world, options, auth)
      saidToPeer(world.left, 'N(INIT_CONTACT)')
      logged(world.right, `destroying duplicate IKE_SA for peer '${identityOf('left')}', received INITIAL_CONTACT`)
      sameSingleChild(world)
    })
  }

  scenario(`${auth}, unique = never: it is neither sent nor heard`, () => {
    const options: PairOptions = { auth, connection: { unique: 'never' } }
    const world = established(options)
    again(world, options, auth)
    assert.ok(world.left.sent.every(({ label }) => !label.includes('N(INIT_CONTACT)')))
    assert.equal(world.right.sas().length, 2)
  })
}

/** A second IKE SA of left that does not say INITIAL_CONTACT, from the same address or after a move. */
function second(unique: Unique, moved: boolean): World {
  const options: PairOptions = {
    settings: { reuseIkeSa: false },
    connection: { unique },
    left: { connection: { localAddresses: [{ kind: 'any' }], unique: 'never' } },
    right: { connection: { remoteAddresses: [{ kind: 'any' }], unique } },
  }
  const world = pair(options)
  initiate(world)
  world.wait(5)
  if (moved) world.left.kernel.readdress(['192.0.2.77', '10.1.0.1'])
  return world
}

for (const moved of [false, true]) {
  const where = moved ? 'another address' : 'the same address'

  scenario(`no: a second one from ${where} is one more`, () => {
    const world = second('no', moved)
    initiate(world)
    world.wait(20)
    assert.equal(world.right.sas().length, 2)
  })

  scenario(`never: a second one from ${where} is one more`, () => {
    const world = second('never', moved)
    initiate(world)
    world.wait(20)
    assert.equal(world.right.sas().length, 2)
  })
}

/**
 *                      <--  HDR, SK {D}     on the older one
 */
scenario('replace: from another address the older one is deleted at once', () => {
  const world = second('replace', true)
  initiate(world)
  logged(world.right, `deleting duplicate IKE_SA for peer '${identityOf('left')}' due to uniqueness policy`)
  assert.ok(exchanges(world.right).some((name) => name.startsWith('INFORMATIONAL request')))
  assert.equal(world.right.sas().filter(({ state }) => state === 'ESTABLISHED').length, 1)
})

scenario('replace: from the same address it has ten seconds to be a reauthentication', () => {
  const world = second('replace', false)
  initiate(world)
  assert.equal(world.right.sas().length, 2)
  logged(world.right, 'due to uniqueness policy and suspected reauthentication')
  world.wait(11)
  assert.equal(onlySa(world.right).uniqueId, 2)
  assert.equal(onlySa(world.left).uniqueId, 2)
})

/**
 *   HDR, SK {IDi, AUTH, ...}  -->
 *                      <--  HDR, SK {N(AUTHENTICATION_FAILED)}
 */
scenario('keep: from another address the new one is refused', () => {
  const world = second('keep', true)
  const answer = initiate(world)
  failed(answer() as Parameters<typeof failed>[0], /establishing CHILD_SA 'net' failed/)
  logged(world.right, 'canceling IKE_SA setup due to uniqueness policy')
  assert.equal(onlySa(world.right).uniqueId, 1)
})

scenario('keep: from the same address it may be a reauthentication', () => {
  const world = second('keep', false)
  initiate(world)
  assert.equal(world.right.sas().length, 2)
  notLogged(world.right, 'canceling IKE_SA setup')
})
