/**
 * Policies and routes of the kernel with their users. The kernel knows one policy per selector; several Child SAs and
 * a trap may want it at once, and then the one with the lowest priority number is in force, and of equals the newest.
 * This table says which operation a new or a departing user makes necessary.
 */
import { isDeepStrictEqual } from 'node:util'
import type { KernelOperation, KernelPolicy, KernelRoute, PolicyKey } from '../kernel/operations.ts'
import type { Core } from './core.ts'

interface Wanted<T> {
  readonly owner: object
  readonly value: T
}

export class Policies {
  readonly #core: Core
  readonly #policies = new Map<string, Wanted<KernelPolicy>[]>()
  readonly #routes = new Map<string, Wanted<KernelRoute>[]>()

  constructor(core: Core) {
    this.#core = core
  }

  /** Adds a user of a policy; the operation to perform, if the kernel's policy changes with it. */
  add(policy: KernelPolicy, owner: object): KernelOperation | undefined {
    const key = policyKey(policy)
    const users = this.#policies.get(key) ?? []
    const before = users[0]
    users.unshift({ owner, value: policy })
    users.sort(byRank) // stable: the newest of equals is in force
    this.#policies.set(key, users)
    if (before === undefined) return { kind: 'install-policy', policy, replace: false }
    return users[0] === before ? undefined : replacing(before.value, policy)
  }

  /** Removes a user; the operation to perform, if the kernel's policy changes with it. */
  remove(policy: KernelPolicy, owner: object): KernelOperation | undefined {
    const key = policyKey(policy)
    const users = this.#policies.get(key)
    const index = users?.findIndex((user) => user.owner === owner) ?? -1
    if (users === undefined || index < 0) return undefined
    const [removed] = users.splice(index, 1)
    const first = users[0]
    if (first === undefined) {
      this.#policies.delete(key)
      return { kind: 'delete-policy', key: keyOf(policy) }
    }
    return index === 0 && removed !== undefined ? replacing(removed.value, first.value) : undefined
  }

  /** Lets the other users of the same priority go before this one; the operation to perform, if there are any. */
  stepBack(policy: KernelPolicy, owner: object): KernelOperation | undefined {
    const users = this.#policies.get(policyKey(policy)) ?? []
    const [first, second] = users
    if (first?.owner !== owner || second === undefined || byRank(first, second) !== 0) return undefined
    const place = users.findIndex((user) => byRank(first, user) < 0)
    users.splice(place < 0 ? users.length : place, 0, first)
    users.shift()
    return replacing(first.value, second.value)
  }

  /** Whose policy the kernel goes by. */
  inForce(policy: PolicyKey): object | undefined {
    return this.#policies.get(policyKey(policy))?.[0]?.owner
  }

  /** A user's policy has another template: the operation to perform, if it is the one in force. */
  update(policy: KernelPolicy, owner: object): KernelOperation | undefined {
    const users = this.#policies.get(policyKey(policy))
    const index = users?.findIndex((user) => user.owner === owner) ?? -1
    if (users === undefined || index < 0) return this.add(policy, owner)
    users[index] = { owner, value: policy }
    return index === 0 ? { kind: 'install-policy', policy, replace: true } : undefined
  }

  addRoute(route: KernelRoute, owner: object): KernelOperation | undefined {
    const key = routeKey(route)
    const users = this.#routes.get(key) ?? []
    users.push({ owner, value: route })
    this.#routes.set(key, users)
    return users.length === 1 ? { kind: 'add-route', route } : undefined
  }

  /** Removes a user; the kernel has one route per destination, and the next user's may go another way. */
  removeRoute(route: KernelRoute, owner: object): readonly KernelOperation[] {
    const key = routeKey(route)
    const users = this.#routes.get(key)
    const index = users?.findIndex((user) => user.owner === owner) ?? -1
    if (users === undefined || index < 0) return []
    const [removed] = users.splice(index, 1)
    const [next] = users
    if (next === undefined) {
      this.#routes.delete(key)
      return [{ kind: 'delete-route', route }]
    }
    if (index > 0 || JSON.stringify(next.value) === JSON.stringify(removed?.value)) return []
    return [
      { kind: 'delete-route', route },
      { kind: 'add-route', route: next.value },
    ]
  }

  /** Performs what nobody waits for. */
  perform(operations: KernelOperation | readonly KernelOperation[] | undefined): void {
    for (const operation of [operations ?? []].flat()) this.#core.kernel(operation)
  }

  /** How many policies and routes are wanted from the kernel. */
  get size(): number {
    return this.#policies.size + this.#routes.size
  }
}

/** By priority; of two with the same, the one that protects before the one that lets pass. */
function byRank({ value: a }: Wanted<KernelPolicy>, { value: b }: Wanted<KernelPolicy>): number {
  return a.priority - b.priority || Number(b.action === 'protect') - Number(a.action === 'protect')
}

/** In most directions one Child SA is for the kernel like the other. */
function replacing(before: KernelPolicy, policy: KernelPolicy): KernelOperation | undefined {
  return isDeepStrictEqual(before, policy) ? undefined : { kind: 'install-policy', policy, replace: true }
}

function keyOf(policy: PolicyKey): PolicyKey {
  return {
    direction: policy.direction,
    selector: policy.selector,
    ...(policy.mark && { mark: policy.mark }),
    ...(policy.ifId !== undefined && { ifId: policy.ifId }),
  }
}

function routeKey({ table, family, destination }: KernelRoute): string {
  return `${table} ${family} ${destination.address}/${destination.prefix}`
}

function policyKey(policy: PolicyKey): string {
  const { direction, selector: s, mark, ifId } = policy
  const side = (x: typeof s.source) => `${x.address}/${x.prefix} ${x.port}/${x.portMask}`
  return [
    direction,
    s.family,
    s.protocol,
    side(s.source),
    side(s.destination),
    s.interface ?? '',
    mark ? `${mark.value}/${mark.mask}` : '',
    ifId ?? 0,
  ].join('|')
}
