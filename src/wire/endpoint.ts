/** One end of a UDP flow. */
export interface Endpoint {
  /** As `formatAddress` writes it. */
  readonly address: string
  readonly port: number
}

/** Our end and the peer's end of a UDP flow. */
export interface Path {
  readonly local: Endpoint
  readonly remote: Endpoint
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port
}

/** As charon writes it in its log: `192.0.2.1[4500]`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return `${address}[${port}]`
}
