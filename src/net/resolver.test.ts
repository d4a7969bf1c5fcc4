import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Resolver } from './resolver.ts'

/** A resolver in a folder of its own; `programs` says what there is at the place of resolvconf. */
function setup(programs: 'none' | 'resolvconf' | 'resolvectl', content = 'nameserver 192.0.2.53\n') {
  const folder = mkdtempSync(join(tmpdir(), 'resolver-'))
  const file = join(folder, 'resolv.conf')
  writeFileSync(file, content)
  const resolvconf = join(folder, 'resolvconf')
  if (programs === 'resolvconf') writeFileSync(resolvconf, '')
  if (programs === 'resolvectl') {
    writeFileSync(join(folder, 'resolvectl'), '')
    symlinkSync('resolvectl', resolvconf)
  }
  const said: string[] = []
  const ran: string[] = []
  const resolver = new Resolver({
    file,
    resolvconf,
    resolvconfInterface: 'lo.ipsec',
    log: (message) => said.push(message.replaceAll(folder, '')),
    run: async (program, args, input) =>
      void ran.push(`${[program.replace(folder, ''), ...args].join(' ')}${input === '' ? '' : ` < ${input}`}`),
  })
  return {
    resolver,
    said,
    ran,
    file: () => readFileSync(file, 'utf8'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  }
}

const two = [{ address: '10.2.0.53', interface: 'eth0' }, { address: 'fec2::53' }]

test('resolv.conf: our lines come first, and go again', async () => {
  using there = setup('none')
  there.resolver.use(two)
  await there.resolver.settled()
  assert.equal(
    there.file(),
    'nameserver 10.2.0.53   # by sallyport\nnameserver fec2::53   # by sallyport\nnameserver 192.0.2.53\n',
  )
  there.resolver.use(two.slice(0, 1))
  await there.resolver.settled()
  assert.equal(there.file(), 'nameserver 10.2.0.53   # by sallyport\nnameserver 192.0.2.53\n')
  there.resolver.use([])
  await there.resolver.settled()
  assert.equal(there.file(), 'nameserver 192.0.2.53\n')
  assert.deepEqual(there.said, [
    'installing DNS server 10.2.0.53 to /resolv.conf',
    'installing DNS server fec2::53 to /resolv.conf',
    'removing DNS server fec2::53 from /resolv.conf',
    'removing DNS server 10.2.0.53 from /resolv.conf',
  ])
  assert.deepEqual(there.ran, [])
})

test('resolv.conf: what a daemon left behind that did not end well is replaced', async () => {
  using there = setup('none', 'nameserver 10.9.9.9   # by sallyport\nsearch lab')
  there.resolver.use(two.slice(0, 1))
  await there.resolver.settled()
  assert.equal(there.file(), 'nameserver 10.2.0.53   # by sallyport\nsearch lab')
})

test('resolvconf gets the whole list, and is told when there is none', async () => {
  using there = setup('resolvconf')
  there.resolver.use(two)
  await there.resolver.settled()
  there.resolver.use([])
  await there.resolver.settled()
  assert.deepEqual(there.ran, [
    '/resolvconf -a lo.ipsec < nameserver 10.2.0.53\nnameserver fec2::53\n',
    '/resolvconf -d lo.ipsec',
  ])
  assert.equal(there.file(), 'nameserver 192.0.2.53\n')
})

test('systemd-resolved keeps servers by interface; one without an interface is for nobody', async () => {
  using there = setup('resolvectl')
  there.resolver.use(two)
  await there.resolver.settled()
  there.resolver.use([])
  await there.resolver.settled()
  assert.deepEqual(there.ran, ['resolvectl dns eth0 10.2.0.53', 'resolvectl revert eth0'])
})

test('only the last of several changes counts', async () => {
  using there = setup('resolvconf')
  there.resolver.use(two)
  there.resolver.use([])
  there.resolver.use([{ address: '10.3.0.53' }])
  await there.resolver.settled()
  assert.deepEqual(there.ran.at(-1), '/resolvconf -a lo.ipsec < nameserver 10.3.0.53\n')
  assert.ok(there.ran.length <= 2)
})

test('a program that fails is a line of the log', async () => {
  const said: string[] = []
  const resolver = new Resolver({
    file: '/nonexistent/resolv.conf',
    resolvconf: '/nonexistent/resolvconf',
    resolvconfInterface: 'lo.ipsec',
    log: (message, failed) => void (failed && said.push(message)),
  })
  resolver.use(two)
  await resolver.settled()
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /^handing DNS servers to the host failed: ENOENT/)
})
