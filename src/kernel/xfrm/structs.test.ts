import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as rtnetlink from '../../net/rtnetlink.ts'
import * as socketAddress from '../../net/socket-address.ts'
import * as message from '../netlink/message.ts'
import type { Struct } from '../netlink/struct.ts'
import * as numbers from './numbers.ts'
import * as structs from './structs.ts'

/** Names in the C headers where ours are shorter. */
const inC: Readonly<Record<string, string>> = {
  'sockaddr_in.family': 'sin_family',
  'sockaddr_in.port': 'sin_port',
  'sockaddr_in.addr': 'sin_addr',
  'sockaddr_in.zero': '__pad',
  'sockaddr_in6.family': 'sin6_family',
  'sockaddr_in6.port': 'sin6_port',
  'sockaddr_in6.flowinfo': 'sin6_flowinfo',
  'sockaddr_in6.addr': 'sin6_addr',
  'sockaddr_in6.scope_id': 'sin6_scope_id',
  'in_pktinfo.ifindex': 'ipi_ifindex',
  'in_pktinfo.spec_dst': 'ipi_spec_dst',
  'in_pktinfo.addr': 'ipi_addr',
  'in6_pktinfo.addr': 'ipi6_addr',
  'in6_pktinfo.ifindex': 'ipi6_ifindex',
}

function isStruct(value: unknown): value is Struct<unknown> {
  return typeof value === 'object' && value !== null && 'offsets' in value
}

const allStructs = [structs, message, rtnetlink, socketAddress]
  .flatMap((module): unknown[] => Object.values(module))
  .filter(isStruct)
  // cmsghdr is declared by libc, not by the kernel's headers.
  .filter(({ name }) => name !== 'cmsghdr')

const constants = Object.entries(numbers).flatMap(([name, value]): [string, number][] =>
  typeof value === 'number' && name.startsWith('XFRM') ? [[name, value]] : [],
)

const program = `
#include <stdio.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/fib_rules.h>
#include <linux/xfrm.h>
int main(void) {
${allStructs
  .flatMap(({ name, offsets }) => [
    `printf("sizeof ${name} %zu\\n", sizeof(struct ${name}));`,
    ...Object.keys(offsets).map((field) => {
      const member = inC[`${name}.${field}`] ?? field
      return `printf("${name}.${field} %zu\\n", offsetof(struct ${name}, ${member}));`
    }),
  ])
  .join('\n')}
${constants.map(([name]) => `printf("${name} %lld\\n", (long long)${name});`).join('\n')}
}`

function reasonToSkip(): string | false {
  const { status } = spawnSync('cc', ['-E', '-x', 'c', '-'], { input: '#include <linux/xfrm.h>\n' })
  return status === 0 ? false : 'needs cc and linux/xfrm.h (Debian: gcc, linux-libc-dev)'
}

test('structures and numbers are those of the kernel header files', { skip: reasonToSkip() }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  try {
    writeFileSync(join(folder, 'sizes.c'), program)
    const compiled = spawnSync('cc', ['-o', join(folder, 'sizes'), join(folder, 'sizes.c')], { encoding: 'utf8' })
    assert.equal(compiled.status, 0, compiled.stderr)
    const printed = spawnSync(join(folder, 'sizes'), { encoding: 'utf8' }).stdout.trimEnd().split('\n')
    const ours = [
      ...allStructs.flatMap(({ name, size, offsets }) => [
        `sizeof ${name} ${size}`,
        ...Object.entries(offsets).map(([field, offset]) => `${name}.${field} ${offset}`),
      ]),
      ...constants.map(([name, value]) => `${name} ${value}`),
    ]
    assert.deepEqual(printed, ours)
    assert(allStructs.length > 25)
    assert(constants.length > 40)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a structure is its bytes', () => {
  const value = { daddr: Uint8Array.of(192, 0, 2, 1), spi: 0xc1234567, family: 2, proto: 50 }
  const bytes = structs.xfrm_usersa_id.encode(value)
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    'c0000201' + '000000000000000000000000' + 'c1234567' + '0200' + '32' + '00',
  )
  const daddr = new Uint8Array(16)
  daddr.set(value.daddr)
  assert.deepEqual(structs.xfrm_usersa_id.decode(bytes), { ...value, daddr })
  assert.throws(() => structs.xfrm_usersa_id.decode(bytes.subarray(1)), { name: 'DecodeError' })
})
