/** Virtual IPs from pools: two road warriors on one host, each with an address of its own, and what stays of them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from './hosts.ts'
import { poll } from './poll.ts'
import { bringUp, quiet } from './proofs.ts'
import type { Stage } from './stage.ts'

/** The second road warrior: its connection and its child. */
export const secondName = 'second'

const ping = '-n -q -c 5 -i 0.05 -W 1 -w 5'

/** Up, packets, pools as swanctl prints them, rekeying, reauthentication, down, and the same addresses again. */
export async function proveVirtualIps(stage: Stage): Promise<void> {
  const { initiator, initiatorHost, responderHost, ours } = stage
  const client = initiatorHost.shell
  await bringUp(initiator)
  await client.must(`timeout 12 swanctl --initiate --child ${secondName} --timeout 10`)
  await shows(initiatorHost, /local-vips=\[10\.77\.0\.1 fec7::1\]/)
  await shows(initiatorHost, /local-vips=\[10\.77\.0\.2\]/)
  await shows(responderHost, /remote-vips=\[10\.77\.0\.1 fec7::1\]/)
  await shows(responderHost, /remote-vips=\[10\.77\.0\.2\]/)
  await shows(initiatorHost, /local-ts=\[10\.77\.0\.1\/32 fec7::1\/128\]/)
  await hasAddresses(initiatorHost, ['10.77.0.1/32', 'fec7::1/128', '10.77.0.2/32'])
  await crosses(stage)
  await poolIs(responderHost, /^p4\s+10\.77\.0\.1\s+2 \/ 0 \/ 254$/m)
  await poolIs(
    responderHost,
    new RegExp(`^\\s+10\\.77\\.0\\.1\\s+online\\s+'${initiatorHost.name}\\.lab\\.test'$`, 'm'),
  )
  await poolIs(responderHost, /^\s+10\.77\.0\.2\s+online\s+'second\.lab\.test'$/m)
  if (initiator === ours) nameServersAre(initiatorHost, ['10.2.0.53'])

  for (const how of ['--rekey', '--rekey --reauth']) {
    const net = async (): Promise<string> => client.must('timeout 5 swanctl --list-sas --ike net --raw')
    const spis = (shown: string): string | undefined => /initiator-spi=\w+ responder-spi=\w+/.exec(shown)?.[0]
    const before = spis(await net())
    await client.must(`timeout 8 swanctl ${how} --ike net`)
    await poll(`another IKE SA after ${how}`, 15_000, async () => {
      const shown = await net()
      return shown.match(/list-sa event/g)?.length === 1 && /state=ESTABLISHED/.test(shown) && spis(shown) !== before
    })
    await hasAddresses(initiatorHost, ['10.77.0.1/32', 'fec7::1/128', '10.77.0.2/32'])
    await poolIs(responderHost, /^p4\s+10\.77\.0\.1\s+2 \/ 0 \/ 254$/m)
    await crosses(stage)
  }

  await client.must(`timeout 8 swanctl --terminate --ike ${secondName} --timeout 6`)
  await hasAddresses(initiatorHost, ['10.77.0.1/32', 'fec7::1/128'])
  await initiator.down()
  await hasAddresses(initiatorHost, [])
  if (initiator === ours) nameServersAre(initiatorHost, [])
  await poolIs(responderHost, /^p4\s+10\.77\.0\.1\s+0 \/ 2 \/ 254$/m)
  // Who comes back first is the second one: each has its own address.
  await client.must(`timeout 12 swanctl --initiate --child ${secondName} --timeout 10`)
  await hasAddresses(initiatorHost, ['10.77.0.2/32'])
  await bringUp(initiator)
  await hasAddresses(initiatorHost, ['10.77.0.1/32', 'fec7::1/128', '10.77.0.2/32'])
  await quiet(stage)
  await hasAddresses(initiatorHost, [])
}

/** Packets of both families between the virtual IPs and the network behind the gateway. */
async function crosses({ initiatorHost, responderHost }: Stage): Promise<void> {
  const { inside } = responderHost.place
  for (const [from, to] of [
    ['10.77.0.1', inside.ipv4],
    ['10.77.0.2', inside.ipv4],
    ['fec7::1', inside.ipv6],
  ] as const) {
    await initiatorHost.shell.must(`ping ${ping} -I ${from} ${to}`)
    await responderHost.shell.must(`ping ${ping} -I ${to} ${from}`)
  }
}

async function shows({ shell, name }: Host, what: RegExp): Promise<void> {
  const shown = await shell.must('timeout 5 swanctl --list-sas --raw')
  if (!what.test(shown)) throw new Error(`${name} does not show ${what} but ${shown}`)
}

async function poolIs({ shell, name }: Host, what: RegExp): Promise<void> {
  const text = await poll(`${name} to show ${what} among its pools`, 5000, async () => {
    const shown = await shell.must('timeout 5 swanctl --list-pools --leases')
    return what.test(shown) ? shown : undefined
  })
  if (text === undefined) throw new Error(`${name} shows other pools`)
}

async function hasAddresses({ shell, name }: Host, addresses: readonly string[]): Promise<void> {
  await poll(`${name} to have the virtual IPs ${addresses.join(' ') || '(none)'}`, 6000, async () => {
    const shown = await shell.must('ip -o address show')
    const there = [...shown.matchAll(/\s((?:10\.77\.|fec7:)\S+)/g)].map(([, address]) => address)
    return there.sort().join(' ') === [...addresses].sort().join(' ')
  })
}

function nameServersAre({ folder, name }: Host, servers: readonly string[]): void {
  const file = readFileSync(join(folder, 'run/resolv.conf'), 'utf8')
  const there = [...file.matchAll(/^nameserver (\S+)/gm)].map(([, server]) => server)
  if (there.join(' ') !== servers.join(' ')) throw new Error(`${name} asks ${there}, not ${servers}`)
}
