import { gtc } from './gtc.ts'
import { md5 } from './md5.ts'
import type { EapMethod } from './method.ts'
import { mschapv2 } from './mschapv2.ts'

/** What there is, the strongest first: `auth = eap` takes whichever the other side has, too. */
export const methods: readonly EapMethod[] = [mschapv2, md5, gtc]

/** Whether `auth = eap-NAME` can be had; the name may be a number. */
export function isMethod(name: string): boolean {
  return name === 'dynamic' || methodsFor(name).length > 0
}

/** The methods that a configuration allows; all without a name, and with `dynamic`. */
export function methodsFor(name: string | undefined): readonly EapMethod[] {
  if (name === undefined || name === 'dynamic') return methods
  return methods.filter((method) => method.name === name || String(method.type) === name)
}
