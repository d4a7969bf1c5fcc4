import { latin1, textBytes } from './bytes.ts'
import { contextConstructed, contextPrimitive, type DerReader, OID } from './der.ts'
import { type Name, printable, readName } from './name.ts'
import { oidText } from './oid.ts'

/** GeneralName, RFC 5280 §4.2.1.6. Strings are the bytes of the IA5String read as Latin-1, so nothing is lost. */
export type GeneralName =
  | { readonly type: 'email' | 'dns' | 'uri'; readonly text: string; readonly der: Uint8Array }
  | { readonly type: 'directory'; readonly name: Name; readonly der: Uint8Array }
  /** 4 or 16 bytes; twice that (with a mask) in name constraints. */
  | { readonly type: 'ip'; readonly bytes: Uint8Array; readonly der: Uint8Array }
  | { readonly type: 'other'; readonly oid: string; readonly der: Uint8Array }
  | { readonly type: 'x400' | 'edi' | 'registered-id'; readonly der: Uint8Array }

/** Reads GeneralNames up to the end of the reader, at most 1024. Throws DecodeError. */
export function readGeneralNames(reader: DerReader, what: string): GeneralName[] {
  const names: GeneralName[] = []
  while (reader.more) {
    names.push(readGeneralName(reader, what))
    if (names.length > MAX_NAMES) reader.fail(`${what}: more than ${MAX_NAMES} names`)
  }
  return names
}

/** Reads one GeneralName. Throws DecodeError. */
export function readGeneralName(reader: DerReader, what: string): GeneralName {
  const value = reader.any(what)
  const { tag, content, whole: der } = value
  switch (tag) {
    case contextConstructed(0):
      return { type: 'other', oid: oidText(value.children().take(OID, what).content), der }
    case contextPrimitive(1):
      return { type: 'email', text: latin1(content), der }
    case contextPrimitive(2):
      return { type: 'dns', text: latin1(content), der }
    case contextConstructed(3):
      return { type: 'x400', der }
    case contextConstructed(4): {
      const inside = value.children()
      const name = readName(inside, what)
      inside.end(what)
      return { type: 'directory', name, der }
    }
    case contextConstructed(5):
      return { type: 'edi', der }
    case contextPrimitive(6):
      return { type: 'uri', text: latin1(content), der }
    case contextPrimitive(7):
      return { type: 'ip', bytes: content, der }
    case contextPrimitive(8):
      return { type: 'registered-id', der }
    default:
      return reader.fail(`${what}: there is no kind of name with tag ${tag.toString(16)}`)
  }
}

/** The texts of the URIs among some names, printable ones only. */
export function uriTexts(names: readonly GeneralName[]): string[] {
  return names.flatMap((name) =>
    name.type === 'uri' && printable(textBytes(name.text, 'latin1')) === name.text ? [name.text] : [],
  )
}

const MAX_NAMES = 1024
