/** Marks and interface ids: those that the daemon on moon chooses for itself, and what is routed or filtered by them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectionName } from './connection.ts'
import type { Host } from './hosts.ts'
import { kernelPolicies, kernelStates } from './kernel.ts'
import { readCapture } from './pcap.ts'
import { poll } from './poll.ts'
import { bringUp, pingBothWays, quiet } from './proofs.ts'
import type { Stage } from './stage.ts'

/** What a scenario of this kind proves. */
export type MarkingProof = 'marks' | 'trap' | 'interface' | 'forwarded'

/** Where the updown script of the scenario `interface` is, on its host. */
export const interfaceScript = '/run/interface-updown'

export function proveMarking(stage: Stage, proof: MarkingProof): Promise<void> {
  switch (proof) {
    case 'marks':
      return proveMarks(stage)
    case 'trap':
      return proveTrap(stage)
    case 'interface':
      return proveInterface(stage)
    case 'forwarded':
      return proveForwarded(stage)
  }
}

/** Only packets with the mark cross; rekeyings of either side and a reauthentication keep it, a second child has another. */
async function proveMarks(stage: Stage): Promise<void> {
  const { ground, initiator, initiatorHost, ours } = stage
  const { moon, sun } = ground
  // What moon answers has the mark of what it answers to.
  await moon.shell.must('echo 1 > /proc/sys/net/ipv4/fwmark_reflect')
  await bringUp(initiator)
  await marked(stage, 1)
  for (const what of ['child', 'ike'] as const) {
    for (const host of [moon, sun]) {
      const before = await names(moon, what)
      await host.shell.must(`timeout 8 swanctl --rekey --${what} ${connectionName}`)
      await poll(`the ${what} to be rekeyed`, 10_000, async () => (await names(moon, what)) !== before)
      await marked(stage, 1)
    }
  }
  if (initiatorHost === moon) {
    await bringUp(ours) // the same child once more
    await marked(stage, 1)
    await marked(stage, 2)
    const before = await names(moon, 'ike')
    await moon.shell.must(`timeout 8 swanctl --rekey --reauth --ike ${connectionName}`)
    await poll('the reauthentication', 10_000, async () => {
      const now = await names(moon, 'ike')
      return /^\d+$/.test(now) && now !== before
    })
    await marked(stage, 1)
    await marked(stage, 2)
  }
  await ended(stage)
}

/** Pings with the mark cross, both ways, through a state that has it. */
async function marked({ ground: { moon, sun } }: Stage, mark: number): Promise<void> {
  const hex = mark.toString(16)
  const listed = `mark-in=0000000${hex} mark-out=0000000${hex}`
  await poll(`moon to list ${listed}`, 10_000, async () => (await listing(moon)).includes(listed))
  const through = `mark 0x${hex}/0xffffffff`
  const packets = async (): Promise<number> => {
    const states = await kernelStates(moon.shell)
    return states.filter(({ text }) => text.includes(through)).reduce((sum, state) => sum + state.packets, 0)
  }
  const before = await packets()
  const [here, there] = [moon.place.inside.ipv4, sun.place.inside.ipv4]
  await moon.client.must(`ping -n -q -c 5 -i 0.05 -W 1 -m ${mark} -I ${here} ${there}`)
  if ((await packets()) < before + 5) throw new Error(`the state with mark ${mark} did not carry the pings`)
  const other = await moon.client.run(`ping -n -q -c 1 -W 1 -m 77 -I ${here} ${there}`)
  if (other.code === 0) throw new Error('a ping with another mark has crossed')
  const policies = await kernelPolicies(moon.shell)
  if (policies.some((policy) => !policy.includes('mark 0x'))) throw new Error('a policy has no mark')
}

/** The trap has a mark of its own, and what a packet with that brings up has the next one. */
async function proveTrap(stage: Stage): Promise<void> {
  const { moon, sun } = stage.ground
  const marks = async (): Promise<string> => {
    const found = (await kernelPolicies(moon.shell)).map((policy) => /mark (0x\w+)\//.exec(policy)?.[1] ?? 'none')
    return [...new Set(found)].sort().join(' ')
  }
  // What the trap asks for is not answered with its own mark: the kernel's question is to end with the scenario.
  await moon.shell.must('echo 2 > /proc/sys/net/core/xfrm_acq_expires')
  await poll('the policies of the trap', 5000, async () => (await marks()) === '0x1')
  const ends = `-I ${moon.place.inside.ipv4} ${sun.place.inside.ipv4}`
  await poll('a packet to bring the child up', 10_000, async () => {
    await moon.client.run(`ping -n -q -c 1 -W 1 -m 1 ${ends}`)
    return (await listing(moon)).includes('mark-in=00000002 mark-out=00000002')
  })
  if ((await marks()) !== '0x1 0x2') throw new Error(`the policies have the marks ${await marks()}`)
  await stage.ours.disarm()
  await poll('the policies of the trap to go', 5000, async () => (await marks()) === '0x2')
  await ended(stage)
}

/** The updown script makes an interface and a route by what it is told; the tunnel is what is routed there. */
async function proveInterface(stage: Stage): Promise<void> {
  const { ground, initiator } = stage
  const { moon, sun } = ground
  const script = `#!/bin/sh
case $PLUTO_VERB in
up-client)
  ip link add xfrm-$PLUTO_IF_ID_OUT type xfrm dev eth0 if_id $PLUTO_IF_ID_OUT
  ip link set xfrm-$PLUTO_IF_ID_OUT up
  ip route add $PLUTO_PEER_CLIENT dev xfrm-$PLUTO_IF_ID_OUT ;;
down-client)
  ip link delete xfrm-$PLUTO_IF_ID_OUT ;;
esac
`
  writeFileSync(join(moon.folder, interfaceScript), script, { mode: 0o755 })
  await bringUp(initiator)
  const crosses = async (): Promise<void> => {
    await poll('moon to list the interface ids', 10_000, async () =>
      /if-id-in=00000001 if-id-out=00000001 .*child-sas.* if-id-in=00000001 if-id-out=00000001/.test(
        await listing(moon),
      ),
    )
    await poll('the interface', 10_000, async () => (await moon.shell.run('ip link show xfrm-1')).code === 0)
    await pingBothWays(stage)
  }
  await crosses()
  for (const what of ['child', 'ike'] as const) {
    for (const host of [moon, sun]) {
      const before = await names(moon, what)
      await host.shell.must(`timeout 8 swanctl --rekey --${what} ${connectionName}`)
      await poll(`the ${what} to be rekeyed`, 10_000, async () => (await names(moon, what)) !== before)
      await crosses()
    }
  }
  const { text } = await moon.shell.run('ip -s link show xfrm-1')
  if (!/RX:[^\n]*\n\s+[1-9]/.test(text)) throw new Error(`nothing has come by the interface: ${text}`)
  await ended(stage)
  const rest = await moon.shell.run('ip link show xfrm-1')
  if (rest.code === 0) throw new Error('the interface is still there')
}

/** A policy that drops all that is forwarded is there; the tunnel's own goes before it. */
async function proveForwarded(stage: Stage): Promise<void> {
  const { ground, initiator } = stage
  await bringUp(initiator)
  await pingBothWays(stage)
  await ground.moon.shell.must('timeout 5 swanctl --uninstall --child nothing-else')
  await ended(stage)
}

async function listing({ shell }: Host): Promise<string> {
  return shell.must('timeout 5 swanctl --list-sas --raw')
}

/** The SPIs of the Child SAs that are installed, or the unique ids of IKE SAs. */
async function names(host: Host, what: 'child' | 'ike'): Promise<string> {
  const text = await listing(host)
  const pattern = what === 'child' ? /state=INSTALLED .*?spi-in=(\w+)/g : /uniqueid=(\d+) version=2 state=ESTABLISHED/g
  return [...text.matchAll(pattern)].map(([, name]) => name).join(' ')
}

async function ended(stage: Stage): Promise<void> {
  const down = await stage.initiator.down()
  if (down.code !== 0) throw new Error(`down on ${stage.initiator.name}: ${down.text.trim().slice(-300)}`)
  await quiet(stage)
  const seen = readCapture(await stage.capture.stop())
  if (stage.scenario.expect.kind === 'marking' && stage.scenario.expect.proof !== 'interface') return
  if (seen.plain.length > 0) throw new Error(`unprotected on the wire: ${seen.plain[0]}`)
}
