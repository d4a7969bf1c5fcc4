/** A client of the control socket in a thread of its own: does what it is told and says how long it took. */
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { list, section, type Tree, value } from '../../src/config/tree.ts'
import { ViciClient } from '../../src/vici/client.ts'

export type Task =
  | { readonly kind: 'list' }
  | { readonly kind: 'load'; readonly from: number; readonly count: number }
  /** Asks for `stats` again and again until `stop`. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'stop' }

export interface Said {
  readonly ms: number
  /** Events of a listing. */
  readonly listed: number
  /** Of each question of a probe, in milliseconds. */
  readonly latencies: readonly number[]
}

const client = ViciClient.connect(String(workerData))
let probing = false

parentPort?.on('message', (task: Task) => {
  if (task.kind === 'stop') probing = false
  else void perform(task).then((said) => parentPort?.postMessage(said))
})

async function perform(task: Exclude<Task, { kind: 'stop' }>): Promise<Said> {
  const vici = await client
  const latencies: number[] = []
  let listed = 0
  const start = performance.now()
  switch (task.kind) {
    case 'list':
      await vici.stream('list-sas', 'list-sa', [], () => listed++)
      break
    case 'load':
      for (let i = task.from; i < task.from + task.count; i++) await vici.request('load-conn', connectionMessage(i))
      break
    case 'probe':
      probing = true
      while (probing) {
        const asked = performance.now()
        await vici.request('stats')
        latencies.push(performance.now() - asked)
        await sleep(2)
      }
  }
  return { ms: performance.now() - start, listed, latencies }
}

/** What `swanctl --load-conns` sends for a connection to a branch office. */
function connectionMessage(i: number): Tree {
  const round = (id: string) => [value('auth', 'psk'), value('id', id)]
  return [
    section(`branch${i}`, [
      list('local_addrs', ['192.0.2.1']),
      list('remote_addrs', [`branch${i}.example.org`, `198.51.${i >> 8}.${i & 0xff}`]),
      list('proposals', ['aes256gcm16-prfsha384-ecp384', 'aes128-sha256-x25519']),
      value('dpd_delay', '30s'),
      value('rekey_time', '4h'),
      section('local', round('gateway.example.org')),
      section('remote', round(`branch${i}.example.org`)),
      section('children', [
        section('office', [
          list('local_ts', ['10.0.0.0/16']),
          list('remote_ts', [`10.${1 + (i >> 8)}.${i & 0xff}.0/24`]),
          list('esp_proposals', ['aes256gcm16-ecp384', 'aes128gcm16']),
          value('dpd_action', 'restart'),
          value('start_action', 'none'),
        ]),
      ]),
    ]),
  ]
}
