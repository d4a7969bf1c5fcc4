/** Every command that VICI has, by name. */
import type { Handler } from '../request.ts'
import * as authorities from './authorities.ts'
import * as connections from './connections.ts'
import * as control from './control.ts'
import * as credentials from './credentials.ts'
import * as lists from './lists.ts'
import * as pools from './pools.ts'
import * as program from './program.ts'

export const commands: ReadonlyMap<string, Handler> = new Map([
  ['version', program.version],
  ['stats', program.stats],
  ['reload-settings', program.reloadSettings],
  ['initiate', control.initiate],
  ['terminate', control.terminate],
  ['rekey', control.rekey],
  ['redirect', control.redirect],
  ['install', control.install],
  ['uninstall', control.uninstall],
  ['list-sas', lists.listSas],
  ['list-policies', lists.listPolicies],
  ['list-conns', lists.listConns],
  ['get-conns', lists.getConns],
  ['list-certs', credentials.listCerts],
  ['list-authorities', authorities.listAuthorities],
  ['get-authorities', authorities.getAuthorities],
  ['load-conn', connections.loadConn],
  ['unload-conn', connections.unloadConn],
  ['load-cert', credentials.loadCert],
  ['load-key', credentials.loadKey],
  ['unload-key', credentials.unloadKey],
  ['get-keys', credentials.getKeys],
  ['load-token', credentials.loadToken],
  ['load-shared', credentials.loadShared],
  ['unload-shared', credentials.unloadShared],
  ['get-shared', credentials.getShared],
  ['flush-certs', credentials.flushCerts],
  ['clear-creds', credentials.clearCreds],
  ['load-authority', authorities.loadAuthority],
  ['unload-authority', authorities.unloadAuthority],
  ['load-pool', pools.loadPool],
  ['unload-pool', pools.unloadPool],
  ['get-pools', pools.getPools],
  ['get-algorithms', program.getAlgorithms],
  ['get-counters', program.getCounters],
  ['reset-counters', program.resetCounters],
])

/** Every event that a client may register for. */
export const eventNames: ReadonlySet<string> = new Set([
  'list-sa',
  'list-policy',
  'list-conn',
  'list-cert',
  'list-authority',
  'ike-updown',
  'ike-rekey',
  'ike-update',
  'child-updown',
  'child-rekey',
  'alert',
  'control-log',
  'log',
  // What charon's builds for DMVPN have beside those: FRRouting's nhrpd asks for them.
  'ike-state-established',
  'ike-state-destroying',
  'child-state-installing',
  'child-state-installed',
  'child-state-updating',
  'child-state-rekeying',
  'child-state-rekeyed',
  'child-state-destroying',
])
