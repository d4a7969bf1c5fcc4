/** libreswan's pluto, in a root of its own. */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectionName, identity } from '../connection.ts'
import { mountFiles, writeHostFile } from '../hosts.ts'
import { poll } from '../poll.ts'
import type { Running, Side } from './peer.ts'
import { crash } from './swanctl.ts'

const inRoot = 'chroot /mnt/libreswan'
const nss = 'sql:/var/lib/ipsec/nss'

/** Starts pluto with this side's connection, which is loaded and waits. */
export async function startLibreswan(side: Side): Promise<Running> {
  const { host, own, anchors } = side
  const { shell } = host
  writeHostFile(host, '/etc/ipsec.conf', ipsecConf(side))
  writeHostFile(host, '/etc/ipsec.secrets', ipsecSecrets(side), 0o600)
  writeHostFile(host, '/etc/ipsec.d/.keep', '')
  mkdirSync(join(host.folder, 'var/lib/ipsec/nss'), { recursive: true })
  mkdirSync(join(host.folder, 'run/pluto'), { recursive: true })
  await mountFiles(host, ['/etc/ipsec.conf', '/etc/ipsec.secrets', '/etc/ipsec.d', '/var/lib/ipsec'])
  await shell.must(`${inRoot} certutil -N -d ${nss} --empty-password`)
  if (own) {
    copyFileSync(own.pkcs12, join(host.folder, 'run/own.p12'))
    await shell.must(`${inRoot} pk12util -i /run/own.p12 -d ${nss} -W lab -K ''`)
    for (const [n, anchor] of anchors.entries()) {
      copyFileSync(anchor, join(host.folder, `run/ca${n}.pem`))
      await shell.must(`${inRoot} certutil -A -a -d ${nss} -n ca${n} -t CT,, -i /run/ca${n}.pem`)
    }
  }
  const start = async (): Promise<void> => {
    await shell.must('rm -f /run/pluto/*')
    await shell.must(
      `${inRoot} /usr/libexec/ipsec/pluto --nofork --stderrlog --config /etc/ipsec.conf >>/run/output.log 2>&1 & daemon=$!`,
    )
    await poll('the control socket of pluto', 60_000, async () => {
      if (existsSync(join(host.folder, 'run/pluto/pluto.ctl'))) return true
      if ((await shell.run('kill -0 $daemon')).code !== 0) throw new Error(`pluto ended at start: ${log().slice(-400)}`)
      return undefined
    })
    const added = await ipsec(`add ${connectionName}`, 40_000)
    if (added.code !== 0) throw new Error(`libreswan does not accept the connection: ${added.text.trim().slice(-400)}`)
    if (startsItself) await ipsec(`up --asynchronous ${connectionName}`)
  }
  const startsItself = side.initiates && side.connection.start === 'start'
  const ipsec = (words: string, timeoutMs?: number) => shell.run(`timeout 30 ${inRoot} ipsec ${words}`, timeoutMs)
  const log = (): string => {
    const file = join(host.folder, 'run/output.log')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }
  await start()
  let hasEnded = false
  return {
    name: 'libreswan',
    host,
    up: () => ipsec(`up ${connectionName}`, 40_000),
    down: () => ipsec(`down ${connectionName}`),
    disarm: async () => {}, // `auto=ignore`: nothing is armed
    async established() {
      const { text } = await ipsec('trafficstatus')
      const children = text.split('\n').filter((line) => line.includes(`"${connectionName}"`))
      if (children.length !== 1) return undefined
      const { text: states } = await shell.run('ip xfrm state')
      return {
        mode: side.connection.mode === 'tunnel' ? 'TUNNEL' : 'TRANSPORT',
        isEncapsulated: states.includes('encap type espinudp'),
      }
    },
    async sas() {
      const { text } = await ipsec('showstates')
      const lines = text
        .split('\n')
        .filter((line) => /^#\d+: .* (STATE_|ESTABLISHED_|V2_|IKE_|CHILD_)?[A-Z_0-9]+ \(/.test(line.trim()))
      const numbers = (state: string): string[] =>
        lines.filter((line) => line.includes(` ${state} `)).map((line) => /#(\d+)/.exec(line)?.[1] ?? '')
      return {
        ike: numbers('ESTABLISHED_IKE_SA'),
        children: numbers('ESTABLISHED_CHILD_SA'),
        others: lines.filter((line) => !/ESTABLISHED_(IKE|CHILD)_SA/.test(line)),
      }
    },
    rekey: (what) => ipsec(`whack --rekey-${what} --name ${connectionName} --asynchronous`),
    // No command does it but that of its own tests for what happens at the end of a lifetime.
    reauthenticate: async () => {
      const { text } = await ipsec('showstates')
      const number = /#(\d+):.* ESTABLISHED_IKE_SA /.exec(text)?.[1]
      return ipsec(`whack --asynchronous --impair trigger_v2_replace:${number}`)
    },
    freeze: () => shell.must('kill -STOP $daemon'),
    thaw: () => shell.must('kill -CONT $daemon'),
    crash: () => shell.must(crash),
    restart: start,
    log,
    async stop() {
      if (hasEnded) return
      hasEnded = true
      await ipsec('whack --shutdown')
      const { code } = await shell.run(
        'for i in $(seq 100); do kill -0 $daemon 2>/dev/null || break; sleep 0.05; done; ! kill -KILL $daemon 2>/dev/null',
      )
      if (code !== 0) throw new Error('pluto did not end within 5 s')
    },
  }
}

function ipsecConf({ host, other, connection, end }: Side): string {
  const { auth, mode, outer, inner } = connection
  const networks = (given: readonly string[] | undefined, of: typeof host): string =>
    (given ?? inner.map((family) => of.place.network[family])).join(',')
  const method = { psk: 'secret', ecdsa: 'ecdsa', rsa: 'rsasig', ed25519: 'eddsa' }[auth]
  const lines = [
    `left=${host.place.outside[outer]}`,
    `leftid=@${identity(host.name)}`,
    `right=${end.anyPeer ? '%any' : other.place.seen[outer]}`,
    `rightid=@${identity(other.name)}`,
    `authby=${method}`,
    ...(auth === 'psk' ? [] : [`leftcert=${host.name}`, 'leftsendcert=always', 'rightca=%same']),
    `type=${mode}`,
    ...(mode === 'tunnel'
      ? [
          ...(end.localNetworks?.length === 0 ? [] : [`leftsubnet=${networks(end.localNetworks, host)}`]),
          ...(end.remoteNetworks?.length === 0 ? [] : [`rightsubnet=${networks(end.remoteNetworks, other)}`]),
        ]
      : []),
    `ike=${(end.ike ?? connection.ike).libreswan}`,
    `esp=${(end.esp ?? connection.esp).libreswan}`,
    'auto=ignore',
    ...(end.libreswan ?? []),
    ...connection.libreswan,
  ]
  return `config setup
\tlogtime=yes

conn ${connectionName}
${lines.map((line) => `\t${line}`).join('\n')}
`
}

function ipsecSecrets({ connection, end }: Side): string {
  if (connection.auth !== 'psk') return ''
  const both = `@${identity('moon')} @${identity('sun')} :`
  const ppk = end.ppk === undefined ? '' : `${both} PPKS "lab-ppk" "${end.ppk}"\n`
  return `${both} PSK "${end.secret ?? 'a secret of the lab'}"\n${ppk}`
}
