/** One file from a web server that somebody else has named: `http:` only, no redirects, bounded in size and time. */
import { get } from 'node:http'

/** How many at a time: who names URLs need not be known. */
const mostAtOnce = 16

let underWay = 0

/**
 * What is at an `http:` URL.
 * @throws Error when it is not there, larger or later than allowed, or too many others are under way
 */
export async function fetchFile(url: string, mostBytes: number, timeoutMs: number): Promise<Uint8Array> {
  if (underWay >= mostAtOnce) throw new Error(`${mostAtOnce} lookups are under way already`)
  underWay++
  try {
    return await fetchOne(url, mostBytes, timeoutMs)
  } finally {
    underWay--
  }
}

function fetchOne(url: string, mostBytes: number, timeoutMs: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const request = get(url, { agent: false, signal, headers: { connection: 'close' } }, (response) => {
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
  })
}
