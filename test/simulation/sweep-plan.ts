import type { ConfiguredProposal } from '../../src/config/connection.ts'
import { ENCR, ESN, INTEG, KE } from '../../src/wire/numbers.ts'
import {
  type AuthName,
  encr,
  espProposal,
  hybridEsp,
  hybridProposal,
  ikeProposal,
  integ,
  subnet,
} from './connection.ts'
import { Draw } from './draw.ts'
import { byUrl } from './hash-and-url.ts'
import type { PairOptions } from './pair.ts'
import { type PpkChoice, ppkChoices, withPpks } from './ppk.ts'
import { machineAndUser, type Twice } from './rounds.ts'
import { actionTable } from './sweep-actions.ts'
import { roadWarrior, v4Pool, v6Pool } from './virtual-ip.ts'

export interface Plan {
  readonly options: PairOptions
  readonly loss: number
  readonly duplication: number
  readonly mostDelayMs: number
  readonly corruption: number
  /** Things that happen: at that time, or so many steps after the one before if that is earlier. */
  readonly actions: readonly { readonly atMs: number; readonly steps: number; readonly name: ActionName }[]
  readonly cookies: boolean
  /** The left one asks for virtual IPs. */
  readonly virtual: boolean
  /** Somebody on the path forges messages all the time. */
  readonly forged: boolean
  readonly summary: string
}

export type ActionName =
  | 'left initiates'
  | 'right initiates'
  | 'both initiate'
  | 'left initiates everything'
  | 'right initiates more'
  | 'left terminates the child'
  | 'right terminates the child'
  | 'left terminates the IKE SA'
  | 'right terminates the IKE SA'
  | 'both terminate the IKE SA'
  | 'a packet from left'
  | 'a packet from right'
  | 'the NAT forgets'
  | 'the network is cut'
  | 'the network is back'
  | 'the left kernel refuses'
  | 'the right kernel refuses'
  | 'left rekeys the child'
  | 'right rekeys the child'
  | 'both rekey the child'
  | 'left rekeys all children'
  | 'both rekey all children'
  | 'left rekeys the IKE SA'
  | 'right rekeys the IKE SA'
  | 'both rekey the IKE SA'
  | 'left reauthenticates'
  | 'right reauthenticates'
  | 'both reauthenticate'
  | 'right sends left away'
  | 'left crashes'
  | 'right crashes'
  | 'an old datagram comes again'
  | 'left installs a trap'
  | 'left uninstalls a trap'
  | 'left loads another connection'
  | 'left loads the connection again'
  | 'left unloads the connection'
  | 'an address comes and goes'
  | 'left moves'
  | 'right moves'
  | 'left comes home'
  | 'right comes home'
  | 'the calendar of left jumps'
  | 'the calendar of right jumps'
  | 'left is stopped for a while'
  | 'right is stopped for a while'
  | 'the jobs of left are slow'
  | 'the jobs of right are slow'

export function drawPlan(draw: Draw, seed: number): Plan {
  const auth = draw.weighted({ psk: 12, p256: 3, ed25519: 3, rsa2048: 1, p384: 1 }) satisfies AuthName
  const rightAuth = draw.chance(0.1) ? ('psk' as const) : auth
  const outer = draw.chance(0.2) ? 6 : 4
  const inner = draw.chance(0.2) ? 6 : outer
  const nat = outer === 4 && draw.chance(0.3) ? draw.pick(['left', 'right', 'both'] as const) : undefined
  const mode = draw.chance(0.2) ? 'transport' : 'tunnel'
  const ike = drawIke(draw)
  const esp = drawEsp(draw)
  const start = draw.weighted({ none: 4, 'left traps': 2, 'both trap': 1, 'left starts': 1, 'both start': 1 })
  const action = (side: 'left' | 'right'): { trap: boolean; start: boolean } => ({
    trap: start === 'both trap' || start === `${side} traps`,
    start: start === 'both start' || start === `${side} starts`,
  })
  const keeps = start.includes('start') && draw.chance(0.6)
  const keepUp = (side: 'left' | 'right') =>
    keeps && action(side).start
      ? { dpdAction: { trap: false, start: true }, closeAction: { trap: false, start: true } }
      : {}
  const narrow = mode === 'tunnel' && draw.chance(0.15)
  const cookies = draw.chance(0.2)
  const virtual = mode === 'tunnel' && !start.includes('trap') && draw.chance(0.4)
  const window = (): number => draw.pick([1, 1, 2, 3, 4])
  const windows = [window(), window()] as const
  const rare = new Draw(seed + 1_000_003) // of its own, so that older runs stay as they were
  const plain: PairOptions = {
    seed,
    more: mode === 'tunnel' && !virtual && draw.chance(0.5),
    outer,
    inner: mode === 'transport' ? outer : inner,
    mode,
    left: {
      auth,
      settings: { windowSize: windows[0] },
      child: { startAction: action('left'), ...keepUp('left') },
      ...(ike.left && { connection: { proposals: ike.left } }),
    },
    right: {
      auth: rightAuth,
      settings: { windowSize: windows[1] },
      child: {
        // A trap needs an address to go to.
        ...(nat === 'left' || nat === 'both' ? {} : { startAction: action('right'), ...keepUp('right') }),
        ...(narrow && { localTs: [subnet(inner === 6 ? 'fd00:2::/80' : '10.2.0.0/24')] }),
      },
      ...(ike.right && { connection: { proposals: ike.right } }),
    },
    esp,
    ...(nat && { nat }),
    settings: {
      fragmentSize: draw.pick([0, 1280, 1280, 576, 400]),
      cookieThreshold: cookies ? 1 : 30,
      replayWindow: draw.pick([32, 32, 64, 4096]),
      retransmitTries: draw.pick([5, 5, 3]),
      preferConfiguredProposals: draw.chance(0.8),
    },
    connection: {
      mobike: draw.chance(0.7),
      childless: draw.pick(['allow', 'allow', 'prefer', 'force'] as const),
      encap: draw.chance(0.1),
      dpdDelaySeconds: keeps ? 10 : draw.pick([0, 0, 10]),
      keyingTries: draw.pick([1, 1, 0]),
      ...(draw.chance(0.2) && { rekeySeconds: 90, randSeconds: 20, overSeconds: 30 }),
    },
    child: {
      ...(draw.chance(0.2) && { lifetimeSeconds: { rekey: 60, life: 80, rand: 20 } }),
      ipcomp: draw.chance(0.25),
      ...(rare.chance(0.2) && { label: 'secret' }),
      policiesFwdOut: rare.chance(0.2),
    },
  }
  const twice = auth === rightAuth && draw.chance(0.15) ? draw.pick(['left', 'right', 'both'] as const) : undefined
  const rounds = twice ? withRounds(plain, twice, auth, draw.pick(['psk', 'ed25519'])) : plain
  const urls = auth !== 'psk' && draw.chance(0.3)
  const proven = urls ? byUrl(rounds, auth) : rounds
  const ppk = draw.chance(0.15) ? draw.pick(Object.keys(ppkChoices) as PpkChoice[]) : undefined
  const mixed = ppk ? withPpks(proven, ppk) : proven
  const options = virtual ? drawVirtual(draw, mixed) : mixed
  const calm = draw.chance(0.15)
  const loss = calm ? 0 : draw.pick([0, 0.05, 0.2, 0.4, 0.6])
  const duplication = calm ? 0 : draw.pick([0, 0.1, 0.5])
  const mostDelayMs = draw.pick([0, 20, 500, 5000])
  const corruption = calm ? 0 : draw.pick([0, 0, 0.1])
  const seconds = draw.pick([1, 5, 30, 120])
  const quick = draw.chance(0.5)
  const actions = Array.from({ length: draw.between(1, quick ? 12 : 6) }, () => ({
    atMs: draw.below(seconds * 1000),
    steps: quick ? draw.below(20) : Number.POSITIVE_INFINITY,
    name: drawAction(draw),
  })).sort((a, b) => a.atMs - b.atMs)
  // What is kept up shall meet what takes it away without a word.
  if (keeps && draw.chance(0.5)) {
    const name = draw.pick(['left crashes', 'right crashes', 'the calendar of left jumps'] as const)
    actions.push({ atMs: seconds * 1000, steps: Number.POSITIVE_INFINITY, name })
    if (draw.chance(0.5)) actions.push({ atMs: seconds * 1000, steps: 0, name: 'right crashes' })
  }
  const first = {
    atMs: 0,
    steps: 0,
    name: draw.pick(['left initiates', 'left initiates', 'a packet from left'] as const),
  }
  const forged = draw.chance(keeps ? 0.5 : 0.2)
  const summary = [
    auth === rightAuth ? auth : `${auth}/${rightAuth}`,
    `v${options.inner} in v${outer}`,
    mode,
    ...(nat ? [`NAT ${nat}`] : []),
    ...(twice ? [`${twice} twice`] : []),
    ...(urls ? ['hash and URL'] : []),
    ...(ppk ? [ppk] : []),
    ...(ike.summary ? [ike.summary] : []),
    ...(start === 'none' ? [] : [start]),
    ...(keeps ? ['kept up'] : []),
    ...(options.child?.ipcomp ? ['ipcomp'] : []),
    ...(options.child?.label ? ['label'] : []),
    ...(options.child?.policiesFwdOut ? ['forward policies'] : []),
    ...(narrow ? ['narrowed'] : []),
    ...(virtual ? [`virtual ${options.left?.connection?.vips?.join(' ')}`] : []),
    ...(cookies ? ['cookies'] : []),
    ...(forged ? ['forged messages'] : []),
    ...(plain.more ? ['two children'] : []),
    `windows ${windows.join(' and ')}`,
    `loss ${loss}, twice ${duplication}, changed ${corruption}, delay ${mostDelayMs} ms`,
    [first, ...actions].map(({ name }) => name).join(', '),
  ].join('; ')
  const drawn = { options, loss, duplication, corruption, mostDelayMs, cookies, virtual, forged, summary }
  return { ...drawn, actions: [first, ...actions] }
}

/** The same with a second authentication round of one side or both. */
function withRounds(options: PairOptions, who: Twice, first: AuthName, second: AuthName): PairOptions {
  const { left, right } = machineAndUser(who, first, second)
  return {
    ...options,
    left: { ...options.left, ...left, connection: { ...options.left?.connection, ...left?.connection } },
    right: { ...options.right, ...right, connection: { ...options.right?.connection, ...right?.connection } },
  }
}

/** The left one has no network but asks for an address; the right one has enough of them, or just one. */
function drawVirtual(draw: Draw, options: PairOptions): PairOptions {
  const { inner = 4 } = options
  const any = inner === 6 ? '::' : '0.0.0.0'
  const other = inner === 6 ? '0.0.0.0' : '::'
  const pools = [v4Pool, v6Pool].map((pool) => ({
    ...pool,
    size: draw.pick([1, 2, 254]),
    attributes: draw.chance(0.5) ? [{ name: 'dns', values: ['10.2.0.53'] }] : [],
  }))
  const vips = draw.pick([[any], [any, other], [inner === 6 ? 'fec7::1' : '10.77.0.1']])
  return roadWarrior({ ...options, vips, pools, families: [inner] })
}

function drawAction(draw: Draw): ActionName {
  const weights = Object.entries(actionTable).map(([name, { weight }]) => [name, weight] as const)
  // Object.fromEntries forgets the names' type.
  return draw.weighted(Object.fromEntries(weights) as Record<ActionName, number>)
}

interface IkeChoice {
  readonly left?: readonly ConfiguredProposal[]
  readonly right?: readonly ConfiguredProposal[]
  readonly summary?: string
}

/** Cheap groups most of the time: a run shall take milliseconds. */
function drawIke(draw: Draw): IkeChoice {
  switch (
    draw.weighted({ same: 6, ecp: 2, cbc: 2, 'other group first': 3, several: 1, hybrid: 1, 'hybrid first': 1 })
  ) {
    case 'ecp': {
      const proposals = [ikeProposal([draw.pick([KE.ECP_256, KE.ECP_256, KE.ECP_384])])]
      return { left: proposals, right: proposals }
    }
    case 'cbc': {
      const proposals = [ikeProposal([KE.CURVE_25519], false)]
      return { left: proposals, right: proposals }
    }
    case 'other group first':
      return {
        left: [ikeProposal([KE.ECP_256, KE.CURVE_25519])],
        right: [ikeProposal([KE.CURVE_25519])],
        summary: 'other group first',
      }
    case 'hybrid': {
      // x25519-ke1_mlkem768, sometimes with a second one after it.
      const proposals = [hybridProposal([KE.ML_KEM_768], ...(draw.chance(0.3) ? [[KE.ECP_256]] : []))]
      return { left: proposals, right: proposals, summary: 'hybrid' }
    }
    case 'hybrid first':
      return {
        left: [hybridProposal([KE.ML_KEM_512, KE.ML_KEM_768]), ikeProposal()],
        right: draw.chance(0.5) ? [ikeProposal(), hybridProposal([KE.ML_KEM_768])] : [ikeProposal()],
        summary: 'hybrid first',
      }
    case 'several':
      return {
        left: [ikeProposal([KE.ECP_384]), ikeProposal([KE.CURVE_25519], false), ikeProposal()],
        right: [ikeProposal([KE.CURVE_25519, KE.ECP_256])],
        summary: 'several proposals',
      }
    default:
      return {}
  }
}

function drawEsp(draw: Draw): readonly ConfiguredProposal[] {
  const esn = draw.pick([[ESN.NO_ESN], [ESN.ESN], [ESN.ESN, ESN.NO_ESN]])
  const gcm = espProposal([encr(ENCR.AES_GCM_16, draw.pick([128, 256]))], esn)
  const cbc = espProposal([encr(ENCR.AES_CBC, 128), integ(INTEG.HMAC_SHA2_256_128)], esn)
  const chacha = espProposal([encr(ENCR.CHACHA20_POLY1305)], esn)
  const hybrid = hybridEsp([[KE.ML_KEM_512], ...(draw.chance(0.3) ? [[KE.ECP_256]] : [])], gcm)
  return draw.pick([[gcm], [cbc], [chacha], [chacha, gcm], [gcm, cbc], [hybrid], [hybrid, gcm]])
}
