/** Commands about certificates. */
import { findText, findValue, type Tree } from '../../config/tree.ts'
import { encodePem } from '../../pki/pem.ts'
import { DecodeError } from '../../wire/errors.ts'
import { type Call, type Command, has, options, request } from '../command.ts'
import { type CertificateKind, type CertificateView, certificateKind } from '../listings/certificates.ts'

const type = {
  name: 'type',
  short: 't',
  argument: 'TYPE',
  help: 'x509, x509_ac, x509_crl, ocsp_response or pubkey',
}

export const certificateCommands: readonly Command[] = [
  {
    name: 'list-certs',
    short: 'x',
    help: 'list certificates, CRLs and public keys',
    options: [
      { name: 'subject', short: 's', argument: 'ID', help: 'those of this name, or alternative name' },
      type,
      { name: 'flag', short: 'f', argument: 'FLAG', help: 'X.509 certificates that are: none, ca, aa, ocsp or any' },
      { name: 'pem', short: 'p', help: 'print them in PEM' },
      { name: 'short', short: 'S', help: 'without details' },
      { name: 'utc', short: 'U', help: 'times in UTC' },
    ],
    run: listCertificates,
  },
  {
    name: 'flush-certs',
    short: 'f',
    help: 'forget certificates that were received or fetched',
    options: [type],
    run: async (call) => {
      const response = await request(call, 'flush-certs', options(call, 'type'))
      call.print.message('flush-certs reply', response)
      return 0
    },
  },
]

/** Headings stand where the kind changes; what cannot be read is told and passed over. */
async function listCertificates(call: Call): Promise<number> {
  const { print, daemon } = call
  const view: CertificateView = { now: Date.now(), isShort: has(call, 'short'), isUtc: has(call, 'utc') }
  const isPem = has(call, 'pem')
  let before: CertificateKind | undefined
  const client = await daemon()
  const selectors = options(call, 'subject', 'type', 'flag')
  const response = await client.stream('list-certs', 'list-cert', selectors, (event) => {
    if (print.listing('list-cert event', event)) return
    const kind = certificateKind(event)
    const data = findValue(event, 'data')
    if (kind === undefined || data === undefined) {
      const flag = findText(event, 'type') === 'X509' ? 'flag' : 'type'
      print.error(`unsupported certificate ${flag} '${findText(event, flag) ?? ''}'`)
      return
    }
    const lines = read(kind, data, event, view)
    if (lines === undefined && !(isPem && kind.lines === undefined)) {
      print.error('parsing certificate failed')
      return
    }
    if (isPem) {
      if (kind.pem === undefined) print.error('PEM encoding certificate failed')
      else call.io.out(encodePem(kind.pem, data))
      return
    }
    if (kind !== before) print.line(`\nList of ${kind.heading}`)
    before = kind
    print.line(['', ...(lines ?? [])].join('\n'))
  })
  print.listed('list-certs reply', response)
  return 0
}

function read(
  { lines }: CertificateKind,
  data: Uint8Array,
  event: Tree,
  view: CertificateView,
): readonly string[] | undefined {
  try {
    return lines?.(data, event, view)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return undefined
  }
}
