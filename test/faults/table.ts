/**
 * Mistakes that somebody could make in the core, each as a change of its source text. `npm run faults` makes one at a
 * time and shows that the sweep or the exploration finds it: what they do not find, they do not check.
 */

export interface Fault {
  readonly name: string
  /** Below src/ike/. */
  readonly file: string
  /** Is in the file exactly once. */
  readonly text: string
  readonly replacement: string
  /** What goes wrong with it between real hosts. */
  readonly why: string
  /** Only the host `right` makes it: two hosts that err in the same way agree with each other. */
  readonly oneSided?: true
}

export const faults: readonly Fault[] = [
  {
    name: 'duplicate-executed-anew',
    file: 'window.ts',
    text: `if (this.#answers.has(messageId)) return 'retransmission'`,
    replacement: `if (this.#answers.has(messageId)) return 'new'`,
    why: 'RFC 7296 §2.1: a request that comes again is answered from the cache, never carried out a second time.',
  },
  {
    name: 'retransmission-with-a-new-id',
    file: 'requests.ts',
    text: `    this.#sending.send(outstanding.datagrams)
    const draw`,
    replacement: `    if (outstanding.sent > 0) {
      this.#end(outstanding)
      outstanding.messageId = this.#window.nextId
      this.#window.begin(outstanding.messageId)
      this.#outstanding.set(outstanding.messageId, outstanding)
      const { exchange, payloads } = outstanding.effect
      const message = { exchange, response: false, messageId: outstanding.messageId, payloads }
      outstanding.datagrams = this.#sending.encode(message)
    }
    this.#sending.send(outstanding.datagrams)
    const draw`,
    why: 'RFC 7296 §2.1: a retransmission is the same message; with a new ID the peer waits for the one left out.',
  },
  {
    name: 'iv-used-twice',
    file: 'sending.ts',
    text: '() => this.#sealed++)',
    replacement: '() => 0n)',
    why: 'RFC 5282 §3.1: an IV used twice under one key of GCM gives the plaintext and the key of the tag away.',
  },
  {
    name: 'nonces-compared-the-wrong-way',
    file: 'collisions.ts',
    text: `Buffer.compare(lowest(ours), lowest(theirs)) <= 0 ? 'ours' : 'theirs'`,
    replacement: `Buffer.compare(lowest(ours), lowest(theirs)) > 0 ? 'ours' : 'theirs'`,
    why: 'RFC 7296 §2.8.1: with a peer that does it right both new SAs are deleted, or none.',
    oneSided: true,
  },
  {
    name: 'old-child-stays-after-rekeying',
    file: 'exchanges/rekey-child-sa.ts',
    text: '  announceRekeyed(sa, old, created)\n  yield* deleteReplaced(sa, old)\n',
    replacement: '  announceRekeyed(sa, old, created)\n',
    why: 'RFC 7296 §2.8: whoever rekeys deletes the old SA; the peer sends on it until then.',
  },
  {
    name: 'redundant-child-mistaken',
    file: 'exchanges/rekey-child-sa.ts',
    text: 'yield* deleteReplaced(sa, created)',
    replacement: 'yield* deleteReplaced(sa, old)',
    why: 'RFC 7296 §2.8.1: the redundant SA is deleted by whoever began it, and the winner deletes the old one.',
  },
  {
    name: 'inbound-state-stays',
    file: 'child-sa.ts',
    text: '    this.#remove(core, sa, this.#in)\n',
    replacement: '',
    why: 'A deleted Child SA goes on accepting packets, and the kernel fills up.',
  },
  {
    name: 'outbound-before-inbound',
    file: 'child-sa.ts',
    text: `    yield* kernel({ kind: 'install-sa', sa: states.in, larval: true })
    if (!deferOutbound) {
      this.#out = states.out
      yield* kernel({ kind: 'install-sa', sa: states.out, larval: false })
    }
`,
    replacement: `    if (!deferOutbound) {
      this.#out = states.out
      yield* kernel({ kind: 'install-sa', sa: states.out, larval: false })
    }
    yield* kernel({ kind: 'install-sa', sa: states.in, larval: true })
`,
    why: 'RFC 7296 §2.8: the first answer of the peer is lost, because nothing receives it yet.',
  },
  {
    name: 'replaced-state-goes-at-once',
    file: 'lingering.ts',
    text: 'const lingerMs = 1_000',
    replacement: 'const lingerMs = 0',
    why: 'A packet for which the kernel has chosen the old outbound state is lost when that one is deleted.',
  },
  {
    name: 'sends-before-its-answer-is-read',
    file: 'take-over.ts',
    text: "if (before?.state !== 'INSTALLED' ||",
    replacement: 'if (before === undefined || before.installedAtMs !== undefined ||',
    why: 'RFC 7296 §2.8: in a reauthentication what the responder sends overtakes its answer and is lost.',
  },
  {
    name: 'reqid-leaks',
    file: 'child-negotiation.ts',
    text: '    core.reqids.release(reqid)\n',
    replacement: '',
    why: 'Each installation that fails uses up a reqid for ever.',
  },
  {
    name: 'spi-leaks',
    file: 'reserved-spi.ts',
    text: 'if (!this.#taken.spi) this.#release(this.#protocol, this.spi)',
    replacement: '',
    why: 'Each Child SA that is refused leaves a larval state in the kernel.',
  },
  {
    name: 'timers-outlive-the-sa',
    file: 'ike-sa.ts',
    text: 'for (const timer of this.#timers) timer.clear()',
    replacement: '',
    why: 'A closed IKE SA is kept in memory, and wakes the daemon for hours.',
  },
  {
    name: 'lease-not-released',
    file: 'virtual-ips.ts',
    text: 'for (const lease of virtualIps.leases.splice(0)) core.pools.release(lease, sa)',
    replacement: '',
    why: 'The pool runs empty with clients that are long gone.',
  },
  {
    name: 'policy-of-two-goes-with-the-first',
    file: 'policies.ts',
    text: '    const first = users[0]\n    if (first === undefined) {',
    replacement: '    const first = users[0]\n    if (true) {',
    why: 'After a rekeying the policy of the successor is removed with the old SA: packets leave in clear.',
  },
  {
    name: 'alive-by-forged-messages',
    file: 'answers.ts',
    text: '    switch (this.#window.verdict(messageId)) {',
    replacement: '    this.#sa.lastHeardMs = core.now\n    switch (this.#window.verdict(messageId)) {',
    why: 'RFC 7296 §2.4: anybody can keep a dead peer alive.',
  },
  {
    name: 'mapping-by-forged-messages',
    file: 'answers.ts',
    text: `    const opened = openCounted(this.#sa, header, bytes, this.#reassembly(messageId))
`,
    replacement: `    this.#sa.follow(path)
    const opened = openCounted(this.#sa, header, bytes, this.#reassembly(messageId))
`,
    why: 'RFC 7296 §2.23: anybody can lead the traffic of a peer behind a NAT away.',
  },
  {
    name: 'half-open-not-freed',
    file: 'ike-sa.ts',
    text: '    this.#timers.clear()\n    this.leaveHalfOpen?.()\n',
    replacement: '    this.#timers.clear()\n',
    why: 'After some attempts that failed the peer is asked for cookies for ever, then refused.',
  },
  {
    name: 'rekeyed-ike-sa-inherits-no-child',
    file: 'ike-sa.ts',
    text: 'for (const [id, child] of old.children) this.children.set(id, child)',
    replacement: 'for (const [id, child] of [...old.children].slice(1)) this.children.set(id, child)',
    why: 'RFC 7296 §2.8: the new IKE SA inherits all Child SAs; nobody can delete or rekey the one that it lost.',
  },
  {
    name: 'queue-lost-at-rekeying',
    file: 'ike-sa.ts',
    text: 'for (const task of old.dialogue.takeQueue()) this.enqueue(task)',
    replacement: 'old.dialogue.takeQueue()',
    why: 'A command that came during a rekeying is never carried out and never answered.',
  },
  {
    name: 'children-keep-their-old-owner',
    file: 'ike-sa.ts',
    text: 'for (const child of this.children.values()) child.owner = this',
    replacement: '',
    why: 'What the kernel says of a Child SA is looked for at an IKE SA that is gone.',
  },
  {
    name: 'keys-swapped-on-the-responder',
    file: 'child-negotiation.ts',
    text: '    : [keymat.responder, keymat.initiator]',
    replacement: '    : [keymat.initiator, keymat.responder]',
    why: 'RFC 7296 §2.17: the keys from initiator to responder come first; no packet is accepted.',
  },
  {
    name: 'repeated-request-not-verified',
    file: 'answers.ts',
    text: 'if (openCounted(this.#sa, header, bytes, undefined) !== undefined) this.#repeat(messageId, path)',
    replacement: 'this.#repeat(messageId, path)',
    why: 'Anybody who knows the SPIs has answers sent to where he likes.',
  },
  {
    name: 'acquire-pending-for-ever',
    file: 'kernel-events.ts',
    text: 'plan.listen({ up: settled, failed: settled })',
    replacement: 'plan.listen({ up: settled, failed: () => {} })',
    why: 'After one attempt that failed no packet begins another one.',
  },
]
