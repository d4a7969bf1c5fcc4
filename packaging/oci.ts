/**
 * `npm run oci`: builds a container image as a tarball in OCI's layout (dist-oci/), without a container engine. Its layers are
 * a small Debian by debootstrap, Node, and the daemon; otherwise it is what the Dockerfile makes. Needs root, debootstrap,
 * and what `npm ci` has installed.
 *
 *     skopeo copy oci-archive:dist-oci/sallyport.tar docker-daemon:sallyport:latest
 *     podman load -i dist-oci/sallyport.tar
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { debianMirror, ensureTool } from '../interop/lab/apt.ts'

/** Where clients in the container find the daemon. */
const socket = 'unix:///run/sallyport/charon.vici'
const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, 'dist-oci')
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64' | 'arm64']
if (architecture === undefined) throw new Error(`there is no native part for ${process.arch}`)
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

/** A piece of content, as OCI names it. */
interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const work = mkdtempSync(join(tmpdir(), 'sallyport-oci-'))
try {
  mkdirSync(join(work, 'layout/blobs/sha256'), { recursive: true })
  const layers = [layer('debian', debian), layer('daemon', daemon)]
  const manifest = blob(
    'application/vnd.oci.image.manifest.v1+json',
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: blob('application/vnd.oci.image.config.v1+json', JSON.stringify(config(layers))),
      layers: layers.map(({ descriptor }) => descriptor),
    }),
  )
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': version } }
  write('layout/oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  write('layout/index.json', JSON.stringify({ schemaVersion: 2, manifests: [named] }))
  mkdirSync(out, { recursive: true })
  const file = join(out, 'sallyport.tar')
  run('tar', ['--create', '--file', file, '--directory', join(work, 'layout'), '.'])
  console.log(file)
} finally {
  rmSync(work, { recursive: true })
}

interface Layer {
  readonly descriptor: Descriptor
  /** Of the tar archive before it is compressed. */
  readonly diffId: string
}

/** Lets `fill` write into a folder, and packs that. */
function layer(name: string, fill: (folder: string) => void): Layer {
  const folder = join(work, name)
  mkdirSync(folder)
  fill(folder)
  const file = join(work, `${name}.tar`)
  run('tar', ['--create', '--numeric-owner', '--sort=name', '--file', file, '--directory', folder, '.'])
  const diffId = digest(readFileSync(file))
  run('gzip', ['--no-name', '-6', file])
  rmSync(folder, { recursive: true })
  return { descriptor: blob('application/vnd.oci.image.layer.v1.tar+gzip', readFileSync(`${file}.gz`)), diffId }
}

/** What Node needs of Debian 12, setpriv, and the user. */
function debian(folder: string): void {
  ensureTool('debootstrap', 'debootstrap', console.error)
  const { uri, env } = debianMirror()
  const script = '/usr/share/debootstrap/scripts/sid'
  run('debootstrap', ['--variant=minbase', '--include=ca-certificates,libstdc++6', 'bookworm', folder, uri, script], env)
  for (const waste of ['var/cache/apt', 'var/lib/apt/lists', 'var/log', 'usr/share/doc', 'usr/share/locale', 'usr/share/man', 'dev']) {
    rmSync(join(folder, waste), { recursive: true, force: true })
  }
  mkdirSync(join(folder, 'dev'))
  // The mirror is that of the machine which builds.
  write('debian/etc/apt/sources.list', '')
  rmSync(join(folder, 'etc/resolv.conf'), { force: true })
  rmSync(join(folder, 'etc/hostname'), { force: true })
  const user = ['--uid', '4500', '--gid', 'sallyport', '--no-create-home', '--home-dir', '/nonexistent']
  run('chroot', [folder, 'groupadd', '--gid', '4500', 'sallyport'])
  run('chroot', [folder, 'useradd', ...user, '--shell', '/usr/sbin/nologin', 'sallyport'])
  for (const [owner, group, path] of [
    ['4500', '4500', 'run/sallyport'],
    ['0', '4500', 'etc/swanctl'],
  ] as const) {
    run('install', ['-d', '-o', owner, '-g', group, '-m', '0750', join(folder, path)])
  }
  write(
    'debian/etc/strongswan.conf',
    `charon { plugins { vici { socket = ${socket} } } }\nswanctl { socket = ${socket} }\n`,
  )
}

/** Node and the daemon. */
function daemon(folder: string): void {
  const home = join(folder, 'opt/sallyport')
  mkdirSync(join(home, 'native'), { recursive: true })
  run(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json', '--outDir', join(home, 'dist')])
  const lock = ['package-lock.json', '.npmrc']
  for (const name of ['package.json', 'LICENSE', ...lock]) copyFileSync(join(root, name), join(home, name))
  const npm = ['ci', '--omit=dev', '--omit=optional', '--no-audit', '--no-fund', '--ignore-scripts']
  execFileSync('npm', npm, { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] })
  for (const name of lock) rmSync(join(home, name))
  cpSync(join(root, `native/linux-${process.arch}.node`), join(home, `native/linux-${process.arch}.node`))
  mkdirSync(join(folder, 'usr/local/bin'), { recursive: true })
  copyFileSync(join(root, `node_modules/node-linux-${process.arch}/bin/node`), join(folder, 'usr/local/bin/node'))
}

/** What is started, and how it is looked after, is what the Dockerfile says. */
function config(layers: readonly Layer[]): unknown {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll('\\\n', '')
  const words = (of: RegExp): readonly string[] => JSON.parse(of.exec(dockerfile)?.[1] ?? '') as readonly string[]
  return {
    architecture,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'NODE_ENV=production'],
      WorkingDir: '/opt/sallyport',
      ExposedPorts: { '500/udp': {}, '4500/udp': {} },
      Healthcheck: { Test: ['CMD', ...words(/^HEALTHCHECK .*CMD +(\[.*\])$/m)], Interval: 30e9, Timeout: 5e9, StartPeriod: 10e9 },
      Entrypoint: words(/^ENTRYPOINT +(\[.*\])$/m),
      Labels: { 'org.opencontainers.image.title': 'sallyport', 'org.opencontainers.image.version': version },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  }
}

function blob(mediaType: string, content: string | Uint8Array): Descriptor {
  const name = digest(content)
  write(`layout/blobs/${name.replace(':', '/')}`, content)
  return { mediaType, digest: name, size: statSync(join(work, 'layout/blobs', name.replace(':', '/'))).size }
}

function digest(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(work, path)), { recursive: true })
  writeFileSync(join(work, path), content)
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
  execFileSync(command, args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
}
