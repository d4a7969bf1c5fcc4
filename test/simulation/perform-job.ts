/** Performs the jobs of a simulated host at once, with real cryptography and randomness from a seed. */
import { createHash, type KeyObject } from 'node:crypto'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { keyExchange } from '../../src/crypto/key-exchange/key-exchange.ts'
import type { Random } from '../../src/crypto/random.ts'
import { type SignatureScheme, sign } from '../../src/crypto/signatures.ts'
import type { Job, JobResults, KernelJob } from '../../src/ike/job.ts'
import { StatusCache } from '../../src/pki/revocation/cache.ts'
import type { Fetch, Fetched } from '../../src/pki/revocation/check.ts'
import { findOwnStatus, type StatusOptions, verifyPeerWithStatus } from '../../src/pki/revocation/verify.ts'

/** Does the job, or throws what the daemon's performer would fail with. `names` is the DNS, `web` what URLs lead to. */
export function performJob(
  job: Exclude<Job, KernelJob>,
  random: Random,
  names: ReadonlyMap<string, readonly string[]>,
  web: ReadonlyMap<string, Uint8Array>,
  now: number,
): JobResults[keyof JobResults] {
  switch (job.kind) {
    case 'key-exchange-generate':
      return method(job.method).generate(random)
    case 'key-exchange-respond':
      return method(job.method).respond(job.peerPublic, random)
    case 'key-exchange-finish': {
      using ours = job.private
      return method(job.method).finish(ours, job.peerPublic)
    }
    case 'sign':
      return job.scheme.keyType === 'ecdsa'
        ? signRepeatably(job.key, job.scheme, job.data)
        : sign(job.key, job.scheme, job.data)
    case 'verify-peer':
      return fetching(verifyPeerWithStatus(job.request, statusOptions()), web)
    case 'own-status':
      return fetching(findOwnStatus(job, now, statusOptions()), web)
    case 'resolve': {
      const found = names.get(job.name) ?? []
      const wanted = found.filter((address) => job.family === undefined || address.includes(':') === (job.family === 6))
      if (wanted.length === 0) throw new Error(`no address for ${job.name}`)
      return wanted
    }
    case 'fetch': {
      const found = web.get(job.url)
      if (found === undefined) throw new Error(`${job.url}: the server answers 404`)
      if (found.length > job.mostBytes) throw new Error(`${job.url}: more than ${job.mostBytes} octets`)
      return found
    }
  }
}

/** Nothing that was fetched is remembered: each peer is a first one. */
function statusOptions(): StatusOptions {
  return { useCrls: true, useOcsp: true, cache: new StatusCache(), nonce: () => new Uint8Array(32) }
}

function fetching<T>(steps: Generator<Fetch, T, Fetched>, web: ReadonlyMap<string, Uint8Array>): T {
  let step = steps.next()
  while (step.done !== true) {
    const { uri } = step.value
    step = steps.next(web.get(uri) ?? new Error(`${uri}: the server answers 404`))
  }
  return step.value
}

function method(id: number): NonNullable<ReturnType<typeof keyExchange>> {
  const found = keyExchange(id)
  if (found === undefined) throw new Error(`no key exchange method ${id}`)
  return found
}

/** ECDSA with the nonce of RFC 6979: OpenSSL's is random, and a run could not be repeated. */
function signRepeatably(key: KeyObject, scheme: SignatureScheme, data: Uint8Array): Uint8Array {
  const { crv, d } = key.export({ format: 'jwk' })
  const curve = { 'P-256': p256, 'P-384': p384, 'P-521': p521 }[crv ?? '']
  const hashName = { 1: 'sha1', 2: 'sha256', 3: 'sha384', 4: 'sha512' }[scheme.hash ?? 0]
  // Methods 9 to 11 name the hash by the curve, and write r | s (RFC 4754).
  const classic = { 9: 'sha256', 10: 'sha384', 11: 'sha512' }[scheme.method]
  const name = classic ?? hashName
  if (curve === undefined || d === undefined || name === undefined) return sign(key, scheme, data)
  const digest = createHash(name).update(data).digest()
  const format = classic === undefined ? 'der' : 'compact'
  return curve.sign(digest, Buffer.from(d, 'base64url'), { prehash: false, lowS: false, format })
}
