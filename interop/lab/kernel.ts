/** What the kernel of a host holds, as `ip xfrm` shows it. */
import type { Shell } from './shell.ts'

/** One state (an SA in one direction). */
export interface KernelState {
  readonly src: string
  readonly dst: string
  readonly spi: string
  /** The text of the entry, keys taken out. */
  readonly text: string
  readonly bytes: number
  readonly packets: number
}

/** All states of the host. */
export async function kernelStates(shell: Shell): Promise<readonly KernelState[]> {
  const text = await shell.must('ip -s xfrm state')
  return text
    .split(/^(?=src )/m)
    .filter((entry) => entry.startsWith('src '))
    .map((entry) => {
      const bytes = /lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)/.exec(entry)
      return {
        src: /^src (\S+)/.exec(entry)?.[1] ?? '',
        dst: /dst (\S+)/.exec(entry)?.[1] ?? '',
        spi: /spi (0x[0-9a-f]+)/.exec(entry)?.[1] ?? '',
        text: entry.replaceAll(/0x[0-9a-f]{32,}( \(\d+ bits\))?/g, '(key)'),
        bytes: Number(bytes?.[1] ?? 0),
        packets: Number(bytes?.[2] ?? 0),
      }
    })
}

/** The policies of the host, those of single sockets and of pluto's neighbour discovery left out: each one line. */
export async function kernelPolicies(shell: Shell): Promise<readonly string[]> {
  const text = await shell.must('ip xfrm policy')
  return text
    .split(/^(?=src )/m)
    .filter((entry) => entry.startsWith('src ') && !/^\s*socket (in|out)/m.test(entry) && !plutos.test(entry))
    .map((entry) => entry.replaceAll(/\s+/g, ' ').trim())
}

/** libreswan lets neighbour solicitations and advertisements pass as long as the system is up. */
const plutos = /^src ::\/0 dst ::\/0 proto (58|ipv6-icmp) type 13[56]/

/** What is left in the kernel, as lines; none if it is empty. */
export async function kernelRest(shell: Shell): Promise<readonly string[]> {
  const states = await kernelStates(shell)
  return [...states.map((state) => `state ${state.src} -> ${state.dst} ${state.spi}`), ...(await kernelPolicies(shell))]
}
