/** Which tests ran, and how they ended. */

import { relative } from 'node:path'
import type { run } from 'node:test'
import type { TestEvent } from 'node:test/reporters'

export type Outcome = 'passed' | 'failed' | 'skipped'

export interface Outcomes {
  /** The tests of a file whose name, alone or after those of its suites (`suite > test`), matches; `*` is any text. */
  of(file: string, pattern: string): readonly { readonly name: string; readonly outcome: Outcome }[]
}

type Ended = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>['data']

/** Listens to runs of tests. */
export class Listener implements Outcomes {
  readonly #root: string
  readonly #byFile = new Map<string, { readonly name: string; readonly path: string; readonly outcome: Outcome }[]>()
  /** The names of the tests that are open, outermost first. */
  readonly #open: string[] = []

  /** `root` is the folder that names of files begin in. */
  constructor(root: string) {
    this.#root = root
  }

  /** Takes what this run reports, in its order. */
  listen(stream: ReturnType<typeof run>): void {
    stream.on('test:start', ({ name, nesting }) => void this.#open.splice(nesting, Infinity, name))
    stream.on('test:pass', (data) => this.#ended(data, data.skip === undefined ? 'passed' : 'skipped'))
    stream.on('test:fail', (data) => this.#ended(data, 'failed'))
  }

  of(file: string, pattern: string): readonly { readonly name: string; readonly outcome: Outcome }[] {
    const matches = new RegExp(`^${pattern.split('*').map(RegExp.escape).join('.*')}$`)
    return (this.#byFile.get(file) ?? []).filter(({ name, path }) => matches.test(name) || matches.test(path))
  }

  #ended(data: Ended, outcome: Outcome): void {
    // The file that was run; `file` is where `test` was called, which may be in a function for many files.
    const { entryFile = data.file } = data as Ended & { readonly entryFile?: string }
    if (entryFile === undefined) return
    const file = relative(this.#root, entryFile)
    const path = [...this.#open.slice(0, data.nesting), data.name].join(' > ')
    const ended = this.#byFile.get(file) ?? []
    this.#byFile.set(file, ended)
    ended.push({ name: data.name, path, outcome })
  }
}
