/** An IKE SA between the right host and an initiator that a scenario holds in its hand, and payloads for it. */
import assert from 'node:assert/strict'
import { proposalOf } from '../../src/ike/proposals.ts'
import { EXCHANGE, NOTIFY, nameOf } from '../../src/wire/numbers.ts'
import type { NPayload, Payload, Proposal } from '../../src/wire/payloads/index.ts'
import { BareInitiator } from './bare-initiator.ts'
import { espProposal, ikeProposal, subnet } from './connection.ts'
import { onlySa } from './expect.ts'
import { type PairOptions, pair } from './pair.ts'
import type { World } from './world.ts'

export interface Up {
  readonly world: World
  readonly peer: BareInitiator
}

/** IKE_SA_INIT is done. */
export function begun(options: PairOptions = {}): Up {
  const world = pair(options)
  world.net.partitioned = true // what the host says is read here, and is not for the other host
  const peer = new BareInitiator(world, ikeProposal())
  peer.init()
  return { world, peer }
}

/** The IKE SA is up; with `more` in IKE_AUTH also what that asks for. */
export function up(options: PairOptions = {}, more: readonly Payload[] = []): Up {
  const { world, peer } = begun(options)
  peer.auth({ more })
  assert.equal(onlySa(world.right).state, 'ESTABLISHED')
  return { world, peer }
}

/** The peer's inbound SPI, and what it offers with it. */
export const spi: Uint8Array = Uint8Array.of(0xa1, 0xa2, 0xa3, 0xa4)
export const esp: Proposal = proposalOf(espProposal(), 1, spi)
export const nonce: Payload = { type: 'Nonce', nonce: new Uint8Array(32).fill(7) }

export function notify(type: number, more: Partial<NPayload> = {}): NPayload {
  return { type: 'N', protocol: 0, spi: new Uint8Array(), notify: type, data: new Uint8Array(), ...more }
}

/** TSi and TSr. */
export function selectors(initiator = '10.1.0.0/16', responder = '10.2.0.0/16'): Payload[] {
  const one = (text: string) => {
    const entry = subnet(text)
    assert.ok(entry.kind === 'fixed')
    return [entry.selector]
  }
  return [
    { type: 'TSi', selectors: one(initiator) },
    { type: 'TSr', selectors: one(responder) },
  ]
}

/** SA, TSi and TSr of a Child SA. */
export function childOf(...proposals: readonly Proposal[]): Payload[] {
  return [{ type: 'SA', proposals: proposals.length > 0 ? proposals : [esp] }, ...selectors()]
}

/** Payloads by name, with the notifies and their data: `N(INVALID_SYNTAX)`. */
export function names(payloads: readonly Payload[] | undefined): string[] | undefined {
  return payloads?.map((payload) => {
    if (payload.type !== 'N') return payload.type
    const data = payload.data.length > 0 ? ` ${Buffer.from(payload.data).toString('hex')}` : ''
    return `N(${nameOf(NOTIFY, payload.notify)}${data})`
  })
}

export function create(peer: BareInitiator, ...payloads: readonly Payload[]): readonly Payload[] | undefined {
  return peer.exchange(EXCHANGE.CREATE_CHILD_SA, payloads)?.payloads
}

export function inform(peer: BareInitiator, ...payloads: readonly Payload[]): readonly Payload[] | undefined {
  return peer.exchange(EXCHANGE.INFORMATIONAL, payloads)?.payloads
}

/** The payload of that type. */
export function the<T extends Payload['type']>(
  type: T,
  payloads: readonly Payload[] | undefined,
): Extract<Payload, { type: T }> {
  const found = payloads?.find((payload) => payload.type === type)
  assert.ok(found, `no ${type} among ${names(payloads)}`)
  return found as Extract<Payload, { type: T }> // of that type
}
