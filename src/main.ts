#!/usr/bin/env node
/**
 * sallyportd: reads strongswan.conf, opens logs, kernel, sockets and the VICI socket, loads /etc/swanctl, and runs until
 * SIGTERM. Exit codes as charon-systemd: 0 after SIGTERM, 66 when it could not start.
 */
import { arch, release, type as sysname } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CertificateStatus } from './certificate-status.ts'
import { ConfigError } from './config/config-error.ts'
import { CredentialSet } from './config/credential-set.ts'
import type { CoreSettings } from './config/daemon-settings.ts'
import { diskFiles } from './config/files.ts'
import { type DaemonSettings, readDaemonSettings, strongswanConfPath } from './config/strongswan.ts'
import { readSwanctl } from './config/swanctl.ts'
import { swanctlDirectory } from './config/swanctl-steps.ts'
import { systemRandom } from './crypto/random.ts'
import { selfTest } from './crypto/selftest.ts'
import { Engine } from './ike/engine.ts'
import type { LogEntry, LogGroup } from './ike/output.ts'
import { openJournal } from './journal/file.ts'
import { JournalingEngine } from './journal/journal.ts'
import { openKernel } from './kernel/performer.ts'
import { openLog } from './log/logger.ts'
import { Loop } from './loop.ts'
import { Gate } from './net/gate.ts'
import { type IkeDatagram, openIkeSockets } from './net/ike-sockets.ts'
import { Resolver } from './net/resolver.ts'
import { keepWatchdogQuiet, notifySystemd } from './net/systemd.ts'
import { networkOptions } from './network.ts'
import { runScripts } from './scripts/daemon-scripts.ts'
import { UpdownScripts } from './scripts/updown.ts'
import type { Daemon } from './vici/daemon.ts'
import { loadAll } from './vici/load-all.ts'
import { ownerOf } from './vici/owner.ts'
import { listenVici } from './vici/server.ts'
import { surfaceVersion, ownVersion as version } from './vici/versions.ts'

const exitInitialisation = 66
/** EX_USAGE of sysexits.h. */
const exitUsage = 64
/** Datagrams that may wait until the connections are loaded. */
const mostHeld = 1000

const help = `sallyportd ${version}: an IKEv2 daemon

  sallyportd [--version] [--help] [--journal FILE]

--journal writes all that the core is given and does to FILE, so that it can be repeated: no keys, but all messages.

strongswan.conf (STRONGSWAN_CONF, else /etc/strongswan.conf) has the settings of the daemon,
swanctl.conf in SWANCTL_DIR (else /etc/swanctl) the connections. Control it with swanctl or sallyport.
`

await main()

async function main(): Promise<void> {
  const values = options()
  if (values.help) {
    process.stdout.write(help)
    return
  }
  if (values.version) {
    process.stdout.write(`sallyportd ${version}\n`)
    return
  }
  process.on('SIGHUP', nothing) // all is about to be read anyway
  process.on('SIGINT', nothing) // as charon-systemd: not a way to stop it
  process.on('SIGPIPE', nothing)
  try {
    await start(values.journal)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`sallyportd: ${reason}\n`)
    notifySystemd(`STATUS=initialization failed: ${reason.replaceAll('\n', ' ')}`)
    process.exit(exitInitialisation)
  }
}

function nothing(): void {}

/** Ends the process if there is one that it does not know. */
function options(): { readonly version?: boolean; readonly help?: boolean; readonly journal?: string } {
  try {
    return parseArgs({
      options: { version: { type: 'boolean' }, help: { type: 'boolean' }, journal: { type: 'string' } },
    }).values
  } catch (error) {
    process.stderr.write(`sallyportd: ${error instanceof Error ? error.message : String(error)}\n${help}`)
    return process.exit(exitUsage)
  }
}

/** Brings everything up; what fails here ends the process. */
async function start(journal: string | undefined): Promise<void> {
  const startedMs = Date.now()
  // Tools look for charon's process by this name (pidof, pgrep -x).
  process.title = 'charon-systemd'
  notifySystemd(`STATUS=Starting charon-systemd, Sallyport ${version}`)
  const files = diskFiles()
  let settings = readDaemonSettings(strongswanConfPath(process.env), files)
  let log = openLog(settings.log)
  const early = (group: LogGroup, message: string, severity?: 'warn' | 'error'): void =>
    log.write({ group, level: 1, message, ...(severity && { severity }) })
  early('DMN', `Starting sallyportd IKE daemon (Sallyport ${version}, ${sysname()} ${release()}, ${arch()})`)
  for (const warning of settings.warnings) early('LIB', warning, 'warn')
  selfTest()

  const { host } = settings
  const gate = new Gate<IkeDatagram>(mostHeld, (datagram) => loop.input({ kind: 'datagram', ...datagram }))
  const network = networkOptions(host, settings.core.routingTable)
  const kernel = openKernel(network, (message) => early('KNL', message))
  const sockets = openIkeSockets({
    portIke: settings.core.portIke,
    portNatT: settings.core.portNatT,
    ipv4: host.ipv4,
    ipv6: host.ipv6,
    setSource: host.setSource,
    ...(host.socketMark && { mark: host.socketMark.value }),
    allows: (ifindex) => network.interfaces.allowsIndex(ifindex),
    onDatagram: (datagram) => gate.take(datagram),
    onError: (problem) => early('NET', problem, 'warn'),
  })
  for (const problem of sockets.problems) early('NET', problem, 'warn')

  if (sockets.problems.length === 0) {
    const { spiMin, spiMax } = settings.core
    const removed = await kernel.removeLeft({ min: spiMin, max: spiMax })
    if (removed > 0)
      early('KNL', `removed ${removed} states and policies of a daemon that did not end by itself`, 'warn')
  }
  const reqidsInUse = await kernel.reqidsInUse()

  const resolver = new Resolver({
    file: host.resolvFile,
    resolvconf: host.resolvconf,
    resolvconfInterface: host.resolvconfInterface,
    log: (message, failed) => early('IKE', message, failed ? 'error' : undefined),
  })

  const certificateStatus = new CertificateStatus({
    settings: () => settings.revocation,
    crlFolder: join(swanctlDirectory(process.env), 'x509crl'),
    log: (message) => early('CFG', message),
    now: () => Date.now(),
  })

  const updown = new UpdownScripts({ log: (entry) => loop.log(entry) })

  // Ports are fixed while the sockets are open, whatever a reload says.
  const coreSettings = (): CoreSettings => ({
    ...settings.core,
    portIke: sockets.portIke,
    portNatT: sockets.portNatT,
    reqidsInUse,
  })
  const core = { random: systemRandom, settings: coreSettings() }
  const engine = journal === undefined ? new Engine(core) : new JournalingEngine(core, openJournal(journal))
  if (journal !== undefined) early('DMN', `writing a journal of all messages to '${journal}'`, 'warn')
  const loop = new Loop(engine, {
    kernel,
    verifyPeer: (request) => certificateStatus.verifyPeer(request),
    ownStatus: (request) => certificateStatus.ownStatus(request),
    send: (datagram) => sockets.send(datagram),
    log: (entry) => log.write(entry),
    useNameServers: (servers) => resolver.use(servers),
    runUpdown: (script) => updown.perform(script),
  })

  const reload = async (): Promise<void> => {
    const fresh: DaemonSettings = readDaemonSettings(settings.path, files)
    settings = fresh
    for (const warning of fresh.warnings) early('LIB', warning, 'warn')
    const before = log
    log = openLog(fresh.log)
    await before.close()
    await loop.command({ kind: 'settings', settings: coreSettings() })
  }
  const daemon: Daemon = {
    program: {
      name: 'charon-systemd',
      version: surfaceVersion,
      sysname: sysname(),
      release: release(),
      machine: process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : process.arch,
      startedMs,
      threads: host.threads,
    },
    portIke: sockets.portIke,
    counters: engine.counters,
    fetched: certificateStatus.cache,
    credentials: new CredentialSet(),
    command: (command, tracking) => loop.command(command, tracking),
    subscribe: (listener) => loop.subscribe(listener),
    log: (entry: LogEntry) => loop.log(entry),
    reload,
    now: () => Date.now(),
  }
  const vici = await listenVici({
    uri: host.viciUri,
    daemon,
    files,
    owner: ownerOf(host.user, host.group, files),
  })
  let stopping = false
  const stop = async (): Promise<void> => {
    if (stopping) return
    stopping = true
    early('DMN', 'SIGTERM received, shutting down')
    notifySystemd('STOPPING=1')
    await runScripts('stop', settings.stopScripts, (entry) => loop.log(entry))
    await loop.command({ kind: 'shutdown' })
    loop.stop()
    await resolver.settled()
    await updown.settled()
    await vici.close()
    sockets.close()
    await kernel.close()
    await log.close()
    process.exit(0)
  }
  process.on('SIGTERM', () => void stop())
  process.off('SIGHUP', nothing)
  process.on('SIGHUP', () => {
    early('DMN', 'signal of type SIGHUP received. Reloading configuration')
    reload().catch((error: unknown) => {
      const place = error instanceof ConfigError ? error.message : String(error)
      early('DMN', `reloading '${settings.path}' failed: ${place}`, 'error')
    })
  })

  try {
    await loadAll(readSwanctl(swanctlDirectory(process.env), files), vici.context)
  } catch (error) {
    // As when swanctl fails: the daemon is there, and can be given connections.
    if (!(error instanceof ConfigError)) throw error
    early('CFG', `no connections are loaded: ${error.message}`, 'error')
  }
  gate.open()
  early('DMN', 'sallyportd is running')
  log.flush()
  void runScripts('start', settings.startScripts, (entry) => loop.log(entry))
  notifySystemd(`STATUS=charon-systemd running, Sallyport ${version}\nREADY=1`)
  keepWatchdogQuiet()
}
