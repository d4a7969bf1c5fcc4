import type { Message } from './message.ts'
import { CFG_ATTRIBUTE, CFG_TYPE, EXCHANGE, NOTIFY, type NumberTable, nameOf } from './numbers.ts'
import type { CPPayload, EAPPayload, Payload } from './payloads/index.ts'

/**
 * charon's text for a message, without its "parsed" or "generating":
 * `IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) ]`. For an encrypted message give the payloads
 * that were inside.
 */
export function describeMessage(message: Pick<Message, 'exchange' | 'flags' | 'messageId' | 'payloads'>): string {
  const { exchange, flags, messageId, payloads } = message
  const list = payloads.map((payload) => `${describePayload(payload)} `).join('')
  return `${nameOf(EXCHANGE, exchange)} ${flags.response ? 'response' : 'request'} ${messageId} [ ${list}]`
}

/** charon's short text for a payload: `SA`, `No`, `N(COOKIE)`, `CPRQ(ADDR DNS)`, `EAP/REQ/MD5`, `EF(1/2)`. */
export function describePayload(payload: Payload): string {
  switch (payload.type) {
    case 'Nonce':
      return 'No'
    case 'SK':
      return 'E'
    case 'SKF':
      return `EF(${payload.fragment}/${payload.total})`
    case 'N':
      return `N(${notifyMnemonic(payload.notify)})`
    case 'CP':
      return describeCp(payload)
    case 'EAP':
      return describeEap(payload)
    case 'Unknown':
      return `UNKN(${payload.number})`
    default:
      return payload.type
  }
}

/** charon's short name of a notify type, `NATD_S_IP`; `(n)` for those that it has none for. */
export function notifyMnemonic(notify: number): string {
  return mnemonicOf(notifyMnemonics, notify)
}

function describeCp({ cfgType, attributes }: CPPayload): string {
  const list = attributes.map(({ type }) => mnemonicOf(cfgMnemonics, type)).join(' ')
  return `CP${mnemonicOf(cfgTypeMnemonics, cfgType)}${list === '' ? '' : `(${list})`}`
}

function describeEap({ data }: EAPPayload): string {
  const [code = 0, , , , type] = data
  const name = `EAP/${mnemonicOf(eapCodeMnemonics, code)}`
  return type === undefined ? name : `${name}/${mnemonicOf(eapTypeMnemonics, type)}`
}

function mnemonicOf(mnemonics: ReadonlyMap<number, string>, number: number): string {
  return mnemonics.get(number) ?? `(${number})`
}

/** The short texts by number, from a table of texts by name. */
function byNumber<T extends NumberTable>(
  table: T,
  texts: Partial<Record<keyof T, string>>,
): ReadonlyMap<number, string> {
  const named = Object.entries(texts) as [keyof T & string, string][] // the keys of Partial<Record<keyof T, …>>
  return new Map(named.map(([name, text]) => [table[name] as number, text]))
}

const cfgTypeMnemonics = byNumber(CFG_TYPE, { REQUEST: 'RQ', REPLY: 'RP', SET: 'S', ACK: 'A' })

const cfgMnemonics: ReadonlyMap<number, string> = new Map([
  ...byNumber(CFG_ATTRIBUTE, {
    INTERNAL_IP4_ADDRESS: 'ADDR',
    INTERNAL_IP4_NETMASK: 'MASK',
    INTERNAL_IP4_DNS: 'DNS',
    INTERNAL_IP4_NBNS: 'NBNS',
    INTERNAL_IP4_DHCP: 'DHCP',
    APPLICATION_VERSION: 'VER',
    INTERNAL_IP6_ADDRESS: 'ADDR6',
    INTERNAL_IP6_DNS: 'DNS6',
    INTERNAL_IP6_DHCP: 'DHCP6',
    INTERNAL_IP4_SUBNET: 'SUBNET',
    SUPPORTED_ATTRIBUTES: 'SUP',
    INTERNAL_IP6_SUBNET: 'SUBNET6',
    MIP6_HOME_PREFIX: 'MIP6HPFX',
    INTERNAL_IP6_LINK: 'LINK6',
    INTERNAL_IP6_PREFIX: 'PFX6',
    HOME_AGENT_ADDRESS: 'HOA',
    P_CSCF_IP4_ADDRESS: 'PCSCF4',
    P_CSCF_IP6_ADDRESS: 'PCSCF6',
    INTERNAL_DNS_DOMAIN: 'DOMAIN',
    INTERNAL_DNSSEC_TA: 'TA',
  }),
  // Withdrawn or private numbers that peers do send: RFC 4306 §3.15.1, Microsoft, Cisco Unity.
  [5, 'EXP'],
  [9, 'MASK6'],
  [11, 'NBNS6'],
  [23456, 'SRV'],
  [23457, 'SRV6'],
  [28672, 'U_BANNER'],
  [28673, 'U_SAVEPWD'],
  [28674, 'U_DEFDOM'],
  [28675, 'U_SPLITDNS'],
  [28676, 'U_SPLITINC'],
])

const eapCodeMnemonics: ReadonlyMap<number, string> = new Map([
  [1, 'REQ'],
  [2, 'RES'],
  [3, 'SUCC'],
  [4, 'FAIL'],
])

const eapTypeMnemonics: ReadonlyMap<number, string> = new Map([
  [1, 'ID'],
  [2, 'NTF'],
  [3, 'NAK'],
  [4, 'MD5'],
  [5, 'OTP'],
  [6, 'GTC'],
  [13, 'TLS'],
  [18, 'SIM'],
  [21, 'TTLS'],
  [23, 'AKA'],
  [25, 'PEAP'],
  [26, 'MSCHAPV2'],
  [33, 'MSTLV'],
  [38, 'TNC'],
  [54, 'PT'],
  [254, 'EXP'],
  [255, 'XP'],
])

const notifyMnemonics: ReadonlyMap<number, string> = new Map([
  ...byNumber(NOTIFY, {
    UNSUPPORTED_CRITICAL_PAYLOAD: 'CRIT',
    INVALID_IKE_SPI: 'INVAL_IKE_SPI',
    INVALID_MAJOR_VERSION: 'INVAL_MAJOR',
    INVALID_SYNTAX: 'INVAL_SYN',
    INVALID_MESSAGE_ID: 'INVAL_MID',
    INVALID_SPI: 'INVAL_SPI',
    NO_PROPOSAL_CHOSEN: 'NO_PROP',
    INVALID_KE_PAYLOAD: 'INVAL_KE',
    AUTHENTICATION_FAILED: 'AUTH_FAILED',
    SINGLE_PAIR_REQUIRED: 'SINGLE_PAIR',
    NO_ADDITIONAL_SAS: 'NO_ADD_SAS',
    INTERNAL_ADDRESS_FAILURE: 'INT_ADDR_FAIL',
    FAILED_CP_REQUIRED: 'FAIL_CP_REQ',
    TS_UNACCEPTABLE: 'TS_UNACCEPT',
    INVALID_SELECTORS: 'INVAL_SEL',
    UNACCEPTABLE_ADDRESSES: 'UNACCEPT_ADDR',
    UNEXPECTED_NAT_DETECTED: 'UNEXPECT_NAT',
    USE_ASSIGNED_HoA: 'ASSIGNED_HoA',
    TEMPORARY_FAILURE: 'TEMP_FAIL',
    CHILD_SA_NOT_FOUND: 'NO_CHILD_SA',
    STATE_NOT_FOUND: 'NO_STATE',
    TS_MAX_QUEUE: 'MAX_QUEUE',
    INITIAL_CONTACT: 'INIT_CONTACT',
    SET_WINDOW_SIZE: 'SET_WINSIZE',
    ADDITIONAL_TS_POSSIBLE: 'ADD_TS_POSS',
    IPCOMP_SUPPORTED: 'IPCOMP_SUP',
    NAT_DETECTION_SOURCE_IP: 'NATD_S_IP',
    NAT_DETECTION_DESTINATION_IP: 'NATD_D_IP',
    COOKIE: 'COOKIE',
    USE_TRANSPORT_MODE: 'USE_TRANSP',
    HTTP_CERT_LOOKUP_SUPPORTED: 'HTTP_CERT_LOOK',
    REKEY_SA: 'REKEY_SA',
    ESP_TFC_PADDING_NOT_SUPPORTED: 'ESP_TFC_PAD_N',
    NON_FIRST_FRAGMENTS_ALSO: 'NON_FIRST_FRAG',
    MOBIKE_SUPPORTED: 'MOBIKE_SUP',
    ADDITIONAL_IP4_ADDRESS: 'ADD_4_ADDR',
    ADDITIONAL_IP6_ADDRESS: 'ADD_6_ADDR',
    NO_ADDITIONAL_ADDRESSES: 'NO_ADD_ADDR',
    UPDATE_SA_ADDRESSES: 'UPD_SA_ADDR',
    COOKIE2: 'COOKIE2',
    NO_NATS_ALLOWED: 'NO_NATS',
    AUTH_LIFETIME: 'AUTH_LFT',
    MULTIPLE_AUTH_SUPPORTED: 'MULT_AUTH',
    ANOTHER_AUTH_FOLLOWS: 'AUTH_FOLLOWS',
    REDIRECT_SUPPORTED: 'REDIR_SUP',
    REDIRECT: 'REDIR',
    REDIRECTED_FROM: 'REDIR_FROM',
    TICKET_LT_OPAQUE: 'TKT_LT_OPAK',
    TICKET_REQUEST: 'TKT_REQ',
    TICKET_ACK: 'TKT_ACK',
    TICKET_NACK: 'TKT_NACK',
    TICKET_OPAQUE: 'TKT_OPAK',
    LINK_ID: 'LINK_ID',
    USE_WESP_MODE: 'WESP_MODE',
    ROHC_SUPPORTED: 'ROHC_SUP',
    EAP_ONLY_AUTHENTICATION: 'EAP_ONLY',
    CHILDLESS_IKEV2_SUPPORTED: 'CHDLESS_SUP',
    QUICK_CRASH_DETECTION: 'CRASH_DET',
    IKEV2_MESSAGE_ID_SYNC_SUPPORTED: 'MSG_ID_SYN_SUP',
    IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED: 'RPL_CTR_SYN_SUP',
    IKEV2_MESSAGE_ID_SYNC: 'MSG_ID_SYN',
    IPSEC_REPLAY_COUNTER_SYNC: 'RPL_CTR_SYN',
    SECURE_PASSWORD_METHODS: 'SEC_PASSWD',
    PSK_PERSIST: 'PSK_PST',
    PSK_CONFIRM: 'PSK_CFM',
    ERX_SUPPORTED: 'ERX_SUP',
    IFOM_CAPABILITY: 'IFOM_CAP',
    SENDER_REQUEST_ID: 'SENDER_REQ_ID',
    IKEV2_FRAGMENTATION_SUPPORTED: 'FRAG_SUP',
    SIGNATURE_HASH_ALGORITHMS: 'HASH_ALG',
    USE_PPK: 'USE_PPK',
    PPK_IDENTITY: 'PPK_ID',
    NO_PPK_AUTH: 'NO_PPK',
    INTERMEDIATE_EXCHANGE_SUPPORTED: 'IKE_INT_SUP',
    ADDITIONAL_KEY_EXCHANGE: 'ADD_KE',
    USE_AGGFRAG: 'AGGFRAG',
    SA_RESOURCE_INFO: 'RES_INFO',
  }),
  // charon's private notify for BEET mode.
  [40961, 'BEET_MODE'],
])
