/**
 * strongSwan's own test scenarios that concern a daemon driven by swanctl, by the names of their folders. All but those
 * with a reason are to be green with Sallyport in charon's place.
 */
export interface Listed {
  readonly name: string
  /** What the kernel of the hosts must have, besides ESP. Where it has not, the scenario is left out. */
  readonly needs?: Need
  /** Why it is not expected to be green, and whose lack that is: without Sallyport it may well be. */
  readonly lacks?: { readonly who: 'sallyport' | 'lab'; readonly what: string }
}

export type Need = 'packet filter' | 'nat' | 'dscp' | 'xfrm interfaces' | 'vti'

/** Commands that succeed where there is such a thing. */
export const probes: Readonly<Record<Need, string>> = {
  'packet filter': 'iptables -A INPUT -s 192.0.2.1 -j DROP',
  nat: 'iptables -t nat -A POSTROUTING -p udp -j SNAT --to-source 192.0.2.1:1024-1100',
  dscp: 'iptables -t mangle -A OUTPUT -p icmp -j DSCP --set-dscp-class EF',
  'xfrm interfaces': 'ip link add probe type xfrm dev lo if_id 1',
  vti: 'ip tunnel add probe local 192.0.2.1 remote 192.0.2.2 mode vti key 1',
}

const tls = { who: 'sallyport', what: 'no EAP-TLS' } as const
const radius = { who: 'lab', what: 'no RADIUS server, and Sallyport asks none' } as const

export const scenarios: readonly Listed[] = [
  { name: 'ikev2/net2net-psk' },
  { name: 'ikev2/rw-psk-ipv4' },
  { name: 'ikev2/rw-psk-rsa-split' },
  { name: 'ikev2/net2net-cert' },
  { name: 'ikev2/rw-cert' },
  { name: 'ikev2/wildcards' },
  { name: 'ikev2/rw-sig-auth' },
  { name: 'ikev2/ecdsa-certs' },
  { name: 'ikev2/rw-pkcs8' },
  { name: 'ikev2/net2net-pubkey' },
  { name: 'ikev2-multi-ca/crls' },
  { name: 'ikev2-multi-ca/certreq-resp' },
  { name: 'ikev2-multi-ca/loop' },
  { name: 'ikev2-multi-ca/ocsp-strict-ifuri' },
  { name: 'ikev2/crl-revoked' },
  { name: 'ikev2/crl-from-cache' },
  { name: 'ikev2/ocsp-signer-cert' },
  { name: 'ikev2/ocsp-revoked' },
  {
    name: 'ikev2/ocsp-timeouts-unknown',
    needs: 'packet filter',
    lacks: {
      who: 'lab',
      what: 'only hosts that its commands name are there: the one without a responder answers nothing',
    },
  },
  { name: 'ikev2/ocsp-rfc4806-signer' },
  { name: 'ikev2/rw-eap-md5-rsa' },
  { name: 'ikev2/rw-eap-mschapv2-id-rsa' },
  { name: 'ikev2/rw-eap-tls-only', lacks: tls },
  { name: 'ikev2/rw-eap-md5-radius', lacks: radius },
  { name: 'ikev2/rw-eap-md5-class-radius', lacks: radius },
  { name: 'ikev2/rw-radius-accounting', lacks: radius },
  { name: 'ikev2/nat-rw', needs: 'nat' },
  { name: 'ikev2/nat-virtual-ip', needs: 'nat' },
  { name: 'ikev2/force-udp-encap' },
  {
    name: 'ikev2/mobike',
    lacks: { who: 'sallyport', what: 'sequence numbers of a state that moved go on after a gap' },
  },
  { name: 'ikev2/net2net-rekey' },
  { name: 'ikev2/reauth-early', lacks: tls },
  { name: 'ikev2/dpd-clear', needs: 'packet filter' },
  { name: 'ikev2/inactivity-timeout' },
  { name: 'ikev2/ip-pool' },
  { name: 'ikev2/ip-two-pools-v4v6' },
  { name: 'ikev2/nat-rw-mark', needs: 'nat' },
  { name: 'ikev2/net2net-psk-dscp', needs: 'dscp' },
  { name: 'ikev2/shunt-policies-nat-rw', needs: 'nat' },
  { name: 'ikev2/net2net-route' },
  { name: 'ikev2/net2net-start' },
  { name: 'ikev2/protoport-dual' },
  {
    name: 'ikev2/net2net-multicast',
    lacks: { who: 'sallyport', what: 'forecast: multicast is not forwarded into tunnels' },
  },
  { name: 'ikev2/host2host-transport' },
  { name: 'ikev2/net2net-ah' },
  { name: 'ikev2/compress' },
  { name: 'ikev2/rw-psk-ppk' },
  { name: 'ikev2/rw-mlkem' },
  { name: 'ikev2/net2net-childless' },
  { name: 'ikev2/per-cpu-sas', lacks: { who: 'lab', what: 'guests have one processor' } },
  { name: 'ipv6/net2net-ikev2' },
  { name: 'ipv6/rw-ikev2' },
  { name: 'ipv6/net2net-ip6-in-ip4-ikev2' },
  { name: 'ipv6/rw-psk-ikev2' },
  { name: 'route-based/net2net-xfrmi', needs: 'xfrm interfaces' },
  {
    name: 'route-based/net2net-xfrmi-ike',
    needs: 'xfrm interfaces',
    lacks: { who: 'lab', what: 'no client library and no daemon library for the Python of its script' },
  },
  { name: 'route-based/net2net-xfrmi-netns', needs: 'xfrm interfaces' },
  { name: 'route-based/rw-shared-xfrmi', needs: 'xfrm interfaces' },
  { name: 'route-based/net2net-vti', needs: 'vti' },
  { name: 'ikev2-algs/alg-aes-gcm' },
  { name: 'ikev2-algs/alg-aes-ctr' },
  { name: 'ikev2-algs/alg-chacha20poly1305' },
  { name: 'ikev2-algs/alg-ecp-high' },
  { name: 'ikev2-algs/alg-sha256' },
  { name: 'ikev2-algs/esp-alg-aes-gmac' },
  { name: 'ikev2-algs/esp-alg-sha1-160' },
  { name: 'af-alg/rw-cert' },
  { name: 'gcrypt-ikev2/rw-cert' },
  { name: 'botan/net2net-ed25519' },
  { name: 'botan/rw-ecp256' },
  { name: 'wolfssl/rw-modp3072' },
  { name: 'p2pnat/medsrv-psk', lacks: { who: 'sallyport', what: 'no mediation' } },
  { name: 'ikev2/dhcp-dynamic', lacks: { who: 'sallyport', what: 'addresses are not asked of a DHCP server' } },
  { name: 'libipsec/net2net-cert', lacks: { who: 'sallyport', what: 'no ESP in user space' } },
  { name: 'libipsec/net2net-trap', lacks: { who: 'sallyport', what: 'no ESP in user space' } },
]
