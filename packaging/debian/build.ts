/**
 * `npm run deb`: builds a Debian package that takes the place of charon-systemd, with a Node of its own. Needs dpkg-deb,
 * and what `npm ci` has installed. The package is put into `dist-deb/`, or `--out`. `--quick` compresses it less, for the lab.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const here = fileURLToPath(new URL('.', import.meta.url))

const { values } = parseArgs({
  options: { out: { type: 'string', default: join(root, 'dist-deb') }, quick: { type: 'boolean' } },
})
const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64' | 'arm64']
if (arch === undefined) throw new Error(`there is no native part for ${process.arch}`)
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

const stage = mkdtempSync(join(tmpdir(), 'sallyport-deb-'))
chmodSync(stage, 0o755) // it becomes the root folder of the package
try {
  fill()
  mkdirSync(values.out, { recursive: true })
  const file = join(values.out, `sallyport_${version}_${arch}.deb`)
  run('dpkg-deb', ['--root-owner-group', ...(values.quick ? ['-Zgzip', '-z1'] : ['-Zxz']), '--build', stage, file])
  console.log(file)
} finally {
  rmSync(stage, { recursive: true })
}

function fill(): void {
  const library = join(stage, 'usr/lib/sallyport')
  mkdirSync(join(library, 'native'), { recursive: true })
  run('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--outDir', join(library, 'dist')])
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(root, name), join(library, name))
  if (existsSync(join(root, '.npmrc'))) copyFileSync(join(root, '.npmrc'), join(library, '.npmrc'))
  run('npm', ['ci', '--omit=dev', '--omit=optional', '--no-audit', '--no-fund', '--ignore-scripts'], library)
  for (const name of ['package-lock.json', '.npmrc']) rmSync(join(library, name), { force: true })
  copyFileSync(
    join(root, `native/linux-${process.arch}.node`),
    join(library, `native/linux-${process.arch}.node`),
  )
  const node = join(root, `node_modules/node-linux-${process.arch}/bin/node`)
  if (!existsSync(node)) throw new Error('the package carries Node: run "npm ci" with its optional dependencies first')
  copyFileSync(node, join(library, 'node'))
  chmodSync(join(library, 'node'), 0o755)

  program('usr/sbin/sallyportd', 'dist/main.js')
  program('usr/bin/sallyport', 'dist/cli/sallyport.js', 'swanctl')
  // What a link to the command by this name runs: Node is told the name that the program goes by.
  symlinkSync('dist/cli/sallyport.js', join(library, 'swanctl'))
  // Appliances look for the process and the program by this name.
  symlinkSync('sallyportd', join(stage, 'usr/sbin/charon-systemd'))

  copy('strongswan.service', 'usr/lib/systemd/system/strongswan.service')
  for (const name of ['postinst', 'prerm', 'postrm']) copy(name, `DEBIAN/${name}`, 0o755)
  cpSync(join(root, 'docs'), join(stage, 'usr/share/doc/sallyport/docs'), { recursive: true })
  copyFileSync(join(root, 'README.md'), join(stage, 'usr/share/doc/sallyport/README.md'))
  copyFileSync(join(root, 'LICENSE'), join(stage, 'usr/share/doc/sallyport/copyright'))
  copyFileSync(join(dirname(node), '../LICENSE'), join(stage, 'usr/share/doc/sallyport/copyright.node'))
  const size = execFileSync('du', ['-sk', join(stage, 'usr')], { encoding: 'utf8' }).split('\t')[0]
  writeFileSync(join(stage, 'DEBIAN/control'), control(size ?? '0'))
  writeFileSync(join(stage, 'DEBIAN/md5sums'), checksums())
}

function control(installedSize: string): string {
  return `Package: sallyport
Version: ${version}
Architecture: ${arch}
Maintainer: Sallyport
Installed-Size: ${installedSize}
Depends: libc6 (>= 2.28), libstdc++6 (>= 8), strongswan-swanctl
Provides: charon-systemd, ike-server
Conflicts: charon-systemd, strongswan-charon, strongswan-starter
Replaces: charon-systemd
Section: net
Priority: optional
Description: IKEv2 daemon that takes the place of strongSwan's charon
 Negotiates IPsec with IKEv2 (RFC 7296) in userspace and installs ESP into the
 Linux kernel. Reads /etc/swanctl and strongswan.conf, and is controlled by
 swanctl and other VICI clients.
`
}

/** One line for each file, for `dpkg --verify`. */
function checksums(): string {
  return readdirSync(stage, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(join(stage, 'DEBIAN/')))
    .sort()
    .map((file) => `${createHash('md5').update(readFileSync(file)).digest('hex')}  ${relative(stage, file)}\n`)
    .join('')
}

/** A program that runs a script with our Node; by a link of the name `other`, what is called so. */
function program(path: string, script: string, other?: string): void {
  const file = join(stage, path)
  mkdirSync(dirname(file), { recursive: true })
  const named = other === undefined ? '' : `[ "\${0##*/}" != ${other} ] || script=${other}\n`
  const call = 'exec /usr/lib/sallyport/node "/usr/lib/sallyport/$script" "$@"'
  writeFileSync(file, `#!/bin/sh\nscript=${script}\n${named}${call}\n`)
  chmodSync(file, 0o755)
}

function copy(name: string, path: string, mode = 0o644): void {
  const file = join(stage, path)
  mkdirSync(dirname(file), { recursive: true })
  copyFileSync(join(here, name), file)
  chmodSync(file, mode)
}

function run(command: string, args: readonly string[], cwd: string = root): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
}
