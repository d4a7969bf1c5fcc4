/** One IKE_SA_INIT request that is never followed up. */
import { randomBytes } from 'node:crypto'
import type { Host } from './hosts.ts'

/** Sends it from one host to the other, so that the receiver has a half-open IKE SA. */
export async function leaveHalfOpen(from: Host, to: Host): Promise<void> {
  const bytes = [...request()].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
  // The socket stays open: a closed one would answer with ICMP, and bash sends at a newline what it has so far.
  await from.shell.must(`exec 9<>/dev/udp/${to.place.seen.ipv4}/500 && printf '${bytes}' >&9`)
}

/** RFC 7296 §1.2: HDR, SA, KE, Ni for AES-GCM-16 with 128 bits, PRF_HMAC_SHA2_256 and Curve25519. */
function request(): Buffer {
  const transforms = [
    Buffer.from('0300000c01000014800e0080', 'hex'),
    Buffer.from('0300000802000005', 'hex'),
    Buffer.from('000000080400001f', 'hex'),
  ]
  const proposal = Buffer.concat([Buffer.from('0000002401010003', 'hex'), ...transforms])
  const payloads = Buffer.concat([
    payload(34, proposal),
    payload(40, Buffer.concat([Buffer.from('001f0000', 'hex'), anyBytes(32)])),
    payload(0, anyBytes(32)),
  ])
  const header = Buffer.alloc(28)
  anyBytes(8).copy(header, 0)
  header.set([33, 0x20, 34, 0x08], 16)
  header.writeUInt32BE(28 + payloads.length, 24)
  return Buffer.concat([header, payloads])
}

function payload(next: number, body: Buffer): Buffer {
  const header = Buffer.alloc(4)
  header[0] = next
  header.writeUInt16BE(4 + body.length, 2)
  return Buffer.concat([header, body])
}

/** Random bytes, none of which is a newline. */
function anyBytes(count: number): Buffer {
  return randomBytes(count).map((byte) => (byte === 0x0a ? 0x0b : byte)) as Buffer // map keeps the class
}
