import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drawRung, rungReader } from './ladder.ts'

test('a message that is generated and sent is one rung', () => {
  const read = rungReader()
  assert.equal(read('12[ENC] generating IKE_SA_INIT request 0 [ SA KE No ]'), undefined)
  assert.deepEqual(read('12[NET] sending packet: from 192.0.2.1[500] to 192.0.2.2[500] (232 bytes)'), {
    direction: 'sent',
    name: 'IKE_SA_INIT request 0',
    payloads: 'SA KE No',
    datagram: { bytes: 232, port: 500 },
  })
})

test('a message that is received and parsed is one rung', () => {
  const read = rungReader()
  assert.equal(read('12[NET] received packet: from 192.0.2.2[4500] to 192.0.2.1[4500] (65 bytes)'), undefined)
  assert.deepEqual(read('12[ENC] parsed IKE_AUTH response 1 [ N(AUTH_FAILED) ]'), {
    direction: 'received',
    name: 'IKE_AUTH response 1',
    payloads: 'N(AUTH_FAILED)',
    datagram: { bytes: 65, port: 4500 },
  })
})

test('a message in fragments is a rung of its own, then one for each fragment', () => {
  const read = rungReader()
  const names = [
    'generating IKE_AUTH request 1 [ IDi CERT AUTH ]',
    'splitting IKE message (1249 bytes) into 2 fragments',
    'generating IKE_AUTH request 1 [ EF(1/2) ]',
    'generating IKE_AUTH request 1 [ EF(2/2) ]',
    'sending packet: from 192.0.2.1[4500] to 192.0.2.2[4500] (1248 bytes)',
    'sending packet: from 192.0.2.1[4500] to 192.0.2.2[4500] (100 bytes)',
  ].flatMap((line) => read(line)?.payloads ?? [])
  assert.deepEqual(names, ['IDi CERT AUTH', 'EF(1/2)', 'EF(2/2)'])
})

test('a repeated datagram that is not parsed does not count for the next', () => {
  const read = rungReader()
  for (const bytes of [711, 711, 57]) {
    read(`05[NET] received packet: from 192.0.2.2[4500] to 192.0.2.1[4500] (${bytes} bytes)`)
    if (bytes === 711) continue
    assert.equal(read('05[ENC] parsed INFORMATIONAL response 2 [ ]')?.datagram?.bytes, 57)
  }
})

test('a message without payloads is a rung, too', () => {
  assert.equal(rungReader()('09[ENC] parsed INFORMATIONAL response 2 [ ]')?.payloads, '')
})

test('every line of a rung is equally wide', () => {
  const payloads = 'SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) N(REDIR_SUP) V V V'
  for (const direction of ['sent', 'received'] as const) {
    const lines = drawRung({ direction, name: 'IKE_SA_INIT request 0', payloads, datagram: { bytes: 9, port: 500 } })
    assert.deepEqual([...new Set(lines.map((line) => [...line].length))], [72])
  }
})
