/**
 * The data of the notifies REDIRECT and REDIRECTED_FROM, RFC 5685 §7.2 and §7.3:
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+-------------------------------+
 *   | GW Ident Type |  GW Ident Len |                               |
 *   +---------------+---------------+    Gateway identity           ~
 *   +-------------------------------+-------------------------------+
 *   ~     Nonce data, in the response to IKE_SA_INIT only           ~
 *   +---------------------------------------------------------------+
 */
import { formatAddress, parseAddress } from './address.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** A gateway as another one names it: by address, or by a name that has to be resolved. */
export type Gateway =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'name'; readonly name: string }

export interface Redirect {
  readonly gateway: Gateway
  readonly nonce: Uint8Array
}

/** IANA "Gateway Identity Types". */
const gatewayType = { IPV4: 1, IPV6: 2, FQDN: 3 } as const

/** @throws DecodeError when it is no gateway that one could go to */
export function decodeRedirect(data: Uint8Array): Redirect {
  const reader = new Reader(data, 'REDIRECT')
  const type = reader.u8()
  const identity = reader.bytes(reader.u8())
  const gateway = gatewayOf(type, identity)
  if (gateway === undefined) return reader.fail(`type ${type} with ${identity.length} octets is no gateway identity`)
  return { gateway, nonce: reader.rest() }
}

/** @param nonce the initiator's nonce, in the response to IKE_SA_INIT */
export function encodeRedirect(gateway: Gateway, nonce: Uint8Array = new Uint8Array()): Uint8Array {
  const address = gateway.kind === 'address' ? parseAddress(gateway.address) : undefined
  const identity = address ?? Buffer.from(gateway.kind === 'name' ? gateway.name : '', 'latin1')
  const writer = new Writer()
  writer.u8(address === undefined ? gatewayType.FQDN : address.length === 4 ? gatewayType.IPV4 : gatewayType.IPV6)
  writer.u8(identity.length)
  writer.bytes(identity)
  writer.bytes(nonce)
  return writer.finish()
}

/** An address or a host name; undefined if the text is neither. */
export function parseGateway(text: string): Gateway | undefined {
  const address = parseAddress(text)
  if (address !== undefined) return { kind: 'address', address: formatAddress(address) }
  // What consists of figures and dots is an address with a mistake in it.
  return isHostName(text) && !/^[\d.]+$/.test(text) ? { kind: 'name', name: text } : undefined
}

export function formatGateway(gateway: Gateway): string {
  return gateway.kind === 'address' ? gateway.address : gateway.name
}

function gatewayOf(type: number, identity: Uint8Array): Gateway | undefined {
  switch (type) {
    case gatewayType.IPV4:
      return identity.length === 4 ? { kind: 'address', address: formatAddress(identity) } : undefined
    case gatewayType.IPV6:
      return identity.length === 16 ? { kind: 'address', address: formatAddress(identity) } : undefined
    case gatewayType.FQDN: {
      const name = Buffer.from(identity).toString('latin1')
      return isHostName(name) ? { kind: 'name', name } : undefined
    }
    default:
      return undefined
  }
}

/** RFC 1123 §2.1, with the underscore that some use: nothing else goes to a resolver. */
function isHostName(text: string): boolean {
  return text.length <= 253 && /^[a-z\d_]([a-z\d_-]{0,62})(\.[a-z\d_][a-z\d_-]{0,62})*\.?$/i.test(text)
}
