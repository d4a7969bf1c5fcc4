/** NAT detection (RFC 7296 §2.23): hashes of the addresses as each side sees them. */
import { createHash } from 'node:crypto'
import { parseAddress } from '../wire/address.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { NOTIFY } from '../wire/numbers.ts'
import type { NPayload } from '../wire/payloads/index.ts'

/** What the hashes say. */
export interface NatState {
  /** We are behind a NAT. */
  readonly local: boolean
  /** The peer is. */
  readonly remote: boolean
  /** We pretend to be, to force UDP encapsulation. */
  readonly fake: boolean
}

export const noNat: NatState = { local: false, remote: false, fake: false }

/** SHA-1(SPIi | SPIr | address | port). */
export function natHash(spiI: bigint, spiR: bigint, endpoint: Endpoint): Uint8Array {
  const spis = Buffer.alloc(16)
  spis.writeBigUInt64BE(spiI)
  spis.writeBigUInt64BE(spiR, 8)
  const port = Uint8Array.of(endpoint.port >> 8, endpoint.port & 0xff)
  return createHash('sha1')
    .update(spis)
    .update(parseAddress(endpoint.address) ?? new Uint8Array())
    .update(port)
    .digest()
}

/** The two notifies of our side. `fakeSource` replaces the hash of our address (encap = yes). */
export function natDetection(
  spiI: bigint,
  spiR: bigint,
  local: Endpoint,
  remote: Endpoint,
  fakeSource: Uint8Array | undefined,
): NPayload[] {
  const notify = (type: number, data: Uint8Array): NPayload => ({
    type: 'N',
    protocol: 0,
    spi: new Uint8Array(),
    notify: type,
    data,
  })
  return [
    notify(NOTIFY.NAT_DETECTION_SOURCE_IP, fakeSource ?? natHash(spiI, spiR, local)),
    notify(NOTIFY.NAT_DETECTION_DESTINATION_IP, natHash(spiI, spiR, remote)),
  ]
}

/** Reads the peer's notifies; undefined if it sent none, which means that it does no NAT traversal. */
export function detectNat(
  notifies: readonly NPayload[],
  spiI: bigint,
  spiR: bigint,
  local: Endpoint,
  remote: Endpoint,
  fake: boolean,
): NatState | undefined {
  const source = notifies.filter(({ notify }) => notify === NOTIFY.NAT_DETECTION_SOURCE_IP)
  const destination = notifies.filter(({ notify }) => notify === NOTIFY.NAT_DETECTION_DESTINATION_IP)
  if (source.length === 0 || destination.length === 0) return undefined
  const hasHash = (list: readonly NPayload[], endpoint: Endpoint) => {
    const hash = natHash(spiI, spiR, endpoint)
    return list.some(({ data }) => Buffer.compare(data, hash) === 0)
  }
  return { local: !hasHash(destination, local), remote: !hasHash(source, remote), fake }
}
