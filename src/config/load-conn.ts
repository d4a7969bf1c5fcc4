/**
 * From the tree of one connection, as `load-conn` carries it and as swanctl.conf becomes, to a `Connection`: charon's
 * strictness, defaults and error texts.
 */

import { isMethod } from '../eap/methods.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { formatIdentity, ID, type Identity, identityFromName } from '../pki/identity.ts'
import { keyIdentifiers, publicKeyFromInfo } from '../pki/keys.ts'
import { DecodeError } from '../wire/errors.ts'
import { type ChildDraft, childKeys, newChildDraft } from './child-keys.ts'
import { ConfigError } from './config-error.ts'
import type { AuthRound, ChildConfig, Connection } from './connection.ts'
import { connectionKeys, newConnectionDraft } from './connection-keys.ts'
import { type ConfigFiles, diskFiles } from './files.ts'
import { below, readKeys } from './key-table.ts'
import { childLifetime, childVolume, ikeTimes } from './lifetimes.ts'
import { defaultProposals } from './proposals.ts'
import {
  type CertificateDraft,
  certificateDers,
  certificateKeys,
  newRoundDraft,
  type RoundDraft,
  roundKeys,
} from './round-keys.ts'
import type { Tree } from './tree.ts'

export interface LoadedConnection {
  readonly connection: Connection
  /** What is accepted although it is hardly meant, for the log. */
  readonly notes: readonly string[]
}

/**
 * @param files where `cert { file = … }` is read from
 * @param portIke the port of our socket, which `local_port` is by default
 * @throws ConfigError whose message is charon's text for `errmsg`; the detail is its `cause`
 */
export function loadConnection(
  name: string,
  tree: Tree,
  files: ConfigFiles = diskFiles(),
  portIke = 500,
): LoadedConnection {
  const draft = newConnectionDraft()
  const notes: string[] = []
  const rounds = { local: [] as RoundDraft[], remote: [] as RoundDraft[] }
  const children: ChildConfig[] = []
  readKeys(tree, connectionKeys, draft, (section, inner) => {
    const lower = section.toLowerCase()
    const side = lower.startsWith('local') ? 'local' : lower.startsWith('remote') ? 'remote' : undefined
    if (side !== undefined) {
      const round = newRoundDraft()
      readRound(inner, round, files)
      notes.push(...(round.auth?.notes ?? []))
      rounds[side].push(round)
    } else if (lower === 'children') {
      // Values beside the children are passed over, and sections inside them, as charon does.
      for (const item of inner) {
        if (item.kind !== 'section') continue
        const child = newChildDraft()
        below(item.name, () => {
          readKeys(item.items, childKeys, child, () => undefined)
          requireSimpleLabel(child, files)
        })
        children.push(childConfig(item.name, child))
      }
    } else throw new ConfigError(`invalid section: ${section}`)
  })
  requireKnownEap('local', rounds.local)
  requireKnownEap('remote', rounds.remote)
  const { local, remote, version, proposals, ppkId, ifIdIn, ifIdOut } = draft
  const connection: Connection = {
    name,
    version: version ?? 2,
    localAddresses: local.patterns.length > 0 ? local.patterns : [{ kind: 'any' }],
    remoteAddresses: remote.patterns.length > 0 ? remote.patterns : [{ kind: 'any' }],
    localAddressTexts: local.texts.length > 0 ? local.texts : ['%any'],
    remoteAddressTexts: remote.texts.length > 0 ? remote.texts : ['%any'],
    localPort: draft.localPort ?? portIke,
    remotePort: draft.remotePort ?? 500,
    proposals: proposals.length > 0 ? proposals : defaultProposals('IKE'),
    vips: draft.vips,
    dscp: draft.dscp ?? 0,
    encap: draft.encap ?? false,
    mobike: draft.mobike ?? true,
    dpdDelaySeconds: draft.dpdDelaySeconds ?? 0,
    dpdTimeoutSeconds: draft.dpdTimeoutSeconds ?? 0,
    fragmentation: draft.fragmentation ?? 'yes',
    childless: draft.childless ?? 'allow',
    sendCertreq: draft.sendCertreq ?? true,
    sendCert: draft.sendCert ?? 'ifasked',
    ocsp: draft.ocsp ?? 'reply',
    ...(ppkId && { ppkId }),
    ppkRequired: draft.ppkRequired ?? false,
    keyingTries: draft.keyingTries ?? 1,
    unique: draft.unique ?? 'no',
    ...ikeTimes(draft),
    pools: draft.pools,
    ...(ifIdIn !== undefined && { ifIdIn }),
    ...(ifIdOut !== undefined && { ifIdOut }),
    local: authRounds('local', rounds.local, notes),
    remote: authRounds('remote', rounds.remote, notes),
    children,
  }
  return { connection, notes }
}

function readRound(tree: Tree, draft: RoundDraft, files: ConfigFiles): void {
  readKeys(tree, roundKeys, draft, (section, inner) => {
    const lower = section.toLowerCase()
    const target = lower.startsWith('cert')
      ? draft.certificates
      : lower.startsWith('cacert')
        ? draft.caCertificates
        : undefined
    if (target === undefined) throw new ConfigError(`invalid section: ${section}`)
    target.push(...readCertificateSection(section, inner, files))
  })
}

function readCertificateSection(section: string, tree: Tree, files: ConfigFiles): readonly Uint8Array[] {
  const draft: CertificateDraft = {}
  readKeys(tree, certificateKeys, draft, (inner) => {
    throw new ConfigError(`invalid section: ${inner}`)
  })
  if (draft.file === undefined && draft.handle === undefined) {
    throw new ConfigError(`handle or file path missing: ${section}`)
  }
  if (draft.file !== undefined && draft.handle !== undefined) {
    throw new ConfigError(`handle and file path given: ${section}`)
  }
  try {
    if (draft.file === undefined) throw new ConfigError('certificates on tokens are not supported; use file')
    return certificateDers(files.read(draft.file))
  } catch (error) {
    throw new ConfigError(`unable to load certificate: ${section}`, undefined, error)
  }
}

/** Rounds in order of `round`; a side without any gets one that accepts whatever the peer does. */
function authRounds(side: 'local' | 'remote', drafts: readonly RoundDraft[], notes: string[]): readonly AuthRound[] {
  const sorted = (drafts.length > 0 ? drafts : [newRoundDraft()]).toSorted((a, b) => (a.round ?? 0) - (b.round ?? 0))
  return sorted.map((draft, index) => ({
    name: `${side}-${index + 1}`,
    class: draft.auth?.class ?? 'any',
    ...(draft.auth === undefined && { anyByDefault: true }),
    id: roundId(side, draft, notes),
    signatures: draft.auth?.signatures ?? [],
    certificates: draft.certificates,
    caCertificates: draft.caCertificates,
    publicKeys: draft.publicKeys,
    ...(draft.caId && { caId: draft.caId }),
    groups: draft.groups,
    certPolicies: draft.certPolicies,
    revocation: draft.revocation ?? 'relaxed',
    ...(draft.auth?.eapMethod !== undefined && { eapMethod: draft.auth.eapMethod }),
    ...(draft.eapId && { eapId: draft.eapId }),
    ...(draft.aaaId && { aaaId: draft.aaaId }),
  }))
}

/** Our own id is by default the subject of our first certificate or the name of our key; `%any` for ourselves says nothing. */
function roundId(side: 'local' | 'remote', draft: RoundDraft, notes: string[]): AuthRound['id'] {
  const unset = draft.id === undefined || (side === 'local' && draft.id.type === ID.ANY)
  if (!unset || side === 'remote') return unset && side === 'local' ? undefined : draft.id
  const [certificate] = draft.certificates
  const [key] = draft.publicKeys
  if (certificate === undefined && key === undefined) return undefined
  const id: Identity =
    certificate !== undefined
      ? identityFromName(parseCertificate(certificate).subject)
      : { type: ID.KEY_ID, data: keyIdentifiers(publicKeyFromInfo(key ?? new Uint8Array()))[0] }
  notes.push(`  id not specified, defaulting to cert subject '${formatIdentity(id)}'`)
  return id
}

function childConfig(name: string, draft: ChildDraft): ChildConfig {
  const { ahProposals, espProposals, localTs, remoteTs } = draft
  const dynamic = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65535 } as const
  const none = { trap: false, start: false }
  requireSharedMarks(draft)
  return {
    name,
    mode: draft.mode ?? 'tunnel',
    ahProposals,
    espProposals: espProposals.length > 0 || ahProposals.length > 0 ? espProposals : defaultProposals('ESP'),
    localTs: localTs.length > 0 ? localTs : [dynamic],
    remoteTs: remoteTs.length > 0 ? remoteTs : [dynamic],
    startAction: draft.startAction ?? none,
    dpdAction: draft.dpdAction ?? none,
    closeAction: draft.closeAction ?? none,
    lifetimeSeconds: childLifetime(
      { rekey: draft.rekeySeconds, life: draft.lifeSeconds, rand: draft.randSeconds },
      3600,
    ),
    lifetimeBytes: childVolume({ rekey: draft.rekeyBytes, life: draft.lifeBytes, rand: draft.randBytes }),
    lifetimePackets: childVolume({ rekey: draft.rekeyPackets, life: draft.lifePackets, rand: draft.randPackets }),
    inactivitySeconds: draft.inactivitySeconds ?? 0,
    reqid: draft.reqid ?? 0,
    policies: draft.policies ?? true,
    policiesFwdOut: draft.policiesFwdOut ?? false,
    priority: draft.priority ?? 0,
    ...(draft.interface && { interface: draft.interface }),
    ...(draft.updown && { updown: draft.updown }),
    hostaccess: draft.hostaccess ?? false,
    ipcomp: draft.ipcomp ?? false,
    ...(draft.markIn && { markIn: draft.markIn }),
    ...(draft.markOut && { markOut: draft.markOut }),
    markInSa: draft.markInSa ?? false,
    ...(draft.setMarkIn && { setMarkIn: draft.setMarkIn }),
    ...(draft.setMarkOut && { setMarkOut: draft.setMarkOut }),
    ...(draft.ifIdIn !== undefined && { ifIdIn: draft.ifIdIn }),
    ...(draft.ifIdOut !== undefined && { ifIdOut: draft.ifIdOut }),
    tfcPadding: draft.tfcPadding ?? 0,
    ...(draft.replayWindow !== undefined && { replayWindow: draft.replayWindow }),
    hwOffload: draft.hwOffload ?? 'no',
    copyDf: draft.copyDf ?? true,
    copyEcn: draft.copyEcn ?? true,
    copyDscp: draft.copyDscp ?? 'out',
    icmp: draft.icmp ?? false,
    sha256_96: draft.sha256_96 ?? false,
    singlePair: draft.singlePair ?? false,
    ...(draft.label && { label: draft.label }),
    labelMode: draft.labelMode ?? 'system',
  }
}

/** @throws ConfigError for EAP that is not available: other methods, as server's proof, as one of several rounds */
function requireKnownEap(side: 'local' | 'remote', rounds: readonly RoundDraft[]): void {
  for (const { auth, groups } of rounds) {
    if (auth?.class !== 'eap') continue
    const reason =
      auth.eapMethod !== undefined && !isMethod(auth.eapMethod)
        ? `there is no EAP method ${auth.eapMethod}: use eap-mschapv2, eap-md5 or eap-gtc`
        : rounds.length > 1
          ? 'EAP as one of several rounds is not supported'
          : groups.length > 0 && side === 'remote'
            ? 'nothing here can prove the groups of an EAP user'
            : undefined
    if (reason !== undefined)
      throw new ConfigError('invalid value for: auth, config discarded', undefined, new ConfigError(reason))
  }
}

/** @throws ConfigError when a child without any Child SA asks for marks that are unique to them */
function requireSharedMarks({ mode, markIn, markOut }: ChildDraft): void {
  if (mode !== 'pass' && mode !== 'drop') return
  const unique = [markIn, markOut].find((mark) => typeof mark?.value === 'string')
  if (unique !== undefined) throw new ConfigError(`${unique.value} is for CHILD_SAs, mode = ${mode} has none`)
}

/** @throws ConfigError when charon would take labels from SELinux */
function requireSimpleLabel({ label, labelMode }: ChildDraft, files: ConfigFiles): void {
  if (label === undefined || labelMode === 'simple' || files.stat('/sys/fs/selinux/enforce') === undefined) return
  const reason = 'this system has SELinux, whose labels of packets are not supported; use label_mode = simple'
  throw new ConfigError('invalid value for: label_mode, config discarded', undefined, new ConfigError(reason))
}

/** The reason behind a load-conn error, for the log; the message itself when there is none. */
export function detailOf(error: ConfigError): string {
  const { cause } = error
  return cause instanceof ConfigError || cause instanceof DecodeError || cause instanceof Error
    ? `${error.message} (${cause.message})`
    : error.message
}
