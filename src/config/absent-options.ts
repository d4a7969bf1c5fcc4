/**
 * Options of charon that nobody reads here, and why: a name, or a beginning of names that ends with a dot. docs/strongswan-conf.md
 * lists them one by one.
 */

/** `nothing to do`: what the option asks for is so anyway, or cannot be seen; nobody needs to hear of it. */
export const absentOptions: Readonly<Record<string, string>> = {
  // IKEv1
  accept_unencrypted_mainmode_messages: 'IKEv1',
  cisco_unity: 'IKEv1',
  delete_rekeyed: 'IKEv1',
  i_dont_care_about_security_and_use_aggressive_mode_psk: 'IKEv1',
  max_ikev1_exchanges: 'IKEv1',
  'plugins.xauth-eap.': 'IKEv1',
  'plugins.xauth-pam.': 'IKEv1',
  // How charon is built
  load: 'nothing to do',
  load_modular: 'nothing to do',
  dlopen_use_rtld_now: 'nothing to do',
  flush_auth_cfg: 'nothing to do',
  ikesa_table_segments: 'nothing to do',
  ikesa_table_size: 'nothing to do',
  integrity_test: 'nothing to do',
  'crypto_test.': 'the algorithms are tested at each start, and not measured',
  dh_exponent_ansi_x9_42: 'nothing to do',
  'host_resolver.': 'nothing to do',
  'leak_detective.': 'nothing to do',
  'processor.priority_threads.': 'nothing to do',
  init_limit_job_load: 'there is no queue of jobs',
  'plugins.kernel-netlink.buflen': 'nothing to do',
  'plugins.kernel-netlink.ignore_retransmit_errors': 'nothing to do',
  'plugins.kernel-netlink.parallel_route': 'nothing to do',
  'plugins.kernel-netlink.parallel_xfrm': 'nothing to do',
  'plugins.kernel-netlink.retries': 'nothing to do',
  'plugins.kernel-netlink.timeout': 'nothing to do',
  'plugins.kernel-netlink.process_rules': 'the kernel is asked for the way, and it knows its rules',
  'plugins.kernel-netlink.policy_update': 'policies are always replaced in one step where the kernel can',
  'plugins.kernel-netlink.port_bypass': 'the sockets have policies of their own',
  'plugins.kernel-netlink.hw_offload_feature_interface': 'the kernel is asked at each state',
  'plugins.kernel-netlink.install_routes_xfrmi': 'who makes an XFRM interface makes its routes',
  'plugins.kernel-netlink.set_proto_port_transport_sa': 'policies have protocol and ports, states do not',
  'plugins.socket-default.set_sourceif': 'the source address is set, and the kernel knows its interface',
  'plugins.openssl.': 'OpenSSL is that of Node',
  'plugins.botan.': 'OpenSSL is that of Node',
  'plugins.wolfssl.': 'OpenSSL is that of Node',
  'plugins.gcrypt.': 'OpenSSL is that of Node',
  'plugins.drbg.': 'OpenSSL is that of Node',
  'plugins.random.': 'OpenSSL is that of Node',
  // For testing
  receive_delay: 'for tests of charon',
  receive_delay_request: 'for tests of charon',
  receive_delay_response: 'for tests of charon',
  receive_delay_type: 'for tests of charon',
  send_delay: 'for tests of charon',
  send_delay_request: 'for tests of charon',
  send_delay_response: 'for tests of charon',
  send_delay_type: 'for tests of charon',
  'plugins.load-tester.': 'for tests of charon',
  'plugins.save-keys.': 'keys are never written',
  // What is not here
  accept_private_algs: 'no algorithms with private numbers',
  'plugins.curl.': 'Node fetches, without redirects',
  'x509.enforce_critical': 'an unknown critical extension is always refused',
  rsa_pss_trailerfield: 'the trailer field is left out as DER wants it, and taken either way',
  force_eap_only_authentication: 'no EAP method that proves the server, too',
  'plugins.eap-': 'no EAP methods that carry others or ask a server; the others have no options',
  'plugins.ext-auth.': 'no script decides on peers',
  'tls.': 'no EAP with TLS',
  'iptfs.': 'no IP-TFS',
  'plugins.addrblock.': 'no address blocks of RFC 3779',
  'plugins.attr-sql.': 'no databases',
  'plugins.sql.': 'no databases',
  'plugins.bypass-lan.': 'write a connection with `mode = pass`',
  'plugins.certexpire.': 'no export of expiry dates',
  'plugins.coupling.': 'no coupling of certificates',
  'plugins.dhcp.': 'addresses come from pools',
  'plugins.dnscert.': 'no certificates from DNS',
  'plugins.ipseckey.': 'no keys from DNS',
  'plugins.unbound.': 'no DNSSEC resolver of its own',
  'plugins.duplicheck.': '`unique` of the connection does it',
  'plugins.error-notify.': 'VICI has the event `alert`',
  'plugins.lookip.': 'VICI has the events',
  'plugins.forecast.': 'no multicast through tunnels',
  'plugins.ha.': 'clusters use RFC 6311 (`message_id_sync`)',
  'plugins.kernel-libipsec.': "ESP is the kernel's",
  'plugins.kernel-pfkey.': 'Linux, by netlink',
  'plugins.kernel-pfroute.': 'Linux, by netlink',
  'plugins.led.': 'no LEDs',
  'plugins.openxpki.': 'no databases',
  'plugins.osx-attr.': 'Linux',
  'plugins.android_log.': 'Linux',
  'plugins.p-cscf.': 'attribute `p_cscf` of pools for clients of ours; not asked for',
  'plugins.pkcs11.': 'no tokens',
  'plugins.tpm.': 'no tokens',
  'plugins.radattr.': 'no RADIUS',
  'plugins.stroke.': 'no ipsec.conf',
  'plugins.systime-fix.': 'the time of the host is believed',
  'plugins.whitelist.': 'identities are in connections',
  'imcv.': 'no TNC',
  'tnc.': 'no TNC',
  'plugins.tnc': 'no TNC',
}

/** Why charon's option has no effect here; undefined for one that charon does not have either. */
export function whyAbsent(path: string): string | undefined {
  if (/^plugins\.[^.]+\.load$/.test(path)) return 'nothing to do'
  const [, why] = Object.entries(absentOptions).find(([name]) => fits(name, path)) ?? []
  return why === 'IKEv1' ? 'nothing to do' : why
}

function fits(name: string, path: string): boolean {
  return /[.-]$|^plugins\.tnc$/.test(name) ? path.startsWith(name) : path === name
}
