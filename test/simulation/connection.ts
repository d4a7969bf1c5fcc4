/** Connections and credentials of the two simulated hosts, with sensible defaults for everything. */
import type {
  AddressPattern,
  AuthRound,
  ChildConfig,
  ConfiguredProposal,
  ConfiguredSelector,
  Connection,
  ProposedTransform,
  SharedSecret,
} from '../../src/config/connection.ts'
import type { Credentials } from '../../src/ike/credentials.ts'
import { parseIdentity } from '../../src/pki/identity.ts'
import { publicKeyId } from '../../src/pki/keys.ts'
import { parseAddress } from '../../src/wire/address.ts'
import { ENCR, ESN, INTEG, KE, PRF, TRANSFORM_TYPE } from '../../src/wire/numbers.ts'
import { type TestKeyType, testAuthority, testCertificate, testKey } from './test-keys.ts'

export type SideName = 'left' | 'right'
export type AuthName = 'psk' | TestKeyType

/** Where the two hosts are, and what is behind them. */
export const places = {
  left: {
    4: '192.0.2.1',
    6: '2001:db8::1',
    private: '10.0.1.2',
    nat: '198.51.100.1',
    inner4: '10.1.0.1',
    inner6: 'fd00:1::1',
  },
  right: {
    4: '192.0.2.2',
    6: '2001:db8::2',
    private: '10.0.2.2',
    nat: '198.51.100.2',
    inner4: '10.2.0.1',
    inner6: 'fd00:2::1',
  },
} as const

export const defaultAuthority = 'Lab CA'
export const defaultSecret = 'a secret that nobody can guess'

/** A connection; whatever is not given is as a plain swanctl.conf has it. */
export function connection(given: Partial<Connection> & Pick<Connection, 'name'>): Connection {
  const anywhere: AddressPattern = { kind: 'any' }
  return {
    version: 2,
    localAddresses: [anywhere],
    remoteAddresses: [anywhere],
    localAddressTexts: (given.localAddresses ?? [anywhere]).map(patternText),
    remoteAddressTexts: (given.remoteAddresses ?? [anywhere]).map(patternText),
    localPort: 500,
    remotePort: 500,
    proposals: [ikeProposal()],
    vips: [],
    dscp: 0,
    encap: false,
    mobike: true,
    dpdDelaySeconds: 0,
    dpdTimeoutSeconds: 0,
    fragmentation: 'yes',
    childless: 'allow',
    sendCertreq: true,
    sendCert: 'ifasked',
    ocsp: 'reply',
    ppkRequired: false,
    keyingTries: 1,
    unique: 'no',
    reauthSeconds: 0,
    rekeySeconds: 14400,
    overSeconds: 1440,
    randSeconds: 1440,
    pools: [],
    local: [authRound({ class: 'psk' })],
    remote: [authRound({ class: 'psk' })],
    children: [],
    ...given,
  }
}

export function authRound(given: Partial<AuthRound>): AuthRound {
  return {
    name: '',
    class: 'pubkey',
    id: undefined,
    signatures: [],
    certificates: [],
    caCertificates: [],
    publicKeys: [],
    groups: [],
    certPolicies: [],
    revocation: 'relaxed',
    ...given,
  }
}

export function child(given: Partial<ChildConfig> = {}): ChildConfig {
  return {
    name: 'net',
    mode: 'tunnel',
    espProposals: [espProposal()],
    ahProposals: [],
    localTs: [dynamic()],
    remoteTs: [dynamic()],
    startAction: { trap: false, start: false },
    dpdAction: { trap: false, start: false },
    closeAction: { trap: false, start: false },
    lifetimeSeconds: { rekey: 3600, life: 3960, rand: 360 },
    lifetimeBytes: { rekey: 0n, life: 0n, rand: 0n },
    lifetimePackets: { rekey: 0n, life: 0n, rand: 0n },
    inactivitySeconds: 0,
    reqid: 0,
    policies: true,
    policiesFwdOut: false,
    priority: 0,
    hostaccess: false,
    ipcomp: false,
    markInSa: false,
    tfcPadding: 0,
    hwOffload: 'no',
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out',
    icmp: false,
    sha256_96: false,
    singlePair: false,
    labelMode: 'system',
    ...given,
  }
}

/** AES-GCM with one key exchange by default; lists are choices in order of preference. */
export function ikeProposal(ke: readonly number[] = [KE.CURVE_25519], aead = true): ConfiguredProposal {
  return {
    protocol: 'IKE',
    transforms: [
      ...(aead ? [encr(ENCR.AES_GCM_16, 128)] : [encr(ENCR.AES_CBC, 256), integ(INTEG.HMAC_SHA2_256_128)]),
      { type: TRANSFORM_TYPE.PRF, id: PRF.HMAC_SHA2_256 },
      ...ke.map((id) => ({ type: TRANSFORM_TYPE.KE, id })),
    ],
  }
}

/** `ikeProposal` with lists of methods for ADDKE1, ADDKE2 and so on; an empty list leaves the type out. */
export function hybridProposal(...additional: readonly (readonly number[])[]): ConfiguredProposal {
  const { protocol, transforms } = ikeProposal()
  return { protocol, transforms: [...transforms, ...additionalTransforms(additional)] }
}

/** `proposal` for ESP with X25519 and lists of methods for ADDKE1, ADDKE2 and so on. */
export function hybridEsp(
  additional: readonly (readonly number[])[],
  proposal: ConfiguredProposal = espProposal(),
): ConfiguredProposal {
  const ke = { type: TRANSFORM_TYPE.KE, id: KE.CURVE_25519 }
  return { ...proposal, transforms: [...proposal.transforms, ke, ...additionalTransforms(additional)] }
}

function additionalTransforms(methods: readonly (readonly number[])[]): ProposedTransform[] {
  return methods.flatMap((ids, i) => ids.map((id) => ({ type: TRANSFORM_TYPE.ADDKE1 + i, id })))
}

export function espProposal(
  algorithms: readonly ProposedTransform[] = [encr(ENCR.AES_GCM_16, 128)],
  esn: readonly number[] = [ESN.NO_ESN],
): ConfiguredProposal {
  return {
    protocol: 'ESP',
    transforms: [...algorithms, ...esn.map((id) => ({ type: TRANSFORM_TYPE.ESN, id }))],
  }
}

export function encr(id: number, keyBits?: number): ProposedTransform {
  return { type: TRANSFORM_TYPE.ENCR, id, ...(keyBits !== undefined && { keyBits }) }
}

export function integ(id: number): ProposedTransform {
  return { type: TRANSFORM_TYPE.INTEG, id }
}

export function dynamic(protocol = 0, startPort = 0, endPort = 65535): ConfiguredSelector {
  return { kind: 'dynamic', protocol, startPort, endPort }
}

/** `address/prefix`, or a range `from-to`. */
export function subnet(text: string, protocol = 0, startPort = 0, endPort = 65535): ConfiguredSelector {
  const [address = '', bits] = text.split('/')
  const [from = '', to = from] = address.split('-')
  const start = octets(from)
  const end = octets(to)
  const prefix = bits === undefined ? start.length * 8 : Number(bits)
  const mask = (i: number): number => (0xff00 >> Math.min(8, Math.max(0, prefix - i * 8))) & 0xff
  return {
    kind: 'fixed',
    selector: {
      kind: 'address',
      family: start.length === 16 ? 6 : 4,
      protocol,
      startPort,
      endPort,
      start: start.map((octet, i) => octet & mask(i)),
      end: end.map((octet, i) => octet | (~mask(i) & 0xff)),
    },
  }
}

/** The address patterns of swanctl.conf: `%any` or hosts. */
export function addresses(...texts: readonly string[]): AddressPattern[] {
  return texts.map((text) => (text === '%any' ? { kind: 'any' } : { kind: 'host', address: text }))
}

export function sharedSecret(text: string, ...owners: readonly string[]): SharedSecret {
  return { id: undefined, type: 'ike', data: Buffer.from(text), owners: owners.map((owner) => parseIdentity(owner)) }
}

/** What one side needs to prove itself by `auth`, and to check a peer that uses `peerAuth`. */
export function credentialsFor(side: SideName, auth: AuthName, secret: string = defaultSecret): Credentials {
  const authority = testAuthority(defaultAuthority)
  const secrets = [sharedSecret(secret, identityOf('left'), identityOf('right'))]
  const anchors = [authority.certificate]
  if (auth === 'psk') return { anchors, certificates: [], privateKeys: new Map(), secrets }
  const key = testKey(auth, side)
  const certificate = testCertificate({ name: identityOf(side), key, issuer: authority })
  return { anchors, certificates: [certificate], privateKeys: new Map([[publicKeyId(key), key]]), secrets }
}

/** The identity of a side in every connection here. */
export function identityOf(side: SideName): string {
  return `${side}.lab`
}

/** The auth round of one side. */
export function roundOf(side: SideName, auth: AuthName): AuthRound {
  return authRound({ class: auth === 'psk' ? 'psk' : 'pubkey', id: parseIdentity(identityOf(side)) })
}

function patternText(pattern: AddressPattern): string {
  switch (pattern.kind) {
    case 'any':
      return '%any'
    case 'host':
      return pattern.address
    case 'range':
      return `${pattern.from}-${pattern.to}`
    case 'name':
      return pattern.name
  }
}

function octets(address: string): Uint8Array {
  const found = parseAddress(address)
  if (found === undefined) throw new RangeError(`not an address: ${address}`)
  return found
}
