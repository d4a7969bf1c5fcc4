/** Does the core's slow work outside of it: fast cryptography at once, slow cryptography on the thread pool. */
import { lookup } from 'node:dns/promises'
import { type KeyExchange, keyExchange } from './crypto/key-exchange/key-exchange.ts'
import { systemRandom } from './crypto/random.ts'
import { sign, signAsync } from './crypto/signatures.ts'
import type { Job, JobResults, KernelJob } from './ike/job.ts'
import type { Kernel, KernelResult } from './kernel/operations.ts'
import { fetchFile } from './net/fetch.ts'
import type { PeerAuthentication, PeerVerdict } from './pki/authenticate.ts'
import type { OwnStatus, OwnStatusRequest } from './pki/revocation/verify.ts'

/** What of the work others do. */
export interface Performers {
  readonly kernel: Kernel
  /** Decides as `verifyPeer` of `src/pki`, with what can be fetched about the status of certificates. */
  readonly verifyPeer: (request: PeerAuthentication) => PeerVerdict | Promise<PeerVerdict>
  /** Finds an OCSP response about a certificate of ours. */
  readonly ownStatus: (request: OwnStatusRequest) => OwnStatus | Promise<OwnStatus>
}

type Result = JobResults[keyof JobResults] | KernelResult

/**
 * Does a job. Key exchanges and signatures below about 150 µs are done before this returns: a hop to the thread pool
 * would cost a third of that.
 */
export async function perform(job: Job, performers: Performers): Promise<Result> {
  return job.kind === 'kernel' ? performOperation(job, performers.kernel) : performJob(job, performers)
}

/** Operations reach the kernel in the order of the calls. */
function performOperation({ operation }: KernelJob, kernel: Kernel): Promise<KernelResult> {
  return kernel.perform(operation)
}

function performJob(job: Exclude<Job, KernelJob>, { verifyPeer, ownStatus }: Performers): Result | Promise<Result> {
  switch (job.kind) {
    case 'key-exchange-generate': {
      const method = methodOf(job.method)
      return method.slow ? method.generateAsync() : method.generate(systemRandom)
    }
    case 'key-exchange-respond': {
      const method = methodOf(job.method)
      return method.slow ? method.respondAsync(job.peerPublic) : method.respond(job.peerPublic, systemRandom)
    }
    case 'key-exchange-finish':
      return finish(methodOf(job.method), job)
    case 'sign': {
      const slow = job.scheme.keyType === 'rsa' || (job.key.asymmetricKeyDetails?.namedCurve ?? '') !== 'prime256v1'
      return slow ? signAsync(job.key, job.scheme, job.data) : sign(job.key, job.scheme, job.data)
    }
    case 'verify-peer':
      return verifyPeer(job.request)
    case 'own-status':
      return ownStatus(job)
    case 'resolve':
      return resolve(job.name, job.family)
    case 'fetch':
      return fetchFile(job.url, job.mostBytes, job.timeoutMs)
  }
}

async function finish(method: KeyExchange, job: Extract<Job, { kind: 'key-exchange-finish' }>): Promise<Result> {
  using ours = job.private
  return method.slow ? await method.finishAsync(ours, job.peerPublic) : method.finish(ours, job.peerPublic)
}

async function resolve(name: string, family: 4 | 6 | undefined): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, ...(family && { family }) })
  return found.map(({ address }) => address)
}

/** The core asks for methods of its own proposals only. */
function methodOf(id: number): KeyExchange {
  const method = keyExchange(id)
  if (method === undefined) throw new Error(`no key exchange method ${id}`)
  return method
}
