/** A gateway sends its clients to another address (RFC 5685). */
import type { End } from '../lab/connection.ts'
import { secondAddress } from '../lab/redirect.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const anyLocal: End = { settings: ['local_addrs = %any'] }

/** Ours sends what begins elsewhere; charon has no such setting without a plugin of one's own. */
function begun(exchange: 'init' | 'auth'): Scenario {
  return scenario(`redirect/in-ike-${exchange}-peer-initiates`, {
    initiator: 'peer',
    ours: { ...anyLocal, daemon: ['redirect {', `gateway = ${secondAddress.moon}`, `exchange = ${exchange}`, '}'] },
    expect: { kind: 'redirected', when: 'begun' },
  })
}

function established(initiator: 'ours' | 'peer'): Scenario {
  return scenario(`redirect/established-${initiator}-initiates`, {
    initiator,
    [initiator === 'ours' ? 'theirs' : 'ours']: anyLocal,
    expect: { kind: 'redirected', when: 'established' },
  })
}

export const redirected: readonly Scenario[] = [established('ours'), established('peer'), begun('init'), begun('auth')]
