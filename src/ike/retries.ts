/**
 * Children that must stay up (actions.ts) and are not: each is tried again after a pause that grows from attempt to
 * attempt. A child that is up, or a connection that is gone, ends it.
 */
import type { ChildConfig, Connection } from '../config/connection.ts'
import { isWanted, mustStayUp, startAgain } from './actions.ts'
import { ChildPlan } from './child-plan.ts'
import type { Core } from './core.ts'
import type { Timer } from './timers.ts'

interface Retry {
  readonly connection: string
  readonly child: string
  attempts: number
  timer: Timer | undefined
}

export class Retries {
  readonly #core: Core
  readonly #retries = new Map<string, Retry>()

  constructor(core: Core) {
    this.#core = core
  }

  /** How many children wait for their next attempt. */
  get size(): number {
    return this.#retries.size
  }

  /** Brings a child up now; if that fails and it must stay up, again later. */
  start(connection: Connection, config: ChildConfig, remote?: string): void {
    const core = this.#core
    const plan = new ChildPlan(config)
    plan.listen({
      up: () => this.forget(connection.name, config.name),
      failed: (message, error) => {
        if (error === undefined || core.shuttingDown || !mustStayUp(connection, config)) return
        core.log('CFG', 2, message)
        this.later(connection, config, remote)
      },
    })
    startAgain(core, connection, plan, remote)
  }

  /** Looks after a pause whether the child is up, and starts it if not. */
  later(connection: Connection, config: ChildConfig, remote?: string): void {
    const core = this.#core
    if (core.shuttingDown) return
    const key = keyOf(connection.name, config.name)
    const retry = this.#retries.get(key) ?? {
      connection: connection.name,
      child: config.name,
      attempts: 0,
      timer: undefined,
    }
    this.#retries.set(key, retry)
    retry.timer?.clear()
    const seconds = pauseSeconds(retry.attempts++, (core.random(1)[0] ?? 0) / 256)
    core.log('CFG', 1, `looking after CHILD_SA '${config.name}' again in ${seconds} seconds`)
    retry.timer = core.timers.set(core.now + seconds * 1000, () => {
      retry.timer = undefined
      if (this.isUp(connection, config)) return this.forget(connection.name, config.name)
      const now = core.connections.get(connection.name)
      const child = now?.children.find(({ name }) => name === config.name)
      if (now === undefined || child === undefined) return this.forget(connection.name, config.name)
      core.log('CFG', 1, `restarting CHILD_SA ${config.name}`)
      this.start(now, child, remote)
    })
  }

  /** No more attempts: for one child, or for all of a connection. */
  forget(connection: string, child?: string): void {
    for (const [key, retry] of this.#retries) {
      if (retry.connection !== connection || (child !== undefined && retry.child !== child)) continue
      retry.timer?.clear()
      this.#retries.delete(key)
    }
  }

  /** No more attempts at all. */
  clear(): void {
    for (const { timer } of this.#retries.values()) timer?.clear()
    this.#retries.clear()
  }

  /** Whether the child is up on an IKE SA of that connection, or of an equal one, whatever its name. */
  isUp(connection: Connection, config: ChildConfig): boolean {
    const { sas } = this.#core
    return [...sas.named(connection.name), ...sas.ofConnection(connection)].some(
      (sa) =>
        sa.state === 'ESTABLISHED' &&
        !sa.closing &&
        [...sa.children.values()].some((child) => child.name === config.name && isWanted(child)),
    )
  }
}

/** 10 s, then twice as long each time up to 5 minutes; up to a quarter less, so that two sides do not keep step. */
export function pauseSeconds(attempts: number, draw: number): number {
  const seconds = Math.min(300, 10 * 2 ** Math.min(attempts, 10))
  return Math.round(seconds * (1 - draw / 4))
}

function keyOf(connection: string, child: string): string {
  return `${connection}\0${child}`
}
