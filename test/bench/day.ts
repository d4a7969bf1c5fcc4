/**
 * Two numbers about time that passes: a day of two busy peers, and many that say nothing. Nothing here waits: the clock is
 * moved to whatever is due next.
 */
import { packetOfChild } from '../simulation/expect.ts'
import { established } from '../simulation/pair.ts'
import { Fleet } from './fleet.ts'

const daySeconds = 86_400

/** What a day costs. */
export interface Day {
  /** Of the two engines, their jobs and kernels, in seconds. */
  readonly cpuSeconds: number
  readonly inputs: number
  readonly rekeyings: number
  readonly checks: number
}

/** A day: both Child and IKE SAs are rekeyed every five minutes, liveness is checked every 30 s, packets cross at times. */
export function busyDay(seconds: number = daySeconds): Day {
  const lifetimeSeconds = { rekey: 300, life: 400, rand: 0 }
  const world = established({
    child: { lifetimeSeconds },
    connection: { dpdDelaySeconds: 30, rekeySeconds: 300, randSeconds: 0, overSeconds: 60 },
  })
  const before = process.cpuUsage()
  let [rekeyings, checks, inputs] = [0, 0, 0]
  for (let second = 0; second < seconds; second += 100) {
    world.wait(100)
    for (const host of world.hosts) {
      const child = host.sas()[0]?.children.find(({ state }) => state === 'INSTALLED')
      const packet = child && packetOfChild(child)
      if (packet !== undefined) world.carry(host, packet)
      for (const { message } of host.logs) {
        if (message.startsWith('sending DPD request')) checks++
        if (/^(?:rekeyed CHILD_SA|IKE_SA .* rekeyed between)/.test(message)) rekeyings++
      }
      inputs += host.sent.length
      host.forget()
    }
  }
  const { user, system } = process.cpuUsage(before)
  return { cpuSeconds: (user + system) / 1e6, inputs, rekeyings, checks }
}

/** What many IKE SAs cost that do nothing but look whether their peers are alive. */
export interface Idle {
  readonly sas: number
  /** CPU of the gateway's engine for a second of the clock, as a share of one core. */
  readonly share: number
  readonly checks: number
}

/** `sas` peers, each of which the gateway asks every 30 s; the peers' own work is not counted. */
export function idle(sas: number, seconds: number): Idle {
  const fleet = new Fleet({ auth: 'psk', clients: sas, kernel: 'easy', dpdDelaySeconds: 30, cpu: true })
  for (let i = 0; i < sas; i++) {
    fleet.setUp(i)
    // Spread over the time between two checks, as peers that come one by one.
    fleet.passTime((30 * 1000) / sas)
  }
  fleet.passTime(30_000)
  fleet.take()
  const before = fleet.sent
  fleet.passTime(seconds * 1000)
  const { responder } = fleet.take()
  return { sas, share: responder / (seconds * 1000), checks: (fleet.sent - before) / 2 }
}
