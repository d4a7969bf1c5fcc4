/**
 * `node --import ./test/faults/loader.ts … --fault NAME`: the core is loaded with that fault of table.ts in it. Nothing
 * of this is in the sources themselves.
 */
import { registerHooks } from 'node:module'
import { isMainThread, workerData } from 'node:worker_threads'
import { type Fault, faults } from './table.ts'

/** Marks the modules of the core that are loaded a second time, with the fault, for one host. */
const second = '?faulty'
const core = new URL('../../src/ike/', import.meta.url).href
const host = new URL('../simulation/host.ts', import.meta.url).href

/**
 * The text with the fault in it.
 * @throws Error when the text has changed, so that the fault would be none
 */
export function patched(source: string, { name, file, text, replacement }: Fault): string {
  const parts = source.split(text)
  if (parts.length !== 2) throw new Error(`fault ${name}: its text is ${parts.length - 1} times in src/ike/${file}`)
  return parts.join(replacement)
}

/** Loads the core with the fault from now on. */
export function plant(fault: Fault): void {
  const target = `${core}${fault.file}${fault.oneSided ? second : ''}`
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context)
      const inSecond = context.parentURL?.startsWith(core) && context.parentURL.endsWith(second)
      if (!inSecond || !resolved.url.startsWith(core) || resolved.url.endsWith(second)) return resolved
      return { ...resolved, url: `${resolved.url}${second}` }
    },
    load(url, context, next) {
      const loaded = next(url, context)
      if (url !== target && !(fault.oneSided && url === host)) return loaded
      const source = String(loaded.source)
      return { ...loaded, source: url === target ? patched(source, fault) : withTwoCores(source) }
    },
  })
}

/** The simulated hosts' own module, with the second core for `right`. */
function withTwoCores(source: string): string {
  const text = 'return new Engine({'
  if (source.split(text).length !== 2) throw new Error('host.ts makes its engine in another way')
  const chosen = `return new (name === 'right' ? FaultyEngine : Engine)({`
  return `import { Engine as FaultyEngine } from '../../src/ike/engine.ts${second}'\n${source.replace(text, chosen)}`
}

const at = process.argv.indexOf('--fault')
const name = at < 0 ? undefined : process.argv[at + 1]
if (name !== undefined && (isMainThread || workerData !== undefined)) {
  const fault = faults.find((one) => one.name === name)
  if (fault === undefined) throw new Error(`no fault ${name}`)
  plant(fault)
}
