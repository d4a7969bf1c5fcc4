/**
 * An observer registers for every event and hears a whole life of tunnels: set-up, rekeying by either side,
 * reauthentication, a child that goes and comes again, a host that moves, the end by either side, and what is refused.
 * charon and Sallyport tell it the same: the same events in the same order, with the same fields.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findSection, findText, value } from '../../src/config/tree.ts'
import { ViciClient } from '../../src/vici/client.ts'
import { eventNames } from '../../src/vici/commands/index.ts'
import type { Host } from '../lab/hosts.ts'
import { startSallyport } from '../lab/peers/sallyport.ts'
import { startStrongswan } from '../lab/peers/strongswan.ts'
import type { Stage } from '../lab/stage.ts'
import { compare, type Known, logEvents } from './compare.ts'
import { record } from './recorder.ts'
import { type Entry, read } from './recording.ts'
import { keep } from './swanctl.ts'

/** What happens, and who is told to do it: the initiator or the responder of the scenario, or both hosts. */
const steps: readonly (readonly [step: string, who: 'initiator' | 'responder', swanctl: string])[] = [
  ['the connection comes up', 'initiator', '--initiate --child net'],
  ['the initiator rekeys the child', 'initiator', '--rekey --child net'],
  ['the initiator rekeys the IKE SA', 'initiator', '--rekey --ike net'],
  ['the responder rekeys the child', 'responder', '--rekey --child net'],
  ['the responder rekeys the IKE SA', 'responder', '--rekey --ike net'],
  ['the initiator takes the child away', 'initiator', '--terminate --child net'],
  ['the initiator makes it again', 'initiator', '--initiate --child net'],
  ['the responder takes the child away', 'responder', '--terminate --child net'],
  ['the initiator ends the IKE SA', 'initiator', '--terminate --ike net'],
  ['it comes up once more', 'initiator', '--initiate --child net'],
  ['the initiator authenticates again', 'initiator', '--rekey --reauth --ike net'],
  ['the responder ends the IKE SA', 'responder', '--terminate --ike net'],
  ['an identity that nobody knows', 'initiator', '--initiate --child stranger'],
  ['a secret that is wrong', 'initiator', '--initiate --child liar'],
  ['selectors that do not meet', 'initiator', '--initiate --child elsewhere'],
  ['the IKE SA that was kept is ended', 'initiator', '--terminate --ike elsewhere'],
  ['a peer that is not there', 'initiator', '--initiate --child nobody'],
  ['it comes up to move', 'initiator', '--initiate --child net'],
]

/** The connections of the refusals, for the end that initiates. */
export function refused(own: Host['name'], peer: Host['name']): string[] {
  const address = { moon: '192.168.0.1', sun: '192.168.0.2' }
  const id = (host: Host['name']): string => `id = ${host}.lab.test`
  const connection = (name: string, how: { remote?: string; ike?: string; local?: string; ts?: string }): string =>
    `${name} { local_addrs = ${address[own]}\n remote_addrs = ${how.remote ?? address[peer]}
    proposals = ${how.ike ?? 'aes128gcm16-prfsha256-x25519'}
    local { auth = psk\n ${how.local ?? id(own)} }\n remote { auth = psk\n ${id(peer)} }
    children { ${name} { esp_proposals = aes128gcm16
      local_ts = ${how.ts ?? 'dynamic'}\n remote_ts = ${how.ts ?? 'dynamic'} } } }`
  return [
    connection('other-proposals', { ike: 'aes256-sha384-modp3072' }),
    connection('stranger', { local: 'id = stranger.lab.test' }),
    connection('liar', { local: 'id = liar.lab.test' }),
    connection('elsewhere', { ts: '10.99.0.0/16' }),
    connection('nobody', { remote: '192.168.0.77' }),
  ]
}

/** What differs, and shall. */
const known: readonly Known[] = [
  {
    why: 'what is refused before there is an IKE SA has none: half-open ones are for those who could come in',
    line: /proposals that do not meet\}: event alert, CMD_RESPONSE where charon has event alert, event ike-updown, /,
  },
  {
    why: 'the check of the certificates before the old IKE SA goes is no task of its own',
    line: /authenticates again\}, event \S+: only charon has net\.tasks-queued\[\] = IKE_VERIFY_PEER_CERT IKE_REAUTH_COMPLETE/,
  },
]

/** charon, then Sallyport in its place. Throws with every difference. */
export async function proveEvents(stage: Stage): Promise<void> {
  const { moon } = stage.ground
  await stage.ours.stop()
  const charon = await startStrongswan(stage.moonSide)
  const expected = await observe(stage)
  keep(moon, 'charon', expected)
  await charon.stop()
  const sallyport = await startSallyport(stage.moonSide)
  const ours = await observe(stage)
  keep(moon, 'ours', ours)
  await sallyport.stop()
  const differences = [...compare(ours, expected, known), ...compareLogs(ours, expected)]
  if (differences.length > 0) throw new Error(differences.join('\n               '))
}

/** The fields of log events are the same, however many there are. */
function compareLogs(ours: readonly Entry[], expected: readonly Entry[]): string[] {
  const fields = (entries: readonly Entry[]): string =>
    [...new Set(logEvents(entries, 'log').map((one) => one.fields))].sort().join(' or ')
  if (fields(ours) === fields(expected)) return []
  return [`event log: ${fields(ours)} where charon has ${fields(expected)}`]
}

async function observe({ ground: { moon }, initiatorHost, responderHost }: Stage): Promise<readonly Entry[]> {
  const recorder = await record(join(moon.folder, 'run/recorder.vici'), join(moon.folder, 'run/charon.vici'))
  const swanctl = (host: Host): string => (host.root === '/' ? 'swanctl' : `chroot ${host.root} swanctl`)
  try {
    await using observer = await ViciClient.connect(`unix://${join(moon.folder, 'run/recorder.vici')}`)
    // The states are told by patched charons only; frr/dmvpn.ts needs them.
    const stock = [...eventNames].filter((name) => !/^(ike|child)-state-/.test(name))
    await observer.listen(stock.sort(), () => {})
    const step = async (name: string, act: () => Promise<unknown>): Promise<void> => {
      await act()
      await untilQuiet(recorder.entries)
      await observer.request('get-conns', [value('step', name)]) // nobody reads it: it cuts the recording
    }
    for (const [name, who, words] of steps) {
      const host = who === 'initiator' ? initiatorHost : responderHost
      await step(name, () => host.shell.run(`timeout 25 ${swanctl(host)} ${words}`))
    }
    await step('the initiator moves', () => initiatorHost.shell.must(moved(initiatorHost, responderHost)))
    await step('and goes', () => initiatorHost.shell.run(`timeout 25 ${swanctl(initiatorHost)} --terminate --ike net`))
    await initiatorHost.shell.must(back(initiatorHost, responderHost))
    // The last step: ours makes no IKE SA, and counts none, for a request that it refuses at once.
    await step('proposals that do not meet', () =>
      initiatorHost.shell.run(`timeout 25 ${swanctl(initiatorHost)} --initiate --child other-proposals`),
    )
    return recorder.entries.filter((entry) => !isSlowness(entry))
  } finally {
    await recorder.close()
  }
}

/** Waits until nothing more is told of SAs for a while. Log entries do not count: retransmissions go on. */
async function untilQuiet(entries: readonly Entry[]): Promise<void> {
  const quietMs = 1500
  const events = (): number => entries.filter((entry) => isEvent(entry)).length
  for (let [before, still] = [events(), 0]; still < quietMs; still += 100) {
    await sleep(100)
    const now = events()
    if (now !== before) [before, still] = [now, 0]
  }
}

/** On a busy machine requests are sent again; whether that is told shows with the peer that is not there. */
function isSlowness(entry: Entry): boolean {
  const { type, name, message = [] } = read(entry)
  if (type !== 'EVENT' || name !== 'alert' || !/^retransmit-/.test(findText(message, 'type') ?? '')) return false
  return findSection(findSection(message, 'ike-sa') ?? [], 'nobody') === undefined
}

function isEvent(entry: Entry): boolean {
  const { type, name } = read(entry)
  return type === 'EVENT' && name !== 'log'
}

const movedAddress = '192.168.0.71'

function moved(host: Host, peer: Host): string {
  return addresses(host, peer, host.place.outside.ipv4, movedAddress)
}

function back(host: Host, peer: Host): string {
  return addresses(host, peer, movedAddress, host.place.outside.ipv4)
}

/** Without IPv6: which family answers first is a matter of luck. */
function addresses(_host: Host, peer: Host, from: string, to: string): string {
  return [
    'ip -6 address flush scope global',
    'ip -6 address flush scope site',
    `ip address del ${from}/24 dev eth0`,
    `ip address add ${to}/24 dev eth0`,
    `ip route replace default via ${peer.place.outside.ipv4}`,
  ].join(' && ')
}
