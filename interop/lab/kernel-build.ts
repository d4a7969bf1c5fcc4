/**
 * A guest kernel of our own: Debian's kernel sources, built as user-mode Linux with what the packaged one leaves out:
 * xfrm interfaces, IP-TFS, ESP in TCP, migration, several processors. It is built once by `npm run interop -- --build-kernel`
 * and kept in the cache; everything is built in, there are no modules.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { copyFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { cacheFolder, locked } from './cache.ts'
import { options } from './kernel-options.ts'
import { rootFolder } from './root.ts'

/** The kernel that was built with the options of this checkout, if there is one. */
export function ownKernel(): string | undefined {
  const file = join(kernelFolder(), 'linux')
  return existsSync(file) ? file : undefined
}

/** Builds the kernel, if it is not there. Some minutes on a machine of one's own. `report` gets lines for a person. */
export async function buildKernel(report: (line: string) => void): Promise<string> {
  const root = await rootFolder('kernel-build', report)
  return locked(
    'kernel-build',
    () => report('waiting for another run that builds the kernel'),
    async () => ownKernel() ?? (await build(root, report)),
  )
}

async function build(root: string, report: (line: string) => void): Promise<string> {
  const source = readdirSync(join(root, 'usr/src')).find((name) => /^linux-source-[\d.]+\.tar\.xz$/.test(name))
  if (source === undefined) throw new Error(`the root ${root} has no kernel sources in /usr/src`)
  const folder = kernelFolder()
  const work = `${folder}.partial`
  await rm(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  report(`building a guest kernel from ${source} (once; follow ${work}.log)`)
  writeFileSync(join(work, 'wanted'), `${options.join('\n')}\n`)
  const inside = [
    'cd /mnt',
    `tar -xf /usr/src/${source} --strip-components=1`,
    'make ARCH=um x86_64_defconfig',
    'cat wanted >> .config',
    'make ARCH=um olddefconfig',
    `make ARCH=um -j${availableParallelism()} linux`,
  ]
  const outside = [
    `mount --bind '${work}' '${root}/mnt'`,
    `mount --bind /dev '${root}/dev'`,
    `mount -t proc proc '${root}/proc'`,
    `exec nice -n 19 chroot '${root}' bash -c 'set -e; ${inside.join('; ')}'`,
  ]
  const log = createWriteStream(`${work}.log`)
  const child = spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'bash', '-ec', outside.join('\n')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8' },
  })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  const code = await new Promise((done, failed) => child.once('close', done).once('error', failed))
  log.end()
  if (code !== 0) throw new Error(`the kernel could not be built (${code}): see ${work}.log`)
  mkdirSync(folder, { recursive: true })
  await copyFile(join(work, '.config'), join(folder, 'config'))
  await copyFile(join(work, 'linux'), join(folder, 'linux.partial'))
  renameSync(join(folder, 'linux.partial'), join(folder, 'linux'))
  await rm(work, { recursive: true, force: true })
  report(`built ${join(folder, 'linux')}`)
  return join(folder, 'linux')
}

/** The options are part of the name: another checkout with other options builds its own. */
function kernelFolder(): string {
  const digest = createHash('sha256').update(options.join('\n')).digest('hex')
  return join(cacheFolder(), 'kernels', digest.slice(0, 8))
}
