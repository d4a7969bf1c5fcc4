/**
 * The structures of linux/xfrm.h that we use, named and laid out as there; `structs.test.ts` compares them with the
 * header. Encoding leaves what is not given at zero.
 */
import {
  type Addresses,
  address,
  type BigInts,
  be16,
  be32,
  chars,
  i32,
  type Numbers,
  type Struct,
  struct,
  u8,
  u16,
  u32,
  u64,
} from '../netlink/struct.ts'

export type XfrmId = Addresses<'daddr'> & Numbers<'spi' | 'proto'>
export const xfrm_id: Struct<XfrmId> = struct('xfrm_id', 24, { daddr: address, spi: be32, proto: u8 })

export type XfrmSelector = Addresses<'daddr' | 'saddr'> &
  Numbers<'dport' | 'dport_mask' | 'sport' | 'sport_mask'> &
  Numbers<'family' | 'prefixlen_d' | 'prefixlen_s' | 'proto' | 'ifindex' | 'user'>
export const xfrm_selector: Struct<XfrmSelector> = struct('xfrm_selector', 56, {
  daddr: address,
  saddr: address,
  dport: be16,
  dport_mask: be16,
  sport: be16,
  sport_mask: be16,
  family: u16,
  prefixlen_d: u8,
  prefixlen_s: u8,
  proto: u8,
  ifindex: i32,
  user: u32,
})

export type XfrmLifetimeCfg = BigInts<
  | 'soft_byte_limit'
  | 'hard_byte_limit'
  | 'soft_packet_limit'
  | 'hard_packet_limit'
  | 'soft_add_expires_seconds'
  | 'hard_add_expires_seconds'
  | 'soft_use_expires_seconds'
  | 'hard_use_expires_seconds'
>
export const xfrm_lifetime_cfg: Struct<XfrmLifetimeCfg> = struct('xfrm_lifetime_cfg', 64, {
  soft_byte_limit: u64,
  hard_byte_limit: u64,
  soft_packet_limit: u64,
  hard_packet_limit: u64,
  soft_add_expires_seconds: u64,
  hard_add_expires_seconds: u64,
  soft_use_expires_seconds: u64,
  hard_use_expires_seconds: u64,
})

export const xfrm_lifetime_cur: Struct<BigInts<'bytes' | 'packets' | 'add_time' | 'use_time'>> = struct(
  'xfrm_lifetime_cur',
  32,
  { bytes: u64, packets: u64, add_time: u64, use_time: u64 },
)

export const xfrm_stats: Struct<Numbers<'replay_window' | 'replay' | 'integrity_failed'>> = struct('xfrm_stats', 12, {
  replay_window: u32,
  replay: u32,
  integrity_failed: u32,
})

/** Followed by the octets of the key. */
export const xfrm_algo: Struct<{ readonly alg_name: string } & Numbers<'alg_key_len'>> = struct('xfrm_algo', 68, {
  alg_name: chars(64),
  alg_key_len: u32,
})

/** Followed by the octets of the key. */
export const xfrm_algo_auth: Struct<{ readonly alg_name: string } & Numbers<'alg_key_len' | 'alg_trunc_len'>> = struct(
  'xfrm_algo_auth',
  72,
  { alg_name: chars(64), alg_key_len: u32, alg_trunc_len: u32 },
)

/** Followed by the octets of the key. */
export const xfrm_algo_aead: Struct<{ readonly alg_name: string } & Numbers<'alg_key_len' | 'alg_icv_len'>> = struct(
  'xfrm_algo_aead',
  72,
  { alg_name: chars(64), alg_key_len: u32, alg_icv_len: u32 },
)

export const xfrm_replay_state: Struct<Numbers<'oseq' | 'seq' | 'bitmap'>> = struct('xfrm_replay_state', 12, {
  oseq: u32,
  seq: u32,
  bitmap: u32,
})

/** Followed by `bmp_len` words of the bitmap. */
export const xfrm_replay_state_esn: Struct<
  Numbers<'bmp_len' | 'oseq' | 'seq' | 'oseq_hi' | 'seq_hi' | 'replay_window'>
> = struct('xfrm_replay_state_esn', 24, {
  bmp_len: u32,
  oseq: u32,
  seq: u32,
  oseq_hi: u32,
  seq_hi: u32,
  replay_window: u32,
})

export const xfrm_user_tmpl: Struct<
  { readonly id: XfrmId } & Addresses<'saddr'> &
    Numbers<'family' | 'reqid' | 'mode' | 'share' | 'optional' | 'aalgos' | 'ealgos' | 'calgos'>
> = struct('xfrm_user_tmpl', 64, {
  id: xfrm_id,
  family: u16,
  saddr: address,
  reqid: u32,
  mode: u8,
  share: u8,
  optional: u8,
  aalgos: u32,
  ealgos: u32,
  calgos: u32,
})

export const xfrm_encap_tmpl: Struct<Addresses<'encap_oa'> & Numbers<'encap_type' | 'encap_sport' | 'encap_dport'>> =
  struct('xfrm_encap_tmpl', 24, { encap_type: u16, encap_sport: be16, encap_dport: be16, encap_oa: address })

export const xfrm_mark: Struct<Numbers<'v' | 'm'>> = struct('xfrm_mark', 8, { v: u32, m: u32 })

export const xfrm_user_offload: Struct<Numbers<'ifindex' | 'flags'>> = struct('xfrm_user_offload', 8, {
  ifindex: i32,
  flags: u8,
})

export type XfrmUsersaInfo = {
  readonly sel: XfrmSelector
  readonly id: XfrmId
  readonly lft: XfrmLifetimeCfg
  readonly curlft: BigInts<'bytes' | 'packets' | 'add_time' | 'use_time'>
  readonly stats: Numbers<'replay_window' | 'replay' | 'integrity_failed'>
} & Addresses<'saddr'> &
  Numbers<'seq' | 'reqid' | 'family' | 'mode' | 'replay_window' | 'flags'>
export const xfrm_usersa_info: Struct<XfrmUsersaInfo> = struct('xfrm_usersa_info', 224, {
  sel: xfrm_selector,
  id: xfrm_id,
  saddr: address,
  lft: xfrm_lifetime_cfg,
  curlft: xfrm_lifetime_cur,
  stats: xfrm_stats,
  seq: u32,
  reqid: u32,
  family: u16,
  mode: u8,
  replay_window: u8,
  flags: u8,
})

export type XfrmUsersaId = Addresses<'daddr'> & Numbers<'spi' | 'family' | 'proto'>
export const xfrm_usersa_id: Struct<XfrmUsersaId> = struct('xfrm_usersa_id', 24, {
  daddr: address,
  spi: be32,
  family: u16,
  proto: u8,
})

export const xfrm_aevent_id: Struct<
  { readonly sa_id: XfrmUsersaId } & Addresses<'saddr'> & Numbers<'flags' | 'reqid'>
> = struct('xfrm_aevent_id', 48, { sa_id: xfrm_usersa_id, saddr: address, flags: u32, reqid: u32 })

export const xfrm_userspi_info: Struct<{ readonly info: XfrmUsersaInfo } & Numbers<'min' | 'max'>> = struct(
  'xfrm_userspi_info',
  232,
  { info: xfrm_usersa_info, min: u32, max: u32 },
)

export type XfrmUserpolicyInfo = {
  readonly sel: XfrmSelector
  readonly lft: XfrmLifetimeCfg
  readonly curlft: BigInts<'bytes' | 'packets' | 'add_time' | 'use_time'>
} & Numbers<'priority' | 'index' | 'dir' | 'action' | 'flags' | 'share'>
export const xfrm_userpolicy_info: Struct<XfrmUserpolicyInfo> = struct('xfrm_userpolicy_info', 168, {
  sel: xfrm_selector,
  lft: xfrm_lifetime_cfg,
  curlft: xfrm_lifetime_cur,
  priority: u32,
  index: u32,
  dir: u8,
  action: u8,
  flags: u8,
  share: u8,
})

export const xfrm_userpolicy_id: Struct<{ readonly sel: XfrmSelector } & Numbers<'index' | 'dir'>> = struct(
  'xfrm_userpolicy_id',
  64,
  { sel: xfrm_selector, index: u32, dir: u8 },
)

export const xfrm_user_acquire: Struct<
  {
    readonly id: XfrmId
    readonly sel: XfrmSelector
    readonly policy: XfrmUserpolicyInfo
  } & Addresses<'saddr'> &
    Numbers<'aalgos' | 'ealgos' | 'calgos' | 'seq'>
> = struct('xfrm_user_acquire', 280, {
  id: xfrm_id,
  saddr: address,
  sel: xfrm_selector,
  policy: xfrm_userpolicy_info,
  aalgos: u32,
  ealgos: u32,
  calgos: u32,
  seq: u32,
})

export const xfrm_user_expire: Struct<{ readonly state: XfrmUsersaInfo } & Numbers<'hard'>> = struct(
  'xfrm_user_expire',
  232,
  { state: xfrm_usersa_info, hard: u8 },
)

export const xfrm_user_mapping: Struct<
  { readonly id: XfrmUsersaId } & Addresses<'old_saddr' | 'new_saddr'> & Numbers<'reqid' | 'old_sport' | 'new_sport'>
> = struct('xfrm_user_mapping', 64, {
  id: xfrm_usersa_id,
  reqid: u32,
  old_saddr: address,
  new_saddr: address,
  old_sport: be16,
  new_sport: be16,
})
