/** Notifications of XFRM netlink. */
import { decodeAttributes, type NetlinkMessage } from '../netlink/message.ts'
import type { KernelEvent } from '../operations.ts'
import {
  addressText,
  decodeSelector,
  protocolOf,
  XFRM_MSG_ACQUIRE,
  XFRM_MSG_EXPIRE,
  XFRM_MSG_MAPPING,
  XFRMA_TMPL,
} from './numbers.ts'
import { xfrm_user_acquire, xfrm_user_expire, xfrm_user_mapping, xfrm_user_tmpl } from './structs.ts'

/** The event in a notification; undefined if it is none of ours, e.g. of IPComp. Throws `DecodeError`. */
export function decodeEvent(message: NetlinkMessage): KernelEvent | undefined {
  switch (message.type) {
    case XFRM_MSG_ACQUIRE:
      return decodeAcquire(message)
    case XFRM_MSG_EXPIRE:
      return decodeExpire(message)
    case XFRM_MSG_MAPPING:
      return decodeMapping(message)
    default:
      return undefined
  }
}

function decodeAcquire({ body }: NetlinkMessage): KernelEvent | undefined {
  const { id, saddr, sel, seq } = xfrm_user_acquire.decode(body)
  const protocol = protocolOf(id.proto)
  const templates = decodeAttributes(body, xfrm_user_acquire.size).get(XFRMA_TMPL)
  if (protocol === undefined || templates === undefined) return undefined
  const { reqid, family } = xfrm_user_tmpl.decode(templates)
  const packet = decodeSelector(sel)
  return {
    kind: 'acquire',
    reqid,
    protocol,
    // The outer addresses; a template of transport mode can leave its family at zero.
    source: addressText(saddr, family || sel.family),
    destination: addressText(id.daddr, family || sel.family),
    packet,
    sequence: seq,
  }
}

function decodeExpire({ body }: NetlinkMessage): KernelEvent | undefined {
  const { state, hard } = xfrm_user_expire.decode(body)
  const protocol = protocolOf(state.id.proto)
  if (protocol === undefined) return undefined
  const destination = addressText(state.id.daddr, state.family)
  return { kind: 'expire', protocol, spi: state.id.spi, destination, hard: hard !== 0 }
}

function decodeMapping({ body }: NetlinkMessage): KernelEvent {
  const { id, reqid, old_saddr, new_saddr, new_sport } = xfrm_user_mapping.decode(body)
  return {
    kind: 'mapping',
    spi: id.spi,
    reqid,
    source: addressText(old_saddr, id.family),
    newSource: addressText(new_saddr, id.family),
    newPort: new_sport,
  }
}
