/**
 * The life of the Debian package: installed over a charon-systemd that works, with the same files; started, reloaded, watched
 * and stopped by systemd; gone again, so that charon-systemd can come back.
 */
import { allUp, type Ends, nothingLeft } from './debian.ts'
import { poll } from './poll.ts'
import type { Shell } from './shell.ts'

/** All of it, in order. */
export async function provePackage(ends: Ends): Promise<void> {
  const { moon, note } = ends
  const { shell } = moon
  await allUp(ends, 60_000, 'charon')
  const before = await shell.must(checksums)

  await apt(shell, 'install', package_)
  await installedInPlaceOfCharon(shell)
  await allUp(ends, 60_000)

  await shell.must('systemctl stop strongswan')
  await endedWell(ends)
  await shell.must('systemctl start strongswan')
  await allUp(ends, 60_000)

  await isHardened(shell)
  await reloads(ends)
  await isWatched(ends)
  await refusesBadFiles(ends)

  // The leftovers of the package that was replaced go, and ours stays what it is; the same once more changes nothing.
  await shell.must('dpkg --purge charon-systemd')
  await installedInPlaceOfCharon(shell)
  await apt(shell, 'install --reinstall', package_)
  await installedInPlaceOfCharon(shell)
  await allUp(ends, 60_000)

  await apt(shell, 'remove', 'sallyport')
  await nothingLeft(ends)
  const rest = await shell.must(
    'ls -d /usr/lib/sallyport /usr/sbin/sallyportd /usr/share/doc/sallyport 2>/dev/null || true',
  )
  if (rest.trim() !== '') throw new Error(`left behind by the package: ${rest.trim()}`)
  await apt(shell, 'purge', 'sallyport')
  await apt(shell, 'install', '/var/cache/apt/archives/charon-systemd_*.deb')
  const after = await shell.must(checksums)
  if (after !== before) throw new Error('the files below /etc/swanctl are other than before')
  await expectUnit(shell, { ActiveState: 'active', UnitFileState: 'enabled' })
  await allUp(ends, 60_000, 'charon')
  const size = (await shell.must(`stat -c %s ${package_}; dpkg-deb -f ${package_} Installed-Size`)).trim().split('\n')
  note(`the package has ${mega(Number(size[0]))} MB, installed ${mega(Number(size[1]) * 1024)} MB`)
}

const package_ = '/root/sallyport.deb'
const checksums = 'find /etc/swanctl -type f | sort | xargs sha256sum'

/** apt without a network: what is installed is a file, and all it depends on is there. */
async function apt(shell: Shell, command: string, what: string): Promise<void> {
  await shell.must(`apt-get ${command} --yes --no-install-recommends ${what}`, 300_000)
}

async function installedInPlaceOfCharon(shell: Shell): Promise<void> {
  const packages = await shell.must('dpkg --list')
  for (const wanted of ['sallyport', 'strongswan-swanctl']) {
    if (!new RegExp(`^ii  ${wanted}\\s`, 'm').test(packages)) throw new Error(`${wanted} is not installed`)
  }
  if (/^ii {2}charon-systemd\s/m.test(packages)) throw new Error('charon-systemd is still installed')
  await shell.must('dpkg --verify sallyport && dpkg --audit')
  await expectUnit(shell, { ActiveState: 'active', SubState: 'running', UnitFileState: 'enabled', Type: 'notify' })
  const names = (await unit(shell))['Names'] ?? ''
  if (!names.includes('strongswan-swanctl.service')) throw new Error(`the names of the unit are ${names}`)
  const version = await shell.must('swanctl --version --daemon 2>/dev/null || swanctl --stats')
  if (!/loaded plugins|charon-systemd/.test(version)) throw new Error(`swanctl does not know the daemon: ${version}`)
}

/** Status 0, and neither end has anything left of it. */
async function endedWell(ends: Ends): Promise<void> {
  await expectUnit(ends.moon.shell, { ActiveState: 'inactive', Result: 'success', ExecMainStatus: '0' })
  await nothingLeft(ends)
}

/** What the unit takes from the process is really gone. */
async function isHardened(shell: Shell): Promise<void> {
  const { MainPID: pid = '0' } = await unit(shell)
  const status = await shell.must(`cat /proc/${pid}/status`)
  const field = (name: string): string => new RegExp(`^${name}:\\s+(\\w+)`, 'm').exec(status)?.[1] ?? ''
  const capabilities = ['CapEff', 'CapPrm', 'CapBnd'].map((name) => Number.parseInt(field(name), 16).toString(16))
  if (capabilities.some((set) => set !== allowed)) throw new Error(`capabilities ${capabilities}, not ${allowed}`)
  const wanted = { NoNewPrivs: '1', Seccomp: '2', CapAmb: '0000000000000000', CapInh: '0000000000000000' }
  for (const [name, wants] of Object.entries(wanted)) {
    if (field(name) !== wants) throw new Error(`${name} of the daemon is '${field(name)}', not ${wants}`)
  }
  const within = `nsenter --target ${pid} --mount --`
  for (const file of ['/usr/lib/sallyport/written', '/boot/written']) {
    const { code } = await shell.run(`${within} touch ${file}`)
    if (code === 0) throw new Error(`the daemon could write ${file}`)
  }
  const home = await shell.run(`${within} ls /root`)
  if (home.text.includes('sallyport.deb')) throw new Error('the daemon sees the home folder of root')
}

/** NET_BIND_SERVICE 10, NET_ADMIN 12, NET_RAW 13, CHOWN 0, DAC_OVERRIDE 1. */
const allowed = [10, 12, 13, 0, 1].reduce((set, bit) => set | (1 << bit), 0).toString(16)

/** A reload by systemd, and SIGHUP: the same process, the same SAs, and the lines that charon writes. */
async function reloads(ends: Ends): Promise<void> {
  const { shell } = ends.moon
  const before = await identities(shell)
  await shell.must('systemctl reload strongswan')
  await shell.must(
    'systemctl kill --kill-whom=main --signal=HUP strongswan || systemctl kill --kill-who=main --signal=HUP strongswan',
  )
  await said(shell, 'signal of type SIGHUP received. Reloading configuration')
  await shell.must(
    'systemctl kill --kill-whom=main --signal=INT strongswan || systemctl kill --kill-who=main --signal=INT strongswan',
  )
  await allUp(ends, 30_000)
  const after = await identities(shell)
  if (after !== before) throw new Error(`a reload has changed ${before} to ${after}`)
}

/** The process and the SPIs of all IKE SAs. */
async function identities(shell: Shell): Promise<string> {
  const spis = [...(await shell.must('swanctl --list-sas --raw')).matchAll(/initiator-spi=(\w+)/g)].map(
    ([, spi]) => spi,
  )
  return [(await unit(shell))['MainPID'], ...spis.sort()].join(' ')
}

/** The watchdog hears of the daemon; of one that hangs it does not, and then it is started anew. */
async function isWatched(ends: Ends): Promise<void> {
  const { shell } = ends.moon
  const { WatchdogUSec: asShipped } = await unit(shell)
  if (asShipped !== '1min') throw new Error(`the watchdog of the unit has ${asShipped}`)
  const folder = '/run/systemd/system/strongswan.service.d'
  await shell.must(`mkdir -p ${folder}; printf '[Service]\\nWatchdogSec=4\\nTimeoutAbortSec=1\\n' >${folder}/lab.conf`)
  await shell.must('systemctl daemon-reload; systemctl restart strongswan')
  await allUp(ends, 60_000)
  const heard = async (): Promise<number> => Number((await unit(shell))['WatchdogTimestampMonotonic'])
  const first = await heard()
  await poll('the watchdog to hear of the daemon', 20_000, async () => (await heard()) > first)
  const { MainPID: hung, NRestarts: before } = await unit(shell)
  await shell.must(`kill -STOP ${hung}`)
  await poll('another process in place of the one that hangs', 30_000, async () => {
    const { MainPID, NRestarts, ActiveState } = await unit(shell)
    return ActiveState === 'active' && MainPID !== hung && Number(NRestarts) === Number(before) + 1
  })
  await allUp(ends, 60_000)
  await shell.must(`rm -r ${folder}; systemctl daemon-reload; systemctl restart strongswan`)
}

/** A file that cannot be read: the unit fails with charon's status, says where, and is not started again and again. */
async function refusesBadFiles(ends: Ends): Promise<void> {
  const { shell } = ends.moon
  await shell.must("cp /etc/strongswan.conf /run/kept.conf; echo 'charon {' >>/etc/strongswan.conf")
  const { code } = await shell.run('systemctl restart strongswan', 60_000)
  if (code === 0) throw new Error('the daemon starts with a strongswan.conf that has no end')
  await expectUnit(shell, { ActiveState: 'failed', Result: 'exit-code', ExecMainStatus: '66' })
  await said(shell, '/etc/strongswan.conf')
  await nothingLeft(ends)
  await shell.must(
    'cp /run/kept.conf /etc/strongswan.conf; systemctl reset-failed strongswan; systemctl start strongswan',
  )
  await allUp(ends, 60_000)
}

async function said(shell: Shell, text: string): Promise<void> {
  await poll(`the journal to say '${text}'`, 10_000, async () => {
    return (await shell.must('journalctl --no-pager -o cat -u strongswan')).includes(text)
  })
}

async function expectUnit(shell: Shell, wanted: Readonly<Record<string, string>>): Promise<void> {
  const is = await unit(shell)
  for (const [name, wants] of Object.entries(wanted)) {
    if (is[name] !== wants) throw new Error(`${name} of the unit is '${is[name]}', not '${wants}'`)
  }
}

/** The properties that systemd shows of the unit. */
async function unit(shell: Shell): Promise<Readonly<Record<string, string>>> {
  const text = await shell.must('systemctl show strongswan')
  return Object.fromEntries(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
