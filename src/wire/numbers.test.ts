import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as numbers from './numbers.ts'

interface Registry {
  readonly registries: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly later_assignments: readonly (readonly [string, number, string])[]
}

const file = new URL('../../rfc-vectors/iana/ikev2-parameters.json', import.meta.url)
const registry: Registry = JSON.parse(readFileSync(file, 'utf8'))

/** Our tables, and how a name of the registry is written there. */
const tables: readonly [string, numbers.NumberTable, (name: string) => string][] = [
  ['exchange_types', numbers.EXCHANGE, same],
  ['payload_types', numbers.PAYLOAD, from({ ...shortPayloadNames(), No_Next_Payload: 'NONE' })],
  ['transform_types', numbers.TRANSFORM_TYPE, from(transformTypeNames())],
  ['transform_attribute_types', numbers.TRANSFORM_ATTRIBUTE, upper],
  ['transform_type_1_encr', numbers.ENCR, without('ENCR_')],
  ['transform_type_2_prf', numbers.PRF, without('PRF_')],
  ['transform_type_3_integ', numbers.INTEG, without('AUTH_')],
  ['transform_type_4_ke', numbers.KE, keyExchangeName],
  [
    'transform_type_5_sn',
    numbers.ESN,
    from({
      No_Extended_Sequence_Numbers: 'NO_ESN',
      Extended_Sequence_Numbers: 'ESN',
      '32_bit_Unspecified_Numbers': 'UNSPECIFIED_32',
    }),
  ],
  ['id_types', numbers.ID_TYPE, without('ID_')],
  ['cert_encodings', numbers.CERT_ENCODING, upper],
  ['auth_methods', numbers.AUTH_METHOD, upper],
  ['notify_error', numbers.NOTIFY, same],
  ['notify_status', numbers.NOTIFY, same],
  ['ipcomp_transforms', numbers.IPCOMP, without('IPCOMP_')],
  ['security_protocol_ids', numbers.PROTOCOL, same],
  ['ts_types', numbers.TS_TYPE, without('TS_')],
  ['cfg_types', numbers.CFG_TYPE, without('CFG_')],
  ['cfg_attributes', numbers.CFG_ATTRIBUTE, same],
  ['gateway_identity_types', numbers.GATEWAY_ID_TYPE, (name) => upper(name.split('_')[0] ?? '')],
  ['rohc_attributes', numbers.ROHC_ATTRIBUTE, upper],
  ['secure_password_methods', numbers.SECURE_PASSWORD_METHOD, upper],
  ['hash_algorithms', numbers.HASH_ALGORITHM, upper],
  ['ppk_id_types', numbers.PPK_ID_TYPE, without('PPK_ID_')],
]

test('every table of the registry is checked', () => {
  assert.deepEqual(tables.map(([name]) => name).sort(), Object.keys(registry.registries).sort())
})

for (const [name, table, ours] of tables) {
  test(`every row of ${name} has its name, both ways`, () => {
    const rows = Object.entries(registry.registries[name] ?? {})
    assert.ok(rows.length > 0)
    for (const [number, registered] of rows) {
      assert.equal(table[ours(registered)], Number(number), `${number} ${registered}`)
      assert.equal(numbers.nameOf(table, Number(number)), ours(registered))
    }
  })
}

test('no table has a row that the registry has not', () => {
  for (const [name, table] of tables) {
    if (table === numbers.NOTIFY) continue
    assert.equal(Object.keys(table).length, Object.keys(registry.registries[name] ?? {}).length, name)
  }
  const { notify_error = {}, notify_status = {} } = registry.registries
  const notifies = Object.keys(notify_error).length + Object.keys(notify_status).length
  assert.equal(Object.keys(numbers.NOTIFY).length, notifies)
})

test('later assignments are known, too', () => {
  for (const [name, number] of registry.later_assignments) {
    const table = tables.find(([other]) => other === name)?.[1] ?? {}
    assert.notEqual(numbers.knownName(table, number), undefined, `${name} ${number}`)
  }
})

test('a number without a name is shown in parentheses', () => {
  assert.equal(numbers.nameOf(numbers.ENCR, 1234), '(1234)')
  assert.equal(numbers.knownName(numbers.ENCR, 1234), undefined)
})

function same(name: string): string {
  return name
}

function upper(name: string): string {
  return name.toUpperCase()
}

function without(prefix: string): (name: string) => string {
  return (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name)
}

function from(names: Readonly<Record<string, string>>): (name: string) => string {
  return (name) => names[name] ?? `no name of ours for ${name}`
}

/** RFC 7296 §3.2 and the registry's "notation" column. */
function shortPayloadNames(): Record<string, string> {
  const short = ['SA', 'KE', 'IDi', 'IDr', 'CERT', 'CERTREQ', 'AUTH', 'Nonce', 'N', 'D', 'V', 'TSi', 'TSr', 'SK', 'CP']
  const all = [...short, 'EAP', 'GSPM', 'IDg', 'GSA', 'KD', 'SKF', 'PS']
  return Object.fromEntries(all.map((name, i) => [registry.registries['payload_types']?.[33 + i] ?? '', name]))
}

function transformTypeNames(): Record<string, string> {
  const short = ['ENCR', 'PRF', 'INTEG', 'KE', 'ESN', ...[1, 2, 3, 4, 5, 6, 7].map((n) => `ADDKE${n}`), 'KWA', 'GCAUTH']
  return Object.fromEntries(short.map((name, i) => [registry.registries['transform_types']?.[1 + i] ?? '', name]))
}

/** `_2048_bit_MODP_Group` is MODP_2048, `brainpoolP256r1` BRAINPOOL_P256R1, `Curve25519` CURVE_25519. */
function keyExchangeName(name: string): string {
  const group = /^_(\d+)_bit_(MODP|random_ECP)_group(?:_with_(\d+)_bit_.*)?$/i.exec(name)
  if (group !== null) {
    const [, bits, kind = '', order] = group
    return [kind === 'MODP' ? 'MODP' : 'ECP', bits, ...(order === undefined ? [] : [order])].join('_')
  }
  return upper(name.replace(/^Curve/, 'Curve_').replace(/^brainpool/, 'brainpool_'))
}
