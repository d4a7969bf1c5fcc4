/** Hosts that move, NATs that forget, and transport mode through NAT: the tunnel stays the same one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { quote } from './guest.ts'
import type { Host } from './hosts.ts'
import { kernelStates } from './kernel.ts'
import { translateTo } from './nat.ts'
import { poll } from './poll.ts'
import { bringUp, quiet } from './proofs.ts'
import type { Stage } from './stage.ts'

/** What happens between the first packets and the last. */
export type Change = 'initiator moves' | 'responder moves' | 'nat forgets' | 'nothing'

/** Up, packets, the change, packets again by the same Child SA, down. */
export async function proveRoaming(stage: Stage, change: Change): Promise<void> {
  const { initiator, responder, initiatorHost, responderHost, scenario } = stage
  await bringUp(initiator)
  for (const daemon of [initiator, responder]) {
    const shown = await poll(`${daemon.name} to show the tunnel`, 10_000, () => daemon.established())
    if (shown.isEncapsulated !== scenario.nat) throw new Error(`${daemon.name} shows the wrong encapsulation`)
  }
  await crosses(stage)
  const before = await spis(initiatorHost)
  for (const one of changes[change](stage)) await one()
  if (change !== 'nothing') await crosses(stage)
  if ((await spis(initiatorHost)) !== before) throw new Error('the Child SA is another one than before')
  for (const daemon of [initiator, responder]) {
    await poll(`${daemon.name} to show one IKE SA`, 10_000, () => daemon.established())
  }
  if (change === 'initiator moves' || change === 'responder moves') {
    const moved = change === 'initiator moves' ? initiatorHost : responderHost
    for (const host of [initiatorHost, responderHost]) {
      for (const { src, dst, spi } of await kernelStates(host.shell)) {
        if (spi === '0x00000000') continue
        if (![src, dst].includes(newAddress(moved))) throw new Error(`a state ${src} -> ${dst} on ${host.name} stayed`)
      }
    }
  }
  const down = await initiator.down()
  if (down.code !== 0) throw new Error(`down: status ${down.code}: ${down.text.slice(-300)}`)
  await sleep(500)
  await quiet(stage)
}

const changes: Readonly<Record<Change, (stage: Stage) => (() => Promise<unknown>)[]>> = {
  'initiator moves': ({ initiatorHost, responderHost }) => [() => move(initiatorHost, responderHost)],
  'responder moves': ({ initiatorHost, responderHost }) => [() => move(responderHost, initiatorHost)],
  'nat forgets': ({ ground }) => [
    () =>
      ground.wire.must(
        `nsenter --net=/run/netns/nat sh -c ${quote(`ip address add 192.168.0.19/24 dev eth0 && ${translateTo('192.168.0.19')}`)}`,
      ),
  ],
  nothing: () => [],
}

/** The host gets another address in place of its own. It has no IPv6 then: which family answers first is a matter of luck. */
function move(host: Host, peer: Host): Promise<string> {
  return host.shell.must(
    [
      'ip -6 address flush scope global',
      'ip -6 address flush scope site',
      `ip address del ${host.place.outside.ipv4}/24 dev eth0`,
      `ip address add ${newAddress(host)}/24 dev eth0`,
      `ip route replace default via ${peer.place.outside.ipv4}`,
    ].join(' && '),
  )
}

function newAddress(host: Host): string {
  return host.name === 'moon' ? '192.168.0.71' : '192.168.0.72'
}

/** Packets go both ways, after at most 20 seconds; the one behind the NAT begins, so that the other knows where it is. */
async function crosses({ scenario, initiatorHost, responderHost }: Stage): Promise<void> {
  const tunnel = scenario.connection.mode === 'tunnel'
  for (const [from, to] of [
    [initiatorHost, responderHost],
    [responderHost, initiatorHost],
  ] as const) {
    const source = tunnel ? from.place.inside.ipv4 : from.place.outside.ipv4
    const destination = tunnel ? to.place.inside.ipv4 : to.place.seen.ipv4
    await poll(`packets from ${from.name}`, 20_000, async () => {
      const { code } = await from.client.run(`ping -n -q -c 5 -i 0.05 -W 1 -w 3 -I ${source} ${destination}`)
      return code === 0
    })
  }
}

async function spis(host: Host): Promise<string> {
  const states = await kernelStates(host.shell)
  return states
    .map(({ spi }) => spi)
    .filter((spi) => spi !== '0x00000000') // a packet asks for a state
    .sort()
    .join(' ')
}
