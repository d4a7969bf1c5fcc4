/** A daemon that the unmodified swanctl drives: charon, and Sallyport. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { connectionName } from '../connection.ts'
import { type Host, mountFiles } from '../hosts.ts'
import { poll } from '../poll.ts'
import type { Established, PeerName, Running, Sas } from './peer.ts'
import { swanctlPaths } from './swanctl-conf.ts'
import { child, isSection, list, readPretty, type Section, value } from './vici-raw.ts'

/** How to start such a daemon and to read its log. */
export interface Daemon {
  readonly name: PeerName
  /** The command; it must stay in the foreground. Its output goes to /run/output.log. */
  readonly command: string
  readonly log: () => string
}

/** Starts the daemon on its host (the configuration is written already) and loads all with swanctl. */
export async function startWithSwanctl<Name extends string>(host: Host<Name>, daemon: Daemon): Promise<Running<Name>> {
  const { shell } = host
  await mountFiles(host, swanctlPaths)
  const output = (): string => daemon.log().trim().split('\n').slice(-5).join(' | ')
  const start = async (): Promise<void> => {
    await shell.must('rm -f /run/charon.vici')
    await shell.must(`${daemon.command} >>/run/output.log 2>&1 & daemon=$!`)
    const socket = join(host.folder, 'run/charon.vici')
    await poll(`the VICI socket of ${daemon.name}`, 60_000, async () => {
      if (existsSync(socket)) return true
      const { code } = await shell.run('kill -0 $daemon')
      if (code !== 0) throw new Error(`${daemon.name} ended at start: ${output()}`)
      return undefined
    })
    await shell.must(loadAll)
  }
  await start()
  let hasEnded = false
  return {
    name: daemon.name,
    host,
    up: () => shell.run(`timeout 12 swanctl --initiate --child ${connectionName} --timeout 10`),
    down: () => shell.run(`timeout 8 swanctl --terminate --ike ${connectionName} --timeout 6`),
    disarm: () => shell.must(`timeout 5 swanctl --uninstall --child ${connectionName}`),
    established: async () => readEstablished(await shell.must('timeout 5 swanctl --list-sas --pretty')),
    sas: async () => readSas(await shell.must('timeout 20 swanctl --list-sas --pretty')),
    rekey: (what) => shell.run(`timeout 20 swanctl --rekey --${what} ${connectionName}`),
    reauthenticate: () => shell.run(`timeout 20 swanctl --rekey --reauth --ike ${connectionName}`),
    freeze: () => shell.must('kill -STOP $daemon'),
    thaw: () => shell.must('kill -CONT $daemon'),
    crash: () => shell.must(crash),
    restart: start,
    log: daemon.log,
    async stop() {
      if (hasEnded) return
      hasEnded = true
      const { code, text } = await shell.run(
        'kill -TERM $daemon; for i in $(seq 160); do kill -0 $daemon 2>/dev/null || break; sleep 0.05; done; ' +
          'if kill -0 $daemon 2>/dev/null; then echo "did not end within 8 s of SIGTERM"; kill -KILL $daemon; false; ' +
          'else wait $daemon; fi',
      )
      if (code !== 0) throw new Error(`${daemon.name} ended with status ${code}: ${text.trim()} ${output()}`)
    },
  }
}

/** The socket is there a moment before somebody listens on it (111: connection refused). */
const loadAll =
  '( for i in $(seq 20); do swanctl --load-all --noprompt; status=$?; [ $status = 111 ] || break; sleep 0.1; done; exit $status )'

/** Commands that kill `$daemon` and empty the kernel. */
export const crash: string = 'kill -KILL $daemon; wait $daemon 2>/dev/null; ip xfrm state flush; ip xfrm policy flush'

function readSas(text: string): Sas {
  const sas = readPretty(text).entries.flatMap(([label, event]) => {
    return label === 'list-sa event' && isSection(event) ? event.entries.map(([, sa]) => sa).filter(isSection) : []
  })
  const children = sas.flatMap(
    (sa) =>
      child(sa, 'child-sas')
        ?.entries.map(([, net]) => net)
        .filter(isSection) ?? [],
  )
  const named = (of: readonly Section[], state: string, field: string): string[] =>
    of.filter((one) => value(one, 'state') === state).map((one) => value(one, field) ?? '')
  const others = [...sas, ...children].map((one) => value(one, 'state') ?? '')
  return {
    ike: named(sas, 'ESTABLISHED', 'uniqueid'),
    children: named(children, 'INSTALLED', 'spi-in'),
    others: others.filter((state) => state !== 'ESTABLISHED' && state !== 'INSTALLED'),
  }
}

function readEstablished(text: string): Established | undefined {
  const sas = readPretty(text).entries.flatMap(([label, event]) => {
    const sa = label === 'list-sa event' && isSection(event) ? child(event, connectionName) : undefined
    return sa ? [sa] : []
  })
  const children = child(sas[0], 'child-sas')
  if (sas.length !== 1 || value(sas[0], 'state') !== 'ESTABLISHED' || children?.entries.length !== 1) return undefined
  const net = child(children, /^net-\d+$/)
  if (value(net, 'state') !== 'INSTALLED') return undefined
  return {
    mode: value(net, 'mode') as Established['mode'],
    isEncapsulated: value(net, 'encap') === 'yes',
    selectors: { local: list(net, 'local-ts').join(' '), remote: list(net, 'remote-ts').join(' ') },
  }
}
