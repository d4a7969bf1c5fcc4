/** One end of a UDP flow. */
export interface Endpoint {
  /** As `formatAddress` writes it. */
  readonly address: string
  readonly port: number
}

/** As charon writes it in its log: `192.0.2.1[4500]`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return `${address}[${port}]`
}
