import assert from 'node:assert/strict'
import { test } from 'node:test'
import { largestWindow, RequestWindow, ResponseWindow } from './window.ts'

const answer = (id: number): Uint8Array[] => [Uint8Array.of(id)]

test('R7296-2.3-3: with window 1 a request waits for the response to the one before', () => {
  const window = new RequestWindow()
  assert.ok(window.isOpen)
  window.begin(0)
  assert.ok(!window.isOpen)
  window.end(0)
  assert.ok(window.isOpen)
})

test('R7296-2.3-6, R7296-2.3-7: request X goes out when all responses up to X - N are in, whatever came after them', () => {
  const window = new RequestWindow()
  window.grow(3)
  for (const id of [0, 1, 2]) {
    assert.ok(window.isOpen, `request ${id}`)
    window.begin(id)
  }
  assert.ok(!window.isOpen)
  window.end(1)
  window.end(2)
  assert.ok(!window.isOpen, 'response 0 is not in')
  window.end(0)
  assert.ok(window.isOpen)
  assert.equal(window.nextId, 3)
})

test('R7296-2.3-10: a window only grows, and not beyond what we make use of', () => {
  for (const window of [new RequestWindow(), new ResponseWindow()]) {
    window.grow(4)
    window.grow(0)
    window.grow(2)
    assert.equal(window.size, 4)
    window.grow(0xffff_ffff)
    assert.equal(window.size, largestWindow)
  }
})

test('the peer may have as many requests on the way as the window is wide', () => {
  const window = new ResponseWindow()
  window.grow(3)
  const verdicts = (): string[] => [0, 1, 2, 3].map((id) => window.verdict(id))
  assert.deepEqual(verdicts(), ['new', 'new', 'new', 'outside'])
  assert.equal(window.begin(2), true)
  assert.equal(window.begin(0), false, 'a newer one has come before')
  assert.deepEqual(verdicts(), ['in-progress', 'new', 'in-progress', 'outside'])
  window.answered(2, answer(2))
  assert.deepEqual(verdicts(), ['in-progress', 'new', 'retransmission', 'outside'])
  window.answered(0, answer(0))
  assert.equal(window.expected, 1)
  assert.deepEqual(verdicts(), ['retransmission', 'new', 'retransmission', 'new'])
  window.begin(1)
  window.forget(1)
  assert.equal(window.verdict(1), 'new')
})

test('R7296-2.3-9, R6311-W-3: as many answers are kept as the window is wide, and no more', () => {
  for (const size of [1, 4]) {
    const window = new ResponseWindow()
    window.grow(size)
    for (let id = 0; id < 100; id++) window.answered(id, answer(id))
    for (let id = 100 - size; id < 100; id++) assert.deepEqual(window.cached(id), answer(id))
    assert.deepEqual(window.cached(99 - size), [])
    assert.equal(window.verdict(99 - size), 'outside')
  }
})
