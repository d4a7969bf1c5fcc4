/** The options of strongswan.conf that the protocol core reads, by their names below `charon.`. */
import { parseGateway } from '../wire/redirect.ts'
import { ConfigError } from './config-error.ts'
import type { CoreSettings } from './daemon-settings.ts'
import { type Draft, type Option, type OptionTable, parseInteger, rows } from './option-table.ts'
import { poolAttribute } from './pools.ts'

type CoreDraft = Draft<CoreSettings>

const { bool, integer, seconds, decimal, big, text } = rows<CoreDraft>()

export const coreOptions: OptionTable<CoreDraft> = {
  port: integer('portIke', '500', 65535),
  port_nat_t: integer('portNatT', '4500', 65535),
  retransmit_timeout: decimal('retransmitTimeoutSeconds', '4.0'),
  retransmit_base: decimal('retransmitBase', '1.8'),
  retransmit_tries: integer('retransmitTries', '5', 100),
  retransmit_jitter: {
    default: '0',
    read: (core, value) => {
      core.retransmitJitter = Math.min(20, parseInteger(value))
    },
  },
  retransmit_limit: seconds('retransmitLimitSeconds', '0'),
  retry_initiate_interval: seconds('retryInitiateSeconds', '0s'),
  half_open_timeout: seconds('halfOpenTimeoutSeconds', '30'),
  cookie_threshold: integer('cookieThreshold', '30'),
  cookie_threshold_ip: integer('cookieThresholdIp', '3'),
  block_threshold: integer('blockThreshold', '5'),
  dos_protection: bool('dosProtection', 'yes'),
  init_limit_half_open: integer('initLimitHalfOpen', '0'),
  ikesa_limit: integer('ikeSaLimit', '0'),
  child_sa_limit: own(integer('childSaLimit', '4096')),
  initiator_only: bool('initiatorOnly', 'no'),
  make_before_break: bool('makeBeforeBreak', 'yes'),
  delete_rekeyed_delay: seconds('deleteRekeyedDelaySeconds', '5'),
  send_invalid_ike_spi: own(bool('sendInvalidIkeSpi', 'yes')),
  window_size: own(integer('windowSize', '1', 32)),
  message_id_sync: own(bool('messageIdSync', 'no')),
  fragment_size: integer('fragmentSize', '1280', 65535),
  fragment_size_v4: { ...integer('fragmentSizeV4', 'charon.fragment_size', 65535), default: 'charon.fragment_size' },
  fragment_size_v6: { ...integer('fragmentSizeV6', 'charon.fragment_size', 65535), default: 'charon.fragment_size' },
  max_packet: integer('maxPacket', '10000'),
  prefer_configured_proposals: bool('preferConfiguredProposals', 'yes'),
  reuse_ikesa: bool('reuseIkeSa', 'yes'),
  replay_window: integer('replayWindow', '32'),
  spi_min: integer('spiMin', '0xc0000000'),
  spi_max: integer('spiMax', '0xcfffffff'),
  spi_mask: big('spiMask', '0x0000000000000000'),
  spi_label: big('spiLabel', '0x0000000000000000'),
  reqid_base: integer('reqidBase', '1'),
  keep_alive: seconds('keepAliveSeconds', '20s'),
  keep_alive_dpd_margin: seconds('keepAliveDpdMarginSeconds', '0s'),
  check_current_path: bool('checkCurrentPath', 'no'),
  prefer_best_path: bool('preferBestPath', 'no'),
  send_vendor_id: bool('sendVendorId', 'no'),
  cisco_flexvpn: bool('ciscoFlexvpn', 'no'),
  signature_authentication: bool('signatureAuthentication', 'yes'),
  signature_authentication_constraints: bool('signatureConstraints', 'yes'),
  rsa_pss: bool('rsaPss', 'no'),
  multiple_authentication: bool('multipleAuthentication', 'yes'),
  hash_and_url: bool('hashAndUrl', 'no'),
  follow_redirects: bool('followRedirects', 'yes'),
  'redirect.gateway': own({
    default: '',
    read: (core, value) => {
      core.redirectGateway = parseGateway(value)
      if (core.redirectGateway === undefined) throw new ConfigError(`'${value}' is neither an address nor a host name`)
    },
  }),
  'redirect.exchange': own({
    default: 'init',
    read: (core, value) => {
      if (value !== 'init' && value !== 'auth') throw new ConfigError(`'${value}' is none of init, auth`)
      core.redirectExchange = value
    },
  }),
  'redirect.ike_sas': own(integer('redirectAbove', '0')),
  install_routes: bool('installRoutes', 'yes'),
  routing_table: integer('routingTable', '220'),
  install_virtual_ip: bool('installVirtualIp', 'yes'),
  install_virtual_ip_on: text('installVirtualIpOn'),
  dns1: attribute('dns'),
  dns2: attribute('dns'),
  nbns1: attribute('nbns'),
  nbns2: attribute('nbns'),
  'plugins.updown.dns_handler': bool('updownDnsHandler', 'no'),
  reject_trusted_end_entity: bool('rejectTrustedEndEntity', 'no'),
  rdn_matching: {
    default: 'strict',
    read: (core, value) => {
      if (value !== 'strict' && value !== 'reordered' && value !== 'relaxed') {
        throw new ConfigError(`'${value}' is none of strict, reordered, relaxed`)
      }
      core.rdnMatching = value
    },
  },
  close_ike_on_child_failure: bool('closeIkeOnChildFailure', 'no'),
  inactivity_close_ike: bool('inactivityCloseIke', 'no'),
  ignore_acquire_ts: bool('ignoreAcquireTs', 'no'),
}

function own(option: Option<CoreDraft>): Option<CoreDraft> {
  return { ...option, own: true }
}

/** One that may be there several times under other names: comma-separated values for clients. */
function attribute(name: string): Option<CoreDraft> {
  return {
    default: '',
    read: (core, value) => {
      const values = value.split(',').map((part) => part.trim())
      core.attributes = [...core.attributes, poolAttribute(name, values)]
    },
  }
}
