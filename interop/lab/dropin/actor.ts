/** One of the two hosts, as the script of a drop-in scenario sees it: swanctl, packets, and what is to be shown. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { quote } from '../guest.ts'
import { type Host, writeHostFile } from '../hosts.ts'
import type { Running } from '../peers/peer.ts'
import { poll } from '../poll.ts'
import type { Ran } from '../shell.ts'
import { type Conf, confText } from './conf.ts'
import { kernelLines } from './kernel-lines.ts'
import { childLines, ikeLines } from './look.ts'

/** How long is waited for what is to be shown, in milliseconds. */
const patienceMs = 20_000

/** Packets to send: how many, and what is unusual about them. */
export interface Packets {
  /** The source; the host's address in its network of that family unless given. */
  readonly from?: string
  readonly count?: number
  /** Further options for ping. */
  readonly options?: string
}

export class Actor {
  readonly host: Host
  readonly running: Running

  constructor(host: Host, running: Running) {
    this.host = host
    this.running = running
  }

  /** Runs swanctl, which must succeed; what it prints. */
  swanctl(words: string): Promise<string> {
    return this.host.shell.must(`timeout 20 swanctl ${words}`)
  }

  /** Runs swanctl, which must fail and say why. */
  async refuses(words: string, why: RegExp): Promise<void> {
    const { code, text } = await this.host.shell.run(`timeout 20 swanctl ${words}`)
    if (code === 0) throw new Error(`${this}: swanctl ${words} succeeds`)
    if (!why.test(text)) throw new Error(`${this}: swanctl ${words} does not say ${why} but ${text.trim().slice(-300)}`)
  }

  /** Writes swanctl.conf and loads it. */
  load(conf: Conf): Promise<string> {
    this.write(conf)
    return this.swanctl('--load-all --noprompt')
  }

  /** Writes swanctl.conf. */
  write(conf: Conf): void {
    writeHostFile(this.host, '/etc/swanctl/swanctl.conf', confText(conf), 0o600)
  }

  /** Brings a child up. */
  up(child = 'net'): Promise<string> {
    return this.swanctl(`--initiate --child ${child} --timeout 10`)
  }

  /** Ends an IKE SA. */
  down(ike = 'net'): Promise<string> {
    return this.swanctl(`--terminate --ike ${ike} --timeout 6`)
  }

  /** The host's children are these and no others: `name STATE MODE selectors === selectors`. */
  children(...wanted: readonly string[]): Promise<void> {
    return this.#lists('children', wanted, async () => childLines(await this.#sas()))
  }

  /** The host's IKE SAs are these and no others: `name STATE`. */
  ikes(...wanted: readonly string[]): Promise<void> {
    return this.#lists('IKE SAs', wanted, async () => ikeLines(await this.#sas()))
  }

  /** swanctl prints something that matches. */
  async shows(words: string, what: RegExp): Promise<void> {
    let text = ''
    await this.#until(
      `swanctl ${words} to show ${what}`,
      () => text,
      async () => {
        text = await this.swanctl(words)
        return what.test(text)
      },
    )
  }

  /** As many of the kernel's states, policies, routes of table 220 and rules match, each as one line. */
  async kernel(what: RegExp, count = 1): Promise<void> {
    let found: readonly string[] = []
    await this.#until(
      `${count} of ${what} in the kernel`,
      () => found.join('; '),
      async () => {
        const lines = await kernelLines(this.host)
        found = lines.filter((line) => what.test(line))
        if (found.length === count) return true
        if (found.length === 0) found = lines
        return false
      },
    )
  }

  /** A command on the host prints something that matches. */
  async prints(command: string, what: RegExp): Promise<void> {
    let text = ''
    await this.#until(
      `${command} to print ${what}`,
      () => text,
      async () => {
        text = (await this.host.shell.run(command)).text
        return what.test(text)
      },
    )
  }

  /** The log has a line that matches; both daemons use the same words where clients look for them. */
  async says(what: RegExp): Promise<void> {
    await this.#until(
      `the log to say ${what}`,
      () => this.running.log().slice(-300),
      async () => what.test(this.running.log()),
    )
  }

  /** Runs a command on the host; it must succeed. */
  run(command: string): Promise<string> {
    return this.host.shell.must(command)
  }

  /** Runs a command where packets of the network behind the host start. */
  inside(command: string): Promise<string> {
    return this.host.client.must(command)
  }

  /** Pings come back, all of them. */
  async pings(to: string, packets: Packets = {}): Promise<void> {
    const { code, text } = await this.#ping(to, packets)
    if (code !== 0) throw new Error(`${this}: pings to ${to} do not come back: ${text.trim().slice(-200)}`)
  }

  /** Pings come back in the end; the first of them may be lost. */
  async pingsAtLast(to: string, packets: Packets = {}): Promise<void> {
    let text = ''
    await this.#until(
      `pings to ${to} to come back`,
      () => text,
      async () => {
        const ran = await this.#ping(to, { count: 1, ...packets })
        text = ran.text
        return ran.code === 0
      },
    )
  }

  /** No ping comes back. */
  async pingsInVain(to: string, packets: Packets = {}): Promise<void> {
    const { text } = await this.#ping(to, { count: 2, ...packets }, 2)
    if (!/(^|\s)0 received/.test(text) && !/Operation not permitted|unreachable/i.test(text)) {
      throw new Error(`${this}: pings to ${to} come back: ${text.trim().slice(-200)}`)
    }
  }

  /** A connection to a TCP port where nobody listens is refused by the other side: packets go there and back. */
  async reachesTcp(
    to: string,
    port: number,
    { from, fromPort }: { from?: string; fromPort?: number } = {},
  ): Promise<void> {
    const said = await this.#tcp(to, port, from, fromPort)
    if (!said.includes('refused')) throw new Error(`${this}: TCP to ${to} port ${port}: ${said}`)
  }

  /** Nothing is heard from a TCP port. */
  async reachesTcpInVain(
    to: string,
    port: number,
    { from, fromPort }: { from?: string; fromPort?: number } = {},
  ): Promise<void> {
    const said = await this.#tcp(to, port, from, fromPort)
    if (said.includes('refused')) throw new Error(`${this}: TCP to ${to} port ${port} is answered`)
  }

  /** Sends a UDP datagram that nobody needs to hear. */
  sendsUdp(to: string, port: number, from: string = this.host.place.inside.ipv4): Promise<string> {
    const options = `Proto=>"udp",PeerAddr=>"${to}",PeerPort=>${port},LocalAddr=>"${from}"`
    return this.inside(`perl -MIO::Socket::INET -e ${quote(`IO::Socket::INET->new(${options})->send("x" x 40)`)}`)
  }

  /** Drops all that comes from the wire, silently; `heal` lets it in again. */
  cut(): Promise<string> {
    return this.run(cut)
  }

  heal(): Promise<string> {
    return this.run(heal)
  }

  /** Marks all that comes from the wire. */
  marksIncoming(mark: number): Promise<string> {
    return this.run(
      `tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress matchall action skbedit mark ${mark}`,
    )
  }

  /** What updown scripts have been told so far: one line for each call, variables in order. */
  updown(): readonly string[] {
    const file = join(this.host.folder, 'run/updown.log')
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  }

  toString(): string {
    return `${this.host.name} (${this.running.name === 'strongswan' ? 'charon' : this.running.name})`
  }

  #sas(): Promise<string> {
    return this.swanctl('--list-sas --pretty')
  }

  #ping(to: string, { from, count = 5, options = '' }: Packets, seconds = count + 2): Promise<Ran> {
    const source = from ?? this.host.place.inside[to.includes(':') ? 'ipv6' : 'ipv4']
    return this.host.client.run(`ping -n -q -c ${count} -i 0.05 -W 1 -w ${seconds} ${options} -I ${source} ${to}`)
  }

  #tcp(to: string, port: number, from = this.host.place.inside.ipv4, fromPort = 0): Promise<string> {
    const options = `PeerAddr=>"${to}",PeerPort=>${port},LocalAddr=>"${from}",LocalPort=>${fromPort},Timeout=>6`
    return this.inside(
      `perl -MIO::Socket::INET -e ${quote(`IO::Socket::INET->new(${options}) and print "open"; print $!`)}`,
    )
  }

  async #lists(what: string, wanted: readonly string[], look: () => Promise<readonly string[]>): Promise<void> {
    let found: readonly string[] = []
    const goal = [...wanted].sort().join('; ')
    await this.#until(
      `the ${what} ${goal || '(none)'}`,
      () => found.join('; '),
      async () => {
        found = [...(await look())].sort()
        return found.join('; ') === goal
      },
    )
  }

  async #until(what: string, found: () => string, look: () => Promise<boolean>): Promise<void> {
    try {
      await poll(what, patienceMs, look)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`${this}: ${reason}; found: ${found().trim().slice(-800) || 'nothing'}`)
    }
  }
}

// Not every guest kernel has nftables that work.
const chain = 'add table inet lab; add chain inet lab in { type filter hook input priority -200; }'
const cut = `nft "${chain}; add rule inet lab in iifname eth0 drop" 2>/dev/null || { tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress matchall action drop; }`
const heal = 'nft delete table inet lab 2>/dev/null || tc qdisc del dev eth0 clsact'
