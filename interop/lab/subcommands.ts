/** Every sub-command of swanctl, with what it is used with, for a comparison of two daemons (surface.ts). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeHostFile } from './hosts.ts'
import { poll } from './poll.ts'
import type { Stage } from './stage.ts'
import { fields, lastLine, type Printed, shape, withoutNewer } from './surface.ts'

export type Form = (out: string) => string

export const same: Form = (out) => out

/** In this order; what the form leaves is compared. */
export const commands: readonly (readonly [words: string, form: Form])[] = [
  ['--version --daemon --pretty', fields],
  ['--stats --pretty', fields],
  ['--list-conns --pretty', withoutNewer],
  ['--list-conns --ike shunts --pretty', withoutNewer],
  ['--list-certs --pretty', same],
  ['--list-certs --type x509 --flag ca --pretty', same],
  ['--list-certs --type x509_crl --pretty', same],
  ['--list-certs --short', same],
  ['--list-pools --pretty', same],
  ['--list-pools --leases', same],
  ['--list-pools --name nosuch --pretty', same],
  ['--load-authorities --file /etc/swanctl/authorities.conf', same],
  ['--list-authorities --pretty', same],
  ['--list-authorities', same],
  ['--list-authorities --name nosuch --pretty', same],
  ['--load-authorities --file /etc/swanctl/empty.conf', same],
  ['--list-algs --pretty', sectionNames],
  ['--counters --name nosuch', same],
  ['--list-pols --pretty', same],
  ['--list-pols', same],
  ['--list-pols --pass --pretty', same],
  ['--install --child nosuch', same],
  ['--install --child throw-away', same],
  ['--install --child net', same],
  ['--list-pols --trap --pretty', same],
  ['--list-pols --drop --pretty', same],
  ['--uninstall --child throw-away', same],
  ['--uninstall --child net', same],
  ['--uninstall --child nosuch', same],
  ['--flush-certs', same],
  ['--flush-certs --type x509_crl', same],
  ['--reload-settings', same],
  ['--load-conns', same],
  ['--load-creds --noprompt', same],
  ['--load-creds --noprompt --clear', same],
  ['--load-pools', same],
  ['--load-all --noprompt', same],
  ['--initiate', same],
  ['--initiate --child nosuch', same],
  ['--initiate --ike nosuch', same],
  ['--initiate --child net', lastLine],
  ['--list-sas --raw', shape],
  ['--list-sas --noblock --raw', shape],
  ['--list-sas --ike net --pretty', fields],
  ['--list-sas --ike nosuch --raw', same],
  ['--list-sas --ike-id 99 --raw', same],
  ['--list-sas --child net --raw', shape],
  ['--list-certs --type x509 --pretty', same],
  ['--counters --pretty', same],
  ['--counters --all --pretty', same],
  ['--counters --reset', same],
  ['--rekey --ike nosuch', same],
  ['--rekey', same],
  ['--redirect --ike nosuch --gateway 192.0.2.9', same],
  ['--redirect --ike net', same],
  ['--rekey --child net', same],
  ['--rekey --ike net', same],
  ['--terminate', same],
  ['--terminate --ike-id 99', same],
  ['--terminate --child net', lastLine],
  ['--terminate --ike net --timeout 5', lastLine],
  ['--list-sas --pretty', same],
  ['--load-conns --file /etc/swanctl/unknown-key.conf', same],
  ['--load-conns --file /etc/swanctl/bad-time.conf', same],
  ['--load-conns --file /etc/swanctl/bad-proposal.conf', same],
  ['--load-conns --file /etc/swanctl/bad-selector.conf', same],
  ['--load-conns --file /etc/swanctl/syntax.conf', lastLine],
  ['--load-pools --file /etc/swanctl/bad-pool.conf', same],
  ['--load-conns --file /etc/swanctl/empty.conf', same],
  ['--load-pools --file /etc/swanctl/empty.conf', same],
]

/** Below /etc/swanctl, for the commands that read one. */
export const files: Readonly<Record<string, string>> = {
  'empty.conf': '',
  'authorities.conf': `authorities {
  lab { cacert = ca0.pem
    crl_uris = http://crl.lab.test/lab.crl
    ocsp_uris = http://ocsp.lab.test
    cert_uri_base = http://certs.lab.test/ }
}
`,
  'unknown-key.conf': 'connections { bad { nosuch = 1 } }\n',
  'bad-time.conf': 'connections { bad { dpd_delay = soon } }\n',
  'bad-proposal.conf': 'connections { bad { proposals = aes128-nosuch } }\n',
  'bad-selector.conf': 'connections { bad { children { x { local_ts = nowhere } } } }\n',
  'bad-pool.conf': 'pools { bad { addrs = nowhere } }\n',
  'syntax.conf': 'connections { bad { \n',
}

/** What is not as in strongSwan 6.1, whose interface ours is: by the release that the reference is of. */
const olderReleases: Readonly<Record<string, readonly (readonly [what: string, from: RegExp, to: string])[]>> = {
  usual: [
    ['IKEv1 is no longer built in by default', /version = IKEv1\/2/g, 'version = IKEv2'],
    ['traps say their reqid', /^ +reqid = \d+\n/gm, ''],
  ],
  'strongswan-old': [
    ['IKEv1 is no longer built in by default', /version = IKEv1\/2/g, 'version = IKEv2'],
    ['traps say their reqid', /^ +reqid = \d+\n/gm, ''],
    ['a pool begins behind the address of its network', /10\.77\.0\.0(?!\/)/g, '10.77.0.1'],
    ['groups are key exchanges', /^dh$/gm, 'ke'],
  ],
}

/** Gives all commands one after the other; the events of the SAs are watched meanwhile. */
export async function everySubcommand({ scenario, ground: { moon } }: Stage): Promise<Printed> {
  const differences = olderReleases[scenario.reference ?? 'usual'] ?? []
  for (const [name, text] of Object.entries(files)) writeHostFile(moon, `/etc/swanctl/${name}`, text, 0o600)
  const printed = new Map<string, string>()
  // The swanctl of the same release as the charon.
  const swanctl = moon.root === '/' ? 'swanctl' : `chroot ${moon.root} swanctl`
  await moon.shell.must(`timeout 200 stdbuf -oL ${swanctl} --monitor-sa --pretty >/run/monitor.log 2>&1 & sleep 0.3`)
  for (const [words, form] of commands) {
    const { code, text } = await moon.shell.run(`timeout 20 ${swanctl} ${words}`)
    const newer = differences.reduce((out, [, from, to]) => out.replaceAll(from, to), form(text))
    printed.set(words, `status ${code}\n${newer}`)
  }
  const file = join(moon.folder, 'run/monitor.log')
  const ended = (): boolean => events(readFileSync(file, 'utf8')).some((line) => line === 'ike-updown down')
  await poll('--monitor-sa', 5000, ended).catch(() => {})
  printed.set('--monitor-sa --pretty', events(readFileSync(file, 'utf8')).join('\n'))
  return printed
}

/** The names of sections of the outermost message. */
function sectionNames(out: string): string {
  return [...out.matchAll(/^ {2}(\S+) \{/gm)].map((match) => match[1]).join('\n')
}

/** The events in order, and whether each was about something that came up. */
export function events(out: string): readonly string[] {
  return out
    .split(/^(?=[\w-]+ event \{)/m)
    .filter((event) => event.includes(' event {'))
    .map((event) => `${event.split(' ')[0]} ${/^ {2}up = yes$/m.test(event) ? 'up' : 'down'}`)
}
