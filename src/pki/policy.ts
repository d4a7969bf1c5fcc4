import type { Certificate } from './certificate.ts'
import { oids } from './oid.ts'

/** What the one who validates wants of policies, RFC 5280 §6.1.1 (c) to (f). The defaults ask for nothing. */
export interface PolicyInputs {
  /** Policies that are acceptable; undefined means any. */
  readonly initialPolicies?: ReadonlySet<string>
  readonly explicitPolicy?: boolean
  readonly inhibitMapping?: boolean
  readonly inhibitAnyPolicy?: boolean
}

/**
 * The certificate policies along a path, RFC 5280 §6.1 with the policy graph of RFC 9618: one node for each policy and
 * depth, so that mappings cannot make the tree grow exponentially. Call `add` for each certificate below the anchor, in order.
 */
export class PolicyGraph {
  readonly #inputs: PolicyInputs
  readonly #length: number
  #level: Level | undefined = new Map([[oids.anyPolicy, anchorNode()]])
  readonly #levels: Level[] = []
  #explicitPolicy: number
  #policyMapping: number
  #inhibitAny: number
  #depth = 0

  /** `length` is the number of certificates in the path, the anchor not counted. */
  constructor(length: number, inputs: PolicyInputs) {
    this.#inputs = inputs
    this.#length = length
    this.#explicitPolicy = inputs.explicitPolicy === true ? 0 : length + 1
    this.#policyMapping = inputs.inhibitMapping === true ? 0 : length + 1
    this.#inhibitAny = inputs.inhibitAnyPolicy === true ? 0 : length + 1
    if (this.#level !== undefined) this.#levels.push(this.#level)
  }

  /** Takes in the next certificate. Returns what is wrong, in words, or undefined. */
  add(certificate: Certificate): string | undefined {
    this.#depth++
    const last = this.#depth === this.#length
    this.#grow(certificate, last)
    if (this.#explicitPolicy === 0 && this.#level === undefined) return this.#nothingValid()
    return last ? this.#wrapUp(certificate) : this.#prepareNext(certificate)
  }

  /** The policies that the path stands for, among those that are acceptable; empty if none. Call it after the last `add`. */
  userPolicies(): ReadonlySet<string> {
    if (this.#level === undefined) return new Set()
    const wanted = this.#inputs.initialPolicies ?? new Set([oids.anyPolicy])
    const authority = this.#authorityPolicies()
    if (wanted.has(oids.anyPolicy)) return authority
    if (authority.has(oids.anyPolicy)) return wanted
    return new Set([...authority].filter((policy) => wanted.has(policy)))
  }

  /** RFC 5280 §6.1.3 (d) to (f) as RFC 9618 §5.4 has it. */
  #grow(certificate: Certificate, last: boolean): void {
    const previous = this.#level
    if (previous === undefined) return
    const policies = certificate.policies
    if (policies === undefined) {
      this.#level = undefined
      return
    }
    const level: Level = new Map()
    const expected = new Map<string, PolicyNode[]>()
    for (const node of previous.values())
      for (const policy of node.expected) expected.set(policy, [...(expected.get(policy) ?? []), node])
    const any = previous.get(oids.anyPolicy)
    for (const policy of policies) {
      if (policy === oids.anyPolicy) continue
      const parents = expected.get(policy) ?? (any === undefined ? undefined : [any])
      if (parents !== undefined) level.set(policy, { policy, expected: new Set([policy]), parents })
    }
    const anyAllowed = this.#inhibitAny > 0 || (!last && certificate.selfIssued)
    if (policies.includes(oids.anyPolicy) && anyAllowed)
      for (const [policy, parents] of expected)
        if (!level.has(policy)) level.set(policy, { policy, expected: new Set([policy]), parents })
    this.#setLevel(level)
  }

  /** RFC 5280 §6.1.4 (a), (b), (h) to (j). */
  #prepareNext(certificate: Certificate): string | undefined {
    const mappings = certificate.policyMappings ?? []
    if (mappings.some((m) => m.issuerDomain === oids.anyPolicy || m.subjectDomain === oids.anyPolicy))
      return 'a policy is mapped to or from anyPolicy'
    this.#map(mappings)
    if (!certificate.selfIssued) {
      this.#explicitPolicy = Math.max(0, this.#explicitPolicy - 1)
      this.#policyMapping = Math.max(0, this.#policyMapping - 1)
      this.#inhibitAny = Math.max(0, this.#inhibitAny - 1)
    }
    const { requireExplicit, inhibitMapping } = certificate.policyConstraints ?? {}
    this.#explicitPolicy = Math.min(this.#explicitPolicy, requireExplicit ?? Number.POSITIVE_INFINITY)
    this.#policyMapping = Math.min(this.#policyMapping, inhibitMapping ?? Number.POSITIVE_INFINITY)
    this.#inhibitAny = Math.min(this.#inhibitAny, certificate.inhibitAnyPolicy ?? Number.POSITIVE_INFINITY)
    return undefined
  }

  #map(mappings: readonly { readonly issuerDomain: string; readonly subjectDomain: string }[]): void {
    const level = this.#level
    if (level === undefined || mappings.length === 0) return
    const targets = new Map<string, Set<string>>()
    for (const { issuerDomain, subjectDomain } of mappings)
      targets.set(issuerDomain, (targets.get(issuerDomain) ?? new Set()).add(subjectDomain))
    if (this.#policyMapping === 0) {
      for (const policy of targets.keys()) level.delete(policy)
      this.#setLevel(level)
      return
    }
    const any = level.get(oids.anyPolicy)
    for (const [policy, expected] of targets) {
      const node = level.get(policy)
      if (node !== undefined) node.expected = expected
      else if (any !== undefined) level.set(policy, { policy, expected, parents: any.parents })
    }
  }

  /** RFC 5280 §6.1.5 (a), (b), (g). */
  #wrapUp(certificate: Certificate): string | undefined {
    if (this.#explicitPolicy > 0) this.#explicitPolicy--
    if (certificate.policyConstraints?.requireExplicit === 0) this.#explicitPolicy = 0
    if (this.#explicitPolicy > 0 || this.userPolicies().size > 0) return undefined
    return this.#nothingValid()
  }

  #nothingValid(): string {
    const wanted = [...(this.#inputs.initialPolicies ?? [])].join(' or ')
    return wanted === ''
      ? 'no certificate policy is valid for the whole path'
      : `constraint requires cert policy ${wanted}, which is not valid for the whole path`
  }

  /** The valid_policies of nodes whose parent is anyPolicy, on paths that reach the last level, and anyPolicy if it does. */
  #authorityPolicies(): Set<string> {
    const result = new Set<string>()
    let reached = new Set(this.#levels.at(-1)?.values())
    if (this.#levels.at(-1)?.has(oids.anyPolicy)) result.add(oids.anyPolicy)
    while (reached.size > 0) {
      const above = new Set<PolicyNode>()
      for (const node of reached) {
        if (node.policy !== oids.anyPolicy && node.parents.some((parent) => parent.policy === oids.anyPolicy))
          result.add(node.policy)
        for (const parent of node.parents) above.add(parent)
      }
      reached = above
    }
    return result
  }

  #setLevel(level: Level): void {
    if (this.#levels.length > this.#depth) this.#levels.pop()
    this.#levels.push(level)
    this.#level = level.size === 0 ? undefined : level
  }
}

type Level = Map<string, PolicyNode>

interface PolicyNode {
  readonly policy: string
  expected: ReadonlySet<string>
  readonly parents: readonly PolicyNode[]
}

const anchorNode = (): PolicyNode => ({ policy: oids.anyPolicy, expected: new Set([oids.anyPolicy]), parents: [] })
