/** For tests that change the network configuration of the host that they run on. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/**
 * Runs the tests of a file in a process with a network namespace of its own, as one test that says what they say; skipped
 * with the reason where there can be none.
 * @param file `import.meta.filename` of the caller
 */
export function inOwnNamespace(what: string, file: string, tests: () => void): void {
  if (process.env[mark] !== undefined) return tests()
  test(`${what}, in a network namespace of its own`, { skip: reasonToSkip() }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const child = spawnSync('unshare', ['-n', process.execPath, '--test-reporter=spec', file], {
      env: { ...env, [mark]: '1' },
      encoding: 'utf8',
    })
    assert.equal(child.status, 0, child.stdout + child.stderr)
  })
}

const mark = 'SALLYPORT_TEST_NAMESPACE'

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  if (spawnSync('unshare', ['-n', 'ip', 'xfrm', 'state']).status !== 0)
    return 'needs network namespaces, XFRM in the kernel, and iproute2'
  return false
}
