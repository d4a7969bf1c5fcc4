/** What the Dockerfile says about the running container: docs/docker.md. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

test('the health check of the container fails where no daemon answers', () => {
  const dockerfile = readFileSync('Dockerfile', 'utf8').replaceAll('\\\n', '')
  const check = /^HEALTHCHECK .*CMD +(\[.*\])$/m.exec(dockerfile)?.[1] ?? ''
  const [node, program, ...args] = JSON.parse(check) as string[]
  assert.deepEqual([node, program], ['node', 'dist/cli/sallyport.js'])
  const uri = args.indexOf('--uri')
  assert.ok(uri > 0)
  args[uri + 1] = 'unix:///nowhere/charon.vici'
  const { status, stderr } = spawnSync(process.execPath, ['src/cli/sallyport.ts', ...args], { encoding: 'utf8' })
  assert.notEqual(status, 0)
  assert.match(stderr, /nowhere/)
})
