/** Twenty restarts of the unit while packets run through all tunnels: each time all of them come back. */
import { allUp, type Ends, inside, nothingLeft, tunnelCount } from './debian.ts'
import { poll } from './poll.ts'

/** Every fourth restart is that of a process that was killed; the unit's own `Restart=` starts it. */
const restarts = Array.from({ length: 20 }, (_, n) => (n % 4 === 3 ? 'killed' : 'restarted'))

/** Counts the tunnels that are back, and says how long it took until all were. */
export async function proveRestarts(ends: Ends): Promise<void> {
  const { moon, sun, ours, note } = ends
  await allUp(ends, 60_000, 'charon')
  if (ours) await moon.shell.must('apt-get install --yes --no-install-recommends /root/sallyport.deb', 300_000)
  const on = ours ? 'sallyport' : 'charon'
  await allUp(ends, 60_000, on)
  await traffic(ends)
  const tookMs: Record<string, number[]> = { killed: [], restarted: [] }
  for (const [n, how] of restarts.entries()) {
    const before = await process_(ends)
    const from = Date.now()
    if (how === 'killed') {
      await moon.shell.must(`kill -KILL ${before}`)
      await poll('systemd to start the daemon that was killed', 30_000, async () => {
        const now = await process_(ends)
        return now !== before && now !== '0'
      })
    } else await moon.shell.must('systemctl restart strongswan', 60_000)
    await allUp(ends, 90_000, on).catch((error: Error) => {
      throw new Error(`restart ${n + 1} (${how}): ${error.message}`)
    })
    tookMs[how]?.push(Date.now() - from)
  }
  await moon.shell.must('kill $(jobs -p)')
  await sun.shell.must('kill $(jobs -p) 2>/dev/null; true')
  for (const [how, times] of Object.entries(tookMs)) {
    const seconds = times.map((ms) => (ms / 1000).toFixed(1)).sort((a, b) => Number(a) - Number(b))
    note(`${how}: all ${tunnelCount} tunnels back ${times.length} times, after ${seconds.join(' ')} s`)
  }
  await moon.shell.must('systemctl stop strongswan')
  await nothingLeft(ends)
}

/** Pings both ways through each tunnel, and a stream through the first, all the while. */
async function traffic({ moon, sun }: Ends): Promise<void> {
  const tunnels = Array.from({ length: tunnelCount }, (_, n) => n + 1)
  for (const [host, other] of [
    [moon, 'sun'],
    [sun, 'moon'],
  ] as const) {
    for (const n of tunnels) {
      await host.shell.must(`ping -n -q -i 0.2 -I ${inside(host.name, n)} ${inside(other, n)} >/dev/null 2>&1 &`)
    }
  }
  await sun.shell.must(`iperf3 -s -B ${inside('sun', 1)} >/run/iperf.log 2>&1 &`)
  const stream = `iperf3 -c ${inside('sun', 1)} -B ${inside('moon', 1)} -u -b 1M -l 1000 -t 3600`
  await moon.shell.must(`(while ! ${stream}; do sleep 1; done) >/run/iperf.log 2>&1 &`)
}

async function process_({ moon }: Ends): Promise<string> {
  return (await moon.shell.must('systemctl show --property MainPID --value strongswan')).trim()
}
