import assert from 'node:assert/strict'
import { test } from 'node:test'
import { child, fieldNames, readPretty, value } from './vici-raw.ts'

const text = `list-sa event {
  net {
    uniqueid = 1
    local-id = C=CH, O=Lab
    child-sas {
      net-7 {
        name = net
        local-ts = [
          10.1.0.0/16
        ]
      }
    }
  }
}
list-sas reply {
}
`

test('sections, values and lists are read in order', () => {
  const read = readPretty(text)
  assert.deepEqual(fieldNames(read), [
    'list-sa event{}',
    'list-sa event.net{}',
    'list-sa event.net.uniqueid',
    'list-sa event.net.local-id',
    'list-sa event.net.child-sas{}',
    'list-sa event.net.child-sas.net-#{}',
    'list-sa event.net.child-sas.net-#.name',
    'list-sa event.net.child-sas.net-#.local-ts[]',
    'list-sas reply{}',
  ])
  assert.equal(value(child(child(read, 'list-sa event'), 'net'), 'local-id'), 'C=CH, O=Lab')
})
