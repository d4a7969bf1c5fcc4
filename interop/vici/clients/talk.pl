# Makes the calls that come as lines of JSON with strongSwan's Perl library, and says as lines of JSON what it gives.
# Arguments: the folder with Vici::Session, the path of the socket.
use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;
use lib shift;
use Vici::Message;
use Vici::Session;

my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => shift) or die "no socket: $!";
my $session = Vici::Session->new($socket);
my $json = JSON::PP->new->canonical->latin1->allow_nonref;

# The library keeps no order.
sub plain {
    my $value = shift;
    return [ map { [ $_, plain($value->{$_}) ] } sort keys %$value ] if ref $value eq 'HASH';
    return { list => $value } if ref $value eq 'ARRAY';
    return defined $value ? "$value" : undef;
}

sub perform {
    my $step = shift;
    my $call = $step->{call};
    my $packet = $session->{Packet};
    if ($call eq 'listen') {
        for my $event (@{ $step->{events} }) {
            $packet->register($event);
            $packet->unregister($event);
        }
        return [];
    }
    my $message = defined $step->{message} ? Vici::Message->new($step->{message}) : undef;
    (my $method = $call) =~ tr/-/_/;
    return plain($packet->request($call, $message)->hash()) unless $session->can($method);
    my @result = $session->$method($message);
    return [ map { plain($_->hash()) } @{ $result[0] } ] if ref $result[0] eq 'ARRAY';
    return plain($result[0]->hash()) if ref $result[0];
    return [ map { defined $_ ? "$_" : undef } @result ];
}

$| = 1;
while (my $line = <STDIN>) {
    my $result = eval { perform($json->decode($line)) };
    my $error = $@;
    $error =~ s/ at \S+ line \d+.*//s;
    print $json->encode($error eq '' ? { result => $result } : { error => $error }), "\n";
}
