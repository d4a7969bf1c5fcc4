/** What scenarios start from: the usual connection, and the proposals of the lab in each peer's words. */
import type { Connection, Proposal } from '../lab/connection.ts'
import type { Scenario } from '../lab/scenario.ts'

type Named<N extends string> = Readonly<Record<N, Proposal>>

export const ikeProposals: Named<'aesGcm' | 'chacha' | 'aesCbc256' | 'aesCbc384' | 'aesCbc512'> = {
  aesGcm: { swanctl: 'aes128gcm16-prfsha256-x25519', libreswan: 'aes_gcm128-sha2_256-dh31' },
  chacha: { swanctl: 'chacha20poly1305-prfsha256-x25519', libreswan: 'chacha20_poly1305-sha2_256-dh31' },
  aesCbc256: { swanctl: 'aes128-sha256-ecp256', libreswan: 'aes128-sha2_256-dh19' },
  aesCbc384: { swanctl: 'aes192-sha384-ecp384', libreswan: 'aes192-sha2_384-dh20' },
  aesCbc512: { swanctl: 'aes256-sha512-modp2048', libreswan: 'aes256-sha2_512-dh14' },
}

export const espProposals: Named<'aesGcm' | 'aesGcmEsn' | 'chacha' | 'aesCbc256' | 'aesCbc384' | 'aesCbc512'> = {
  aesGcm: { swanctl: 'aes128gcm16', libreswan: 'aes_gcm128' },
  aesGcmEsn: { swanctl: 'aes256gcm16-esn', libreswan: 'aes_gcm256-esn' },
  chacha: { swanctl: 'chacha20poly1305', libreswan: 'chacha20_poly1305' },
  aesCbc256: { swanctl: 'aes128-sha256', libreswan: 'aes128-sha2_256' },
  aesCbc384: { swanctl: 'aes192-sha384', libreswan: 'aes192-sha2_384' },
  aesCbc512: { swanctl: 'aes256-sha512', libreswan: 'aes256-sha2_512' },
}

/** A tunnel over IPv4 with a pre-shared key and AES-GCM. */
export const usual: Connection = {
  auth: 'psk',
  mode: 'tunnel',
  outer: 'ipv4',
  inner: ['ipv4'],
  ike: ikeProposals.aesGcm,
  esp: espProposals.aesGcm,
  start: 'none',
  settings: [],
  childSettings: [],
  libreswan: [],
}

/** A scenario that is as usual but for what is given. */
export function scenario(
  name: string,
  different: Partial<Omit<Scenario, 'connection' | 'name'>> & { readonly connection?: Partial<Connection> },
): Scenario {
  return {
    peer: 'strongswan',
    initiator: 'ours',
    nat: false,
    clients: false,
    halfOpenFirst: false,
    limitMs: 90_000,
    ours: {},
    theirs: {},
    expect: { kind: 'up' },
    ...different,
    name,
    connection: { ...usual, ...different.connection },
  }
}
