/** One file or answer of a web server that somebody else has named: `http:` only, no redirects, bounded in size and time. */
import { request as httpRequest } from 'node:http'

/** How many at a time: who names URLs need not be known. */
const mostAtOnce = 16

let underWay = 0

/** Something to post. */
export interface Posted {
  readonly body: Uint8Array
  /** Its media type. */
  readonly type: string
}

/**
 * What is at an `http:` URL, or what its server answers to what is posted there.
 * @throws Error when it is not there, larger or later than allowed, or too many others are under way
 */
export async function fetchFile(
  url: string,
  mostBytes: number,
  timeoutMs: number,
  posted?: Posted,
): Promise<Uint8Array> {
  if (underWay >= mostAtOnce) throw new Error(`${mostAtOnce} lookups are under way already`)
  underWay++
  try {
    return await fetchOne(url, mostBytes, timeoutMs, posted)
  } finally {
    underWay--
  }
}

function fetchOne(url: string, mostBytes: number, timeoutMs: number, posted: Posted | undefined): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const headers = {
      connection: 'close',
      ...(posted && { 'content-type': posted.type, 'content-length': posted.body.length }),
    }
    const method = posted === undefined ? 'GET' : 'POST'
    const request = httpRequest(url, { agent: false, signal, method, headers }, (response) => {
      const { statusCode } = response
      const fail = (reason: string): void => {
        request.destroy()
        reject(new Error(`${url}: ${reason}`))
      }
      if (statusCode !== 200) return fail(`the server answers ${statusCode}`)
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > mostBytes) fail(`more than ${mostBytes} octets`)
        else chunks.push(chunk)
      })
      response.on('end', () => resolve(new Uint8Array(Buffer.concat(chunks))))
      response.on('error', (error) => reject(new Error(`${url}: ${error.message}`)))
    })
    request.on('error', (error) => {
      const reason = signal.aborted ? `no answer within ${timeoutMs} ms` : error.message
      reject(new Error(`${url}: ${reason}`))
    })
    request.end(posted?.body)
  })
}
