/** Redirection (RFC 5685): the responder has a second address, and the initiator ends up there with its child. */
import { connectionName } from './connection.ts'
import { poll } from './poll.ts'
import { bringUp, pingBothWays, quiet } from './proofs.ts'
import type { Stage } from './stage.ts'

/** The second address of a responder, by its host. */
export const secondAddress = { moon: '192.168.0.11', sun: '192.168.0.12' } as const

/** Up, sent away (by swanctl, or by the settings when it begins), packets, one IKE SA at the new address, down. */
export async function proveRedirect(stage: Stage, when: 'established' | 'begun'): Promise<void> {
  const { initiator, initiatorHost, responderHost, responder } = stage
  const gateway = secondAddress[responderHost.name]
  await responderHost.shell.must(`ip address add ${gateway}/24 dev eth0`)
  // charon goes on at the other gateway, but what it was asked to bring up has failed when IKE_AUTH sends it there.
  if (when === 'begun') await initiator.up()
  else {
    await bringUp(initiator)
    await pingBothWays(stage)
    await responderHost.shell.must(`timeout 8 swanctl --redirect --ike ${connectionName} --gateway ${gateway}`)
  }
  const there = async (shell: typeof responderHost.shell, end: 'local' | 'remote'): Promise<boolean> => {
    const shown = await shell.must('timeout 5 swanctl --list-sas --raw')
    const count = shown.match(/list-sa event/g)?.length
    const established = /state=ESTABLISHED/.test(shown) && shown.match(/state=INSTALLED/g)?.length === 1
    return count === 1 && established && shown.includes(`${end}-host=${gateway} `)
  }
  await poll(`${initiator.name} to be at ${gateway}, alone`, 15_000, () => there(initiatorHost.shell, 'remote'))
  await poll(`${responder.name} to show that`, 15_000, () => there(responderHost.shell, 'local'))
  await pingBothWays(stage)
  const down = await initiator.down()
  if (down.code !== 0) throw new Error(`down on ${initiator.name}: status ${down.code}: ${down.text}`)
  await quiet(stage)
}
