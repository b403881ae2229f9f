//! The list of rules.

/// A rule that a call or an answer can break.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// What a failure is known by, as `O3.socket.backlog`.
    pub id: &'static str,
    /// Where the rule stands.
    pub source: &'static str,
    /// The rule, in a sentence.
    pub words: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $source:literal $words:literal;)*) => {
        /// All rules, in the order of a socket's life.
        pub static RULES: &[&Rule] = &[$(&$name),*];

        $(pub(super) static $name: Rule = Rule { id: $id, source: $source, words: $words };)*
    };
}

rules! {
    HANDLE "O3.socket.handle" "POSIX 2.14, close()" "A handle means one socket of one program, from its opening to its closing; any other is refused, and a new one was free.";
    KIND "O3.socket.kind" "POSIX accept(), send(), shutdown()" "A call that a socket's kind does not have is refused.";
    STATE "O3.socket.state" "POSIX connect(), recv(); RFC 9293 3.10" "What cannot go on says why: later, refused or over, as the program was told.";
    ORDER "O3.socket.order" "core/src/port.rs: Completion" "A socket opens once, ends once, and nothing is told of it after its end.";
    LOCAL "O3.socket.local" "POSIX bind(), RFC 6056 3.2" "The local end is the one that was asked for, its port one of the ephemeral ones where none was.";
    IN_USE "O3.socket.in-use" "POSIX bind(): EADDRINUSE" "An address is refused where a socket has it, and only there.";
    TUPLE "O3.socket.tuple" "RFC 9293 3.3.1, 3.10.1" "No two connections of a host have the same two ends.";
    LIMIT "O3.socket.limit" "POSIX connect(): EAGAIN, ENOBUFS" "To open is refused for want of ports, rings or memory where they may be used up only.";

    CONNECTED "O3.socket.connected" "RFC 9293 3.10.7.2" "A connection comes to be where somebody listened.";
    REFUSED "O3.socket.refused" "POSIX connect(): ECONNREFUSED; RFC 9293 3.10.7.1" "Nobody is refused where one listened all the time.";
    UNREACHABLE "O3.socket.unreachable" "POSIX connect(): EHOSTUNREACH; RFC 4861 7.2.2" "On a network on which nothing goes wrong nobody is out of reach.";
    TIMED_OUT "O3.socket.timed-out" "RFC 9293 3.8.3" "Nobody gives up before the retransmissions that are configured had their time.";
    INCOMING "O3.socket.incoming" "RFC 9293 3.10.7.4" "What a listener receives is somebody's who was told that it is connected.";
    BACKLOG "O3.socket.backlog" "POSIX listen(); core/src/port.rs: Op::Listen" "No more wait to be accepted than the backlog says, and one with TCP.";
    ACCEPT "O3.socket.accept" "POSIX accept()" "Who came first is accepted first, and later is said where nobody waits only.";

    SHUT "O3.socket.shut" "POSIX shutdown(), send(): EPIPE" "After the end of what is sent nothing more is taken.";
    COUNT "O3.socket.count" "POSIX send(), recv()" "A call moves as many bytes as it was asked for at most, and one at least unless it says why not.";
    ROOM "O3.socket.room" "POSIX send(): EAGAIN" "A writer waits where its ring may be full only, and no more is taken than both rings hold.";
    BYTES "O3.socket.bytes" "POSIX recv(); RFC 9293 3.4" "No more is read than the peer wrote.";
    FIN "O3.socket.fin" "RFC 9293 3.10.4, 3.10.7.4" "A peer that has closed or shut its direction sends FIN, and no other.";
    EOF "O3.socket.end-of-stream" "POSIX recv(); RFC 9293 3.5" "The end of the stream comes behind the last byte that the peer wrote, once FIN has come, and stays.";
    MESSAGE "O3.socket.message" "abi.md: machnet_recv" "Messages are read in their order, each as long as it was sent, and no later than it was told.";
    DATAGRAM "O3.socket.datagram" "POSIX recvfrom(); RFC 768" "A datagram that is read was sent from there to here, as long as it is.";

    RESET "O3.socket.reset" "POSIX recv(): ECONNRESET; RFC 9293 3.5.2" "A connection is reset by a peer that aborted it, lost it, or closed it and reads no more.";
    CLOSED "O3.socket.closed" "RFC 9293 3.6, 3.10.4" "A connection is closed when both sides have closed; a flow when all that was sent has been told.";
    ABORTED "O3.socket.aborted" "RFC 9293 3.10.5, 3.6.1" "Who aborts is told nothing more; who has shut both directions may be.";
    NEWS "O3.socket.news" "POSIX poll(); polled::Net::take_ready" "A socket with news is told once, and before it is said that there is none.";
}
