/**
 * Security labels, RFC 9478, without any help of the kernel: each side has one configured for a child, and a Child SA comes
 * about only between children with the same one. It stands behind the selectors of both sides:
 *
 *   HDR, SK {SA, Ni, TSi(..., TS_SECLABEL), TSr(..., TS_SECLABEL)}  -->
 *                      <--  HDR, SK {SA, Nr, TSi(..., TS_SECLABEL), TSr(..., TS_SECLABEL)}
 */
import type { ChildConfig } from '../config/connection.ts'
import { TS_TYPE } from '../wire/numbers.ts'
import type { OtherSelector, TrafficSelector } from '../wire/payloads/index.ts'

/** The configured label as it is sent and listed: text with a zero octet behind it, as SELinux writes it. */
export function securityLabel({ label }: Pick<ChildConfig, 'label'>): Uint8Array | undefined {
  return label === undefined ? undefined : Buffer.from(`${label}\0`)
}

/** What stands behind the selectors of either side. */
export function labelSelectors(config: Pick<ChildConfig, 'label'>): readonly OtherSelector[] {
  const data = securityLabel(config)
  return data === undefined ? [] : [{ kind: 'other', tsType: TS_TYPE.SECLABEL, protocol: 0, data }]
}

/** Whether the label of a child is among those for both sides; one without a label takes none. */
export function labelsFit(
  config: Pick<ChildConfig, 'label'>,
  TSi: { readonly selectors: readonly TrafficSelector[] },
  TSr: { readonly selectors: readonly TrafficSelector[] },
): boolean {
  const wanted = securityLabel(config)
  return [TSi, TSr].every(({ selectors }) => {
    const labels = labelsOf(selectors)
    if (wanted === undefined) return labels.length === 0
    return labels.some((label) => Buffer.compare(label, wanted) === 0)
  })
}

/** An empty label is as none (RFC 9478 §2.2); the zero octet behind it is the sender's choice. */
function labelsOf(selectors: readonly TrafficSelector[]): Uint8Array[] {
  return selectors.flatMap((selector) => {
    if (selector.kind !== 'other' || selector.tsType !== TS_TYPE.SECLABEL) return []
    const { data } = selector
    const ended = data.at(-1) === 0 ? data : Buffer.concat([data, Uint8Array.of(0)])
    return ended.length > 1 ? [ended] : []
  })
}
