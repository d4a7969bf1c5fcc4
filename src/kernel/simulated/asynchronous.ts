import type { Kernel, KernelEvent } from '../operations.ts'
import type { SimulatedKernel } from './simulated-kernel.ts'

/**
 * A simulated kernel where the daemon expects a real one: results come in a later microtask, in order. Expiry happens
 * when somebody calls `tick`.
 */
export interface AsynchronousKernel extends Kernel {
  /** Lets the kernel see what time it is, and reports its events. */
  tick(): void
}

/** `now` gives epoch milliseconds. */
export function asynchronous(kernel: SimulatedKernel, now: () => number): AsynchronousKernel {
  const listeners: ((event: KernelEvent) => void)[] = []
  const report = (): void => {
    for (const event of kernel.drain()) for (const listener of listeners) listener(event)
  }
  return {
    async perform(operation) {
      const result = kernel.perform(operation, now())
      queueMicrotask(report)
      return result
    },
    onEvent(listener) {
      listeners.push(listener)
    },
    async close() {
      listeners.length = 0
    },
    tick() {
      kernel.advance(now())
      report()
    },
  }
}
