import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressLines, shapeKernel } from './kernel-lines.ts'

const states = `src 192.168.0.1 dst 192.168.0.2
\tproto esp spi 0xc1234567 reqid 1 mode tunnel
\treplay-window 32 flag af-unspec
\taead rfc4106(gcm(aes)) 0x0123456789abcdef0123456789abcdef01234567 128
\tanti-replay context: seq 0x4, oseq 0x0, bitmap 0x0000000f
src 192.168.0.2 dst 192.168.0.1
\tproto esp spi 0x00000000 reqid 1 mode tunnel
`
const policies = `src 10.1.0.0/16 dst 10.2.0.0/16 
\tdir out priority 383615 ptype main 
\ttmpl src 192.168.0.1 dst 192.168.0.2
\t\tproto esp spi 0xc7654321 reqid 1 mode tunnel
src 0.0.0.0/0 dst 0.0.0.0/0 
\tsocket in priority 0 ptype main 
`
const four = `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
3: eth0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000 link-netnsid 0
    inet 192.168.0.1/24 scope global eth0
       valid_lft forever preferred_lft forever
0:\tfrom all lookup local
220:\tfrom all lookup 220
32766:\tfrom all lookup main
10.2.0.0/16 via 192.168.0.2 dev eth0 proto static src 10.1.0.10 
`
const six = `3: eth0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP qlen 1000
    inet6 fec0::1/64 scope site nodad 
       valid_lft forever preferred_lft forever
    inet6 fe80::1/64 scope link 
0:\tfrom all lookup local
`

test('states, policies, routes and rules, each one line', () => {
  assert.deepEqual(shapeKernel([states, policies, four, six]), [
    'policy src 10.1.0.0/16 dst 10.2.0.0/16 dir out priority 383615 ptype main tmpl src 192.168.0.1 dst 192.168.0.2 proto esp reqid 1 mode tunnel',
    'route 10.2.0.0/16 via 192.168.0.2 dev eth0 proto static src 10.1.0.10',
    'rule 220: from all lookup 220',
    'state src 192.168.0.1 dst 192.168.0.2 proto esp spi SPI reqid 1 mode tunnel replay-window 32 flag af-unspec aead rfc4106(gcm(aes)) KEY 128',
  ])
})

test('addresses of interfaces, without those of the link', () => {
  assert.deepEqual(addressLines([states, policies, four, six]), [
    'inet 127.0.0.1/8 lo',
    'inet 192.168.0.1/24 eth0',
    'inet6 fec0::1/64 eth0',
  ])
})
