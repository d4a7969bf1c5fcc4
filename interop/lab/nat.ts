/** Network address translation on the host `nat`, with whatever the kernel has for it. */

/**
 * Commands that make the source of all that leaves by `eth0` the given address, in place of what was made before, and
 * forget every mapping. With `inner`, what comes in of itself goes on to that address. Kernels differ: the usual one has NAT
 * for nftables, Debian's guest kernels have it for iptables (13) or only for traffic control (later ones).
 */
export function translateTo(address: string, inner?: string): string {
  const forward = (command: string): string => (inner === undefined ? '' : command)
  const ways = [
    `nft "add table ip nat; flush table ip nat; table ip nat { chain post { type nat hook postrouting priority 100; oifname eth0 snat to ${address}; }; ${forward(`chain pre { type nat hook prerouting priority -100; iifname eth0 dnat to ${inner}; };`)} }"`,
    `{ iptables-legacy -t nat -F && iptables-legacy -t nat -A POSTROUTING -o eth0 -j SNAT --to ${address}${forward(` && iptables-legacy -t nat -A PREROUTING -i eth0 -j DNAT --to ${inner}`)}; }`,
    // Fragments would have to be put together first; the lab sends none through a NAT.
    '{ tc qdisc replace dev eth0 clsact && tc filter delete dev eth0 egress; tc filter delete dev eth0 ingress; ' +
      `tc filter add dev eth0 egress protocol ip matchall action ct commit nat src addr ${address} pipe && ` +
      `tc filter add dev eth0 ingress protocol ip matchall action ct ${forward('commit ')}nat${forward(` dst addr ${inner}`)} pipe; }`,
  ]
  return `${ways.join(' 2>/dev/null || ')} && conntrack -F`
}
