/**
 * Makes docs/configuration-keys.md from the tables of keys: `node test/tidy/keys-page.ts`. The tidy test says when that has
 * been forgotten.
 */
import { writeFileSync } from 'node:fs'
import { childKeys } from '../../src/config/child-keys.ts'
import { connectionKeys } from '../../src/config/connection-keys.ts'
import type { Support } from '../../src/config/key-table.ts'
import { certificateKeys, roundKeys } from '../../src/config/round-keys.ts'
import type { Source } from './source.ts'

interface Row {
  readonly syntax: string
  readonly default: string
  readonly support: Support
}

const path = 'docs/configuration-keys.md'

const tables: readonly (readonly [title: string, rows: Readonly<Record<string, Row>>])[] = [
  ['connections.<conn>', connectionKeys],
  ['connections.<conn>.local, remote', roundKeys],
  ['connections.<conn>.local.cert<suffix>, cacert<suffix>', certificateKeys],
  ['connections.<conn>.children.<child>', childKeys],
]

const words: Readonly<Record<Support, string>> = {
  yes: 'yes',
  own: 'yes; charon has no such key',
  kept: '**no effect yet**',
  refused: 'only the default',
  IKEv1: 'IKEv1 only, ignored',
}

/** Whether the page is what the tables say. */
export function keysPage(sources: readonly Source[]): readonly string[] {
  const found = sources.find((one) => one.path === path)?.text
  return found === page() ? [] : [`${path}: not as the tables say; run: node test/tidy/keys-page.ts`]
}

function page(): string {
  const sections = tables.map(([title, rows]) => {
    const lines = Object.entries(rows).map(
      ([name, row]) => `| \`${name}\` | ${cell(row.syntax)} | ${cell(row.default)} | ${words[row.support]} |`,
    )
    return [`## \`${title}\``, '', '| key | syntax | default | followed |', '|---|---|---|---|', ...lines].join('\n')
  })
  return [
    '# Keys of connections',
    '',
    'Generated from the tables in `src/config` by `node test/tidy/keys-page.ts`. What has no effect yet is accepted and listed.',
    '',
    sections.join('\n\n'),
    '',
  ].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (import.meta.main) writeFileSync(new URL(`../../${path}`, import.meta.url), page())
