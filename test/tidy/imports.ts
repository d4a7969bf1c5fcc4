/** Which folder may import from which: imports point inward. */
import { posix } from 'node:path'
import { lineAt, type Source } from './source.ts'

/**
 * For each part of src the parts it may import from, besides itself. `kernel` is the operations, and what is true of every
 * kernel; what performs them is `kernel/netlink`, `kernel/xfrm`, `kernel/simulated` and `kernel/*` for the rest.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  crypto: ['wire'],
  pki: ['wire', 'crypto'],
  eap: ['wire', 'crypto'],
  kernel: ['crypto'],
  config: ['wire', 'crypto', 'pki', 'eap', 'kernel', 'ike boundary'],
  ike: ['wire', 'crypto', 'pki', 'eap', 'config', 'kernel'],
  'kernel/simulated': ['wire', 'crypto', 'kernel'],
  'kernel/netlink': ['wire', 'net'],
  'kernel/xfrm': ['wire', 'crypto', 'kernel', 'kernel/netlink'],
  'kernel/*': ['wire', 'crypto', 'net', 'kernel', 'kernel/netlink', 'kernel/xfrm'],
  net: ['wire', 'crypto', 'kernel', 'kernel/netlink', 'kernel/xfrm'],
  log: ['config', 'net', 'ike boundary'],
  journal: ['crypto', 'pki', 'config', 'kernel', 'ike'],
  metrics: ['ike boundary'],
  scripts: ['config', 'ike boundary'],
  vici: ['wire', 'crypto', 'pki', 'config', 'kernel', 'ike boundary'],
  cli: ['wire', 'crypto', 'pki', 'config', 'vici'],
}

/** The files of src/ike that say what goes in and comes out. */
const boundary: ReadonlySet<string> = new Set(
  ['credentials', 'input', 'job', 'output', 'view'].map((name) => `src/ike/${name}.ts`),
)

/** Imports that point outward, and parts that the table does not know. Tests may import what they like. */
export function importDirections(sources: readonly Source[]): readonly string[] {
  return sources.flatMap(({ path, text, uncommented }) => {
    const from = partOf(path)
    if (from === undefined || path.endsWith('.test.ts')) return []
    const parts = allowed[from]
    if (parts === undefined) return [`${path}: nobody has said what ${from} may import`]
    return [...uncommented.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']*)'/g)].flatMap((match) => {
      const target = posix.join(posix.dirname(path), match[1] ?? '')
      const to = partOf(target)
      const fine =
        to === from ||
        (to !== undefined && parts.includes(to)) ||
        (parts.includes('ike boundary') && boundary.has(target))
      return fine ? [] : [`${path}:${lineAt(text, match.index)}: ${from} must not import ${target}`]
    })
  })
}

/** Files directly in src put everything together and are in no part. */
function partOf(path: string): string | undefined {
  const [src, folder, inner] = path.split('/')
  if (src !== 'src' || inner === undefined || folder === undefined) return undefined
  if (folder !== 'kernel') return folder
  if (inner === 'operations.ts' || inner === 'left-behind.ts') return 'kernel'
  return inner.endsWith('.ts') ? 'kernel/*' : `kernel/${inner}`
}
