/**
 * charon's names for what is under way on an IKE SA, for listings and events (CHARON 2.7). charon has a task for each
 * part of an exchange, and each goes when its part is done; here a script does them all, so that what is left of it is
 * told from the state of the IKE SA.
 */
import { EXCHANGE, NOTIFY, PROTOCOL } from '../wire/numbers.ts'
import type { Payload } from '../wire/payloads/index.ts'
import type { IkeSa } from './ike-sa.ts'
import type { Received } from './script.ts'

/** As initiator, what is left of the set-up. @param withChild a Child SA was asked for */
export function initiatorSetUp(sa: IkeSa, withChild: boolean): readonly string[] {
  const child = withChild ? ['CHILD_CREATE'] : []
  if (sa.establishedAtMs !== undefined) return [...(sa.announced ? [] : ['IKE_ESTABLISH']), ...child]
  const vendor = sa.answered ? [] : ['IKE_VENDOR']
  const init = sa.init === undefined ? [...vendor, 'IKE_INIT', 'IKE_NATD'] : []
  // Without virtual IPs to ask for, nothing is left of the configuration once IKE_AUTH has begun.
  const config = sa.localId === undefined || (sa.connection?.vips.length ?? 0) > 0 ? ['IKE_CONFIG'] : []
  const auth = ['IKE_CERT_PRE', 'IKE_AUTH', 'IKE_CERT_POST', ...config, 'IKE_AUTH_LIFETIME', 'IKE_MOBIKE']
  return [...init, ...auth, 'IKE_ESTABLISH', ...child]
}

/** As responder, what waits for the initiator's next request. */
export function responderSetUp(sa: IkeSa): readonly string[] {
  if (sa.role !== 'responder' || sa.state !== 'CONNECTING') return []
  return ['IKE_CERT_PRE', 'IKE_AUTH', 'IKE_CERT_POST', ...afterAuth, 'CHILD_CREATE']
}

const afterAuth: readonly string[] = ['IKE_CONFIG', 'IKE_MOBIKE', 'IKE_ESTABLISH', 'IKE_AUTH_LIFETIME']

/** What a request of the peer has us do, as long as it is being answered. */
export function answering(sa: IkeSa, { exchange, payloads, messageId }: Received): readonly string[] {
  switch (exchange) {
    case EXCHANGE.IKE_SA_INIT:
      return ['IKE_INIT', 'IKE_NATD', ...responderSetUp(sa)]
    case EXCHANGE.IKE_INTERMEDIATE:
      return responderSetUp(sa)
    case EXCHANGE.IKE_AUTH: {
      const child = messageId > 1 || payloads.some(({ type }) => type === 'SA') ? ['CHILD_CREATE'] : []
      if (sa.establishedAtMs === undefined) return ['IKE_AUTH', 'IKE_CERT_POST', ...afterAuth, 'CHILD_CREATE']
      return sa.announced ? child : ['IKE_ESTABLISH', 'IKE_AUTH_LIFETIME', ...child]
    }
    case EXCHANGE.CREATE_CHILD_SA:
      return [changes(payloads)]
    case EXCHANGE.IKE_FOLLOWUP_KE:
      return ['CHILD_CREATE']
    case EXCHANGE.INFORMATIONAL:
      return [informs(payloads)]
    default:
      return []
  }
}

function changes(payloads: readonly Payload[]): string {
  if (payloads.some((payload) => payload.type === 'N' && payload.notify === NOTIFY.REKEY_SA)) return 'CHILD_REKEY'
  return payloads.some(({ type }) => type === 'TSi') ? 'CHILD_CREATE' : 'IKE_REKEY'
}

function informs(payloads: readonly Payload[]): string {
  for (const payload of payloads) {
    if (payload.type === 'D') return payload.protocol === PROTOCOL.IKE ? 'IKE_DELETE' : 'CHILD_DELETE'
    if (payload.type === 'N' && mobike.has(payload.notify)) return 'IKE_MOBIKE'
    if (payload.type === 'N' && payload.notify === NOTIFY.REDIRECT) return 'IKE_REDIRECT'
    if (payload.type === 'N' && payload.notify === NOTIFY.AUTH_LIFETIME) return 'IKE_AUTH_LIFETIME'
  }
  return 'IKE_DPD'
}

const mobike: ReadonlySet<number> = new Set([
  NOTIFY.UPDATE_SA_ADDRESSES,
  NOTIFY.COOKIE2,
  NOTIFY.ADDITIONAL_IP4_ADDRESS,
  NOTIFY.ADDITIONAL_IP6_ADDRESS,
  NOTIFY.NO_ADDITIONAL_ADDRESSES,
])
