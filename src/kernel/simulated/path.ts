/** How a packet, the states that it goes through and the templates of a policy fit together (xfrm_policy.c, xfrm_state.c). */
import type { KernelSelector, KernelTemplate } from '../operations.ts'
import type { Flow } from './address.ts'
import type { EspPacket, Packet } from './packet.ts'
import type { State } from './states.ts'

/** `best` selection of xfrm_state_look_at(): not dying before dying, then the younger one. */
export function betterThan(state: State, best: State): boolean {
  if (state.dying !== best.dying) return best.dying
  // Linux counts whole seconds here, and has the newest at the head of its list.
  return Math.floor(state.addedMs / 1000) >= Math.floor(best.addedMs / 1000)
}

/**
 * xfrm_policy_ok(): whether a packet that came by these states, the outermost first, is what the templates demand. Without
 * templates no tunnel must have been there; an optional template may have been passed by in transport mode.
 */
export function meets(path: readonly State[], templates: readonly KernelTemplate[]): boolean {
  const left = [...path]
  for (const template of templates.toReversed()) {
    const [state] = left
    if (state !== undefined && stateMeets(state, template)) left.shift()
    else if (!template.optional || template.mode !== 'transport') return false
  }
  return left.every(({ mode }) => mode === 'transport')
}

/** xfrm_state_ok() */
function stateMeets(state: State, template: KernelTemplate): boolean {
  return (
    state.protocol === template.protocol &&
    (template.spi === undefined || template.spi === 0 || template.spi === state.spi) &&
    (template.reqid === 0 || template.reqid === state.reqid) &&
    state.mode === template.mode &&
    (state.mode === 'transport' || (state.source === template.source && state.destination === template.destination))
  )
}

/** ipcomp_output(): octets below which compressing does not pay. */
export const compressedFrom = 90

/** What is inside after decapsulation: in transport mode the addresses are those of the outer header. */
export function restored(packet: EspPacket): Packet {
  if ((packet.ipcomp ?? packet).mode !== 'transport') return packet.inner
  return { ...packet.inner, source: packet.source, destination: packet.destination }
}

/** Everything that the integrity check covers; never the outer header, which a NAT may change. */
export function sealedText(packet: Omit<EspPacket, 'tag'>, sequence: number): string {
  const { id, family, source, destination, protocol, sourcePort, destinationPort, length } = packet.inner
  const addresses = (packet.ipcomp ?? packet).mode === 'transport' ? '' : `${family} ${source} ${destination}`
  const { cpi = '', mode: within = '' } = packet.ipcomp ?? {}
  return `${packet.spi} ${sequence} ${packet.mode} ${within} ${cpi} ${id} ${addresses} ${protocol} ${sourcePort} ${destinationPort} ${length}`
}

/** The selector of one packet, as an acquire reports it. */
export function packetSelector(flow: Flow, family: 4 | 6): KernelSelector {
  const prefix = family === 6 ? 128 : 32
  return {
    family,
    protocol: flow.protocol,
    source: { address: flow.source, prefix, port: flow.sourcePort, portMask: 0xffff },
    destination: { address: flow.destination, prefix, port: flow.destinationPort, portMask: 0xffff },
  }
}
