import assert from 'node:assert/strict'
import test from 'node:test'
import { list, section, type Tree, value } from '../../config/tree.ts'
import { connectionLines } from './conns.ts'

const child = (...items: Tree) => [list('local-ts', ['10.1.0.0/16']), list('remote-ts', ['10.2.0.0/16']), ...items]

// What swanctl 6.1 prints for the same messages.
test('a connection with everything', () => {
  const event = section('gw', [
    list('local_addrs', ['192.0.2.1', '192.0.2.4']),
    list('remote_addrs', ['%any']),
    value('local_port', 500),
    value('remote_port', 4500),
    value('version', 'IKEv2'),
    value('reauth_time', 3600),
    value('rekey_time', 0),
    value('dpd_delay', 30),
    value('ppk_id', 'p'),
    value('ppk_required', 'yes'),
    section('local-1', [value('class', 'public key'), value('id', 'gw'), list('certs', ['CN=gw', 'CN=old'])]),
    section('remote-1', [value('class', 'EAP'), value('eap-type', 'EAP_DYNAMIC'), value('eap_id', '%any')]),
    section('remote-2', [list('groups', [])]),
    section('children', [
      section(
        'net',
        child(
          value('mode', 'TUNNEL'),
          value('rekey_time', 3600),
          value('rekey_bytes', 5),
          value('rekey_packets', 0),
          value('dpd_action', 'trap'),
        ),
      ),
      section(
        'let',
        child(value('mode', 'PASS'), value('rekey_time', 3600), value('dpd_action', 'none'), value('priority', 4)),
      ),
    ]),
  ])
  assert.equal(
    connectionLines([event]).join('\n'),
    `gw: IKEv2, reauthentication every 3600s, no rekeying, dpd delay 30s
  ppk: p, required
  local:  192.0.2.1[500]
  local:  192.0.2.4[500]
  remote: %any[4500]
  local public key authentication:
    id: gw
    certs: CN=gw CN=old
  remote EAP_DYNAMIC authentication:
    eap_id: %any
  remote unspecified authentication:
  net: TUNNEL, rekeying every 3600s or 5 bytes, dpd action is trap
    local:  10.1.0.0/16
    remote: 10.2.0.0/16
  let: PASS, no rekeying, dpd action is none
    local:  10.1.0.0/16
    remote: 10.2.0.0/16
    priority: 4`,
  )
})
