/** Prometheus exporters see the same of charon and of Sallyport: before there is an SA, with a tunnel in use, and after it. */
import { join } from 'node:path'
import { ViciClient } from '../../src/vici/client.ts'
import { startStrongswan } from '../lab/peers/strongswan.ts'
import { poll } from '../lab/poll.ts'
import { pingBothWays } from '../lab/proofs.ts'
import type { Stage } from '../lab/stage.ts'
import { exporters, type Series } from './exporters.ts'

/** Ours first, then charon in its place. Throws with every difference. */
export async function proveSeries(stage: Stage): Promise<void> {
  const ours = await scrapes(stage)
  await stage.ours.stop()
  const charon = await startStrongswan(stage.moonSide)
  const expected = await scrapes(stage)
  await charon.stop()
  const differences = [...expected].flatMap(([when, series]) => {
    const mine = ours.get(when) ?? []
    return [
      ...series.filter((line) => !mine.includes(line)).map((line) => `${when}: only charon gives ${line}`),
      ...mine.filter((line) => !series.includes(line)).map((line) => `${when}: only ours gives ${line}`),
    ]
  })
  if (differences.length > 0) throw new Error(differences.join('\n               '))
}

async function scrapes(stage: Stage): Promise<ReadonlyMap<string, readonly Series[]>> {
  const { moon } = stage.ground
  const found = new Map<string, readonly Series[]>()
  const scrape = async (when: string): Promise<void> => {
    for (const [name, exporter] of Object.entries(exporters)) {
      await using daemon = await ViciClient.connect(`unix://${join(moon.folder, 'run/charon.vici')}`)
      found.set(`${name}, ${when}`, await exporter(daemon))
    }
  }
  await scrape('nothing is up')
  await moon.shell.must('timeout 20 swanctl --initiate --child net')
  // Both ends have it: what is counted does not change any more until there are packets.
  await poll('the other end', 5000, async () => (await stage.theirs.sas()).children.length === 1)
  await pingBothWays(stage)
  await scrape('a tunnel is up')
  await moon.shell.must('timeout 20 swanctl --terminate --ike net')
  await scrape('it has gone')
  return found
}
