/** The options of strongswan.conf for the network, as the adapters take them. */
import type { HostSettings } from './config/host-options.ts'
import { InterfaceFilter, type NetworkOptions } from './net/network-options.ts'

export function networkOptions(host: HostSettings, routingTable: number): NetworkOptions {
  return {
    routingTable,
    rulePriority: host.routingTablePriority,
    ruleMark: host.ruleMark,
    ignoredTables: new Set(host.ignoredTables),
    interfaces: new InterfaceFilter(host.interfacesUse, host.interfacesIgnore),
    preferTemporary: host.preferTemporaryAddresses,
    processRoute: host.processRoute,
    roamEvents: host.roamEvents,
    metrics: { mtu: host.routeMtu, mss: host.routeMss },
    bufferBytes: host.netlinkBufferBytes,
    acquireSeconds: host.acquireSeconds,
    policyHash: {
      4: [host.policyHash4Local, host.policyHash4Remote],
      6: [host.policyHash6Local, host.policyHash6Remote],
    },
  }
}
