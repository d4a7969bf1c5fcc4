/** SPIs, and CPIs of IPComp, that the kernel keeps for us while a Child SA is negotiated. */
import { KernelError, type StateProtocol } from '../kernel/operations.ts'
import type { Path } from '../wire/endpoint.ts'
import type { IkeSa } from './ike-sa.ts'
import { kernel, type Script } from './script.ts'

/** An SPI that the kernel keeps for us until a Child SA takes it; disposed, it is given back. */
export class ReservedSpi implements Disposable {
  readonly spi: number
  /** Where compressed packets will come in, if we can take some. */
  readonly cpi: number | undefined
  /** The addresses that the kernel keeps it for. */
  readonly at: Path
  readonly #release: (protocol: StateProtocol, spi: number) => void
  readonly #protocol: StateProtocol
  #taken = { spi: false, cpi: false }

  constructor(
    protocol: StateProtocol,
    numbers: { readonly spi: number; readonly cpi: number | undefined },
    at: Path,
    release: (protocol: StateProtocol, spi: number) => void,
  ) {
    this.spi = numbers.spi
    this.cpi = numbers.cpi
    this.at = at
    this.#protocol = protocol
    this.#release = release
  }

  /** The SPI belongs to an installed state from now on, and so does the CPI, if one was agreed on. */
  take(withCpi: boolean): number {
    this.#taken = { spi: true, cpi: withCpi }
    return this.spi
  }

  [Symbol.dispose](): void {
    if (!this.#taken.spi) this.#release(this.#protocol, this.spi)
    if (!this.#taken.cpi && this.cpi !== undefined) this.#release('IPCOMP', this.cpi)
  }
}

/**
 * Has the kernel reserve an inbound SPI, and a CPI if packets may be compressed.
 * @throws KernelError when there is no SPI; without a CPI nothing is compressed
 */
export function* reserveSpi(sa: IkeSa, protocol: 'ESP' | 'AH', compress: boolean): Script<ReservedSpi> {
  const { core, local, remote } = sa
  const { spiMin, spiMax } = core.settings
  const between = { source: remote.address, destination: local.address }
  const release = (of: StateProtocol, spi: number) =>
    core.kernel({ kind: 'delete-sa', id: { protocol: of, spi, ...between } }, sa)
  function* allocate(of: StateProtocol, min: number, max: number): Script<number> {
    const operation = { kind: 'allocate-spi', protocol: of, ...between, reqid: 0, min, max } as const
    return (yield* kernel(operation, ({ spi }) => release(of, spi))).spi
  }
  const spi = yield* allocate(protocol, spiMin, spiMax)
  let cpi: number | undefined
  if (compress) {
    using held = new DisposableStack()
    held.defer(() => release(protocol, spi))
    try {
      cpi = yield* allocate('IPCOMP', cpiMin, cpiMax)
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      core.log('KNL', 1, `unable to reserve a CPI, IPComp disabled: ${error.message}`, sa, 'warn')
    }
    held.move()
  }
  return new ReservedSpi(protocol, { spi, cpi }, { local, remote }, release)
}

/** RFC 3173 §3.3: those that are to be negotiated. */
const cpiMin = 0x100
const cpiMax = 0xefff
