/** Has nhrpd see what a hub forwards, with whatever the kernel has for it. */
import { quote } from '../lab/guest.ts'

/**
 * A command for the hub, once nhrpd runs: packets that come from `gre1` and go on by it are reported to netfilter's log
 * group 1. A guest kernel may have no netfilter for IPv4: then a program reads what comes from `gre1` for somebody else,
 * and sends nhrpd the messages that the kernel would send (linux/netfilter/nfnetlink_log.h).
 * @param own the addresses of the hub that packets may be for
 */
export function reportForwarded(own: readonly string[]): string {
  const chain = 'add table ip hub; add chain ip hub forward { type filter hook forward priority 0; }'
  const rule = 'add rule ip hub forward iifname gre1 oifname gre1 log group 1 snaplen 128'
  const index = '$(ip -o link show gre1 | cut -d: -f1)'
  return `nft ${quote(`${chain}; ${rule}`)} 2>/dev/null || { perl -e ${quote(program)} ${index} ${own.join(' ')} 2>/run/nflog.txt & }`
}

/** Numbers: AF_PACKET 17, SOCK_DGRAM 2, ETH_P_IP 0x0800; AF_NETLINK 16, NETLINK_NETFILTER 12; NFULNL_MSG_PACKET 0x400. */
const program = `
  my ($index, @own) = @ARGV;
  my %own = map { $_ => 1 } @own;
  my ($port) = map { (split)[2] } grep { (split)[1] == 12 && (split)[2] > 0 } do { open N, "/proc/net/netlink"; <N> };
  $port or die "nobody listens to netfilter";
  socket my $in, 17, 2, unpack("S", pack("n", 0x0800)) or die $!;
  bind $in, pack("S n l S C C a8", 17, 0x0800, $index, 0, 0, 0, "") or die $!;
  socket my $out, 16, 3, 12 or die $!;
  my $attribute = sub { my ($type, $value) = @_; my $all = pack("S S", 4 + length $value, $type) . $value;
    $all . "\\0" x (-length($all) & 3) };
  while (defined(my $from = recv $in, my $packet, 2048, 0)) {
    next if unpack("x10 C", $from) == 4 || $own{join ".", unpack "x16 C4", $packet};
    my $body = pack("C C n", 2, 0, 1) . $attribute->(1, pack("n C C", 0x0800, 2, 0))
      . $attribute->(4, pack("N", $index)) . $attribute->(9, substr $packet, 0, 128);
    send $out, pack("L S S L L", 16 + length $body, 0x400, 0, 0, 0) . $body, 0, pack("S S L L", 16, 0, $port, 0)
      or warn $!;
  }
`
