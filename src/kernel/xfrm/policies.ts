/** Policies as messages of XFRM netlink. */
import { concat } from '../../crypto/bytes.ts'
import type { TemplateEnds } from '../left-behind.ts'
import {
  type Attribute,
  attribute32,
  decodeAttributes,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
} from '../netlink/message.ts'
import type { NetlinkRequest } from '../netlink/netlink-socket.ts'
import { type KernelPolicy, type KernelTemplate, type PolicyKey, templatesOf } from '../operations.ts'
import {
  AF_INET,
  AF_INET6,
  addressFamily,
  addressText,
  directionNumbers,
  encodeSelector,
  modeNumbers,
  octets,
  protocolNumbers,
  XFRM_INF,
  XFRM_MSG_DELPOLICY,
  XFRM_MSG_GETPOLICY,
  XFRM_MSG_NEWPOLICY,
  XFRM_MSG_NEWSPDINFO,
  XFRM_MSG_UPDPOLICY,
  XFRM_POLICY_ALLOW,
  XFRM_POLICY_BLOCK,
  XFRM_POLICY_ICMP,
  XFRMA_IF_ID,
  XFRMA_MARK,
  XFRMA_SPD_IPV4_HTHRESH,
  XFRMA_SPD_IPV6_HTHRESH,
  XFRMA_TMPL,
} from './numbers.ts'
import { copied, markAttributes } from './states.ts'
import { xfrm_user_tmpl, xfrm_userpolicy_id, xfrm_userpolicy_info } from './structs.ts'

/**
 * XFRM_MSG_NEWPOLICY, or XFRM_MSG_UPDPOLICY.
 * @param ifindex of `policy.selector.interface`, 0 if there is none
 */
export function installPolicy(policy: KernelPolicy, replace: boolean, ifindex = 0): NetlinkRequest {
  const { selector, direction, priority, action } = policy
  const fixed = xfrm_userpolicy_info.encode({
    sel: encodeSelector(selector, ifindex),
    lft: {
      soft_byte_limit: XFRM_INF,
      hard_byte_limit: XFRM_INF,
      soft_packet_limit: XFRM_INF,
      hard_packet_limit: XFRM_INF,
    },
    priority,
    dir: directionNumbers[direction],
    action: action === 'drop' ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW,
    flags: policy.icmpErrors ? XFRM_POLICY_ICMP : 0,
  })
  const attributes = keyAttributes(policy)
  if (action === 'protect')
    attributes.push({
      type: XFRMA_TMPL,
      value: concat(...templatesOf(policy).map((template) => encodeTemplate(template, selector.family))),
    })
  return {
    type: replace ? XFRM_MSG_UPDPOLICY : XFRM_MSG_NEWPOLICY,
    flags: replace ? 0 : NLM_F_CREATE | NLM_F_EXCL,
    fixed,
    attributes,
  }
}

/** XFRM_MSG_DELPOLICY. */
export function deletePolicy(key: PolicyKey, ifindex = 0): NetlinkRequest {
  return { type: XFRM_MSG_DELPOLICY, ...keyRequest(key, ifindex) }
}

/** XFRM_MSG_GETPOLICY of one policy. */
export function queryPolicy(key: PolicyKey, ifindex = 0): NetlinkRequest {
  return { type: XFRM_MSG_GETPOLICY, ...keyRequest(key, ifindex) }
}

/** XFRM_MSG_NEWSPDINFO: policies with prefixes of at least so many local and remote bits are found by hash. */
export function setPolicyHash(
  bits: {
    readonly [family in 4 | 6]: readonly [local: number, remote: number]
  },
): NetlinkRequest {
  return {
    type: XFRM_MSG_NEWSPDINFO,
    fixed: new Uint8Array(4),
    // xfrmu_spdhthresh: two octets.
    attributes: [
      { type: XFRMA_SPD_IPV4_HTHRESH, value: Uint8Array.from(bits[4]) },
      { type: XFRMA_SPD_IPV6_HTHRESH, value: Uint8Array.from(bits[6]) },
    ],
  }
}

/** XFRM_MSG_GETPOLICY of all policies, for `NetlinkRequests.dump`. */
export function queryPolicies(): NetlinkRequest {
  return { type: XFRM_MSG_GETPOLICY, fixed: new Uint8Array(0) }
}

/** The templates of a policy: reads XFRM_MSG_NEWPOLICY. Throws `DecodeError`. */
export function templatesIn({ body }: NetlinkMessage): readonly TemplateEnds[] {
  const templates = decodeAttributes(body, xfrm_userpolicy_info.size).get(XFRMA_TMPL) ?? new Uint8Array(0)
  const { size } = xfrm_user_tmpl
  return Array.from({ length: Math.floor(templates.length / size) }, (_, n) => {
    const { id, saddr, family, reqid, mode } = xfrm_user_tmpl.decode(templates.subarray(n * size))
    if (mode === modeNumbers.transport) return { reqid }
    return { reqid, source: addressText(saddr, family), destination: addressText(id.daddr, family) }
  })
}

/** XFRM_MSG_DELPOLICY of a policy as the kernel has shown it. */
export function deleteSamePolicy({ body }: NetlinkMessage): NetlinkRequest {
  const { index, dir } = xfrm_userpolicy_info.decode(body)
  const attributes = decodeAttributes(body, xfrm_userpolicy_info.size)
  return {
    type: XFRM_MSG_DELPOLICY,
    fixed: xfrm_userpolicy_id.encode({ index, dir }),
    attributes: copied(attributes, [XFRMA_MARK, XFRMA_IF_ID]),
  }
}

function keyRequest(key: PolicyKey, ifindex: number): Omit<NetlinkRequest, 'type'> {
  const sel = encodeSelector(key.selector, ifindex)
  return {
    fixed: xfrm_userpolicy_id.encode({ sel, dir: directionNumbers[key.direction] }),
    attributes: keyAttributes(key),
  }
}

/** Mark and interface id are part of the key of a policy. */
function keyAttributes({ mark, ifId }: PolicyKey): Attribute[] {
  return [...markAttributes(mark), ...(ifId === undefined ? [] : [attribute32(XFRMA_IF_ID, ifId)])]
}

function encodeTemplate(template: KernelTemplate, innerFamily: 4 | 6): Uint8Array {
  const { protocol, mode, reqid, source, destination, spi = 0, optional } = template
  // In transport mode the addresses are those of the packet.
  const outer = mode !== 'transport'
  const daddr = outer ? octets(destination) : new Uint8Array(16)
  return xfrm_user_tmpl.encode({
    id: { daddr, spi, proto: protocolNumbers[protocol] },
    family: outer ? addressFamily(destination) : innerFamily === 4 ? AF_INET : AF_INET6,
    saddr: outer ? octets(source) : new Uint8Array(16),
    reqid,
    mode: modeNumbers[mode],
    optional: optional ? 1 : 0,
    // Any algorithm: the state has been negotiated.
    aalgos: 0xffff_ffff,
    ealgos: 0xffff_ffff,
    calgos: 0xffff_ffff,
  })
}
