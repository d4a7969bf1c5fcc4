/** Packets that run all the while: pings, and a stream of iperf3. Every lost one is counted. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from './hosts.ts'
import { poll } from './poll.ts'
import type { Stage } from './stage.ts'

/** Traffic under way. */
export interface Traffic {
  /** Ends it; how many packets were lost. Throws if there was hardly any traffic. */
  readonly end: () => Promise<number>
}

/** Fifty pings a second each way until the end. All but those still on their way must have come back. */
export async function startPings({ ground: { moon, sun } }: Stage): Promise<Traffic> {
  for (const [from, to] of [
    [moon, sun],
    [sun, moon],
  ] as const) {
    const source = from.place.inside.ipv4
    await from.shell.must(`ping -n -i 0.02 -I ${source} ${to.place.inside.ipv4} >/run/ping.log 2>&1 & ping=$!`)
  }
  return {
    async end() {
      let sum = 0
      for (const host of [moon, sun]) {
        await host.shell.run('kill -INT $ping; wait $ping')
        const { came, lost } = readPings(readFileSync(join(host.folder, 'run/ping.log'), 'utf8'))
        if (came < 50) throw new Error(`only ${came} pings of ${host.name} came back`)
        sum += lost.length
      }
      return sum
    },
  }
}

/** The numbers of the pings that were lost: those before the last that came back, and what was sent well after it. */
export function readPings(log: string): { readonly came: number; readonly lost: readonly number[] } {
  const seen = new Set([...log.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, seq]) => Number(seq)))
  const sent = Number(/(\d+) packets transmitted/.exec(log)?.[1] ?? Number.NaN)
  const last = Math.max(0, ...seen)
  const onTheirWay = 50
  const until = Number.isNaN(sent) || sent - last > onTheirWay ? sent : last
  const lost = Array.from({ length: until }, (_, n) => n + 1).filter((seq) => !seen.has(seq))
  return { came: seen.size, lost }
}

/** A stream of UDP, 125 packets a second, from moon to sun; the receiver counts what is missing. */
export async function startStream({ ground: { moon, sun } }: Stage): Promise<Traffic> {
  const target = sun.place.inside.ipv4
  await sun.shell.must(`iperf3 -s -1 -J -B ${target} >/run/iperf.json 2>&1 & iperf=$!`)
  await poll('iperf3 to listen', 10_000, async () => (await sun.shell.must('ss -Hltn sport = 5201')) !== '')
  await moon.shell.must(
    `iperf3 -c ${target} -B ${moon.place.inside.ipv4} -u -b 1M -l 1000 -t 600 >/run/iperf.log 2>&1 & iperf=$!`,
  )
  return {
    async end() {
      await moon.shell.run('kill -INT $iperf; wait $iperf')
      await sun.shell.run('for i in $(seq 50); do kill -0 $iperf 2>/dev/null || break; sleep 0.1; done')
      const { packets, lost } = readStream(readFileSync(join(sun.folder, 'run/iperf.json'), 'utf8'))
      if (packets < 125) throw new Error(`only ${packets} packets of the stream arrived`)
      return lost
    },
  }
}

/** The sums over the intervals of what iperf3 writes as a receiver. */
export function readStream(json: string): { readonly packets: number; readonly lost: number } {
  const report: {
    readonly intervals?: readonly { readonly sum: { readonly packets: number; readonly lost_packets: number } }[]
  } = JSON.parse(json)
  const sums = (report.intervals ?? []).map(({ sum }) => sum)
  return {
    packets: sums.reduce((total, { packets }) => total + packets, 0),
    lost: sums.reduce((total, { lost_packets }) => total + lost_packets, 0),
  }
}

/** Kernel counters of packets that met no state, no policy or the wrong one; those that are not 0. */
export async function xfrmErrors(host: Host): Promise<Readonly<Record<string, number>>> {
  const text = await host.shell.must('cat /proc/net/xfrm_stat')
  return Object.fromEntries(
    [...text.matchAll(/^(\w+)\s+([1-9]\d*)$/gm)].map(([, name, count]) => [name, Number(count)]),
  )
}
