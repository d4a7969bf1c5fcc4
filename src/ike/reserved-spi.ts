/** SPIs that the kernel keeps for us while a Child SA is negotiated. */
import type { Path } from '../wire/endpoint.ts'
import type { IkeSa } from './ike-sa.ts'
import { kernel, type Script } from './script.ts'

/** An SPI that the kernel keeps for us until a Child SA takes it; disposed, it is given back. */
export class ReservedSpi implements Disposable {
  readonly spi: number
  /** The addresses that the kernel keeps it for. */
  readonly at: Path
  readonly #release: () => void
  #taken = false

  constructor(spi: number, at: Path, release: () => void) {
    this.spi = spi
    this.at = at
    this.#release = release
  }

  /** The SPI belongs to an installed state from now on. */
  take(): number {
    this.#taken = true
    return this.spi
  }

  [Symbol.dispose](): void {
    if (!this.#taken) this.#release()
  }
}

/** Has the kernel reserve an inbound SPI. */
export function* reserveSpi(sa: IkeSa, protocol: 'ESP' | 'AH'): Script<ReservedSpi> {
  const { core, local, remote } = sa
  const { spiMin: min, spiMax: max } = core.settings
  const id = (spi: number) => ({ protocol, spi, source: remote.address, destination: local.address })
  const release = ({ spi }: { spi: number }) => core.kernel({ kind: 'delete-sa', id: id(spi) }, sa)
  const allocated = yield* kernel(
    { kind: 'allocate-spi', protocol, source: remote.address, destination: local.address, reqid: 0, min, max },
    release,
  )
  return new ReservedSpi(allocated.spi, { local, remote }, () => release(allocated))
}
