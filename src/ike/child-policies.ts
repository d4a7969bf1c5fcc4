/** The policies and routes of a Child SA or a trap, and what ties them to states: reqids, marks and interface ids. */
import { isDeepStrictEqual } from 'node:util'
import type { ChildConfig } from '../config/connection.ts'
import type { KernelPolicy, KernelRoute, PolicyDirection, SaProtocol } from '../kernel/operations.ts'
import { familyOf } from '../wire/address.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import type { ChildAgreement } from './child-sa.ts'
import type { Core } from './core.ts'
import type { Marking } from './marks.ts'
import { kernel, type Script } from './script.ts'
import { enclosingSubnet, kernelSelector, pairs, policyPriority, type SelectorPair } from './selectors.ts'

/**
 * The text that decides whether two Child SAs share a reqid.
 * @param marking what they carry, or are configured to carry
 */
export function reqidKey(
  localTs: readonly AddressSelector[],
  remoteTs: readonly AddressSelector[],
  { markIn, markOut, ifIdIn, ifIdOut }: Marking | ChildConfig,
): string {
  const side = (list: readonly AddressSelector[]) =>
    list
      .map(
        (s) =>
          `${s.protocol}/${s.startPort}-${s.endPort}/${Buffer.from(s.start).toString('hex')}-${Buffer.from(s.end).toString('hex')}`,
      )
      .join(',')
  return [side(localTs), side(remoteTs), JSON.stringify([markIn, markOut, ifIdIn, ifIdOut])].join('|')
}

/**
 * The policies of a Child SA or a trap: out, in, and fwd in tunnel mode, for every pair of selectors. With
 * policies_fwd_out there is one more for what is forwarded into the tunnel: it only lets pass, past a policy that drops.
 * With `outbound` its state carries what leaves, and no other of the same reqid: by the reqid alone the kernel would go on
 * choosing a replaced one for a while, and lose what it has chosen it for when that one is deleted.
 */
export function policiesOf(
  local: string,
  remote: string,
  child: {
    readonly config: ChildConfig
    readonly agreement: Pick<ChildAgreement, 'mode' | 'localTs' | 'remoteTs' | 'ipcomp'>
    readonly marking: Marking
  },
  reqid: number,
  trap: boolean,
  protocol: SaProtocol,
  outbound?: { readonly spi: number; readonly cpi?: number },
): KernelPolicy[] {
  const { config, agreement, marking } = child
  const { mode } = agreement
  const policy = (direction: PolicyDirection, leaving: boolean, protect: boolean, pair: SelectorPair): KernelPolicy => {
    const [from, to] = leaving ? [pair.local, pair.remote] : [pair.remote, pair.local]
    const selector = kernelSelector(from, to, pair.protocol, leaving ? config.interface : undefined)
    const mark = leaving ? marking.markOut : marking.markIn
    const ifId = leaving ? marking.ifIdOut : marking.ifIdIn
    const template = {
      protocol,
      mode,
      reqid,
      source: leaving ? local : remote,
      destination: leaving ? remote : local,
      ...(agreement.ipcomp && { ipcomp: true as const }),
      ...(direction === 'out' && outbound),
    }
    return {
      direction,
      selector,
      action: protect ? 'protect' : 'pass',
      priority: policyPriority(selector, 'protect', config, trap || !protect),
      ...(config.icmp && leaving && { icmpErrors: true }),
      templates: protect ? [template] : [],
      ...(mark && { mark }),
      ...(ifId !== undefined && { ifId }),
    }
  }
  return pairs(agreement.localTs, agreement.remoteTs).flatMap((pair) => {
    const both = [policy('out', true, true, pair), policy('in', false, true, pair)]
    if (mode === 'transport') return both
    const forwarded = policy('fwd', false, true, pair)
    return unique([...both, forwarded, ...(config.policiesFwdOut ? [policy('fwd', true, false, pair)] : [])])
  })
}

/** The kernel has one policy for a direction, selectors, a mark and an interface id: the first of the list. */
export function unique(policies: readonly KernelPolicy[]): KernelPolicy[] {
  const same = (a: KernelPolicy, b: KernelPolicy): boolean =>
    samePolicy(a, b) && a.ifId === b.ifId && isDeepStrictEqual(a.mark, b.mark)
  return policies.filter((policy, i) => policies.findIndex((other) => same(policy, other)) === i)
}

/**
 * Routes to the remote subnets by the way to the peer, where a local address lies inside the local selectors. Selectors of
 * everything leave the choice of the source to the kernel.
 */
export function* routesFor(
  core: Core,
  local: string,
  remote: string,
  agreement: Pick<ChildAgreement, 'localTs' | 'remoteTs'>,
): Script<KernelRoute[]> {
  const routes: KernelRoute[] = []
  for (const pair of pairs(agreement.localTs, agreement.remoteTs)) {
    if (pair.protocol !== 0 || pair.remote.startPort !== 0 || pair.local.startPort !== 0) continue
    const destination = enclosingSubnet(pair.remote)
    const within = enclosingSubnet(pair.local)
    const found = yield* kernel({ kind: 'route-lookup', remote, local, within })
    if (found.localWithin === undefined && within.prefix > 0) {
      core.log(
        'KNL',
        2,
        `no local address found in traffic selector, no route to ${destination.address}/${destination.prefix}`,
      )
      continue
    }
    const gateway = found.gateway ?? (familyOf(remote) === pair.remote.family ? remote : undefined)
    routes.push({
      family: pair.remote.family,
      table: core.settings.routingTable,
      destination,
      ...(found.localWithin !== undefined && within.prefix > 0 && { source: found.localWithin }),
      ...(gateway !== undefined && { gateway }),
      ...(found.interface !== undefined && { interface: found.interface }),
    })
  }
  return routes
}

/**
 * Routes that keep the packets of a shunt out of our table, where a tunnel to everything would lead them to its gateway:
 * for whole subnets, where a local address lies inside the local selectors.
 */
export function* routesPast(
  core: Core,
  agreement: Pick<ChildAgreement, 'localTs' | 'remoteTs'>,
): Script<KernelRoute[]> {
  const routes: KernelRoute[] = []
  for (const pair of pairs(agreement.localTs, agreement.remoteTs)) {
    if (pair.protocol !== 0 || pair.remote.startPort !== 0 || pair.local.startPort !== 0) continue
    const destination = enclosingSubnet(pair.remote)
    const within = enclosingSubnet(pair.local)
    const found = yield* kernel({ kind: 'route-lookup', remote: destination.address, within })
    if (found.localWithin === undefined && within.prefix > 0) continue
    routes.push({ family: pair.remote.family, table: core.settings.routingTable, destination, passes: true })
  }
  return routes
}

/** Whether the kernel takes one for the other: same direction and selectors. */
export function samePolicy(a: KernelPolicy, b: KernelPolicy): boolean {
  return a.direction === b.direction && isDeepStrictEqual(a.selector, b.selector)
}
