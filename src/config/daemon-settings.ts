/** The settings of strongswan.conf that the protocol core reads (CHARON options of the same name), with defaults. */
import type { Gateway } from '../wire/redirect.ts'
import type { PoolAttribute } from './pools.ts'

export interface CoreSettings {
  readonly portIke: number
  readonly portNatT: number
  /** Seconds before the first retransmission, factor per try, number of retransmissions. */
  readonly retransmitTimeoutSeconds: number
  readonly retransmitBase: number
  readonly retransmitTries: number
  /** Percent taken off at random, at most 20. */
  readonly retransmitJitter: number
  /** Seconds; 0 is no limit. */
  readonly retransmitLimitSeconds: number
  /** After how long a name that cannot be resolved is asked for again; 0 is never. */
  readonly retryInitiateSeconds: number
  readonly halfOpenTimeoutSeconds: number
  readonly cookieThreshold: number
  readonly cookieThresholdIp: number
  readonly blockThreshold: number
  readonly dosProtection: boolean
  readonly initLimitHalfOpen: number
  readonly ikeSaLimit: number
  /** Child SAs that a peer may have on one IKE SA; 0 is no limit. While one is rekeyed there are two. */
  readonly childSaLimit: number
  readonly initiatorOnly: boolean
  /** Reauthentication: the new IKE SA is made before the old one is deleted. */
  readonly makeBeforeBreak: boolean
  /** How long a replaced Child SA goes on receiving; 0: until it expires. */
  readonly deleteRekeyedDelaySeconds: number
  /** How many requests of a peer are taken at once (RFC 7296 §2.3), 1 to 32; charon takes 1. */
  readonly windowSize: number
  /** Let a cluster synchronize message IDs and replay counters (RFC 6311); charon does not. */
  readonly messageIdSync: boolean
  /** Answer requests of unknown IKE SAs with an unprotected INVALID_IKE_SPI (RFC 7296 §2.21.4), now and then. */
  readonly sendInvalidIkeSpi: boolean
  /** Octets of a whole IP datagram; 0 is the family's default. */
  readonly fragmentSize: number
  /** For one family, in place of `fragmentSize`. */
  readonly fragmentSizeV4: number | undefined
  readonly fragmentSizeV6: number | undefined
  readonly maxPacket: number
  readonly preferConfiguredProposals: boolean
  readonly reuseIkeSa: boolean
  readonly replayWindow: number
  readonly spiMin: number
  readonly spiMax: number
  /** IKE SPIs of ours have the bits of `spiLabel` where `spiMask` has ones. */
  readonly spiMask: bigint
  readonly spiLabel: bigint
  readonly reqidBase: number
  /** reqids that the kernel had when the daemon started: whoever they are of, they are left alone. */
  readonly reqidsInUse: readonly number[]
  readonly keepAliveSeconds: number
  /** A keepalive that is later than this is a liveness check in its place: the host was suspended. 0 is never. */
  readonly keepAliveDpdMarginSeconds: number
  /** After a change of the network ask the peer also when the path looks as good as before. */
  readonly checkCurrentPath: boolean
  /** Move to the path that the kernel would choose now, also when the one in use still is one. */
  readonly preferBestPath: boolean
  /** Say who we are by strongSwan's Vendor ID, as charon does: peers then take private algorithms. */
  readonly sendVendorId: boolean
  /** Say that we can do what Cisco calls FlexVPN: it then does not narrow our selector to the virtual IP. */
  readonly ciscoFlexvpn: boolean
  readonly signatureAuthentication: boolean
  /** What `auth` says of signatures in certificates is said of AUTH as well. */
  readonly signatureConstraints: boolean
  readonly rsaPss: boolean
  /** Several authentication rounds in one IKE_AUTH (RFC 4739). */
  readonly multipleAuthentication: boolean
  /** Look up certificates by hash and URL (RFC 7296 §3.6), and say so. */
  readonly hashAndUrl: boolean
  /** As client: go where a gateway sends us (RFC 5685). */
  readonly followRedirects: boolean
  /** As gateway: where clients are sent from now on, in which exchange, and from how many IKE SAs on. */
  readonly redirectGateway: Gateway | undefined
  readonly redirectExchange: 'init' | 'auth'
  readonly redirectAbove: number
  readonly installRoutes: boolean
  readonly routingTable: number
  /** Add virtual IPs to an interface: the named one, else the one that leads to the peer. */
  readonly installVirtualIp: boolean
  readonly installVirtualIpOn: string | undefined
  /** For every client that gets an address, beside those of its pools. */
  readonly attributes: readonly PoolAttribute[]
  /** Name servers of a gateway go to the updown script, and not to the host. */
  readonly updownDnsHandler: boolean
  readonly rejectTrustedEndEntity: boolean
  readonly rdnMatching: 'strict' | 'reordered' | 'relaxed'
  readonly closeIkeOnChildFailure: boolean
  /** The last child that `inactivity` closes takes the IKE SA with it. */
  readonly inactivityCloseIke: boolean
  readonly ignoreAcquireTs: boolean
}

export const defaultCoreSettings: CoreSettings = {
  portIke: 500,
  portNatT: 4500,
  retransmitTimeoutSeconds: 4,
  retransmitBase: 1.8,
  retransmitTries: 5,
  retransmitJitter: 0,
  retransmitLimitSeconds: 0,
  retryInitiateSeconds: 0,
  halfOpenTimeoutSeconds: 30,
  cookieThreshold: 30,
  cookieThresholdIp: 3,
  blockThreshold: 5,
  dosProtection: true,
  initLimitHalfOpen: 0,
  ikeSaLimit: 0,
  childSaLimit: 4096,
  initiatorOnly: false,
  makeBeforeBreak: true,
  deleteRekeyedDelaySeconds: 5,
  windowSize: 1,
  messageIdSync: false,
  sendInvalidIkeSpi: true,
  fragmentSize: 1280,
  fragmentSizeV4: undefined,
  fragmentSizeV6: undefined,
  maxPacket: 10000,
  preferConfiguredProposals: true,
  reuseIkeSa: true,
  replayWindow: 32,
  spiMin: 0xc0000000,
  spiMax: 0xcfffffff,
  spiMask: 0n,
  spiLabel: 0n,
  reqidBase: 1,
  reqidsInUse: [],
  keepAliveSeconds: 20,
  keepAliveDpdMarginSeconds: 0,
  checkCurrentPath: false,
  preferBestPath: false,
  sendVendorId: false,
  ciscoFlexvpn: false,
  signatureAuthentication: true,
  signatureConstraints: true,
  rsaPss: false,
  multipleAuthentication: true,
  hashAndUrl: false,
  followRedirects: true,
  redirectGateway: undefined,
  redirectExchange: 'init',
  redirectAbove: 0,
  installRoutes: true,
  routingTable: 220,
  installVirtualIp: true,
  installVirtualIpOn: undefined,
  attributes: [],
  updownDnsHandler: false,
  rejectTrustedEndEntity: false,
  rdnMatching: 'strict',
  closeIkeOnChildFailure: false,
  inactivityCloseIke: false,
  ignoreAcquireTs: false,
}
