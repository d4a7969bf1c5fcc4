/** An authentic peer that makes no SAs, or has lost one (RFC 7296 §1.5, §2.25, §4). */
import assert from 'node:assert/strict'
import { EXCHANGE, NOTIFY } from '../../src/wire/numbers.ts'
import { logged, onlyChild, onlySa } from './expect.ts'
import { childOf, inform, names, notify, spi, up } from './peer.ts'
import { rekey } from './rekey.ts'
import { scenario } from './scenario.ts'

/**
 *   HDR, SK {SA, Ni, KEi}  -->
 *                      <--  HDR, SK {N(NO_ADDITIONAL_SAS)}
 *   HDR, SAi1, KEi, Ni     -->
 */
scenario('a peer that does not rekey IKE SAs: one is made anew', () => {
  const { world, peer } = up({}, childOf())
  rekey(world.right, 'IKE SA')
  world.finishJobs()
  peer.answer([notify(NOTIFY.NO_ADDITIONAL_SAS)])
  logged(world.right, 'IKE_SA rekeying is not possible with this peer, recreating the IKE_SA')
  assert.match(world.right.sent.at(-1)?.label ?? '', /^IKE_SA_INIT request 0/)
})

/**
 *   HDR, SK {N(INVALID_SPI)}  -->
 *                      <--  HDR, SK {}
 *                      <--  HDR, SK {N(REKEY_SA), SA, Ni, TSi, TSr}
 *   HDR, SK {N(CHILD_SA_NOT_FOUND)}  -->
 *                      <--  HDR, SK {SA, Ni, TSi, TSr}
 */
scenario('INVALID_SPI inside an IKE SA: the Child SA is rekeyed, or made anew if the peer has lost it', () => {
  const { world, peer } = up({}, childOf())
  world.wait(31, { deliver: false })
  const { spiIn } = onlyChild(world.right)
  assert.deepEqual(names(inform(peer, notify(NOTIFY.INVALID_SPI, { data: spi }))), [])
  logged(world.right, 'peer has no CHILD_SA net{1} any more, rekeying it')
  assert.equal(onlyChild(world.right).spiIn, spiIn, 'nothing is torn down')
  assert.deepEqual(names(peer.asked().payloads), ['N(REKEY_SA)', 'SA', 'Nonce', 'TSi', 'TSr'])
  peer.answer([notify(NOTIFY.CHILD_SA_NOT_FOUND)])
  assert.equal(peer.asked().exchange, EXCHANGE.CREATE_CHILD_SA)
  assert.deepEqual(names(peer.asked().payloads), ['SA', 'Nonce', 'TSi', 'TSr'])
})

for (const [why, data, seconds] of [
  ['of a Child SA that is new: a packet may have been early', spi, 5],
  ['of an SPI that is none of the peer', Uint8Array.of(1, 2, 3, 4), 60],
  ['without an SPI', new Uint8Array(), 60],
] as const) {
  scenario(`INVALID_SPI inside an IKE SA ${why}: nothing comes of it`, () => {
    const { world, peer } = up({}, childOf())
    world.wait(seconds, { deliver: false })
    const before = world.right.sent.length
    inform(peer, notify(NOTIFY.INVALID_SPI, { data }))
    assert.equal(world.right.sent.length, before + 1)
    assert.equal(onlySa(world.right).children.length, 1)
  })
}
