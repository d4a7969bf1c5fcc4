/**
 * What no library does: packets that are no requests, names that do not end, registrations that come twice, frames that are
 * too long, requests that do not wait for answers, several clients at once, and one that reads nothing. charon and Sallyport
 * answer the same, or the same nothing.
 */
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { value } from '../../src/config/tree.ts'
import { frame } from '../../src/vici/framing.ts'
import { encodePacket } from '../../src/vici/packet.ts'
import type { Host } from '../lab/hosts.ts'
import { startSallyport } from '../lab/peers/sallyport.ts'
import { startStrongswan } from '../lab/peers/strongswan.ts'
import { poll } from '../lab/poll.ts'
import type { Stage } from '../lab/stage.ts'
import { compare, type Known } from './compare.ts'
import { record } from './recorder.ts'
import type { Entry } from './recording.ts'
import { keep } from './swanctl.ts'

const text = (bytes: string): Buffer => Buffer.from(bytes, 'latin1')
const version = encodePacket('CMD_REQUEST', 'version', [])

/** Packets of one client each; after the last one a request that is in order shows that the connection still is. */
const clients: Readonly<Record<string, readonly Uint8Array[]>> = {
  'operations that are none': [
    text('\x01'),
    text('\x02'),
    text('\x05'),
    text('\x06'),
    text('\x63'),
    text('\x07\x03abc'),
  ],
  'an empty packet': [text('')],
  'names that do not end': [
    text('\x00\x32version'),
    text('\x03\x32log'),
    text('\x04\x32log'),
    text('\x00'),
    text('\x03'),
  ],
  'names that cannot be printed': [text('\x00\x03a\x01b'), text('\x03\x03a\x01b')],
  'an empty name': [text('\x00\x00'), text('\x03\x00')],
  'registered twice, and gone once too often': ['log', 'log']
    .map((name) => encodePacket('EVENT_REGISTER', name))
    .concat(['log', 'log', 'log'].map((name) => encodePacket('EVENT_UNREGISTER', name))),
  'unknown events': [encodePacket('EVENT_REGISTER', 'nosuch'), encodePacket('EVENT_UNREGISTER', 'ike-updown')],
  'a message that is none, for who does not read it': [text('\x00\x07version\x03\xff'), text('\x00\x05stats\x02')],
  'a message that is none, for who does': [
    text('\x00\x09load-conn\x01\x01x\x03\x07version\x00'),
    text('\x00\x09load-conn\x02'),
    text('\x00\x09load-pool\x01\x02p4'),
    text('\x00\x08initiate\x03\x05child\x00\x09net'),
  ],
  'the longest frame': [Buffer.concat([version, Buffer.alloc(512 * 1024 - version.length)])],
  'many requests at once': Array.from({ length: 200 }, () => version),
  'other requests while one waits': [
    encodePacket('CMD_REQUEST', 'initiate', [value('child', 'nobody'), value('timeout', '1500')]),
    version,
    encodePacket('EVENT_REGISTER', 'list-sa'),
    encodePacket('CMD_REQUEST', 'terminate', [value('ike', 'nobody')]),
  ],
}

/** What differs, and shall. */
const known: readonly Known[] = [
  {
    why: 'charon reads as far as it comes; here a message that ends too early is refused before any of it is believed',
    line: /load-pool \{\(no message\)\}.*(missing addrs for pool|parsing request failed)/,
  },
]

/** charon, then Sallyport in its place. Throws with every difference. */
export async function proveOddInput(stage: Stage): Promise<void> {
  const { moon } = stage.ground
  await stage.ours.stop()
  const charon = await startStrongswan(stage.moonSide)
  const expected = await talk(moon)
  keep(moon, 'charon', expected.entries)
  await charon.stop()
  const sallyport = await startSallyport(stage.moonSide)
  const ours = await talk(moon)
  keep(moon, 'ours', ours.entries)
  await sallyport.stop()
  const names = Object.keys(clients)
  const differences = compare(ours.entries, expected.entries, known).map((line) =>
    line.replace(/^client (\d+)/, (_, n: string) => `${names[Number(n) - 1] ?? n}`),
  )
  if (ours.tooLong !== expected.tooLong)
    differences.push(`a frame too long: ${ours.tooLong}, charon: ${expected.tooLong}`)
  if (differences.length > 0) throw new Error(differences.join('\n               '))
}

async function talk(host: Host): Promise<{ entries: readonly Entry[]; tooLong: string }> {
  const [listen, daemon] = [join(host.folder, 'run/recorder.vici'), join(host.folder, 'run/charon.vici')]
  const recorder = await record(listen, daemon)
  const silent = connect(daemon)
  try {
    // One client asks for more than it ever reads, as long as the others talk.
    silent.on('error', () => {})
    silent.pause()
    for (let n = 0; n < 2000; n++) silent.write(frame(encodePacket('CMD_REQUEST', 'get-algorithms', [])))
    for (const packets of Object.values(clients)) {
      const before = recorder.entries.length
      const client = await open(listen)
      for (const packet of packets) client.write(frame(packet))
      client.write(frame(encodePacket('CMD_REQUEST', 'get-conns', [])))
      await poll('the last answer', 20_000, () => answered(recorder.entries.slice(before)))
      client.destroy()
      await sleep(100)
    }
    return { entries: [...recorder.entries], tooLong: await tooLong(daemon) }
  } finally {
    silent.destroy()
    await recorder.close()
  }
}

/** The answer to `get-conns`: no other has a list. */
function answered(entries: readonly Entry[]): boolean {
  return entries.some(({ from, bytes }) => from === 'daemon' && bytes?.[0] === 1 && bytes[1] === 4)
}

async function open(path: string): Promise<Socket> {
  const socket = connect(path)
  await new Promise<void>((done, failed) => {
    socket.once('connect', done)
    socket.once('error', failed)
  })
  socket.on('error', () => {})
  socket.resume()
  return socket
}

/** What a daemon does with a frame of one octet more than there may be. */
async function tooLong(path: string): Promise<string> {
  const socket = await open(path)
  const closed = new Promise<string>((done) => socket.once('close', () => done('closed')))
  socket.write(Buffer.from([0x00, 0x08, 0x00, 0x01, 0x00, 0x07]))
  const outcome = await Promise.race([closed, sleep(5000, 'open')])
  socket.destroy()
  return outcome
}
