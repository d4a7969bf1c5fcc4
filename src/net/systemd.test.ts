import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { DatagramSocket, slab } from './datagram-socket.ts'
import { keepWatchdogQuiet, notifySystemd } from './systemd.ts'
import { UnixDatagrams } from './unix-datagrams.ts'

test('notifications and log lines reach a socket of systemd; without one nothing happens', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'systemd-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'notify')
  const memory = slab(4, 256)
  using socket = new DatagramSocket(1, 2, 0, memory, memory)
  socket.bind(Buffer.concat([new Uint8Array(new Uint16Array([1]).buffer), Buffer.from(`${path}\0`)]))
  const got: string[] = []
  socket.listen(
    (batch) => got.push(...batch.map(({ bytes }) => Buffer.from(bytes).toString())),
    (code) => assert.fail(code),
  )
  notifySystemd('READY=1', path)
  notifySystemd('READY=1', undefined)
  notifySystemd('READY=1', join(folder, 'nobody'))
  using sender = new UnixDatagrams(path, 8)
  assert.equal(sender.send(Buffer.from('12345678')), undefined)
  assert.equal(sender.send(Buffer.from('123456789')), 'EMSGSIZE')
  socket.poll()
  assert.deepEqual(got, ['READY=1', '12345678'])
})

test('the watchdog hears of us twice in its interval, if it asked this process', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const said: string[] = []
  const end = keepWatchdogQuiet({ WATCHDOG_USEC: '10000000' }, (lines) => said.push(lines))
  keepWatchdogQuiet({}, () => assert.fail('nobody asked'))
  keepWatchdogQuiet({ WATCHDOG_USEC: '10000000', WATCHDOG_PID: '1' }, () => assert.fail('another process was asked'))
  t.mock.timers.tick(10_000)
  assert.deepEqual(said, ['WATCHDOG=1', 'WATCHDOG=1'])
  end()
  t.mock.timers.tick(10_000)
  assert.equal(said.length, 2)
})
