/** Connections as `list-conn` events show them. */
import { formatTransform, isKeyExchange } from '../config/algorithms.ts'
import type { Action, AuthRound, ChildConfig, ConfiguredProposal, Connection } from '../config/connection.ts'
import { formatConfiguredSelector } from '../config/selectors.ts'
import { flag, list, optional, section, type Tree, type TreeItem, value } from '../config/tree.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { formatIdentity, ID } from '../pki/identity.ts'
import { keyIdentifiers, publicKeyFromInfo } from '../pki/keys.ts'
import { TRANSFORM_TYPE } from '../wire/numbers.ts'

export function connectionSection(connection: Connection): Tree {
  const { dpdDelaySeconds, dpdTimeoutSeconds, ppkId } = connection
  return [
    section(connection.name, [
      list('local_addrs', connection.localAddressTexts),
      list('remote_addrs', connection.remoteAddressTexts),
      value('local_port', connection.localPort),
      value('remote_port', connection.remotePort),
      value('version', ['IKEv1/2', 'IKEv1', 'IKEv2'][connection.version] ?? 'IKEv2'),
      value('reauth_time', connection.reauthSeconds),
      value('rekey_time', connection.rekeySeconds),
      value('unique', `UNIQUE_${connection.unique.toUpperCase()}`),
      proposalsSection('proposals', connection.proposals),
      ...optional('dpd_delay', dpdDelaySeconds || undefined),
      ...optional('dpd_timeout', dpdTimeoutSeconds || undefined),
      ...optional('ppk_id', ppkId && formatIdentity(ppkId)),
      ...flag('ppk_required', connection.ppkRequired),
      ...connection.local.map((round, at) => section(`local-${at + 1}`, roundFields(round))),
      ...connection.remote.map((round, at) => section(`remote-${at + 1}`, roundFields(round))),
      section(
        'children',
        connection.children.map((child) => section(child.name, childFields(child))),
      ),
    ]),
  ]
}

function childFields(child: ChildConfig): Tree {
  return [
    value('mode', child.mode.toUpperCase()),
    ...optional('label', child.label && Buffer.from(`${child.label}\0`).toString('hex')),
    value('rekey_time', child.lifetimeSeconds.rekey),
    value('rekey_bytes', child.lifetimeBytes.rekey),
    value('rekey_packets', child.lifetimePackets.rekey),
    value('dpd_action', actionText(child.dpdAction)),
    value('close_action', actionText(child.closeAction)),
    proposalsSection('esp_proposals', child.espProposals),
    proposalsSection('ah_proposals', child.ahProposals),
    list(
      'local-ts',
      child.localTs.map((ts) => formatConfiguredSelector(ts)),
    ),
    list(
      'remote-ts',
      child.remoteTs.map((ts) => formatConfiguredSelector(ts)),
    ),
    ...optional('interface', child.interface),
    ...optional('priority', child.priority || undefined),
  ]
}

function actionText({ trap, start }: Action): string {
  return [...(trap ? ['trap'] : []), ...(start ? ['start'] : [])].join(' | ') || 'none'
}

function roundFields(round: AuthRound): Tree {
  const subjects = (ders: readonly Uint8Array[]) => ders.map((der) => parseCertificate(der).subjectText)
  return [
    ...optional('id', round.id && formatIdentity(round.id)),
    ...optional('class', round.anyByDefault ? undefined : classNames[round.class]),
    ...eapType(round.eapMethod),
    ...optional('revocation', { relaxed: undefined, ifuri: 'SKIPPED', strict: 'GOOD' }[round.revocation]),
    ...optional('ca_id', round.caId && formatIdentity(round.caId)),
    ...optional('aaa_id', round.aaaId && formatIdentity(round.aaaId)),
    ...optional('eap_id', round.eapId && formatIdentity(round.eapId)),
    list('groups', round.groups),
    list('cert_policy', round.certPolicies),
    list('certs', [...subjects(round.certificates), ...round.publicKeys.map((key) => keyOwner(round, key))]),
    list('cacerts', subjects(round.caCertificates)),
  ]
}

/** As charon calls a raw public key: by whom it is for, else by its own name. */
function keyOwner({ id }: AuthRound, der: Uint8Array): string {
  if (id !== undefined && ('regex' in id || id.type !== ID.ANY)) return formatIdentity(id)
  return formatIdentity({ type: ID.KEY_ID, data: keyIdentifiers(publicKeyFromInfo(der))[0] })
}

const classNames = { any: 'any', pubkey: 'public key', psk: 'pre-shared key', eap: 'EAP' } as const

function eapType(method: string | undefined): Tree {
  if (method === undefined) return []
  const [type = '', vendor] = method.split('-')
  return [value('eap-type', /^\d/.test(type) ? type : `EAP_${type.toUpperCase()}`), ...optional('eap-vendor', vendor)]
}

function proposalsSection(name: string, proposals: readonly ConfiguredProposal[]): TreeItem {
  return section(
    name,
    proposals.map((proposal, index) => section(String(index), proposalFields(proposal))),
  )
}

function proposalFields({ transforms }: ConfiguredProposal): Tree {
  const lists: readonly (readonly [string, number])[] = [
    ['encr', TRANSFORM_TYPE.ENCR],
    ['integ', TRANSFORM_TYPE.INTEG],
    ['prf', TRANSFORM_TYPE.PRF],
    ['ke', TRANSFORM_TYPE.KE],
    ...Array.from({ length: 7 }, (_, n) => [`ake${n + 1}`, TRANSFORM_TYPE.ADDKE1 + n] as const),
    ['sn', TRANSFORM_TYPE.ESN],
  ]
  return lists.flatMap(([name, type]) => {
    const found = transforms
      .filter((transform) => transform.type === type)
      // Additional key exchanges are told apart by the name of the list, not by a prefix.
      .map((transform) => formatTransform(isKeyExchange(type) ? { ...transform, type: TRANSFORM_TYPE.KE } : transform))
    return found.length === 0 ? [] : [list(name, found)]
  })
}
