import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeholders, readChecks, readCommands, readInterfaces, readParts } from './grammar.ts'

test('commands: comments and empty lines are none, spaces around the host do not count', () => {
  const text = '# first\nmoon::systemctl start strongswan\n\nsun :: sleep 1\nno command here\ncarol::\n'
  assert.deepEqual(readCommands(text), [
    { host: 'moon', text: 'systemctl start strongswan' },
    { host: 'sun', text: ' sleep 1' },
  ])
})

test('checks: some, none, a number, and those that ask nothing', () => {
  const text = [
    'moon::ip xfrm state::proto esp::YES',
    'moon::ip xfrm state::proto ah::NO',
    'moon::cat log::deleted::2',
    'moon::cat log::only shown',
    'sun::tcpdump::IP a > b: ESP::YES',
  ].join('\n')
  assert.deepEqual(
    readChecks(text).map(({ hits }) => hits),
    ['some', 'none', 2, undefined, 'some'],
  )
  assert.deepEqual(readChecks(text)[4], { host: 'sun', text: 'tcpdump', pattern: 'IP a > b: ESP', hits: 'some' })
})

test('an IPv6 address in a check is written so that it does not divide the line', () => {
  assert.deepEqual(readChecks('moon::ip -6 route::via fec1:\\:1 dev::YES'), [
    { host: 'moon', text: 'ip -6 route', pattern: 'via fec1:\\:1 dev', hits: 'some' },
  ])
})

test('several spaces are one', () => {
  const [check] = readChecks('moon::tcpdump::a >  b: ESP::YES')
  assert.equal(check?.pattern, 'a > b: ESP')
})

test('test.conf', () => {
  const text = '#!/bin/bash\n# All hosts\nVIRTHOSTS="alice moon"\nTCPDUMPHOSTS=""\nIPSECHOSTS="moon sun"\nSWANCTL=1\n'
  assert.deepEqual(readParts(text), {
    hosts: ['alice', 'moon'],
    daemons: ['moon', 'sun'],
    captures: [],
    radius: [],
    swanctl: true,
  })
})

test('placeholders: the second address of a host, both families, digits after a name', () => {
  const replace = placeholders(
    'HOSTNAMEIPV4="\\\ncarol,192.0.2.100,10.3.0.1 \\\nbob,10.2.0.10"\nHOSTNAMEIPV6="\\\ncarol,2001:db8::10,2001:db8:3::1 \\\nbob,2001:db8:2::10"\n',
  )
  assert.equal(replace('PH_IP_CAROL PH_IP_CAROL1 PH_IP_CAROL10'), '192.0.2.100 10.3.0.1 10.3.0.10')
  assert.equal(replace('PH_IP6_CAROL1 PH_IPV6_BOB PH_IP_BOB'), '2001:db8:3::1 2001:db8:2::10 10.2.0.10')
  assert.equal(replace('PH_IP_NOBODY'), 'PH_IP_NOBODY')
})

test('interfaces: both families of one interface, netmasks of both kinds', () => {
  const text = `auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
\taddress 10.1.0.10
\tnetmask 255.255.0.0
\tgateway 10.1.0.1
iface eth0 inet6 static
\taddress 2001:db8::10
\tnetmask 16

iface eth1 inet static
\taddress 192.0.2.50
\tnetmask 255.255.255.0
`
  assert.deepEqual(readInterfaces(text), [
    { name: 'eth0', auto: true, addresses: ['10.1.0.10/16', '2001:db8::10/16'], gateway: '10.1.0.1' },
    { name: 'eth1', auto: false, addresses: ['192.0.2.50/24'], gateway: undefined },
  ])
})
