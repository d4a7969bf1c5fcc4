/** The two states of a Child SA as the kernel is to have them: algorithms and keys, limits, addresses, selectors. */
import type { ChildConfig } from '../config/connection.ts'
import type { ChildKeys } from '../crypto/keys.ts'
import type { Secret } from '../crypto/secret.ts'
import type { KernelSa, KernelSelector, SaCrypto, SaId, SaLimits } from '../kernel/operations.ts'
import type { Path } from '../wire/endpoint.ts'
import { INTEG } from '../wire/numbers.ts'
import type { ChildAgreement, ChildSa } from './child-sa.ts'
import type { Core } from './core.ts'
import { Defect } from './errors.ts'
import type { IkeSa } from './ike-sa.ts'
import { outputMark } from './marks.ts'
import type { ChildSuite } from './proposals.ts'
import { kernelSelector, pairs } from './selectors.ts'

/** Limits drawn for one Child SA: kernel limits, and when they will be reached (for listings). */
export interface ChildLifetime {
  readonly limits: SaLimits
  readonly rekeyAtMs?: number
  readonly expireAtMs?: number
}

/** charon's limits: soft = rekey − floor(random × (jitter + 1)), hard = life; both sides draw their own. */
export function drawLifetime(core: Core, config: ChildConfig): ChildLifetime {
  const draw = () => Buffer.from(core.random(4)).readUInt32BE() / 2 ** 32
  const { lifetimeSeconds: s, lifetimeBytes: b, lifetimePackets: p } = config
  const soft = (rekey: number, rand: number) => (rekey > 0 ? Math.max(1, rekey - Math.floor(draw() * (rand + 1))) : 0)
  const softSeconds = soft(s.rekey, s.rand)
  const softBytes = soft(Number(b.rekey), Number(b.rand))
  const softPackets = soft(Number(p.rekey), Number(p.rand))
  return {
    limits: {
      ...(softSeconds > 0 && { softSeconds }),
      ...(s.life > 0 && { hardSeconds: s.life }),
      ...(softBytes > 0 && { softBytes: BigInt(softBytes) }),
      ...(b.life > 0n && { hardBytes: b.life }),
      ...(softPackets > 0 && { softPackets: BigInt(softPackets) }),
      ...(p.life > 0n && { hardPackets: p.life }),
    },
    ...(softSeconds > 0 && { rekeyAtMs: core.now + softSeconds * 1000 }),
    ...(s.life > 0 && { expireAtMs: core.now + s.life * 1000 }),
  }
}

/** Both states of a child that is about to be installed at that path. */
export function kernelSas(
  sa: IkeSa,
  child: ChildSa,
  keys: { readonly ours: ChildKeys; readonly theirs: ChildKeys },
  { local, remote }: Path,
  sequence?: number,
): { in: KernelSa; out: KernelSa } {
  const { config, agreement, reqid, protocol, marking } = child
  const { suite, mode, ipcomp } = agreement
  const encapsulated = sa.udpEncapsulation
  const common = {
    protocol,
    reqid,
    mode,
    esn: suite.esn,
    limits: child.lifetime.limits,
    copyDf: config.copyDf,
    copyEcn: config.copyEcn,
    copyDscp: config.copyDscp,
    ...(config.hwOffload !== 'no' && { hwOffload: config.hwOffload }),
  }
  const tfcPadding = config.tfcPadding === 'mtu' ? padToMtu : config.tfcPadding
  const selectorOf = (direction: KernelSa['direction']) => {
    const selector = mode === 'transport' ? stateSelector(agreement, direction) : undefined
    return selector && { selector }
  }
  const { ifIdIn, ifIdOut, markOut } = marking
  const markIn = config.markInSa ? marking.markIn : undefined
  const setMarkIn = outputMark(config.setMarkIn, marking.markIn)
  const setMarkOut = outputMark(config.setMarkOut, marking.markOut)
  return {
    in: {
      ...common,
      direction: 'in',
      ...(config.icmp && { icmpErrors: true }),
      spi: child.spiIn,
      source: remote.address,
      destination: local.address,
      crypto: saCrypto(suite, keys.theirs, config),
      replayWindow: config.replayWindow ?? sa.core.settings.replayWindow,
      ...selectorOf('in'),
      ...(encapsulated && { encapsulation: { sourcePort: remote.port, destinationPort: local.port } }),
      ...(ipcomp && { cpi: ipcomp.cpiIn }),
      ...(markIn && { mark: markIn }),
      ...(setMarkIn && { outputMark: setMarkIn }),
      ...(ifIdIn !== undefined && { ifId: ifIdIn }),
    },
    out: {
      ...common,
      direction: 'out',
      spi: child.spiOut,
      source: local.address,
      destination: remote.address,
      crypto: saCrypto(suite, keys.ours, config),
      replayWindow: suite.esn ? (config.replayWindow ?? sa.core.settings.replayWindow) : 0,
      ...selectorOf('out'),
      ...(encapsulated && { encapsulation: { sourcePort: local.port, destinationPort: remote.port } }),
      ...(ipcomp && { cpi: ipcomp.cpiOut }),
      ...(sequence !== undefined && { sequence }),
      ...(markOut && { mark: markOut }),
      ...(setMarkOut && { outputMark: setMarkOut }),
      ...(ifIdOut !== undefined && { ifId: ifIdOut }),
      // In transport mode nothing tells where a packet ends and its padding begins.
      ...(tfcPadding > 0 &&
        agreement.tfc &&
        mode === 'tunnel' &&
        ipcomp === undefined &&
        protocol === 'ESP' && { tfcPadding }),
    },
  }
}

/** Where an IKE SA is, and whether its children go in UDP. */
type Place = Path & { readonly udpEncapsulation: boolean }

/** A state where the IKE SA is now. */
export function relocated(state: KernelSa, sa: Place, agreement: ChildAgreement): KernelSa {
  const { encapsulation: _, selector: before, ...rest } = state
  const [from, to] = state.direction === 'in' ? [sa.remote, sa.local] : [sa.local, sa.remote]
  const selector = before && stateSelector(agreement, state.direction)
  return {
    ...rest,
    source: from.address,
    destination: to.address,
    ...(selector && { selector }),
    ...(sa.udpEncapsulation && { encapsulation: { sourcePort: from.port, destinationPort: to.port } }),
  }
}

/** What the kernel calls a state by. */
export function idOf(sa: SaId): SaId {
  const { protocol, spi, source, destination, mark, cpi } = sa
  return { protocol, spi, source, destination, ...(mark && { mark }), ...(cpi !== undefined && { cpi }) }
}

/** Forgets the keys of a state. */
export function wipe(state: KernelSa): void {
  const secrets: (Secret | undefined)[] =
    state.crypto.kind === 'aead' ? [state.crypto.key] : [state.crypto.encryption?.key, state.crypto.integrity?.key]
  for (const secret of secrets) secret?.[Symbol.dispose]()
}

/** The selector of a transport-mode state. */
function stateSelector(
  { localTs, remoteTs }: ChildAgreement,
  direction: KernelSa['direction'],
): KernelSelector | undefined {
  const [pair] = pairs(localTs, remoteTs)
  if (pair === undefined) return undefined
  return direction === 'out'
    ? kernelSelector(pair.local, pair.remote, pair.protocol)
    : kernelSelector(pair.remote, pair.local, pair.protocol)
}

/** The kernel pads no further than the path takes. */
const padToMtu = 0xffff_ffff

function saCrypto(suite: ChildSuite, keys: ChildKeys, config: ChildConfig): SaCrypto {
  const { encr, integ } = suite
  if (encr?.aead) return { kind: 'aead', name: encr.kernelName, key: keys.encr, icvBits: encr.icvBytes * 8 }
  if (integ !== undefined && integ.kernelName === undefined) throw new Defect(`${integ.name} is not for the kernel`)
  // The drafts of RFC 4868 cut this one to 96 bits. It is not negotiated: both ends have to be told.
  const truncationBits = config.sha256_96 && integ?.id === INTEG.HMAC_SHA2_256_128 ? 96 : (integ?.kernelTruncBits ?? 0)
  return {
    kind: 'separate',
    ...(encr && { encryption: { name: encr.kernelName, key: keys.encr } }),
    ...(integ?.kernelName !== undefined &&
      keys.integ && { integrity: { name: integ.kernelName, key: keys.integ, truncationBits } }),
  }
}
