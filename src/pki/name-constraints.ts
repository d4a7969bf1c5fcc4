import { addressBytes, maskBits } from './address.ts'
import { latin1 } from './bytes.ts'
import type { Certificate } from './certificate.ts'
import type { GeneralName } from './general-name.ts'
import { comparableRdns, type Name } from './name.ts'
import { oids } from './oid.ts'

/**
 * Name constraints along a path, RFC 5280 §4.2.1.10 and §6.1.4 (g). Every CA may narrow what the certificates below it
 * may be called; what one CA permits does not widen what another one did.
 */
export class NameRules {
  readonly #rules: Rule[] = []
  readonly #work: { comparisonsLeft: number }

  /** `work` bounds the comparisons, names times rules, both chosen by strangers; all paths of a search share it. */
  constructor(work: { comparisonsLeft: number }) {
    this.#work = work
  }

  /** Adds what a CA's certificate demands of the certificates below it. */
  add(certificate: Certificate): void {
    const constraints = certificate.nameConstraints
    if (constraints === undefined) return
    for (const base of constraints.excluded)
      this.#rules.push({ excluded: true, bases: [subtree(base)], kind: kindOf(base) })
    for (const kind of new Set(constraints.permitted.map(kindOf))) {
      const bases = constraints.permitted.filter((base) => kindOf(base) === kind).map(subtree)
      this.#rules.push({ excluded: false, bases, kind })
    }
  }

  /** What is wrong with the names of a certificate, in words; undefined if nothing is. `budget` says that the work was too much. */
  check(certificate: Certificate): string | 'budget' | undefined {
    if (this.#rules.length === 0) return undefined
    for (const name of namesOf(certificate)) {
      for (const rule of this.#rules) {
        if (rule.kind !== name.kind) continue
        this.#work.comparisonsLeft -= rule.bases.length
        if (this.#work.comparisonsLeft < 0) return 'budget'
        const verdicts = rule.bases.map((base) => isWithin(name, base))
        // a name or a constraint that cannot be understood is never taken for harmless
        if (verdicts.includes('unclear'))
          return `${name.text} is of a kind that its issuer restricts and that is not understood`
        const within = verdicts.includes('inside')
        if (within === rule.excluded)
          return `${name.text} is ${rule.excluded ? 'excluded' : 'not among the names permitted'} by a CA above it`
      }
    }
    return undefined
  }
}

interface Rule {
  readonly excluded: boolean
  readonly kind: string
  readonly bases: readonly Subtree[]
}

interface Subtree {
  readonly base: GeneralName
  readonly rdns: readonly string[]
}

interface ComparedName {
  readonly kind: string
  readonly text: string
  readonly name: GeneralName | undefined
  readonly rdns: readonly string[]
}

/** The subject unless it is empty, the alternative names, and without e-mail among these those in the subject. */
function namesOf(certificate: Certificate): ComparedName[] {
  const { subject, altNames } = certificate
  const names: ComparedName[] = altNames.map((name) => compared(name))
  if (subject.rdns.length > 0) names.push(directory(subject, certificate.subjectText))
  if (!altNames.some((name) => name.type === 'email'))
    for (const { oid, value } of subject.rdns.flat())
      if (oid === oids.emailAddress) names.push(compared(email(latin1(value))))
  return names
}

const email = (text: string): GeneralName => ({ type: 'email', text, der: new Uint8Array(0) })

function compared(name: GeneralName): ComparedName {
  if (name.type === 'directory') return directory(name.name, 'a directory name')
  const text = 'text' in name ? `"${name.text.replace(/[^ -~]/g, '?')}"` : `a name of type ${name.type}`
  return { kind: kindOf(name), text, name, rdns: [] }
}

const directory = (name: Name, text: string): ComparedName => ({
  kind: 'directory',
  text: `"${text}"`,
  name: undefined,
  rdns: comparableRdns(name),
})

const subtree = (base: GeneralName): Subtree => ({
  base,
  rdns: base.type === 'directory' ? comparableRdns(base.name) : [],
})

/** Constraints speak about names of their own kind only; addresses of both families are one kind. */
const kindOf = (name: GeneralName): string => (name.type === 'other' ? `other ${name.oid}` : name.type)

type Verdict = 'inside' | 'outside' | 'unclear'

function isWithin({ name, rdns }: ComparedName, { base, rdns: above }: Subtree): Verdict {
  switch (base.type) {
    case 'directory':
      return verdict(above.length <= rdns.length && above.every((rdn, i) => rdn === rdns[i]))
    case 'dns':
      return name?.type === 'dns' ? dnsWithin(name.text, base.text) : 'unclear'
    case 'email':
      return name?.type === 'email' ? emailWithin(name.text, base.text) : 'unclear'
    case 'uri':
      return name?.type === 'uri' ? uriWithin(name.text, base.text) : 'unclear'
    case 'ip':
      return name?.type === 'ip' ? addressWithin(name.bytes, base.bytes) : 'unclear'
    default:
      return 'unclear'
  }
}

const verdict = (inside: boolean): Verdict => (inside ? 'inside' : 'outside')

/** `example.com` covers itself and everything below; so does `.example.com`, as OpenSSL reads it, without the host itself. */
function dnsWithin(name: string, base: string): Verdict {
  if (base === '') return 'inside'
  const [host, suffix] = [name.toLowerCase(), base.toLowerCase()]
  if (suffix.startsWith('.')) return verdict(host.endsWith(suffix) && host.length > suffix.length)
  return verdict(host === suffix || host.endsWith(`.${suffix}`))
}

/** A mailbox, all of a host, or with a leading dot all hosts of a domain. The local part keeps its case. */
function emailWithin(mailbox: string, base: string): Verdict {
  const at = mailbox.lastIndexOf('@')
  if (at < 1) return 'unclear'
  const host = mailbox.slice(at + 1).toLowerCase()
  const baseAt = base.lastIndexOf('@')
  if (baseAt > 0)
    return verdict(mailbox.slice(0, at) === base.slice(0, baseAt) && host === base.slice(baseAt + 1).toLowerCase())
  return hostWithin(host, base.toLowerCase())
}

/** The host of a URI; a URI without a host name cannot be judged, RFC 5280 §4.2.1.10. */
function uriWithin(uri: string, base: string): Verdict {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1]
  const host = authority
    ?.slice(authority.lastIndexOf('@') + 1)
    .replace(/:\d*$/, '')
    .toLowerCase()
  if (host === undefined || host === '' || host.startsWith('[') || addressBytes(host) !== undefined) return 'unclear'
  return hostWithin(host, base.toLowerCase())
}

const hostWithin = (host: string, base: string): Verdict =>
  verdict(base === '' || (base.startsWith('.') ? host.endsWith(base) && host.length > base.length : host === base))

/** The base is an address and a mask; an address of the other family is simply outside. */
function addressWithin(address: Uint8Array, base: Uint8Array): Verdict {
  const size = base.length / 2
  if ((size !== 4 && size !== 16) || maskBits(base.subarray(size)) === undefined) return 'unclear'
  if (address.length !== 4 && address.length !== 16) return 'unclear'
  if (address.length !== size) return 'outside'
  return verdict(address.every((byte, i) => ((byte ^ (base[i] ?? 0)) & (base[size + i] ?? 0)) === 0))
}
