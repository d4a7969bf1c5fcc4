/** The policy table of the simulated kernel (xfrm_policy.c). */
import { KernelError, type KernelPolicy, type PolicyDirection, type PolicyKey } from '../operations.ts'
import { type Flow, selectorText, selects } from './address.ts'
import { markFits } from './states.ts'

export class PolicyTable {
  /** Per direction, in the order of lookup: by priority, then by age. */
  readonly #lists: Record<PolicyDirection, KernelPolicy[]> = { in: [], out: [], fwd: [] }

  /** Those that a daemon left behind: the next one takes them over, as the performer does. */
  readonly #left = new Set<string>()

  get all(): readonly KernelPolicy[] {
    return [...this.#lists.in, ...this.#lists.out, ...this.#lists.fwd]
  }

  /** NEWPOLICY (EEXIST for a selector that is there) or UPDPOLICY (takes its place). */
  install(policy: KernelPolicy, replace: boolean): void {
    const list = this.#lists[policy.direction]
    verify(policy)
    const at = indexOf(list, policy)
    if (at >= 0) {
      if (!replace && !this.#left.delete(policyText(policy)))
        throw new KernelError('install-policy', 'EEXIST', undefined, policyText(policy))
      list.splice(at, 1)
    }
    const next = list.findIndex((other) => other.priority > policy.priority)
    list.splice(next < 0 ? list.length : next, 0, policy)
  }

  remove(key: PolicyKey): void {
    const list = this.#lists[key.direction]
    const at = indexOf(list, key)
    if (at < 0) throw new KernelError('delete-policy', 'ENOENT', undefined, policyText(key))
    list.splice(at, 1)
    this.#left.delete(policyText(key))
  }

  /** The policy for a packet: the lowest priority number wins, among equals the oldest. */
  lookup(direction: PolicyDirection, flow: Flow, mark: number, ifId: number): KernelPolicy | undefined {
    return this.#lists[direction].find(
      (policy) => (policy.ifId ?? 0) === ifId && markFits(policy.mark, mark) && selects(policy.selector, flow),
    )
  }

  /** The daemon is gone, and what it installed is nobody's. */
  disown(): void {
    for (const policy of this.all) this.#left.add(policyText(policy))
  }

  clear(): void {
    for (const list of Object.values(this.#lists)) list.length = 0
  }
}

/** One line that is the same for the same policy key. */
export function policyText(key: PolicyKey): string {
  const mark = key.mark === undefined ? '' : ` mark ${key.mark.value}/${key.mark.mask}`
  return `${key.direction} ${selectorText(key.selector)}${mark}${key.ifId ? ` if_id ${key.ifId}` : ''}`
}

function indexOf(list: readonly KernelPolicy[], key: PolicyKey): number {
  const text = policyText(key)
  return list.findIndex((policy) => policyText(policy) === text)
}

/** verify_newpolicy_info() and validate_tmpl(). */
function verify(policy: KernelPolicy): void {
  const refuse = (detail: string): never => {
    throw new KernelError('install-policy', 'EINVAL', undefined, `${detail}: ${policyText(policy)}`)
  }
  const { selector, templates } = policy
  const bits = selector.family === 6 ? 128 : 32
  for (const side of [selector.source, selector.destination]) {
    if (side.prefix < 0 || side.prefix > bits) refuse('a prefix too long')
    if (side.address.includes(':') !== (selector.family === 6)) refuse('an address of the other family')
    if (side.port < 0 || side.port > 0xffff || side.portMask < 0 || side.portMask > 0xffff)
      refuse('a port out of range')
  }
  if (templates.length > 6) refuse('too many templates')
  if (policy.action !== 'protect' && templates.length > 0) refuse('templates without protection')
  if (policy.action === 'protect' && templates.length === 0) refuse('protection without a template')
  for (const template of templates) {
    if (template.mode === 'transport') continue
    if (template.source.includes(':') !== template.destination.includes(':')) refuse('endpoints of two families')
  }
}
