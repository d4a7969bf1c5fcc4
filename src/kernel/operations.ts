/**
 * The kernel as a list of operations. The core asks for them as jobs; a performer carries them out: netlink XFRM
 * (`performer.ts`) or memory (`simulated/`). Everything here is plain data, addresses are canonical text.
 */
import type { Secret } from '../crypto/secret.ts'

export type SaProtocol = 'ESP' | 'AH'
/** IPCOMP (RFC 3173) has states of its own, whose SPI is the CPI; they are named only to reserve one and to give it back. */
export type StateProtocol = SaProtocol | 'IPCOMP'
export type SaMode = 'tunnel' | 'transport' | 'beet'
export type PolicyDirection = 'in' | 'out' | 'fwd'

/** A mark or a mask over it, as in xfrm_mark; value 0 with mask 0 is never stored: leave the field out. */
export interface Mark {
  readonly value: number
  readonly mask: number
}

/** Names one state in the kernel (xfrm_usersa_id): SPI, protocol and destination address, plus its mark. */
export interface SaId {
  readonly protocol: StateProtocol
  readonly spi: number
  readonly source: string
  readonly destination: string
  readonly mark?: Mark
  /** The CPI of the IPComp state that goes with it: packets are compressed first. */
  readonly cpi?: number
}

/** One side of a kernel selector: `address/prefix` and a port under a mask (0/0 is any). */
export interface SelectorSide {
  readonly address: string
  readonly prefix: number
  readonly port: number
  readonly portMask: number
}

/** xfrm_selector: what packets a policy (or a transport-mode state) is for. Protocol 0 is any. */
export interface KernelSelector {
  readonly family: 4 | 6
  readonly protocol: number
  readonly source: SelectorSide
  readonly destination: SelectorSide
  /** Interface the policy is limited to. */
  readonly interface?: string
}

/** An algorithm as the kernel names it, e.g. `rfc4106(gcm(aes))`; `key` includes the salt of AEAD and CTR modes. */
export type SaCrypto =
  | { readonly kind: 'aead'; readonly name: string; readonly key: Secret; readonly icvBits: number }
  | {
      readonly kind: 'separate'
      readonly encryption?: { readonly name: string; readonly key: Secret }
      readonly integrity?: { readonly name: string; readonly key: Secret; readonly truncationBits: number }
    }

/** Limits of a state (xfrm_lifetime_cfg); a missing number is "never". Soft limits raise `expire` with hard = false. */
export interface SaLimits {
  readonly softSeconds?: number
  readonly hardSeconds?: number
  readonly softBytes?: bigint
  readonly hardBytes?: bigint
  readonly softPackets?: bigint
  readonly hardPackets?: bigint
}

/** Everything the kernel must know of one direction of a Child SA. */
export interface KernelSa extends SaId {
  readonly protocol: SaProtocol
  readonly direction: 'in' | 'out'
  readonly reqid: number
  /** Of what crosses: with IPComp that state has it, and the other is in transport mode around it. */
  readonly mode: SaMode
  readonly crypto: SaCrypto
  /** UDP encapsulation (RFC 3948): ports of the outer header as sent, from `source` to `destination`. */
  readonly encapsulation?: { readonly sourcePort: number; readonly destinationPort: number }
  readonly esn: boolean
  /** Packets; only the inbound state uses it. 0 turns replay protection off. */
  readonly replayWindow: number
  readonly limits: SaLimits
  /** Selector of transport and BEET states. */
  readonly selector?: KernelSelector
  /** XFRMA_SET_MARK: the mark a packet carries after processing. */
  readonly outputMark?: Mark
  /** Of the acquire that this state answers: the kernel forgets the question, also when the reqid is another one. */
  readonly sequence?: number
  readonly ifId?: number
  /** Octets to pad plaintext to; 0 is none. */
  readonly tfcPadding?: number
  readonly copyDf: boolean
  readonly copyEcn: boolean
  readonly copyDscp: 'no' | 'in' | 'out' | 'yes'
  /** Let ICMP errors in that no policy fits, if the packet that they are about would fit one. */
  readonly icmpErrors?: true
  readonly hwOffload?: 'crypto' | 'packet' | 'auto'
  readonly interface?: string
}

/** What a policy asks of packets: a template (xfrm_user_tmpl), found by reqid, and outbound by the SPI as well. */
export interface PolicyTemplate {
  readonly protocol: SaProtocol
  readonly mode: SaMode
  readonly reqid: number
  /** Outer addresses in tunnel mode; in transport mode left unspecified. */
  readonly source: string
  readonly destination: string
  /** The out policy of a Child SA names the state that carries its packets (0 or missing is any). */
  readonly spi?: number
  /** Packets are compressed before; in the kernel this is a template of its own (see `templatesOf`). */
  readonly ipcomp?: true
  /** With `ipcomp`: the SPI of that template. */
  readonly cpi?: number
}

/** A template as the kernel has it. */
export interface KernelTemplate extends Omit<PolicyTemplate, 'protocol' | 'ipcomp' | 'cpi'> {
  readonly protocol: StateProtocol
  /** Inbound, what was too small or too random to be compressed has not met the IPComp state. */
  readonly optional: boolean
}

/** The templates of a policy in the order in which a packet that leaves meets them. */
export function templatesOf({ direction, templates }: Pick<KernelPolicy, 'direction' | 'templates'>): KernelTemplate[] {
  return templates.flatMap(({ ipcomp, cpi, ...template }): KernelTemplate[] => {
    if (!ipcomp) return [{ ...template, optional: false }]
    const { spi: _, ...compressed } = template
    return [
      { ...compressed, ...(cpi !== undefined && { spi: cpi }), protocol: 'IPCOMP', optional: direction !== 'out' },
      { ...template, mode: 'transport', optional: false },
    ]
  })
}

export interface PolicyKey {
  readonly direction: PolicyDirection
  readonly selector: KernelSelector
  readonly mark?: Mark
  readonly ifId?: number
}

export interface KernelPolicy extends PolicyKey {
  readonly action: 'protect' | 'pass' | 'drop'
  /** Lower wins, as in the kernel. */
  readonly priority: number
  /** Also for ICMP errors about packets that fit. */
  readonly icmpErrors?: true
  readonly templates: readonly PolicyTemplate[]
}

/** A route in `table` to `destination` by the next hop towards a peer; `source` is the preferred source address. */
export interface KernelRoute {
  readonly family: 4 | 6
  readonly table: number
  readonly destination: { readonly address: string; readonly prefix: number }
  readonly source?: string
  readonly gateway?: string
  readonly interface?: string
  /** Packets to the destination are not for this table: the next one has their route (RTN_THROW). */
  readonly passes?: true
}

/** Byte and packet counters of a state and when it was last used (epoch milliseconds, missing if never). */
export interface SaUsage {
  readonly bytes: bigint
  readonly packets: bigint
  readonly lastUsedMs?: number
}

export type KernelOperation =
  /** XFRM_MSG_ALLOCSPI: a larval inbound state with an SPI in [min, max]. */
  | {
      readonly kind: 'allocate-spi'
      readonly protocol: StateProtocol
      readonly source: string
      readonly destination: string
      readonly reqid: number
      readonly min: number
      readonly max: number
    }
  /** NEWSA, or UPDSA when `larval` says that allocate-spi made the state before. */
  | { readonly kind: 'install-sa'; readonly sa: KernelSa; readonly larval: boolean }
  /** New endpoints or ports of a living state (MOBIKE, NAT mapping); counters and replay state are kept. */
  | {
      readonly kind: 'move-sa'
      readonly id: SaId
      readonly sa: KernelSa
    }
  | { readonly kind: 'delete-sa'; readonly id: SaId }
  | { readonly kind: 'query-sa'; readonly id: SaId }
  /** The same of many, for a listing. */
  | { readonly kind: 'query-sas'; readonly ids: readonly SaId[] }
  /** XFRM_MSG_NEWAE: leaves out at least `by` sequence numbers of an outbound state. */
  | { readonly kind: 'skip-sequence'; readonly id: SaId; readonly by: bigint }
  /** NEWPOLICY, or UPDPOLICY when `replace`. */
  | { readonly kind: 'install-policy'; readonly policy: KernelPolicy; readonly replace: boolean }
  | { readonly kind: 'delete-policy'; readonly key: PolicyKey }
  /**
   * Asks the routing tables how to reach `remote` (optionally from `local`): the source address to use and, when
   * `within` is given, a local address inside that subnet.
   */
  | {
      readonly kind: 'route-lookup'
      readonly remote: string
      readonly local?: string
      readonly within?: { readonly address: string; readonly prefix: number }
    }
  /** The addresses at which a peer could reach this host; those of `add-address` are not among them. */
  | { readonly kind: 'local-addresses' }
  | { readonly kind: 'add-route'; readonly route: KernelRoute }
  | { readonly kind: 'delete-route'; readonly route: KernelRoute }
  /** An address for this host alone; it stays until each user has deleted it, and one that was there before for ever. */
  | { readonly kind: 'add-address'; readonly address: string; readonly interface?: string; readonly peer: string }
  | { readonly kind: 'delete-address'; readonly address: string }
  /** Everything this performer installed and still remembers, and nothing else. */
  | { readonly kind: 'flush' }

/** The answer to each kind of operation. */
export interface KernelResults {
  readonly 'allocate-spi': { readonly spi: number }
  readonly 'install-sa': undefined
  readonly 'move-sa': undefined
  readonly 'delete-sa': undefined
  /** Missing when the state is gone. */
  readonly 'query-sa': SaUsage | undefined
  /** In the order of the question. */
  readonly 'query-sas': readonly (SaUsage | undefined)[]
  readonly 'skip-sequence': undefined
  readonly 'install-policy': undefined
  readonly 'delete-policy': undefined
  readonly 'route-lookup': {
    /** The source address the kernel picks; missing when there is no route. */
    readonly source?: string
    readonly gateway?: string
    readonly interface?: string
    /** A local address inside `within`, if there is one. */
    readonly localWithin?: string
  }
  readonly 'local-addresses': readonly string[]
  readonly 'add-route': undefined
  readonly 'delete-route': undefined
  readonly 'add-address': undefined
  readonly 'delete-address': undefined
  readonly flush: undefined
}

export type KernelResult = KernelResults[KernelOperation['kind']]

export type KernelEvent =
  /** A packet met a protecting policy without a state (xfrm_user_acquire). */
  | {
      readonly kind: 'acquire'
      readonly reqid: number
      readonly protocol: SaProtocol
      readonly source: string
      readonly destination: string
      /** The packet's own selector: host addresses, protocol and ports. */
      readonly packet: KernelSelector
      /** The number of the acquire: the state that answers it carries it. */
      readonly sequence: number
    }
  /** A soft or hard limit of a state was reached. */
  | {
      readonly kind: 'expire'
      readonly protocol: SaProtocol
      readonly spi: number
      readonly destination: string
      readonly hard: boolean
    }
  /** ESP in UDP came from another address or port than the state says. */
  | {
      readonly kind: 'mapping'
      readonly spi: number
      readonly reqid: number
      readonly source: string
      readonly newSource: string
      readonly newPort: number
    }
  /** Addresses, links or routes changed; the core may have to move its SAs. */
  | { readonly kind: 'roam' }

/**
 * The kernel said no. `errno` is its symbolic name, `cure` a sentence for the operator, e.g.
 * "the kernel has no ESP for IPv4: load esp4".
 */
export class KernelError extends Error {
  readonly operation: KernelOperation['kind']
  readonly errno: string
  readonly cure: string | undefined

  constructor(operation: KernelOperation['kind'], errno: string, cure?: string, detail?: string) {
    super(`${operation} failed: ${errno}${detail ? ` (${detail})` : ''}${cure ? `: ${cure}` : ''}`)
    this.name = 'KernelError'
    this.operation = operation
    this.errno = errno
    this.cure = cure
  }
}

/** A performer of kernel operations. */
export interface Kernel {
  perform<K extends KernelOperation['kind']>(
    operation: Extract<KernelOperation, { kind: K }>,
  ): Promise<KernelResults[K]>
  onEvent(listener: (event: KernelEvent) => void): void
  close(): Promise<void>
}
