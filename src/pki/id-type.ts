/** The ID types by number. 4, 6, 7, 8 come from RFC 2407 and are used in configurations only; 201 is charon's URI. */
export const ID = {
  ANY: 0,
  IPV4_ADDR: 1,
  FQDN: 2,
  RFC822_ADDR: 3,
  IPV4_ADDR_SUBNET: 4,
  IPV6_ADDR: 5,
  IPV6_ADDR_SUBNET: 6,
  IPV4_ADDR_RANGE: 7,
  IPV6_ADDR_RANGE: 8,
  DER_ASN1_DN: 9,
  DER_ASN1_GN: 10,
  KEY_ID: 11,
  URI: 201,
} as const

/** Who somebody is, RFC 7296 §3.5: an ID type and the bytes that go with it. Type 0 is charon's `%any`, never on the wire. */
export interface Identity {
  readonly type: number
  readonly data: Uint8Array
}
