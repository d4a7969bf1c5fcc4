import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DecodeError } from '../wire/errors.ts'
import {
  equalIdentity,
  formatIdentity,
  hasWildcards,
  ID_ANY,
  identityFromWire,
  matchIdentity,
  parseIdentity,
  parseIdentityPattern,
} from './identity.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('text becomes the identity that charon makes of it', () => {
  const cases: readonly (readonly [text: string, type: number, data: string])[] = [
    ['', 0, ''],
    ['%any', 0, ''],
    ['%any6', 0, ''],
    ['0.0.0.0', 0, ''],
    ['*', 0, ''],
    ['::', 0, ''],
    ['0::0', 0, ''],
    ['10.0.0.1', 1, '0a000001'],
    ['10.1.2.3/8', 4, '0a000000ff000000'],
    ['10.0.0.1-10.0.0.9', 7, '0a0000010a000009'],
    ['0.0.0.0/0', 4, '0000000000000000'],
    ['10.0.0.300', 2, hex(Buffer.from('10.0.0.300'))],
    ['10.0.0.0/33', 2, hex(Buffer.from('10.0.0.0/33'))],
    ['10.0.0.0/8/8', 2, hex(Buffer.from('10.0.0.0/8/8'))],
    ['10.0.0.9-10.0.0.1', 2, hex(Buffer.from('10.0.0.9-10.0.0.1'))],
    ['moon.lab.org', 2, hex(Buffer.from('moon.lab.org'))],
    ['2001:db8::1', 5, '20010db8000000000000000000000001'],
    ['::ffff:1.2.3.4', 5, '00000000000000000000ffff01020304'],
    ['2001:db8::/32', 6, '20010db8000000000000000000000000ffffffff000000000000000000000000'],
    ['fe80::1-fe80::2', 8, 'fe800000000000000000000000000001fe800000000000000000000000000002'],
    ['aa:bb', 11, hex(Buffer.from('aa:bb'))],
    ['@moon.lab.org', 2, hex(Buffer.from('moon.lab.org'))],
    ['@@carol@lab.org', 3, hex(Buffer.from('carol@lab.org'))],
    ['carol@lab.org', 3, hex(Buffer.from('carol@lab.org'))],
    ['@#0a0B', 11, '0a0b'],
    ['ipv4:10.0.0.1', 1, hex(Buffer.from('10.0.0.1'))],
    ['ipv4:#0a000001', 1, '0a000001'],
    ['FQDN:a=b', 2, hex(Buffer.from('a=b'))],
    ['dns:moon', 2, hex(Buffer.from('moon'))],
    ['email:x', 3, hex(Buffer.from('x'))],
    ['userfqdn:x', 3, hex(Buffer.from('x'))],
    ['rfc822:x', 3, hex(Buffer.from('x'))],
    ['keyid:my key', 11, hex(Buffer.from('my key'))],
    ['keyid:#01:02:03', 11, '010203'],
    ['asn1dn:#300d310b3009060355040613024348', 9, '300d310b3009060355040613024348'],
    ['asn1gn:#820161', 10, '820161'],
    ['xmppaddr:a@b', 10, 'a01106082b06010505070805a0050c03614062'],
    ['ipv4net:#0a000000ff000000', 4, '0a000000ff000000'],
    ['{11}:abc', 11, '616263'],
    ['{200}:#00', 200, '00'],
    ['C=CH', 9, '300d310b3009060355040613024348'],
    ['/C=CH', 9, '300d310b3009060355040613024348'],
    ['c = CH', 9, '300d310b3009060355040613024348'],
    ['X=CH', 11, hex(Buffer.from('X=CH'))],
    ['C=CH, what', 11, hex(Buffer.from('C=CH, what'))],
    ['=', 11, '3d'],
  ]
  for (const [text, type, data] of cases) {
    const identity = parseIdentity(text)
    assert.deepEqual([identity.type, hex(identity.data)], [type, data], text)
  }
})

test('text behind # that is not hexadecimal is an error that names the text', () => {
  for (const text of ['fqdn:#0', 'fqdn:#zz', '@#abc'])
    assert.throws(
      () => parseIdentity(text),
      (error) => error instanceof DecodeError && error.message.includes(text),
    )
})

test('identities are printed as charon prints them', () => {
  const cases: readonly (readonly [identity: string, printed: string])[] = [
    ['%any', '%any'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.1.0.0/16', '10.1.0.0/16'],
    ['10.0.0.1-10.0.0.9', '10.0.0.1-10.0.0.9'],
    ['2001:DB8:0:0:1::1', '2001:db8::1:0:0:1'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['::1', '::1'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['@moon', 'moon'],
    ['carol@lab.org', 'carol@lab.org'],
    ['/C=CH/O=Lab, Inc./CN=moon', 'C=CH, O=Lab, Inc., CN=moon'],
    ['C=CH, E=a@b, serialNumber=1, SN=x', 'C=CH, E=a@b, serialNumber=1, SN=x'],
    ['CN=Zürich', 'CN=Z??rich'],
    ['keyid:text', 'text'],
    ['keyid:#0001', '00:01'],
    ['keyid:12345678901234567890', '31:32:33:34:35:36:37:38:39:30:31:32:33:34:35:36:37:38:39:30'],
    ['asn1gn:#820161', '(ASN.1 general name)'],
    ['asn1dn:#3000', ''],
    ['asn1dn:#300d310b300906032a030413024348', '2a:03:04=CH'],
    ['{99}:x', '(unknown ID type: 99)'],
    ['fqdn:#6100', 'a?'],
    ['ipv4:#0a', '(invalid ID_IPV4_ADDR)'],
    ['asn1dn:#30', '(invalid ID_DER_ASN1_DN)'],
  ]
  for (const [text, printed] of cases) assert.equal(formatIdentity(parseIdentity(text)), printed, text)
})

test('an identity fits a pattern with the score that charon gives', () => {
  const cases: readonly (readonly [id: string, pattern: string, score: number])[] = [
    ['moon', '%any', 1],
    ['moon.lab.org', 'MOON.lab.ORG', 20],
    ['moon.lab.org', '*.lab.org', 19],
    ['moon.lab.org', 'fqdn:*', 1],
    ['lab.org', '*.lab.org', 0],
    ['moon.lab.org', 'm*.lab.org', 0],
    ['carol@lab.org', '*@lab.org', 19],
    ['@carol@lab.org', '*@lab.org', 0], // an FQDN, and the pattern is an e-mail address
    ['10.0.0.1', '10.0.0.1', 20],
    ['10.0.0.1', '10.0.0.0/8', 19],
    ['10.0.0.1', '10.0.0.1/32', 19],
    ['10.1.0.0/16', '10.0.0.0/8', 19],
    ['10.0.0.0/8', '10.1.0.0/16', 0],
    ['10.0.0.5', '10.0.0.1-10.0.0.9', 19],
    ['10.0.0.10', '10.0.0.1-10.0.0.9', 0],
    ['10.0.0.1', '0.0.0.0/0', 2],
    ['2001:db8::1', '2001:db8::/32', 19],
    ['2001:db8::1', '0.0.0.0/0', 0],
    ['10.0.0.1', '@10.0.0.1', 0],
    ['keyid:a', 'keyid:a', 20],
    ['keyid:a', 'keyid:A', 0],
    ['C=CH, O=Lab, CN=moon', 'C=CH, O=Lab, CN=moon', 20],
    ['C=CH, O=Lab, CN=moon', 'C=CH, O=lab, CN=MOON', 20],
    ['C=CH, O=Lab, CN=moon', 'C=CH, O=Lab, CN=*', 19],
    ['C=CH, O=Lab, CN=moon', 'C=*, O=*, CN=*', 17],
    ['C=CH, O=Lab, CN=moon', 'C=CH, CN=moon, O=Lab', 0],
    ['C=CH, O=Lab, CN=moon', 'C=CH, O=Lab', 0],
    ['C=CH, O=Lab, CN=moon', 'C=CH, O=Lab, OU=*', 0],
    ['asn1dn:#30', 'C=CH', 0],
  ]
  for (const [id, pattern, score] of cases)
    assert.equal(matchIdentity(parseIdentity(id), parseIdentity(pattern)), score, `${id} against ${pattern}`)
  const many = Array.from({ length: 20 }, () => 'OU=x').join(', ')
  assert.equal(matchIdentity(parseIdentity(many), parseIdentity(many.replaceAll('x', '*'))), 3)
})

test('RDNs in another order, or more of them, fit only where the configuration says so', () => {
  const id = parseIdentity('C=CH, O=Lab, OU=a, OU=b, CN=moon')
  const score = (pattern: string, matching: 'strict' | 'reordered' | 'relaxed'): number =>
    matchIdentity(id, parseIdentity(pattern), matching)
  assert.equal(score('CN=moon, OU=*, OU=a, O=Lab, C=CH', 'strict'), 0)
  assert.equal(score('CN=moon, OU=*, OU=a, O=Lab, C=CH', 'reordered'), 19)
  assert.equal(score('CN=moon, OU=b, OU=a, O=Lab, C=CH', 'reordered'), 20)
  assert.equal(score('CN=moon, C=CH', 'reordered'), 0)
  assert.equal(score('CN=moon, C=CH', 'relaxed'), 17)
  assert.equal(score('CN=moon, C=*', 'relaxed'), 16)
  assert.equal(score('CN=sun', 'relaxed'), 0)
  assert.equal(score('OU=a, OU=a', 'relaxed'), 0)
  assert.equal(score('C=CH, O=Lab, OU=a, OU=b, CN=moon, L=x', 'relaxed'), 0)
})

test('equality: case of host names and printable strings does not count, wildcards are letters', () => {
  const equal = (a: string, b: string): boolean => equalIdentity(parseIdentity(a), parseIdentity(b))
  assert.ok(equal('moon', 'MOON'))
  assert.ok(equal('C=CH, CN=a', 'C=ch, CN=A'))
  assert.ok(!equal('moon', 'keyid:moon'))
  assert.ok(!equal('keyid:a', 'keyid:A'))
  assert.ok(!equal('*.lab.org', 'moon.lab.org'))
  assert.ok(!equal('CN=zürich', 'CN=zÜrich'), 'UTF8String is compared byte by byte')
  assert.ok(equalIdentity(ID_ANY, parseIdentity('%any')))
  // PrintableString 'moon' against UTF8String 'moon': same bytes
  const printable = identityFromWire(9, Buffer.from('300f310d300b060355040313046d6f6f6e', 'hex'))
  const utf8 = identityFromWire(9, Buffer.from('300f310d300b06035504030c046d6f6f6e', 'hex'))
  assert.ok(equalIdentity(printable, utf8))
})

test('regular expressions match the text of identities of their type, in any case', () => {
  const pattern = parseIdentityPattern('fqdn:^(moon|sun)[0-9]+\\.lab\\.org$')
  assert.equal(formatIdentity(pattern), '^(moon|sun)[0-9]+\\.lab\\.org$')
  assert.equal(matchIdentity(parseIdentity('MOON12.lab.org'), pattern), 2)
  assert.equal(matchIdentity(parseIdentity('moon.lab.org'), pattern), 0)
  assert.equal(matchIdentity(parseIdentity('@@moon1.lab.org'), pattern), 0)
  assert.equal(matchIdentity(parseIdentity('C=CH, O=Lab'), parseIdentityPattern('asn1dn:^.*O=Lab.*$')), 2)
  assert.ok(hasWildcards(pattern))
  assert.ok(equalIdentity(pattern, parseIdentityPattern('dns:^(moon|sun)[0-9]+\\.lab\\.org$')))
  assert.throws(() => parseIdentityPattern('fqdn:^($'), DecodeError)
  assert.ok(!('regex' in parseIdentityPattern('fqdn:moon$')))
  assert.ok(!('regex' in parseIdentityPattern('keyid:^a$')))
})

test('which identities name nobody in particular', () => {
  for (const text of ['%any', '*.lab.org', '*@lab.org', 'C=CH, CN=*', '10.0.0.0/8', '10.0.0.1-10.0.0.2'])
    assert.ok(hasWildcards(parseIdentity(text)), text)
  for (const text of ['moon', 'a@b', 'C=CH, CN=a*', '10.0.0.1', 'keyid:*'])
    assert.ok(!hasWildcards(parseIdentity(text)), text)
})
