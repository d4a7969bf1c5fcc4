/**
 * What Prometheus exporters make of a daemon: the requests that they send, and the series that come of the answers. No
 * package of Debian has one; the requests, the fields that are read and their types are those that the sources of two
 * say, and of one more kind that shows the counters. A field of the wrong type spoils its message, as it does with govici.
 */
import { X509Certificate } from 'node:crypto'
import { findList, findSection, findText, findValue, type Tree, value } from '../../src/config/tree.ts'
import type { ViciClient } from '../../src/vici/client.ts'

/** `name{label="value"} number` */
export type Series = string

/** An exporter: one scrape over a connection of its own. */
export type Exporter = (daemon: ViciClient) => Promise<readonly Series[]>

type Labels = Readonly<Record<string, string>>

/** sergeymakinen/ipsec_exporter: stats, get-pools, list-sas. */
async function ipsecExporter(daemon: ViciClient): Promise<readonly Series[]> {
  const stats = await daemon.request('stats')
  const workers = need(stats, 'workers')
  const ikeSas = need(stats, 'ikesas')
  const since = findText(need(stats, 'uptime'), 'since') ?? ''
  const parsed = /^[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \d{4}$/.test(since)
  const found = [
    series('ipsec_up', {}, 1),
    series('ipsec_uptime_seconds', {}, parsed ? 'seconds' : `'${since}' is no time`),
    series('ipsec_workers_total', {}, whole(workers, 'total')),
    series('ipsec_idle_workers', {}, count(whole(workers, 'idle'))),
    ...priorities.map((priority) =>
      series('ipsec_active_workers', { priority }, count(whole(need(workers, 'active'), priority))),
    ),
    ...priorities.map((priority) =>
      series('ipsec_queues', { priority }, count(whole(need(stats, 'queues'), priority))),
    ),
    series('ipsec_scheduled', {}, count(whole(stats, 'scheduled'))),
    series('ipsec_ike_sas', {}, whole(ikeSas, 'total')),
    series('ipsec_half_open_ike_sas', {}, whole(ikeSas, 'half-open')),
  ]
  for (const [name, pool] of sections(await daemon.request('get-pools'))) {
    const labels = { name, address: findText(pool, 'base') ?? '' }
    for (const field of ['size', 'online', 'offline'] as const) {
      found.push(series(`ipsec_pool_ips_${field}`, labels, whole(pool, field)))
    }
  }
  for (const [name, sa] of await listed(daemon, 'list-sas', 'list-sa')) {
    const text = (field: string): string => findText(sa, field) ?? ''
    const identity = text('remote-eap-id') || text('remote-xauth-id')
    const ends = { local_host: text('local-host'), local_id: text('local-id'), remote_host: text('remote-host') }
    const vips = items(sa, 'remote-vips').join(', ')
    const more = { remote_id: text('remote-id'), remote_identity: identity, vips }
    const labels = { name, uid: String(whole(sa, 'uniqueid')), version: String(whole(sa, 'version')), ...ends, ...more }
    found.push(series('ipsec_ike_sa_state', labels, text('state')))
    found.push(series('ipsec_ike_sa_established_seconds', labels, seconds(whole(sa, 'established'))))
    const outer = Object.fromEntries(Object.entries(labels).map(([label, content]) => [`ike_sa_${label}`, content]))
    for (const [, child] of sections(findSection(sa, 'child-sas') ?? [])) {
      const own = (field: string): string => findText(child, field) ?? ''
      const ids = { uid: String(whole(child, 'uniqueid')), reqid: String(whole(child, 'reqid')) }
      const what = { name: own('name'), mode: own('mode'), protocol: own('protocol') }
      const ts = { local_ts: items(child, 'local-ts').join(', '), remote_ts: items(child, 'remote-ts').join(', ') }
      const all = { ...outer, ...ids, ...what, ...ts }
      found.push(series('ipsec_child_sa_state', all, own('state')))
      for (const field of ['bytes-in', 'bytes-out', 'packets-in', 'packets-out']) {
        found.push(series(`ipsec_child_sa_${field.replace('-', '_')}`, all, whole(child, field)))
      }
      found.push(series('ipsec_child_sa_installed_seconds', all, seconds(whole(child, 'install-time'))))
    }
  }
  return found
}

/** torilabs/ipsec-prometheus-exporter: list-sas, list-conns, list-certs. */
async function prometheusExporter(daemon: ViciClient): Promise<readonly Series[]> {
  const sas = await listed(daemon, 'list-sas', 'list-sa')
  const found = [series('strongswan_ike_count', {}, sas.length)]
  for (const [name, sa] of sas) {
    const of = { ike_name: name, ike_id: findText(sa, 'uniqueid') ?? '' }
    const children = sections(findSection(sa, 'child-sas') ?? [])
    whole(sa, 'local-port')
    whole(sa, 'remote-port')
    found.push(series('strongswan_ike_version', of, whole(sa, 'version')))
    found.push(series('strongswan_ike_status', of, status(sa)))
    for (const flag of ['initiator', 'nat-local', 'nat-remote', 'nat-fake', 'nat-any']) {
      found.push(series(`strongswan_ike_${flag.replace('-', '_')}`, of, yes(sa, flag)))
    }
    found.push(...keySizes('strongswan_ike', of, sa))
    for (const time of ['established', 'rekey-time', 'reauth-time']) {
      found.push(series(`strongswan_ike_${time}_seconds`, of, seconds(whole(sa, time))))
    }
    found.push(series('strongswan_ike_children_size', of, children.length))
    for (const [, child] of children) {
      const named = { ...of, child_name: findText(child, 'name') ?? '', child_id: findText(child, 'uniqueid') ?? '' }
      const ts = { local_ts: items(child, 'local-ts').join(';'), remote_ts: items(child, 'remote-ts').join(';') }
      found.push(series('strongswan_sa_status', { ...named, ...ts }, status(child)))
      found.push(series('strongswan_sa_encap', named, yes(child, 'encap')))
      found.push(...keySizes('strongswan_sa', named, child))
      for (const field of ['bytes-in', 'packets-in', 'bytes-out', 'packets-out']) {
        found.push(series(`strongswan_sa_${field}`, { ...named, ...ts }, whole(child, field)))
      }
      for (const time of ['use-in', 'use-out', 'install-time', 'rekey-time', 'life-time']) {
        found.push(series(`strongswan_sa_${time}_seconds`, named, seconds(whole(child, time))))
      }
    }
  }
  const conns = await listed(daemon, 'list-conns', 'list-conn')
  found.push(series('strongswan_conn_count', {}, conns.length))
  for (const [name, conn] of conns) {
    for (const field of ['local_port', 'remote_port', 'reauth_time', 'rekey_time']) whole(conn, field)
    found.push(series('strongswan_conn_configured', { conn_name: name }, 1))
    for (const [childName, child] of sections(findSection(conn, 'children') ?? [])) {
      for (const field of ['rekey_time', 'rekey_bytes', 'rekey_packets']) whole(child, field)
      const ts = { local_ts: items(child, 'local-ts').join(';'), remote_ts: items(child, 'remote-ts').join(';') }
      found.push(series('strongswan_conn_child_configured', { conn_name: name, child_name: childName, ...ts }, 1))
    }
  }
  const certificates: Tree[] = []
  await daemon.stream('list-certs', 'list-cert', [value('type', 'X509')], (one) => certificates.push(one))
  found.push(series('strongswan_cert_count', {}, certificates.length))
  for (const one of certificates) {
    const parsed = new X509Certificate(findValue(one, 'data') ?? new Uint8Array())
    const labels = { serial_number: parsed.serialNumber, subject: parsed.subject, not_after: parsed.validTo }
    found.push(series('strongswan_cert_valid', labels, findText(one, 'type') === 'X509' ? 1 : 0))
  }
  return found
}

/** Those that show get-counters, of all connections and of each, and the version. */
async function counterExporter(daemon: ViciClient): Promise<readonly Series[]> {
  const version = await daemon.request('version')
  const labels = { daemon: findText(version, 'daemon') ?? '', version: findText(version, 'version') ?? '' }
  const found = [series('strongswan_info', labels, 1)]
  for (const message of [[], [value('all', 'yes')]]) {
    const answer = await daemon.request('get-counters', message)
    for (const [connection, counters] of sections(findSection(answer, 'counters') ?? [])) {
      for (const { name } of counters) {
        found.push(series('strongswan_counter', { connection, counter: name }, whole(counters, name)))
      }
    }
  }
  return found
}

/** All, by name. */
export const exporters: Readonly<Record<string, Exporter>> = {
  ipsec_exporter: ipsecExporter,
  'ipsec-prometheus-exporter': prometheusExporter,
  counters: counterExporter,
}

const priorities = ['critical', 'high', 'medium', 'low']

async function listed(daemon: ViciClient, command: string, event: string): Promise<(readonly [string, Tree])[]> {
  const found: (readonly [string, Tree])[] = []
  await daemon.stream(command, event, [], (message) => found.push(...sections(message)))
  return found
}

function sections(message: Tree): (readonly [string, Tree])[] {
  return message.flatMap((item) => (item.kind === 'section' ? [[item.name, item.items] as const] : []))
}

function need(message: Tree, name: string): Tree {
  const found = findSection(message, name)
  if (found === undefined) throw new Error(`no section ${name}`)
  return found
}

/** An integer; 0 when it is absent. */
function whole(message: Tree, name: string): number {
  const text = findText(message, name)
  if (text === undefined) return 0
  if (!/^-?\d+$/.test(text)) throw new Error(`${name} = '${text}' is no integer`)
  return Number(text)
}

function items(message: Tree, name: string): string[] {
  return findList(message, name).map((item) => Buffer.from(item).toString())
}

function yes(message: Tree, name: string): number {
  return findText(message, name) === 'yes' ? 1 : 0
}

function status(message: Tree): number {
  const state = findText(message, 'state') ?? ''
  if (state === 'ESTABLISHED') return 1
  return /^(INSTALLED|REKEYED|REKEYING)$/.test(state) ? 0 : state === '' ? 2 : 3
}

function keySizes(name: string, labels: Labels, message: Tree): Series[] {
  return ['encr', 'integ'].map((kind) => {
    const dh = findText(message, 'dh-group') ?? ''
    const algorithm = findText(message, `${kind}-alg`) ?? ''
    return series(`${name}_${kind}_key_size`, { ...labels, algorithm, dh_group: dh }, whole(message, `${kind}-keysize`))
  })
}

/** How many seconds is not the same in two runs; whether there are any, and of which sign, is. */
function seconds(n: number): string {
  return n === 0 ? '0 or so' : n < 0 ? 'negative' : n < 60 ? '0 or so' : 'seconds'
}

/** Threads and their jobs are each daemon's own. */
function count(n: number): string {
  return n >= 0 ? 'a number' : String(n)
}

function series(name: string, labels: Labels, content: number | string): Series {
  const shown = Object.entries(labels).map(([label, text]) => `${label}="${text}"`)
  return `${name}{${shown.join(',')}} ${content}`
}
