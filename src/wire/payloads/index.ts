import { type AUTHPayload, auth } from './auth.ts'
import { type CERTPayload, cert } from './cert.ts'
import { type CERTREQPayload, certreq } from './certreq.ts'
import type { Codec } from './codec.ts'
import { type CPPayload, cp } from './cp.ts'
import { type DPayload, del } from './delete.ts'
import { type EAPPayload, eap } from './eap.ts'
import { type IDiPayload, type IDrPayload, idi, idr } from './id.ts'
import { type KEPayload, ke } from './ke.ts'
import { type NoncePayload, nonce } from './nonce.ts'
import { type NPayload, notify } from './notify.ts'
import { type SAPayload, sa } from './sa.ts'
import type { SKPayload } from './sk.ts'
import type { SKFPayload } from './skf.ts'
import { type TSiPayload, type TSrPayload, tsi, tsr } from './ts.ts'
import type { UnknownPayload } from './unknown.ts'
import { type VPayload, vendorId } from './vendor-id.ts'

/** A payload whose body stands for itself. */
export type PlainPayload =
  | SAPayload
  | KEPayload
  | IDiPayload
  | IDrPayload
  | CERTPayload
  | CERTREQPayload
  | AUTHPayload
  | NoncePayload
  | NPayload
  | DPayload
  | VPayload
  | TSiPayload
  | TSrPayload
  | CPPayload
  | EAPPayload

/** Any payload. */
export type Payload = PlainPayload | SKPayload | SKFPayload | UnknownPayload

/** The payload of a given `type`. */
export type PayloadOf<T extends Payload['type']> = Extract<Payload, { readonly type: T }>

/** All codecs by payload type. */
export const codecs: { readonly [T in PlainPayload['type']]: Codec<PayloadOf<T>> } = {
  SA: sa,
  KE: ke,
  IDi: idi,
  IDr: idr,
  CERT: cert,
  CERTREQ: certreq,
  AUTH: auth,
  Nonce: nonce,
  N: notify,
  D: del,
  V: vendorId,
  TSi: tsi,
  TSr: tsr,
  CP: cp,
  EAP: eap,
}

export type { AUTHPayload } from './auth.ts'
export type { CERTPayload } from './cert.ts'
export type { CERTREQPayload } from './certreq.ts'
export type { Codec } from './codec.ts'
export type { CfgAttribute, CPPayload } from './cp.ts'
export type { DPayload } from './delete.ts'
export type { EAPPayload } from './eap.ts'
export type { IDiPayload, IDrPayload, Identification } from './id.ts'
export type { KEPayload } from './ke.ts'
export type { NoncePayload } from './nonce.ts'
export type { NPayload } from './notify.ts'
export type { Proposal, SAPayload, Transform, TransformAttribute } from './sa.ts'
export type { SKPayload } from './sk.ts'
export type { SKFPayload } from './skf.ts'
export type { AddressSelector, OtherSelector, TrafficSelector, TSiPayload, TSrPayload } from './ts.ts'
export type { UnknownPayload } from './unknown.ts'
export type { VPayload } from './vendor-id.ts'
