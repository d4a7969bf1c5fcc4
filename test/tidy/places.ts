/** Nothing in the repository names the machine it was written on, or where that machine gets its packages from. */
import { lineAt, type Source } from './source.ts'

/** Folders in which people work; in two parts, so that this file does not find itself. */
const workplaces = new RegExp(
  `(?<![\\w.])/(?:${['ho', 'Use'].map((part, i) => `${part}${['me', 'rs'][i]}/\\w`).join('|')}|${'wo'}rk/(?:main|shared)\\b|${'tm'}p/(?:briefs|bash))`,
  'g',
)

/** Hosts that sources and documents may name; everything for examples ends as RFC 2606 and RFC 6761 say. */
const hosts: readonly RegExp[] = [
  /(?:^|\.)(?:example|test|invalid|localhost|lab)$/,
  /(?:^|\.)example\.(?:com|net|org)$/,
  /(?:^|\.)lab\.org$/,
  /^(?:www\.)?(?:rfc-editor|ietf|iana|apache|nist|debian|strongswan|libreswan|kernel)\.(?:org|gov)$/,
  /^(?:datatracker\.ietf|csrc\.nist|deb\.debian|tools\.ietf|docs\.strongswan)\.(?:org|gov)$/,
  /^(?:github\.com|biomejs\.dev|nodejs\.org|www\.npmjs\.com|keepachangelog\.com|semver\.org)$/,
]

/** Paths of a machine, hosts that nobody outside knows, and a package lock that says where packages came from. */
export function places(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, text }) => {
    const at = (index: number): string => `${path}:${lineAt(text, index)}`
    const paths = [...text.matchAll(workplaces)].map((match) => `${at(match.index)}: the path ${match[0]}`)
    const urls = [...text.matchAll(/\bhttps?:\/\/(?:[^/\s'"`@]*@)?([\w.-]*\w)/g)].flatMap((match) => {
      const host = match[1] ?? ''
      // A host of one letter is an example in a test.
      return host.length === 1 || hosts.some((known) => known.test(host))
        ? []
        : [`${at(match.index)}: the host ${host}`]
    })
    const registry = [...text.matchAll(/^\s*(?:"resolved":|(?:[@\w]+:)?registry\s*=)/gm)].map(
      (match) => `${at(match.index)}: says where packages come from`,
    )
    return [...paths, ...(path === 'package-lock.json' ? [] : urls), ...registry]
  })
}
