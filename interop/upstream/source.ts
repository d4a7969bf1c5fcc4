/**
 * The folder `testing` of a strongSwan source tree, made ready: copied, with the certificates that its own script makes
 * and the web pages of its host winnetou. It is kept in the cache, one for each content of the folder.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { cacheFolder, locked } from '../lab/cache.ts'
import { quote } from '../lab/guest.ts'
import { readParts } from './grammar.ts'

/** What must be in a source tree. */
const wanted = ['testing/testing.conf', 'testing/tests', 'testing/hosts', 'testing/scripts/build-certs-chroot']

/** The prepared folder: `testing` of the tree, `www` of winnetou. `root` is the one whose tools make the certificates. */
export async function prepareSource(tree: string, root: string, report: (line: string) => void): Promise<string> {
  for (const path of wanted) {
    if (!existsSync(join(tree, path))) throw new Error(`${tree} is no strongSwan source tree: it has no ${path}`)
  }
  const folder = join(cacheFolder(), 'upstream', digest(join(tree, 'testing')).slice(0, 12))
  return locked(
    'upstream',
    () => report('waiting for another run that makes certificates'),
    async () => {
      if (!existsSync(folder)) await build(tree, root, folder, report)
      return folder
    },
  )
}

/** The names of the tree's scenarios in which IKEv2 is configured by swanctl. */
export function swanctlScenarios(tree: string): readonly string[] {
  const tests = join(tree, 'testing/tests')
  return readdirSync(tests)
    .filter((group) => !/ikev1|stroke|sql|tnc|tkm|pfkey|^ha$/.test(group))
    .flatMap((group) => readdirSync(join(tests, group)).map((name) => `${group}/${name}`))
    .filter((name) => {
      const conf = join(tests, name, 'test.conf')
      return existsSync(conf) && readParts(readFileSync(conf, 'utf8')).swanctl
    })
}

async function build(tree: string, root: string, folder: string, report: (line: string) => void): Promise<void> {
  const partial = `${folder}.partial`
  await rm(partial, { recursive: true, force: true })
  mkdirSync(join(partial, 'www/certs/research'), { recursive: true })
  mkdirSync(join(partial, 'www/certs/sales'), { recursive: true })
  cpSync(join(tree, 'testing'), join(partial, 'testing'), { recursive: true })
  const log = `${folder}.log`
  report(`making the certificates of the scenarios (once, some minutes; follow ${log})`)
  // The scripts of the tree find their files by their own path, and the CA's below /etc/ca.
  const inside = [
    // Some certificates need what Debian's packages are built without (SHA-3 for RSA): the others are made all the same.
    "sed -i '/^set -o errexit/d' /mnt/testing/scripts/build-certs-chroot",
    '/mnt/testing/scripts/build-certs-chroot || true',
    'mkdir -p /etc/ca',
    'mount --bind /mnt/testing/hosts/winnetou/etc/ca /etc/ca',
    'mkdir -p /var/www',
    'mount --bind /mnt/www /var/www',
    '/etc/ca/generate-crl || true',
    'test -s /mnt/testing/hosts/moon/etc/swanctl/x509/moonCert.pem',
    'test -s /mnt/www/strongswan.crl',
  ]
  const outside = [
    `mount --bind ${quote(partial)} ${quote(join(root, 'mnt'))}`,
    `mount --bind /dev ${quote(join(root, 'dev'))}`,
    `mount -t proc proc ${quote(join(root, 'proc'))}`,
    `exec chroot ${quote(root)} bash -ec ${quote(inside.join('\n'))}`,
  ]
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child']
  const child = spawn('unshare', [...namespaces, 'bash', '-ec', outside.join('\n')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8' },
  })
  const output = createWriteStream(log)
  child.stdout.pipe(output, { end: false })
  child.stderr.pipe(output, { end: false })
  const code = await new Promise((done, failed) => child.once('close', done).once('error', failed))
  output.end()
  if (code !== 0) throw new Error(`the certificates could not be made (${code}): see ${log}`)
  renameSync(partial, folder)
}

/** Of the paths and contents of all files of a folder. */
function digest(folder: string): string {
  const hash = createHash('sha256')
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(at, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.isFile()) hash.update(`${relative(folder, path)}\0`).update(readFileSync(path))
    }
  }
  walk(folder)
  return hash.digest('hex')
}
