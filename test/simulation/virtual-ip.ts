/** A client on the left that asks for virtual IPs, and a gateway on the right with pools for it. */
import type { Pool } from '../../src/config/pools.ts'
import { dynamic, places, subnet } from './connection.ts'
import { addressOf, type PairOptions, type Side } from './pair.ts'

export const v4Pool: Pool = pool('p4', '10.77.0.1', 254)
export const v6Pool: Pool = pool('p6', 'fec7::1', 254)

/** Where the gateway leads to. */
export const behindGateway: Readonly<Record<4 | 6, string>> = {
  4: `${places.right.inner4}/16`,
  6: `${places.right.inner6}/64`,
}

export function pool(name: string, base: string, size: number, attributes: Pool['attributes'] = []): Pool {
  return { name, base, size, attributes, notes: [] }
}

export interface RoadWarriorOptions extends Omit<PairOptions, 'left' | 'right'> {
  /** What the client asks for. */
  readonly vips?: readonly string[]
  readonly pools?: readonly Pool[]
  /** Families of the networks behind the gateway. */
  readonly families?: readonly (4 | 6)[]
  readonly left?: Side
  readonly right?: Side
}

/** Options for `pair`: by default the client asks for any IPv4 address, and there is a pool of them. */
export function roadWarrior(options: RoadWarriorOptions = {}): PairOptions {
  const { vips = ['0.0.0.0'], pools = [v4Pool], families = [4], left, right, ...rest } = options
  const networks = families.map((family) => subnet(behindGateway[family]))
  return {
    ...rest,
    left: {
      ...left,
      connection: { vips, ...left?.connection },
      child: { localTs: [dynamic()], remoteTs: networks, ...left?.child },
      // The host itself is the client: it has nothing behind it.
      kernel: { addresses: [addressOf('left', rest)], ...left?.kernel },
    },
    right: {
      ...right,
      pools,
      connection: { pools: pools.map(({ name }) => name), ...right?.connection },
      child: { localTs: networks, remoteTs: [dynamic()], ...right?.child },
    },
  }
}
