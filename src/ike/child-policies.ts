/** The policies and routes of a Child SA or a trap, and what ties them to states: reqids, marks and interface ids. */
import { isDeepStrictEqual } from 'node:util'
import type { ChildConfig } from '../config/connection.ts'
import type { KernelPolicy, KernelRoute, Mark, PolicyDirection, SaProtocol } from '../kernel/operations.ts'
import { familyOf } from '../wire/address.ts'
import type { AddressSelector } from '../wire/payloads/index.ts'
import type { ChildAgreement } from './child-sa.ts'
import type { Core } from './core.ts'
import { kernel, type Script } from './script.ts'
import { enclosingSubnet, kernelSelector, pairs, policyPriority } from './selectors.ts'

/** The text that decides whether two Child SAs share a reqid. */
export function reqidKey(
  localTs: readonly AddressSelector[],
  remoteTs: readonly AddressSelector[],
  config: ChildConfig,
): string {
  const side = (list: readonly AddressSelector[]) =>
    list
      .map(
        (s) =>
          `${s.protocol}/${s.startPort}-${s.endPort}/${Buffer.from(s.start).toString('hex')}-${Buffer.from(s.end).toString('hex')}`,
      )
      .join(',')
  return [
    side(localTs),
    side(remoteTs),
    JSON.stringify([config.markIn, config.markOut, config.ifIdIn, config.ifIdOut]),
  ].join('|')
}

/** The policies of a Child SA or a trap: out, in, and fwd in tunnel mode, for every pair of selectors. */
export function policiesOf(
  local: string,
  remote: string,
  child: {
    readonly config: ChildConfig
    readonly agreement: Pick<ChildAgreement, 'mode' | 'localTs' | 'remoteTs' | 'ipcomp'>
  },
  reqid: number,
  trap: boolean,
  protocol: SaProtocol = 'ESP',
): KernelPolicy[] {
  const { config, agreement } = child
  const { mode } = agreement
  const policy = (
    direction: PolicyDirection,
    ours: AddressSelector,
    theirs: AddressSelector,
    proto: number,
  ): KernelPolicy => {
    const out = direction === 'out'
    const [from, to] = out ? [ours, theirs] : [theirs, ours]
    const selector = kernelSelector(from, to, proto, config.interface)
    const mark = plainMark(out ? config.markOut : config.markIn)
    const ifId = plainNumber(out ? config.ifIdOut : config.ifIdIn)
    return {
      direction,
      selector,
      action: 'protect',
      priority: policyPriority(selector, 'protect', config, trap),
      ...(config.icmp && { icmpErrors: true }),
      templates: [
        {
          protocol,
          mode,
          reqid,
          source: out ? local : remote,
          destination: out ? remote : local,
          ...(agreement.ipcomp && { ipcomp: true }),
        },
      ],
      ...(mark && { mark }),
      ...(ifId !== undefined && { ifId }),
    }
  }
  const directions: PolicyDirection[] = mode === 'transport' ? ['out', 'in'] : ['out', 'in', 'fwd']
  return pairs(agreement.localTs, agreement.remoteTs).flatMap((pair) =>
    directions.map((direction) => policy(direction, pair.local, pair.remote, pair.protocol)),
  )
}

/** Routes to the remote subnets by the way to the peer, where a local address lies inside the local selectors. */
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
    const found = yield* kernel({ kind: 'route-lookup', remote, local, within: enclosingSubnet(pair.local) })
    if (found.localWithin === undefined) {
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
      source: found.localWithin,
      ...(gateway !== undefined && { gateway }),
      ...(found.interface !== undefined && { interface: found.interface }),
    })
  }
  return routes
}

/** Whether the kernel takes one for the other: same direction and selectors. */
export function samePolicy(a: KernelPolicy, b: KernelPolicy): boolean {
  return a.direction === b.direction && isDeepStrictEqual(a.selector, b.selector)
}

/** The mark of the kernel objects; unique ones are drawn when they are supported, "same" needs no mark of its own. */
export function plainMark(mark: ChildConfig['markIn']): Mark | undefined {
  return typeof mark?.value === 'number' && mark.value !== 0 ? { value: mark.value, mask: mark.mask } : undefined
}

/** An interface id of the configuration, where it is a number. */
export function plainNumber(value: ChildConfig['ifIdIn']): number | undefined {
  return typeof value === 'number' && value !== 0 ? value : undefined
}
