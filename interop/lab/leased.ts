/** One client that gets its address from the gateway's pool, whichever daemon is which. */
import type { Host } from './hosts.ts'
import { kernelStates } from './kernel.ts'
import { poll } from './poll.ts'
import { bringUp, quiet } from './proofs.ts'
import { onePair } from './rekeys.ts'
import type { Stage } from './stage.ts'

/** Up, the address, packets from and to it, counters of both kernels, down, and no address any more. */
export async function proveLeased(stage: Stage): Promise<void> {
  const { initiator, responder, initiatorHost, responderHost } = stage
  await bringUp(initiator)
  for (const daemon of [initiator, responder]) await onePair(daemon)
  const address = await poll('the client to have its address', 6000, () => leased(initiatorHost))
  const behind = responderHost.place.inside.ipv4
  await ping(initiatorHost, address, behind)
  await ping(responderHost, behind, address)
  for (const { name, shell } of [initiatorHost, responderHost]) {
    const states = (await kernelStates(shell)).filter(({ spi }) => spi !== '0x00000000')
    const counted = states.filter(({ packets }) => packets >= 10)
    if (states.length !== 2 || counted.length !== 2) throw new Error(`${name} has ${counted.length} states that count`)
  }
  const down = await initiator.down()
  if (down.code !== 0) throw new Error(`down: status ${down.code}: ${down.text.slice(-300)}`)
  await poll('the address to go', 6000, async () => (await leased(initiatorHost)) === undefined)
  await quiet(stage)
}

async function leased({ shell }: Host): Promise<string | undefined> {
  return /\s(10\.77\.0\.\d+)\/32/.exec(await shell.must('ip -o -4 address show'))?.[1]
}

async function ping({ shell }: Host, from: string, to: string): Promise<void> {
  await shell.must(`ping -n -q -c 5 -i 0.05 -W 1 -w 5 -I ${from} ${to}`)
}
