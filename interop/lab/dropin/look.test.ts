import assert from 'node:assert/strict'
import { test } from 'node:test'
import { childLines, difference, ikeLines } from './look.ts'

const pretty = `list-sa event {
  net {
    uniqueid = 1
    state = ESTABLISHED
    child-sas {
      far-2 {
        name = far
        state = INSTALLED
        mode = TUNNEL
        local-ts = [
          10.1.0.0/16
          fec1::/16
        ]
        remote-ts = [
          10.2.0.0/16
        ]
      }
    }
  }
}
list-sas reply {
}
`

test('SAs as lines', () => {
  assert.deepEqual(ikeLines(pretty), ['net ESTABLISHED'])
  assert.deepEqual(childLines(pretty), ['far INSTALLED TUNNEL 10.1.0.0/16 fec1::/16 === 10.2.0.0/16'])
})

test('what is missing, what is more, and what comes in another order', () => {
  assert.equal(difference({ kernel: ['a', 'b'] }, { kernel: ['a', 'b'] }), undefined)
  assert.equal(difference({ kernel: ['a', 'x'] }, { kernel: ['a', 'b'] }), "kernel: 'x' where charon has 'b'")
  assert.equal(difference({ kernel: ['a'] }, { kernel: ['a', 'b'] }), "kernel: nothing where charon has 'b'")
  assert.match(difference({ kernel: ['b', 'a'] }, { kernel: ['a', 'b'] }) ?? '', /another order/)
  assert.match(difference({ kernel: ['a', 'a'] }, { kernel: ['a'] }) ?? '', /number/)
})
