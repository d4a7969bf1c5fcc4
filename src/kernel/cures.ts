/** What an operator can do about a refusal of the kernel. */
import { familyOf } from '../wire/address.ts'
import type { KernelOperation, KernelSa } from './operations.ts'

/** A sentence that names the likely cure, or undefined if there is nothing better to say than the errno. */
export function cureFor(operation: KernelOperation, errno: string): string | undefined {
  if (errno === 'EPERM') return 'run as root or give CAP_NET_ADMIN'
  if (errno === 'ENOBUFS' || errno === 'ENOMEM') return 'the kernel is short of memory for network configuration'
  switch (operation.kind) {
    case 'install-sa':
    case 'move-sa':
      return cureForState(operation.sa, errno)
    case 'allocate-spi':
      if (errno === 'ENOENT' || errno === 'EEXIST') return 'no SPI is free in the configured range: widen it'
      return undefined
    case 'install-policy':
      if (errno === 'EEXIST') return 'another policy has the same selectors: is another IKE daemon running?'
      if (errno === 'EINVAL') return 'the kernel does not take a policy of this form'
      return undefined
    case 'add-route':
    case 'delete-route':
      if (errno === 'EINVAL') return 'is the source address of the route an address of this host?'
      if (errno === 'ENODEV') return 'the interface of the route is gone'
      return undefined
    case 'add-address':
      if (errno === 'ENODEV') return 'no interface leads to the peer'
      if (errno === 'EACCES') return 'IPv6 is disabled on the interface'
      return undefined
    default:
      return undefined
  }
}

/** The same for the IPComp state that goes with `sa`. */
export function cureForCompression(sa: KernelSa, errno: string): string | undefined {
  const family = familyOf(sa.destination)
  switch (errno) {
    case 'EPROTONOSUPPORT':
      return `the kernel has no IPComp for IPv${family}: load ${family === 4 ? 'ipcomp' : 'ipcomp6'}, or set ipcomp = no`
    case 'ENOSYS':
      return 'the kernel does not have deflate: load it, or set ipcomp = no'
    case 'EEXIST':
      return `another IPComp state has CPI ${sa.cpi?.toString(16)} and destination ${sa.destination}`
    default:
      return cureForState(sa, errno)
  }
}

function cureForState(sa: KernelSa, errno: string): string | undefined {
  const family = familyOf(sa.destination)
  switch (errno) {
    case 'EPROTONOSUPPORT':
      return `the kernel has no ${sa.protocol} for IPv${family}: load ${moduleOf(sa)}`
    case 'ENOSYS':
      return `the kernel does not have ${algorithms(sa).join(' or ')}: load ${modules(sa).join(', ')}`
    case 'ENOENT':
      return `the kernel could not start ${algorithms(sa).join(' with ')}: load ${modules(sa).join(', ')}`
    case 'EEXIST':
      return `another state has SPI ${sa.spi.toString(16)} and destination ${sa.destination}`
    case 'EOPNOTSUPP':
      if (sa.hwOffload !== undefined) return noOffload
      return `the kernel does not support this form of ${sa.protocol}`
    case 'EINVAL':
      if (sa.hwOffload === 'packet') return noOffload
      return 'the kernel does not take these parameters: key size, replay window, encapsulation or mode'
    default:
      return undefined
  }
}

/** esp4, esp6, ah4 or ah6. */
function moduleOf({ protocol, destination }: KernelSa): string {
  return `${protocol.toLowerCase()}${familyOf(destination)}`
}

function algorithms({ crypto }: KernelSa): string[] {
  if (crypto.kind === 'aead') return [crypto.name]
  return [crypto.encryption?.name, crypto.integrity?.name].filter((name) => name !== undefined)
}

/** `rfc4106(gcm(aes))` is put together from gcm and aes; ESP adds what joins and counts. */
function modules(sa: KernelSa): string[] {
  const parts = algorithms(sa)
    .flatMap((name) => name.split(/[(),]/))
    .filter((name) => name !== '' && !/^rfc\d/.test(name))
    .map((name) => moduleNames[name] ?? name)
  const joined = sa.crypto.kind === 'aead' ? ['seqiv'] : sa.protocol === 'ESP' ? ['authenc', 'echainiv'] : []
  return [...new Set([moduleOf(sa), ...parts, ...joined])]
}

const noOffload = 'the device does not offload this: set hw_offload to auto or no'

/** Algorithms whose module is called otherwise. */
const moduleNames: Readonly<Record<string, string>> = {
  cipher_null: 'crypto_null',
  sha256: 'sha256_generic',
  sha384: 'sha512_generic',
  sha512: 'sha512_generic',
  sha1: 'sha1_generic',
  poly1305: 'poly1305_generic',
  chacha20: 'chacha_generic',
}
