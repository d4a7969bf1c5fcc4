/**
 * The web server of winnetou: certificates and CRLs from the prepared folder, and OCSP responders, which are programs of
 * the source tree that read a request and write headers and a response (CGI). Its argument is the folder of the pages.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join, normalize } from 'node:path'

const pages = process.argv[2] ?? '/var/www'

/** The responders by port. */
const responders: Readonly<Record<number, string>> = {
  8880: '/etc/ca/ocsp/ocsp.cgi',
  8881: '/etc/ca/research/ocsp/ocsp.cgi',
  8882: '/etc/ca/sales/ocsp/ocsp.cgi',
}

createServer((request, response) => {
  try {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname)
    response.end(readFileSync(join(pages, path)))
  } catch {
    response.writeHead(404).end()
  }
}).listen(80, '::', () => process.stdout.write('listening\n'))

for (const [port, program] of Object.entries(responders)) {
  createServer((request, response) => respond(program, request, response)).listen(Number(port), '::')
}

function respond(program: string, request: IncomingMessage, response: ServerResponse): void {
  const child = spawn('bash', [program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const chunks: Buffer[] = []
  child.stdin.on('error', () => {})
  request.pipe(child.stdin)
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.once('close', () => {
    const output = Buffer.concat(chunks)
    const end = output.indexOf('\n\n')
    const type = /^content-type:\s*(\S+)/im.exec(output.subarray(0, Math.max(end, 0)).toString())?.[1]
    response.writeHead(200, { 'content-type': type ?? 'application/octet-stream' })
    response.end(output.subarray(end + 2))
  })
}
