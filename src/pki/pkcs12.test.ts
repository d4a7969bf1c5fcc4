import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { DecodeError } from '../wire/errors.ts'
import { PassphraseMissing, publicKeyId } from './keys.ts'
import { readPkcs12 } from './pkcs12.ts'

/**
 * One Ed25519 key and its certificate, written by OpenSSL 3.0.19 (`openssl pkcs12 -export -passout pass:geheim`) with its
 * defaults, with 3DES as old programs do (`-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1`), with two-key 3DES and
 * an open key (`-certpbe PBE-SHA1-2DES -keypbe NONE -macalg sha512`), and with RC2 (`-legacy -certpbe PBE-SHA1-RC2-40`).
 */
const modern =
  'MIIDdgIBAzCCAywGCSqGSIb3DQEHAaCCAx0EggMZMIIDFTCCAiIGCSqGSIb3DQEHBqCCAhMwggIPAgEAMIICCAYJKoZIhvcNAQcBMFcGCSqG' +
  'SIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAijcZC6r0DzTQICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAF4CstW/Z6+qBNAkidH' +
  'fyGAggGg58Wz60qI8BK5ApGVO1ks8rNdpZEqOooYze2yXeXcZQgP/LDTTbAXoG2FZIMkRU0DCxXcNQwNZMnvBoifWyuizb+dx5UTfZfVfWyJ' +
  'S6cCeRv6SVb4+XEBY8npk1p3oS1DpKWnP8durrFe5p0Dhx6n1ND043vKZQnC+65k70iCV+U+bdWCfhkdqjDIByGtBpeKCbFp5WOvFv9VFDlb' +
  'WnFp7jWmSJ/2pbasXNn/5ze8MHoH4sW59xYCDqxpkBO+MvImBjVySTGO/eNByJiAnfsFDctRkC1y7fffuF1mQXXTR/lBQcnuHZkpJQIRPok5' +
  'wILrUzha3U9DsHTk4RHmjdrxsvj8NxuvIwKaYwoVABHgtQc035ADNacO2vsMvazh+BtvmXaBX47tvLrz4isZlxIfxr8TPpbdvmoQhJ9ZQwDA' +
  'AfipEtX9GIPNG/w7qxl18DhI7bQBACXH0t1H6bJBz2uW0fWEaCHn6NurTrmci1mg/tvvwnzldgbTcsd/VkOtgFlEAs4q0IJjjDHxdo6YSK4F' +
  'tYt3UumFeymmkrSlcj5njMcwgewGCSqGSIb3DQEHAaCB3gSB2zCB2DCB1QYLKoZIhvcNAQwKAQKggZ4wgZswVwYJKoZIhvcNAQUNMEowKQYJ' +
  'KoZIhvcNAQUMMBwECFDlZKpxXmRvAgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQbYO2ZZbJtYCKs3wa2Tgk3QRAG3mMEKQOaLkt' +
  'ftHZ/ySVajmowCIAbele0LlItIVQrzx5rbMOtZRP/IcjekDMdMHOgMfcqEzzJVMqDfjf3vWkKjElMCMGCSqGSIb3DQEJFTEWBBT92OdG1aNk' +
  '96wBmtTyN+JqZRQKIDBBMDEwDQYJYIZIAWUDBAIBBQAEIA433Z5sXWK5VL92McoCGUI3tF7luXF+sem1D6EZd4kxBAg2TfQyZjSvLwICCAA='
const old =
  'MIIC3gIBAzCCAqQGCSqGSIb3DQEHAaCCApUEggKRMIICjTCCAd8GCSqGSIb3DQEHBqCCAdAwggHMAgEAMIIBxQYJKoZIhvcNAQcBMBwGCiqG' +
  'SIb3DQEMAQMwDgQIrwZBVz0rqUUCAggAgIIBmHJlDM0BgV9E7GWwUuupdMujNF4hSBHcv3cLJz5jHxWkTPJov9h9+GUksj535UxjY2qCbIkN' +
  'T+Z3cgUTEV7X0CUAYPDwaTyC/tK4e6hBfswWgNIA5ZJyyIfCADBuJBf39U3s6tiYEqoPC/RcB1vijfhE6Z8Md+QaKOjXqWKqhdjfETQweO3B' +
  'HWziaAoZgoB77DDd8jKrB4s5K3HDht+EZbgVREtfGzTxzxI0ru75I1wBqlxkYCUT91v741nR9AKVwcwPTfqCmPWmfcdx/3B2c3i5AOJT0L+3' +
  'P32J53o269QvqyZ33RB6RxSKIWWplX237OUU5gX/9CfRRke1GRyNRxprkhqVqNPkP5KnfSxu2++b8ZZUv/jo9OAy55VmkBMoQi2AC+DDDVYy' +
  '9dCVAoHMM1gvJo3EcRfDEDDv/l8WRPMhUruz7aDGzbKmXLQbcV+W/+ft/Mafe3uXTSxRznselnZ8IHqliJ+tVcPQEabjhGAR37yMDE5hAIrg' +
  'z/FuFYdgndmDzs5QKXvM5YGCFwVYfMCYYw7fNk5lEjCBpwYJKoZIhvcNAQcBoIGZBIGWMIGTMIGQBgsqhkiG9w0BDAoBAqBaMFgwHAYKKoZI' +
  'hvcNAQwBAzAOBAiU3J22KsmDSwICCAAEOPG9ogumhOKHlvUuakGty9XWBTXZfDrH98LWS7DNK/fg6VfAcFzj2EIPKr24Yg0LMDWoVokrgnBb' +
  'MSUwIwYJKoZIhvcNAQkVMRYEFP3Y50bVo2T3rAGa1PI34mplFAogMDEwITAJBgUrDgMCGgUABBR+HfdXq3RYl8kdVxCnvlV6tulb7QQIvOKR' +
  'ss25HHgCAggA'
const openKey =
  'MIIC3wIBAzCCAnUGCSqGSIb3DQEHAaCCAmYEggJiMIICXjCCAd8GCSqGSIb3DQEHBqCCAdAwggHMAgEAMIIBxQYJKoZIhvcNAQcBMBwGCiqG' +
  'SIb3DQEMAQQwDgQIT/sgYREsuaoCAggAgIIBmCprp2Qw1j/GhzpcSexYvkPBMv1MXkEZyzVL0huSSb8zjAQN0lDNMtHBvJxSRr8VGWFi1NZQ' +
  'sbVNJcO1GDf9bs81N4TshY77QIkwVCwWeziI0ZFXLkNv/c6Y0aB/tF3dcu0nKJOLAY4ViyNFs6oF0EjhtJ3eY+1bUnUOIGD2uKWQHBzYsN6L' +
  '5TuRXi3QYYew/b7aX+PwjbL5kR3DtZhoZfYhJiY3npP2jn1WHlmJda3Vh6k19jqA5tdoT/rzCrmumQlV+OdEsD3O59jt2Id4Uwu2Y9gbcyCw' +
  'rIgtyhM8CaHzgbezd0BP3gueWcG+mvrVXlloERmL3Q+8NZPcQcSzY5dAblSN3E1r1c8tYVN1XnSvDDcTO0toNt35xL54IGBWbtMHcmJbi/jV' +
  '9EWtJzuoQYEZw9U7pNE3YvHEeZMMIPmG4d6h7dPrVDHk1XvEor7hwEglDdS8RKMfyJI6pdqe7L0xyfCOICDz4z+3QehcJYMlXnAbP8Zufs4p' +
  'UdOtRiwtYq+xjbiFh/pgBuf7yCVzLTydv3jERtEJnDB5BgkqhkiG9w0BBwGgbARqMGgwZgYLKoZIhvcNAQwKAQGgMDAuAgEAMAUGAytlcAQi' +
  'BCD3S37Qq/OETXaIzM3EttRZG7lXHD7a8OThoA1mL6wR+DElMCMGCSqGSIb3DQEJFTEWBBT92OdG1aNk96wBmtTyN+JqZRQKIDBhMFEwDQYJ' +
  'YIZIAWUDBAIDBQAEQM9C/7UmRnWx/K5oKCe+VIX50WFC2nUKvTDAnH5QJhhdIInuIjk1SmvLAYlRy3jm3nkXgVAoojiFW4DfEt26Ap0ECPmb' +
  'hb+EzUutAgIIAA=='
const rc2 =
  'MIIC3gIBAzCCAqQGCSqGSIb3DQEHAaCCApUEggKRMIICjTCCAd8GCSqGSIb3DQEHBqCCAdAwggHMAgEAMIIBxQYJKoZIhvcNAQcBMBwGCiqG' +
  'SIb3DQEMAQYwDgQIVLw2HYy4SkkCAggAgIIBmOOYghAW0N38TWc8evQSTO20yFlAM3Q6c61DRvsgMxcgCRNG6bzmkTfeO4ju38923yQ8H9Km' +
  'L9LzXUrw/QomwMwd1prLLXcbpCsyeMnxtymwUdDIdn/v+xldpCw/q4MohIJfZiNlGht0EIFkFV4c4nJU2P0RATp88GURZA1cwUHJLW2K8p3u' +
  'FsZ/8Eq1hyEzz1N6HxnXM9vAKy6QeJq+zeOMMOJOECb96TvvnfjMxhzbLAgdXDzs9vl5nkTDz8+pLmq83BoLMehqU9Si7kDBsBHJp60bAPcq' +
  'fpOEt0MDbsDUtzVRDab2GLA0LV8RBadn+WwmqqBrh4H15UjW+wlhntoRT+LTCM6Nwb4cHWFewb1V8tM9ebP0AMmj5a3SjncWtzHa6gC6HiJu' +
  'hqcQiSBNC13QSn7hu0kGzTXmLCVrYigRbdwc/SOk+yo4JRUXdUbcvVcwwbBn2tkJ8x8vVD5qAco1UBE9VyNlr5raaXPpMDEkUGC1+Jm6xelW' +
  'Lcc2mj5VhI5+9I9SWLrGbaGvjX6r2lu3LEPkcby5RjCBpwYJKoZIhvcNAQcBoIGZBIGWMIGTMIGQBgsqhkiG9w0BDAoBAqBaMFgwHAYKKoZI' +
  'hvcNAQwBAzAOBAgEQYY/x2mTSQICCAAEOAsUpBbJndwCGa3e2N92mnEJ1JaUJWvCOKIN4C99YesIruhqIucHhMQyFzMC6GVprysVPLDp1KQW' +
  'MSUwIwYJKoZIhvcNAQkVMRYEFP3Y50bVo2T3rAGa1PI34mplFAogMDEwITAJBgUrDgMCGgUABBRoF7RAO2XbwwN89JZRG16jfNDbtAQIvwT0' +
  'QELBgLsCAggA'

const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))
const phrase = new TextEncoder().encode('geheim')

for (const [name, container] of Object.entries({ modern, old, openKey })) {
  test(`a container: ${name}`, () => {
    const { certificates, keys } = readPkcs12(bytes(container), phrase)
    assert.deepEqual(
      certificates.map((der) => createHash('sha256').update(der).digest('hex')),
      ['80d2251e866501eb64ba35fddc90d7984ba78d00c1d26d3f240df87c8a40cfab'],
    )
    assert.deepEqual(
      keys.map((key) => [key.asymmetricKeyType, publicKeyId(key)]),
      [['ed25519', '0af0f0467b213e41c903245d0128519f859f506f']],
    )
    assert.throws(() => readPkcs12(bytes(container)), PassphraseMissing)
    assert.throws(() => readPkcs12(bytes(container), new TextEncoder().encode('Geheim')), /is the passphrase right/)
  })
}

test('what is not supported is named, what is cut off is refused', () => {
  assert.throws(
    () => readPkcs12(bytes(rc2), phrase),
    /the encryption 1\.2\.840\.113549\.1\.12\.1\.6 is not supported; write .* AES/,
  )
  const whole = bytes(modern)
  for (let length = 0; length < whole.length; length += 7) {
    assert.throws(() => readPkcs12(whole.subarray(0, length), phrase), DecodeError)
  }
})
