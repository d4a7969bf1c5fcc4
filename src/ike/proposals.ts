/** Selection of algorithms (RFC 7296 §2.7, §3.3.6, RFC 9370 §2.2.1), and the suite that a selected proposal stands for. */
import type { ConfiguredProposal, ProposedTransform } from '../config/connection.ts'
import { type EncryptionAlgorithm, encryption } from '../crypto/encryption.ts'
import { type IntegrityAlgorithm, integrity } from '../crypto/integrity.ts'
import type { IkeSuite } from '../crypto/keys.ts'
import { prf } from '../crypto/prf.ts'
import { PROTOCOL, TRANSFORM_TYPE } from '../wire/numbers.ts'
import type { Proposal, Transform } from '../wire/payloads/index.ts'
import { assert } from './errors.ts'
import type { ProposalView } from './view.ts'

/** One transform of each type that both sides accept. */
export interface Selected {
  readonly protocol: ConfiguredProposal['protocol']
  /** The peer's proposal number, to be echoed. */
  readonly number: number
  /** The peer's SPI. */
  readonly spi: Uint8Array
  readonly transforms: readonly ProposedTransform[]
}

export interface SelectionRules {
  /** Our order of preference decides, not the peer's. */
  readonly preferConfigured: boolean
  /** Leave key exchanges out: a Child SA of IKE_AUTH has none (RFC 7296 §1.2). */
  readonly withoutKeyExchange?: boolean
  /** The peer did not announce IKE_INTERMEDIATE: ADDKE types are unknown (RFC 9370 §2.2.1). */
  readonly withoutIntermediate?: boolean
}

/** The first match in the order of preference, or undefined. */
export function select(
  configured: readonly ConfiguredProposal[],
  received: readonly Proposal[],
  rules: SelectionRules,
): Selected | undefined {
  if (rules.preferConfigured) {
    for (const ours of configured) {
      for (const theirs of received) {
        const selected = match(ours, theirs, rules)
        if (selected !== undefined) return selected
      }
    }
  } else {
    for (const theirs of received) {
      for (const ours of configured) {
        const selected = match(ours, theirs, rules)
        if (selected !== undefined) return selected
      }
    }
  }
  return undefined
}

/** The transform of that type, if it was selected and is not NONE. */
export function transformOf(selected: Selected, type: number): ProposedTransform | undefined {
  return selected.transforms.find((transform) => transform.type === type && transform.id !== none(type))
}

/** The methods of the additional key exchanges, in the order of their types, which is that of the exchanges (RFC 9370 §2.2.1). */
export function additionalKeyExchanges(selected: Selected): number[] {
  return additionalTypes.flatMap((type) => transformOf(selected, type)?.id ?? [])
}

/** Whether some proposal may lead to additional key exchanges. */
export function offersAdditional(proposals: readonly Pick<ConfiguredProposal, 'transforms'>[]): boolean {
  return proposals.some(({ transforms }) => transforms.some(({ type }) => additionalTypes.includes(type)))
}

/** A proposal as it goes into an SA payload. */
export function proposalOf(
  configured: Pick<ConfiguredProposal, 'protocol' | 'transforms'>,
  number: number,
  spi: Uint8Array,
  withoutKeyExchange = false,
): Proposal {
  return {
    number,
    protocol: PROTOCOL[configured.protocol],
    spi,
    transforms: configured.transforms.filter(({ type }) => !(withoutKeyExchange && isKeyExchange(type))),
  }
}

/**
 * What the responder selected from our proposals, or undefined when it is not a selection from them: one transform of
 * each type, all of them offered (RFC 7296 §2.7: the initiator MUST check).
 */
export function accepted(
  configured: readonly ConfiguredProposal[],
  answer: readonly Proposal[],
  rules: SelectionRules,
): Selected | undefined {
  const [proposal, ...more] = answer
  if (proposal === undefined || more.length > 0) return undefined
  const types = proposal.transforms.map(({ type }) => type)
  if (new Set(types).size !== types.length) return undefined
  const ours = configured[proposal.number - 1]
  return ours && match(ours, proposal, rules)
}

/** The algorithms of an IKE proposal that `select` found. */
export function suiteOf(selected: Selected): IkeSuite {
  const encr = transformOf(selected, TRANSFORM_TYPE.ENCR)
  const algorithm = encr && encryption(encr.id, encr.keyBits)
  const prfAlgorithm = prf(transformOf(selected, TRANSFORM_TYPE.PRF)?.id ?? 0)
  const integ = transformOf(selected, TRANSFORM_TYPE.INTEG)
  const integAlgorithm = integ && integrity(integ.id)
  assert(algorithm?.ikeSupported && prfAlgorithm, 'a configured IKE proposal has algorithms that we have')
  return { encr: algorithm, encrKeyBits: keyBitsOf(algorithm, encr), prf: prfAlgorithm, integ: integAlgorithm }
}

/** The algorithms of an ESP or AH proposal that `select` found. */
export interface ChildSuite {
  readonly protocol: 'ESP' | 'AH'
  readonly encr: EncryptionAlgorithm | undefined
  readonly encrKeyBits: number
  readonly integ: IntegrityAlgorithm | undefined
  readonly esn: boolean
}

export function childSuiteOf(selected: Selected): ChildSuite {
  assert(selected.protocol !== 'IKE', 'a Child SA is ESP or AH')
  const encr = transformOf(selected, TRANSFORM_TYPE.ENCR)
  const algorithm = encr && encryption(encr.id, encr.keyBits)
  assert(algorithm !== undefined || selected.protocol === 'AH', 'a configured ESP proposal has algorithms that we have')
  const integ = transformOf(selected, TRANSFORM_TYPE.INTEG)
  return {
    protocol: selected.protocol,
    encr: algorithm,
    encrKeyBits: algorithm ? keyBitsOf(algorithm, encr) : 0,
    integ: integ && integrity(integ.id),
    esn: transformOf(selected, TRANSFORM_TYPE.ESN) !== undefined,
  }
}

/** For listings. */
export function proposalView(selected: Selected): ProposalView {
  const algorithm = (type: number) => {
    const transform = transformOf(selected, type)
    return transform && { id: transform.id, ...(transform.keyBits !== undefined && { keyBits: transform.keyBits }) }
  }
  const encr = algorithm(TRANSFORM_TYPE.ENCR)
  const integ = algorithm(TRANSFORM_TYPE.INTEG)
  const prfView = algorithm(TRANSFORM_TYPE.PRF)
  const ke = transformOf(selected, TRANSFORM_TYPE.KE)
  // By position, so that NONE before a later exchange keeps its place.
  const additional = additionalTypes.map((type) => transformOf(selected, type)?.id ?? 0)
  return {
    ...(encr && { encryption: encr }),
    ...(integ && { integrity: integ }),
    ...(prfView && { prf: prfView }),
    ...(ke && { keyExchange: ke.id }),
    additionalKeyExchanges: additional.slice(0, additional.findLastIndex((id) => id !== 0) + 1),
    esn: transformOf(selected, TRANSFORM_TYPE.ESN) !== undefined,
  }
}

function keyBitsOf(algorithm: EncryptionAlgorithm, transform: ProposedTransform | undefined): number {
  return transform?.keyBits ?? algorithm.keyBits[0] ?? 0
}

const additionalTypes: readonly number[] = [
  TRANSFORM_TYPE.ADDKE1,
  TRANSFORM_TYPE.ADDKE2,
  TRANSFORM_TYPE.ADDKE3,
  TRANSFORM_TYPE.ADDKE4,
  TRANSFORM_TYPE.ADDKE5,
  TRANSFORM_TYPE.ADDKE6,
  TRANSFORM_TYPE.ADDKE7,
]

function isKeyExchange(type: number): boolean {
  return type === TRANSFORM_TYPE.KE || additionalTypes.includes(type)
}

/** The id that means "none of this type", and -1 where there is no such id. */
function none(type: number): number {
  return type === TRANSFORM_TYPE.ENCR || type === TRANSFORM_TYPE.PRF ? -1 : 0
}

/** Types that may be missing on one side: a missing one is the same as NONE. */
function optional(type: number, protocol: ConfiguredProposal['protocol']): boolean {
  if (type === TRANSFORM_TYPE.KE) return protocol !== 'IKE'
  return type === TRANSFORM_TYPE.INTEG || additionalTypes.includes(type)
}

const knownTypes: readonly number[] = [
  TRANSFORM_TYPE.ENCR,
  TRANSFORM_TYPE.PRF,
  TRANSFORM_TYPE.INTEG,
  TRANSFORM_TYPE.KE,
  TRANSFORM_TYPE.ESN,
  ...additionalTypes,
]

function match(ours: ConfiguredProposal, theirs: Proposal, rules: SelectionRules): Selected | undefined {
  if (PROTOCOL[ours.protocol] !== theirs.protocol) return undefined
  // RFC 7296 §3.3.6: a proposal with a transform type that we do not know is not for us.
  const known = (type: number) =>
    knownTypes.includes(type) && !(rules.withoutIntermediate && additionalTypes.includes(type))
  if (theirs.transforms.some(({ type }) => !known(type))) return undefined
  const choices: { readonly type: number; readonly possible: readonly Transform[] }[] = []
  for (const type of knownTypes) {
    if (rules.withoutKeyExchange && isKeyExchange(type)) continue
    const mine = ours.transforms.filter((transform) => transform.type === type)
    const yours = theirs.transforms.filter((transform) => transform.type === type)
    if (mine.length === 0 && yours.length === 0) continue
    const absent: Transform = { type, id: none(type) }
    const missing = optional(type, ours.protocol)
    const a = mine.length > 0 ? mine : missing ? [absent] : []
    const b = yours.length > 0 ? yours : missing ? [absent] : []
    const [outer, inner] = rules.preferConfigured ? [a, b] : [b, a]
    choices.push({
      type,
      possible: outer.filter((x) => inner.some((y) => same(x, y)) && x.id < privateIds),
    })
  }
  const found = withoutRepetition(choices, new Set())
  if (found === undefined) return undefined
  // RFC 9370 §2.2.4: the exchange of type 4 is the first, the others are additional to it.
  const exchanges = found.filter(({ type, id }) => isKeyExchange(type) && id !== 0)
  if (exchanges.length > 0 && exchanges[0]?.type !== TRANSFORM_TYPE.KE) return undefined
  const transforms = found.flatMap(({ type, id, keyBits }): ProposedTransform[] =>
    theirs.transforms.some((transform) => transform.type === type)
      ? [{ type, id, ...(keyBits !== undefined && { keyBits }) }]
      : [],
  )
  return { protocol: ours.protocol, number: theirs.number, spi: theirs.spi, transforms }
}

/**
 * One of each type, the first that goes: no key exchange method twice (RFC 9370 §2.2.1), for which an earlier type may
 * have to give way. The configuration bounds the search.
 */
function withoutRepetition(
  choices: readonly { readonly type: number; readonly possible: readonly Transform[] }[],
  methods: ReadonlySet<number>,
): Transform[] | undefined {
  const [first, ...rest] = choices
  if (first === undefined) return []
  for (const transform of first.possible) {
    const method = isKeyExchange(first.type) && transform.id !== 0 ? transform.id : undefined
    if (method !== undefined && methods.has(method)) continue
    const others = withoutRepetition(rest, method === undefined ? methods : new Set([...methods, method]))
    if (others !== undefined) return [transform, ...others]
    // Another choice changes nothing for the types that follow.
    if (method === undefined && !isKeyExchange(first.type)) return undefined
  }
  return undefined
}

function same(a: Transform | ProposedTransform, b: Transform | ProposedTransform): boolean {
  const strange =
    ('unknownAttributes' in a && a.unknownAttributes?.length) ||
    ('unknownAttributes' in b && b.unknownAttributes?.length)
  return a.id === b.id && a.keyBits === b.keyBits && !strange
}

/** Transform IDs from here on are private: no algorithm of ours has one. */
const privateIds = 1024
