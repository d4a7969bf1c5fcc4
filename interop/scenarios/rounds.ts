/** Several authentication rounds (RFC 4739): a certificate and a pre-shared key. */
import type { End } from '../lab/connection.ts'
import type { Scenario } from '../lab/scenario.ts'
import { scenario } from './base.ts'

const user = { initiator: 'user.lab.test', responder: 'service.lab.test' } as const

/** The round by secret of one side; sections before the usual ones come first, unless they have a number. */
function bySecret(side: 'local' | 'remote', id: string, first: boolean): string[] {
  return [`${side}-psk {`, '  auth = psk', `  id = ${id}`, ...(first ? [] : ['  round = 2']), '}']
}

const secrets: readonly string[] = [
  'ike-users {',
  `  id-initiator = ${user.initiator}`,
  `  id-responder = ${user.responder}`,
  '  secret = "the secret of the users"',
  '}',
]

function ends(who: 'initiator' | 'both', first: boolean): { readonly initiator: End; readonly responder: End } {
  const responders = (side: 'local' | 'remote'): string[] =>
    who === 'both' ? bySecret(side, user.responder, first) : []
  return {
    initiator: { settings: [...bySecret('local', user.initiator, first), ...responders('remote')], secrets },
    responder: { settings: [...bySecret('remote', user.initiator, first), ...responders('local')], secrets },
  }
}

function twice(initiator: 'ours' | 'peer', who: 'initiator' | 'both', first: boolean): Scenario {
  const given = ends(who, first)
  const order = first ? 'psk-then-ecdsa' : 'ecdsa-then-psk'
  return scenario(`rounds/${order}-${who}-${initiator}-initiates`, {
    initiator,
    connection: { auth: 'ecdsa' },
    ours: initiator === 'ours' ? given.initiator : given.responder,
    theirs: initiator === 'ours' ? given.responder : given.initiator,
    expect: { kind: 'up', rekeys: ['ike'], says: `authentication of '${user.initiator}'` },
  })
}

// charon as initiator wants all rounds of the responder before it goes on from a pre-shared key of its own, and so cannot
// do what `twice('peer', 'both', true)` would ask of it.
export const rounds: readonly Scenario[] = [
  ...[false, true].flatMap((first) => [twice('ours', 'initiator', first), twice('ours', 'both', first)]),
  ...[false, true].map((first) => twice('peer', 'initiator', first)),
  twice('peer', 'both', false),
]
