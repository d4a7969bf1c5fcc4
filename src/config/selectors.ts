/** Traffic selectors of the configuration, with the names of protocols and services that this host knows. */

import type { TrafficSelector } from '../wire/payloads/index.ts'
import { type DynamicSelector, formatSelector, parseSelector } from '../wire/selector.ts'
import { parseServiceNames, type ServiceNames, wellKnownNames } from '../wire/services.ts'
import { ConfigError } from './config-error.ts'
import type { ConfiguredSelector } from './connection.ts'
import { type ConfigFiles, diskFiles } from './files.ts'

/**
 * `dynamic`, an address, a subnet or `a-b`, then `[protocol/port]` without a blank before it.
 * @throws ConfigError
 */
export function parseConfiguredSelector(text: string, names: ServiceNames = hostServiceNames()): ConfiguredSelector {
  const selector = parseSelector(text, names)
  if (selector === undefined) {
    throw new ConfigError(
      `'${text}' is no selector; write dynamic, an address, a subnet or from-to, then [protocol/port]`,
    )
  }
  return selector.kind === 'dynamic' ? selector : { kind: 'fixed', selector }
}

/** As charon prints it. */
export function formatConfiguredSelector(
  selector: ConfiguredSelector,
  names: ServiceNames = hostServiceNames(),
): string {
  return formatSelector(selector.kind === 'fixed' ? selector.selector : selector, names)
}

/** A negotiated selector, as charon prints it. */
export function selectorText(selector: TrafficSelector | DynamicSelector): string {
  return formatSelector(selector, hostServiceNames())
}

/** The names of this host, read once; where it has no such files, the well-known protocols. */
export function hostServiceNames(): ServiceNames {
  host ??= readServiceNames(diskFiles())
  return host
}

let host: ServiceNames | undefined

export function readServiceNames(files: ConfigFiles): ServiceNames {
  const text = (path: string) =>
    files.stat(path) === undefined ? '' : Buffer.from(files.read(path)).toString('latin1')
  const names = parseServiceNames(text('/etc/protocols'), text('/etc/services'))
  const { protocolNames, protocolNumbers } = wellKnownNames
  return {
    ...names,
    protocolNames: new Map([...protocolNames, ...names.protocolNames]),
    protocolNumbers: new Map([...protocolNumbers, ...names.protocolNumbers]),
  }
}
