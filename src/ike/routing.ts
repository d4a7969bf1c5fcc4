/** From a datagram to the IKE SA it is for. Nothing here is authenticated: wrong bytes are dropped and counted. */

import { type Endpoint, formatEndpoint } from '../wire/endpoint.ts'
import { DecodeError } from '../wire/errors.ts'
import { decodeHeader, type Header } from '../wire/header.ts'
import { encodeMessage } from '../wire/message.ts'
import { EXCHANGE, NOTIFY } from '../wire/numbers.ts'
import { type Core, initRequestKey } from './core.ts'
import { admit } from './exchanges/ike-sa-init.ts'
import { notify } from './notifies.ts'

const markerBytes = 4
const headerBytes = 28

export function datagram(core: Core, local: Endpoint, remote: Endpoint, payload: Uint8Array): void {
  const bytes = withoutMarker(core, local, remote, payload)
  if (bytes === undefined) return
  const header = readHeader(core, local, remote, bytes)
  if (header === undefined) return
  core.log(
    'NET',
    1,
    `received packet: from ${formatEndpoint(remote)} to ${formatEndpoint(local)} (${bytes.length} bytes)`,
    core.bySpi.get(header.flags.initiator ? header.spiR : header.spiI),
  )
  if (header.exchange === EXCHANGE.IKE_SA_INIT && !header.flags.response) {
    initRequest(core, header, bytes, local, remote)
    return
  }
  if (core.unknownSpis.hint(core, header, bytes, remote)) return
  // The sender of the I flag is the original initiator, so ours is the other SPI (RFC 7296 §3.1).
  const ourSpi = header.flags.initiator ? header.spiR : header.spiI
  const theirSpi = header.flags.initiator ? header.spiI : header.spiR
  const sa = core.bySpi.get(ourSpi)
  const known = sa?.role === 'initiator' ? sa.spiR : sa?.spiI
  if (
    sa === undefined ||
    (sa.role === 'initiator') === header.flags.initiator ||
    (known !== 0n && known !== theirSpi)
  ) {
    core.drops.unknownSpi++
    core.log('NET', 2, `received packet for unknown IKE_SA from ${formatEndpoint(remote)}, ignored`)
    core.alert('invalid-ike-spi')
    core.unknownSpis.answer(core, header, local, remote)
    return
  }
  sa.dialogue.receive(header, bytes, local, remote)
}

/** A retransmitted IKE_SA_INIT request is answered from the cache; a new one has to pass admission. */
function initRequest(core: Core, header: Header, bytes: Uint8Array, local: Endpoint, remote: Endpoint): void {
  if (!header.flags.initiator || header.messageId !== 0 || header.spiI === 0n || header.spiR !== 0n) {
    core.drops.malformed++
    core.alert('parse-error-header')
    return
  }
  const before = core.byInitRequest.get(initRequestKey(remote, bytes))
  if (before !== undefined) {
    before.dialogue.retransmittedInit()
    return
  }
  if (core.shuttingDown) return
  if (!core.connections.isForHost(local, remote)) {
    if (core.peerNames.ask(() => initRequest(core, header, bytes, local, remote))) return
    // Who it is may be known in a moment, and then it has sent its request again.
    if (core.peerNames.isAsking && core.connections.matching(local, remote).length === 0) return
  }
  admit(core, header, bytes, local, remote)
}

/** RFC 3948 §2: on the NAT-T port four zero octets come first; one octet FF is a keepalive, anything else is ESP. */
function withoutMarker(core: Core, local: Endpoint, remote: Endpoint, payload: Uint8Array): Uint8Array | undefined {
  if (payload.length > core.settings.maxPacket) {
    core.drops.limits++
    return undefined
  }
  if (local.port === core.settings.portIke) return payload
  const [a, b, c, d] = payload
  if (payload.length <= markerBytes || a !== 0 || b !== 0 || c !== 0 || d !== 0) {
    if (payload.length === 1) return undefined
    core.drops.unexpected++
    core.unknownSpis.answerEsp(core, payload, local, remote)
    return undefined
  }
  return payload.subarray(markerBytes)
}

function readHeader(core: Core, local: Endpoint, remote: Endpoint, bytes: Uint8Array): Header | undefined {
  let header: Header
  try {
    header = decodeHeader(bytes)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return malformed(core, remote, error.message)
  }
  if (header.major !== 2) {
    // RFC 7296 §2.5: answer a higher version; we do it for IKEv1 too, whose users deserve to know.
    core.drops.malformed++
    if (header.major > 2 ? header.flags.response : header.spiR !== 0n) return undefined
    if (!core.unprotectedAnswers.take(remote.address, core.now)) return undefined
    core.log(
      'NET',
      1,
      `received unsupported IKE version ${header.major}.${header.minor} from ${remote.address}, sending INVALID_MAJOR_VERSION`,
    )
    const { spiI, spiR, exchange, messageId, flags } = header
    const answer = encodeMessage({
      spiI,
      spiR,
      major: 2,
      minor: 0,
      exchange,
      flags: { initiator: !flags.initiator, response: true },
      messageId,
      payloads: [notify(NOTIFY.INVALID_MAJOR_VERSION)],
    })
    core.send(local, remote, answer)
    return undefined
  }
  if (header.length !== bytes.length || bytes.length < headerBytes) {
    return malformed(core, remote, `a length of ${header.length} in a datagram of ${bytes.length} octets`)
  }
  return header
}

function malformed(core: Core, remote: Endpoint, reason: string): undefined {
  core.drops.malformed++
  core.alert('parse-error-header')
  core.log('NET', 1, `received invalid IKE header from ${formatEndpoint(remote)}, ignored: ${reason}`)
  return undefined
}
