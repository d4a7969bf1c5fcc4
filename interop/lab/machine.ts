/**
 * A host that is a whole Debian machine: systemd is its first process, and its root file system can be changed. It is in
 * namespaces of its own (processes, mounts, control groups), as a container is; what is written goes to memory and is gone with it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Host, inNamespace } from './hosts.ts'
import { poll } from './poll.ts'
import { Shell } from './shell.ts'

/** The roots that can be started as a machine. */
export type Debian = 'debian-12' | 'debian-13'

/** A machine that runs. */
export interface Machine {
  /** The machine in place of the host that it was started on: its shell is inside, `folder/run` is its /run. */
  readonly host: Host
  /** Ends it with all its processes. */
  readonly close: () => void
}

/** Boots the machine in the network namespace of a host, with `files` below /root; resolves when systemd has started all. */
export async function boot(host: Host, debian: Debian, files: readonly string[]): Promise<Machine> {
  const root = join(host.folder, 'root')
  for (const part of ['root', 'upper', 'work', 'cgroup']) mkdirSync(join(host.folder, part), { recursive: true })
  const outer = inNamespace(host.name, 'unshare --mount --propagation unchanged bash --norc')
  let inner: Shell | undefined
  const close = (): void => {
    inner?.kill()
    // Not before its child is gone, which is the first process of the machine, and takes all others along.
    void outer
      .run(
        'kill -KILL $machine; wait $machine 2>/dev/null; [ "$box" ] && find "$box" -depth -type d -exec rmdir {} + ; umount -R $root $group 2>/dev/null',
      )
      .finally(() => outer.kill())
  }
  try {
    const first = await outer.must(start(host, root, debian, files))
    const inside = ['mount', 'pid', 'net', 'uts', 'ipc', 'cgroup'].map((name) => `--${name}`)
    const shell = new Shell(['nsenter', '--target', first.trim(), ...inside, '--root', '--wd=/', 'bash', '--norc'])
    inner = shell
    await shell.must(
      'export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb SYSTEMD_PAGER= DEBIAN_FRONTEND=noninteractive',
    )
    let state = ''
    await poll(`systemd of ${host.name} to have started`, 120_000, async () => {
      state = (await shell.run('systemctl is-system-running')).text.trim()
      return state === 'running' || state === 'degraded'
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${state}`)
    })
    return { host: { ...host, shell, client: shell, root: '/' }, close }
  } catch (error) {
    close()
    throw error
  }
}

/** Lays the root out, starts systemd and prints the number of its process. */
function start(host: Host, root: string, debian: Debian, files: readonly string[]): string {
  const { folder, name } = host
  const nodes = ['null 1 3', 'zero 1 5', 'full 1 7', 'random 1 8', 'urandom 1 9', 'tty 5 0']
  return [
    'set -e',
    `root=${root} group=${folder}/cgroup box=${folder}/cgroup/${name}-$$`,
    `mount -t overlay overlay -o lowerdir=/mnt/${debian},upperdir=${folder}/upper,workdir=${folder}/work $root`,
    'mount -t tmpfs dev $root/dev',
    ...nodes.map((node) => `mknod -m 666 $root/dev/${node.replace(' ', ' c ')}`),
    'mkdir $root/dev/pts $root/dev/shm; ln -s pts/ptmx $root/dev/ptmx; ln -s /proc/self/fd $root/dev/fd',
    'mount -t devpts -o newinstance,ptmxmode=666 devpts $root/dev/pts',
    `mount --bind ${folder}/run $root/run`,
    'mount -t sysfs -o ro sys $root/sys', // read-only is what tells a container's systemd that no devices come
    'mount -t cgroup2 cgroup $group',
    // All lanes of a guest see the same control groups.
    'mkdir $box',
    `cat > $root/etc/machine-id <<<${'0123456789abcdef'.repeat(2)}`,
    ...files.map((file) => `cp ${file} $root/root/`),
    `rm -f $root/etc/systemd/system/timers.target.wants/*`,
    // Services that start are put into control groups below this one.
    `( echo $BASHPID > $box/cgroup.procs; exec unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --cgroup ` +
      `sh -ec "hostname ${name}; mount -t proc proc $root/proc; mount -t cgroup2 cgroup $root/sys/fs/cgroup; cd $root; mkdir -p mnt; ` +
      'pivot_root . mnt; umount -l /mnt; exec env -i container=lab /lib/systemd/systemd systemd.unit=multi-user.target" ) ' +
      `</dev/null >${folder}/run/boot.log 2>&1 & machine=$!`,
    'set +e',
    // Who enters before the root is the machine's own is taken along to it halfway.
    'until read first rest </proc/$machine/task/$machine/children; [ "$(cat /proc/$first/comm)" = systemd ]',
    'do sleep 0.02; done 2>/dev/null; echo $first',
  ].join('\n')
}
