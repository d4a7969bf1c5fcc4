/** Whether the strongSwan of a root can do ML-KEM. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * By a plugin of its own, or by OpenSSL from 6.0.2 on. Debian's 6.0.1 (trixie) has neither: it accepts the word in a
 * proposal and then refuses the exchange.
 */
export function strongswanHasMlKem(root: string): boolean {
  if (existsSync(join(root, 'usr/lib/ipsec/plugins/libstrongswan-ml.so'))) return true
  const status = join(root, 'var/lib/dpkg/status')
  const packages = existsSync(status) ? readFileSync(status, 'utf8').split('\n\n') : []
  const found = packages.find((text) => text.startsWith('Package: libstrongswan\n'))
  const version =
    /^Version: (\d+)\.(\d+)\.(\d+)/m
      .exec(found ?? '')
      ?.slice(1)
      .map(Number) ?? []
  const [major = 0, minor = 0, patch = 0] = version
  return major > 6 || (major === 6 && (minor > 0 || patch >= 2))
}
