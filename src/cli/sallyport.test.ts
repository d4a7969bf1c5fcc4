import assert from 'node:assert/strict'
import test from 'node:test'
import type { Command } from '../ike/input.ts'
import type { Answer } from '../ike/output.ts'
import { sampleIkeSa } from '../vici/samples.ts'
import { type ScriptedDaemon, scriptedDaemon } from '../vici/testing.ts'
import { optionWords } from './command-line.ts'
import { personaOf } from './sallyport.ts'
import { against } from './testing.ts'

function answer(command: Command): Answer | undefined {
  switch (command.kind) {
    case 'initiate':
      if (command.child === 'net') return { kind: 'done' }
      if (command.child !== undefined)
        return { kind: 'failed', message: `CHILD_SA config '${command.child}' not found` }
      return command.ike === 'gw'
        ? { kind: 'done' }
        : { kind: 'failed', message: `IKE_SA config '${command.ike}' not found` }
    case 'terminate': {
      const hit = command.select.child === 'net' || command.select.ike === 'gw'
      return { kind: 'matched', matches: hit ? 1 : 0, done: hit ? 1 : 0 }
    }
    case 'list-sas':
      return { kind: 'sas', ikeSas: command.select.ike === 'none' ? [] : [sampleIkeSa] }
    default:
      return undefined
  }
}

test('up: a child, else an IKE SA; the log is shown while it runs', async () => {
  const daemon: ScriptedDaemon = scriptedDaemon((command, tracking) => {
    tracking(1)
    daemon.log({ group: 'IKE', level: 0, message: 'initiating IKE_SA', ikeSa: { name: 'net', uniqueId: 1 } })
    return answer(command)
  })
  await using cli = await against(daemon)
  const line = '[IKE] initiating IKE_SA\n'
  assert.deepEqual(await cli.call('up', 'net'), { exit: 0, out: `${line}initiate completed successfully\n`, err: '' })
  assert.equal((await cli.call('up', 'gw')).exit, 0)
  assert.deepEqual(await cli.call('up', 'zz', '--timeout', '5'), {
    exit: 1,
    out: line + line,
    err: "initiate failed: IKE_SA config 'zz' not found\n",
  })
  assert.deepEqual(daemon.commands.at(0), { kind: 'initiate', child: 'net', timeoutMs: 0, initLimits: false })
  const json = await cli.call('up', 'net', '--json')
  assert.equal(json.out.split('\n').at(-2), '{"success":"yes"}')
})

test('down', async () => {
  const daemon = scriptedDaemon(answer)
  await using cli = await against(daemon)
  assert.equal((await cli.call('down', 'net', '--force')).out, 'terminate completed successfully\n')
  assert.deepEqual(daemon.commands.at(-1), { kind: 'terminate', select: { child: 'net' }, force: true, timeoutMs: 0 })
  assert.equal((await cli.call('down', 'gw')).exit, 0)
  assert.deepEqual(await cli.call('down', 'zz'), {
    exit: 1,
    out: '',
    err: 'terminate failed: no matching SAs to terminate found\n',
  })
})

const listed = `ud: #13, ESTABLISHED, IKEv2, b57d5a2db0a40661_i* 3cceb2f8d2531395_r
  local  'carol@lab.org' @ 192.0.2.1[4500] [10.77.0.1 fec7::1]
  remote 'gw.lab.org' @ 192.0.2.2[4500]
  AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256
  established 0s ago, rekeying in 13204s
  ud: #13, reqid 3, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-128
    installed 0s ago, rekeying in 3345s, expires in 3960s
    in  33691e19 (0x00000005|0x00000001),      0 bytes,     0 packets
    out 54d95869 (0x00000010/0x000000ff|0x00000007),      0 bytes,     0 packets
    local  10.77.0.1/32
    remote 10.2.0.0/16
`

test('the commands of swanctl: by name, by long and by short option, abbreviated', async () => {
  await using cli = await against(scriptedDaemon(answer))
  for (const word of ['list-sas', '--list-sas', '-l', '--list-s']) {
    assert.deepEqual(await cli.call(word), { exit: 0, out: listed, err: '' }, word)
  }
  assert.equal((await cli.swanctl('--list-sas')).out, listed)
  assert.equal((await cli.call('status', 'none')).out, "no IKE SAs of 'none'\n")
  const [sa] = JSON.parse((await cli.call('--json', 'list-sas')).out)
  assert.equal(sa.ud['child-sas']['ud-13']['local-ts'][0], '10.77.0.1/32')
})

test('--raw, --pretty and --json', async () => {
  await using cli = await against(scriptedDaemon(answer))
  assert.match((await cli.call('-l', '-r')).out, /^list-sa event \{ud \{uniqueid=13 .*\}\}\nlist-sas reply \{\}\n$/)
  // Joined letters are all commands, and the last one counts.
  assert.equal((await cli.swanctl('-Vl')).out, listed)
  assert.match((await cli.swanctl('-lZ')).err, /invalid option -- 'Z'/)
  assert.match((await cli.call('-l', '--raw', '--pretty')).out, /^list-sa event \{\n {2}ud \{\n {4}uniqueid = 13\n/)
  assert.match((await cli.call('-l', '-P')).out, /^ {8}local-ts = \[\n {10}10\.77\.0\.1\/32\n {8}\]$/m)
  assert.match((await cli.swanctl('-l', '--json')).err, /swanctl: unrecognized option '--json'/)
})

test('selectors become the arguments of the request', async () => {
  const daemon = scriptedDaemon(answer)
  await using cli = await against(daemon)
  await cli.swanctl('--terminate', '--child', 'net', '--ike-id=7', '-f', '--timeout', '3')
  assert.deepEqual(daemon.commands.at(-1), {
    kind: 'terminate',
    select: { child: 'net', ikeId: 7 },
    force: true,
    timeoutMs: 3000,
  })
  // As getopt has it: the argument of an option is whatever comes next.
  await cli.swanctl('--terminate', '--ike', '--child')
  assert.deepEqual(daemon.commands.at(-1), {
    kind: 'terminate',
    select: { ike: '--child' },
    force: false,
    timeoutMs: 0,
  })
})

test('status of a command that failed: 1 as text and as JSON, 0 with --raw as swanctl has it', async () => {
  await using cli = await against(scriptedDaemon(answer))
  assert.deepEqual(await cli.swanctl('-i', '-c', 'zz'), {
    exit: 1,
    out: '',
    err: "initiate failed: CHILD_SA config 'zz' not found\n",
  })
  const raw = await cli.swanctl('-i', '-c', 'zz', '--raw')
  assert.deepEqual([raw.exit, raw.out], [0, "initiate reply {success=no errmsg=CHILD_SA config 'zz' not found}\n"])
  assert.equal((await cli.call('initiate', '-c', 'zz', '--json')).exit, 1)
})

test('version and list-conns', async () => {
  await using cli = await against(scriptedDaemon())
  assert.match((await cli.call('version')).out, /^sallyport \d+\.\d+\.\d+, with the commands of swanctl 6\.1\.0\n$/)
  assert.equal((await cli.call('version', '--daemon')).out, '6.1.0 charon-systemd (Linux, 6.1, x86_64)\n')
  assert.equal((await cli.swanctl('--version')).out, 'strongSwan swanctl 6.1.0\n')
  assert.equal((await cli.swanctl('-V', '-d')).out, 'strongSwan 6.1.0 charon-systemd (Linux, 6.1, x86_64)\n')
  assert.deepEqual(await cli.call('list-conns'), { exit: 0, out: '', err: '' })
})

test('the name of the program decides whose words it has', () => {
  assert.equal(personaOf('/usr/sbin/swanctl'), 'swanctl')
  assert.equal(personaOf('/usr/bin/sallyport'), 'sallyport')
  assert.equal(personaOf(undefined), 'sallyport')
})

test('log follows the daemon until it goes', async () => {
  const daemon = scriptedDaemon()
  await using cli = await against(daemon)
  const registered = new Promise<void>((resolve) => {
    daemon.subscribe({ log: ({ message }) => /registered for: log/.test(message) && resolve() })
  })
  const following = cli.call('log')
  await registered
  daemon.log({ group: 'IKE', level: 1, message: 'hello' })
  // A second client's round trip: what was written to the first one before it has been flushed.
  await cli.call('version')
  await cli.server.close()
  const { exit, out, err } = await following
  assert.deepEqual([exit, out], [1, '00[IKE] hello\n'])
  assert.equal(err, 'connection closed\n')
})

test('no daemon: the errno as status, and how to start it', async () => {
  await using cli = await against(scriptedDaemon())
  const { exit, err } = await cli.call('status', '--uri', 'unix:///nowhere/vici')
  assert.equal(exit, 2)
  assert.match(err, /connecting to 'unix:\/\/\/nowhere\/vici' failed: ENOENT; the daemon does not run: start it/)
})

test('no daemon, as swanctl has it', async () => {
  await using cli = await against(scriptedDaemon())
  const { exit, err } = await cli.swanctl('--stats', '--uri', 'unix:///nowhere/vici')
  assert.equal(exit, 2)
  assert.match(err, /^connecting to 'unix:\/\/\/nowhere\/vici' failed: No such file or directory\n/)
  assert.match(err, /\nerror: connecting to 'unix:\/\/\/nowhere\/vici' URI failed: No such file or directory\n$/)
  const nonsense = await cli.swanctl('--stats', '--uri', 'nonsense')
  assert.deepEqual([nonsense.exit, nonsense.err.includes('failed: ENOENT')], [2, false])
})

test('usage', async () => {
  await using cli = await against(scriptedDaemon())
  for (const argv of [['nosuch'], ['up'], ['status', '--nosuch'], ['toString']]) {
    const { exit, err } = await cli.call(...argv)
    assert.equal(exit, 1, argv.join(' '))
    assert.match(err, /usage: sallyport /)
  }
  assert.equal((await cli.call()).exit, 1)
  assert.equal((await cli.call('--help')).exit, 0)
  assert.match((await cli.call('status', '--help')).out, /usage: sallyport status \[NAME\] \[options\]/)
  assert.match((await cli.call('status', '--uri', 'x')).err, /no address of a VICI socket/)
})

test('usage as getopt has it', async () => {
  await using cli = await against(scriptedDaemon())
  const calls: readonly (readonly [words: string, complaint: string, summary: string])[] = [
    ['--nosuch', "unrecognized option '--nosuch'", 'invalid command'],
    ['-Z', "invalid option -- 'Z'", 'invalid command'],
    ['--stats=x', "option '--stats' doesn't allow an argument", 'invalid command'],
    ['--stats --nosuch', "unrecognized option '--nosuch'", 'invalid --stats option'],
    ['--stats --uri', "option '--uri' requires an argument", 'invalid --stats option'],
    ['--stats -u', "option requires an argument -- 'u'", 'invalid --stats option'],
    ['--list-co --ike', "option '--ike' requires an argument", 'invalid --list-conns option'],
    ['--rekey --child', "option '--child' requires an argument", 'invalid --rekey option'],
    ['--rekey --ik x', "option '--ik' is ambiguous; possibilities: '--ike' '--ike-id'", 'invalid --rekey option'],
  ]
  for (const [words, complaint, summary] of calls) {
    const { exit, err } = await cli.swanctl(...words.split(' '))
    assert.equal(exit, 1, words)
    assert.equal(err.split('\n')[0], `swanctl: ${complaint}`)
    assert.equal(err.split('\n').at(-2), `error: ${summary}`)
  }
  assert.equal((await cli.swanctl('foo', '--list-sas', '--', '--raw')).exit, 0)
  assert.equal((await cli.swanctl()).exit, 0)
})

test('--options: more arguments, from files', async () => {
  const files = { '/o1': '--child zz', '/o2': '-+ /o1', '/loop': '--options /loop' }
  await using cli = await against(scriptedDaemon(answer), files)
  assert.equal((await cli.swanctl('-i', '-+', '/o2')).err, "initiate failed: CHILD_SA config 'zz' not found\n")
  for (const file of ['/loop', '/nowhere']) {
    const { exit, err } = await cli.swanctl('-i', '--options', file)
    assert.deepEqual([exit, err.split('\n').at(-2)], [1, 'error: invalid --options'])
  }
})

test('--options: more arguments from a file', () => {
  assert.deepEqual(optionWords('--child "n e t" # comment\n -r\n'), ['--child', 'n e t', '-r'])
})
