import assert from 'node:assert/strict'
import { test } from 'node:test'
import { confs, confText } from './conf.ts'

test('both hosts get what is common, each its own, and the selectors from its side', () => {
  const { moon, sun } = confs(
    { conn: { mobike: 'no' }, child: { moon_ts: '10.1.0.0/16[tcp]' }, children: { far: { mode: 'pass' } } },
    { sun: { conn: { unique: 'never' }, beside: { pools: { p: { addrs: '10.3.0.0/24' } } } } },
  )
  const [left, right] = [confText(moon), confText(sun)]
  assert.match(left, /local_addrs = 192\.168\.0\.1\n\s+remote_addrs = 192\.168\.0\.2/)
  assert.match(right, /remote_addrs = 192\.168\.0\.1\n\s+local_addrs = 192\.168\.0\.2/)
  assert.match(left, /net \{\n\s+local_ts = 10\.1\.0\.0\/16\[tcp\]\n\s+remote_ts = 10\.2\.0\.0\/16/)
  assert.match(right, /far \{\n\s+remote_ts = 10\.1\.0\.0\/16\n\s+local_ts = 10\.2\.0\.0\/16/)
  assert.match(right, /unique = never/)
  assert.doesNotMatch(left, /unique|pools/)
  assert.match(right, /pools \{\n {2}p \{\n {4}addrs = 10\.3\.0\.0\/24/)
})

test('a connection without its child, and one more', () => {
  const { moon } = confs({ child: undefined, conns: { second: { conn: { local: { id: 'other' } } } } })
  const text = confText(moon)
  assert.match(text, /\n {4}children \{\n {4}\}\n/)
  assert.match(text, /second \{[^}]*local \{\n\s+auth = psk\n\s+id = other\n/)
})
