//! What a fuzzer may do to a TCP connection: a script of segments, time and application calls, drawn so that most of it lies
//! near the numbers at which something changes.

use arbitrary::{Arbitrary, Unstructured};
use causeway_core::port::SocketOption;
use causeway_core::tcp::congestion::Algorithm;
use causeway_core::tcp::{SeqNumber, fast_open_setting as fast_open};
use causeway_core::wire::tcp::{FastOpenCookie, TcpFlags};

/// A number that a sequence or acknowledgement number is chosen near to.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Base {
    /// What the stack expects next; what it has sent last, for an acknowledgement.
    Expected,
    /// The right edge of the window.
    Edge,
    /// The highest that was ever sent.
    Highest,
    /// Where the numbers began.
    Initial,
    /// What the segment before had.
    Before,
}

/// How far from it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Offset {
    /// A few bytes.
    Small(i8),
    /// So many full segments.
    Segments(i8),
    /// Around the other side of the number circle.
    Opposite(i8),
    /// Anywhere.
    Any(u32),
}

/// A sequence number.
#[derive(Clone, Copy, Debug)]
pub enum Near {
    /// What the stack expects.
    Right,
    /// Something near one of the interesting numbers.
    At(Base, Offset),
}

impl<'a> Arbitrary<'a> for Near {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        // Mostly right: a segment with several wrong numbers is only dropped.
        Ok(match u8::arbitrary(input)? {
            0..160 => Self::Right,
            160..=255 => Self::At(Base::arbitrary(input)?, Offset::arbitrary(input)?),
        })
    }
}

/// The numbers that [`Base`] speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Points {
    /// See [`Base::Expected`].
    pub expected: SeqNumber,
    /// See [`Base::Edge`].
    pub edge: SeqNumber,
    /// See [`Base::Highest`].
    pub highest: SeqNumber,
    /// See [`Base::Initial`].
    pub initial: SeqNumber,
    /// See [`Base::Before`].
    pub before: SeqNumber,
    /// Bytes of a full segment.
    pub mss: u32,
}

impl Near {
    /// Getter: the number.
    pub fn resolve(self, points: &Points) -> SeqNumber {
        let Self::At(base, offset) = self else { return points.expected };
        let base = match base {
            Base::Expected => points.expected,
            Base::Edge => points.edge,
            Base::Highest => points.highest,
            Base::Initial => points.initial,
            Base::Before => points.before,
        };
        let signed = |by: i8| i32::from(by).cast_unsigned();
        match offset {
            Offset::Small(by) => base + signed(by),
            Offset::Segments(by) => base + signed(by).wrapping_mul(points.mss),
            Offset::Opposite(by) => base + (1 << 31) + signed(by),
            Offset::Any(by) => base + by,
        }
    }
}

/// Control bits.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Flags {
    /// ACK.
    Ack,
    /// ACK and PSH.
    Push,
    /// ACK and FIN.
    Fin,
    /// RST.
    Rst,
    /// RST and ACK.
    RstAck,
    /// SYN.
    Syn,
    /// SYN and ACK.
    SynAck,
    /// Any.
    Any(u8),
}

impl Flags {
    /// Getter: the bits.
    pub const fn bits(self) -> TcpFlags {
        let ack = TcpFlags::ACK;
        match self {
            Self::Ack => ack,
            Self::Push => ack.union(TcpFlags::PSH),
            Self::Fin => ack.union(TcpFlags::FIN),
            Self::Rst => TcpFlags::RST,
            Self::RstAck => ack.union(TcpFlags::RST),
            Self::Syn => TcpFlags::SYN,
            Self::SynAck => ack.union(TcpFlags::SYN),
            Self::Any(bits) => TcpFlags(bits),
        }
    }
}

/// Payload.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Length {
    /// None.
    None,
    /// A few bytes.
    Some(u8),
    /// A full segment.
    Full,
    /// So many full segments, as LRO joins them.
    Several(u8),
}

impl Length {
    /// Getter: the bytes.
    pub fn bytes(self, mss: u32) -> u32 {
        match self {
            Self::None => 0,
            Self::Some(bytes) => bytes.into(),
            Self::Full => mss,
            Self::Several(count) => (u32::from(count % 16) * mss).min(20_000),
        }
    }
}

/// The timestamps option.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Stamp {
    /// What an honest peer sends, if timestamps were agreed on.
    Right,
    /// None.
    Missing,
    /// So much older.
    Old(u8),
    /// Anything.
    Any(u32, u32),
}

/// A segment from the peer.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Segment {
    /// Control bits.
    pub flags: Flags,
    /// Sequence number.
    pub seq: Near,
    /// Acknowledgement number.
    pub ack: Near,
    /// Window field; mostly what it was before.
    pub window: Option<u16>,
    /// Payload.
    pub len: Length,
    /// Timestamps.
    pub stamp: Stamp,
    /// SACK blocks: where each begins before or behind the acknowledgement, and how long it is.
    pub sack: Option<[(Near, u16); 2]>,
    /// The ECN field of the IP header.
    pub ecn: u8,
    /// The urgent pointer.
    pub urgent: Option<u16>,
    /// Where it is cut in two for a connection that gets it in pieces.
    pub cut: u16,
    /// Its bytes contradict those of other segments, where the target has a use for that.
    pub contradicts: bool,
}

/// Time that passes.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Pause {
    /// So many microseconds.
    Micros(u16),
    /// So many milliseconds.
    Millis(u16),
    /// Until the next timer.
    Timer,
}

/// A socket option by number, as it crosses the channel.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Choice {
    number: u8,
    value: u32,
    algorithm: u8,
}

impl Choice {
    /// Getter: the option, if the numbers mean one.
    pub fn option(self) -> Option<SocketOption> {
        let algorithm = Algorithm::ALL[usize::from(self.algorithm) % Algorithm::ALL.len()];
        let number = u16::from(self.number % 32);
        SocketOption::from_parts(number, self.value.into(), Some(algorithm))
    }
}

/// One step.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Action {
    /// A segment arrives.
    Segment(Segment),
    /// The peer acknowledges everything.
    Acknowledge,
    /// Time passes, and with it come the timers.
    Pass(Pause),
    /// The application writes.
    Write(u16),
    /// It reads.
    Read(u16),
    /// It writes something that ends a record (MSG_EOR), or what it has written before ends one.
    Record(u16),
    /// What it has written is urgent.
    Urgent,
    /// It sends FIN.
    Shutdown,
    /// It closes.
    Close,
    /// It aborts.
    Abort,
    /// It sets an option.
    Option(Choice),
    /// The connection's state is written out and read back.
    Restore,
}

/// How a connection begins.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Setup {
    /// Over IPv6.
    pub v6: bool,
    /// The peer opens it.
    pub passive: bool,
    /// What the stack offers.
    pub timestamps: bool,
    /// What the stack offers.
    pub window_scaling: bool,
    /// What the stack offers.
    pub sack: bool,
    /// Which congestion control.
    pub algorithm: u8,
    /// The NIC cuts super-segments.
    pub gso: bool,
    /// Near which number the stack's own numbers begin.
    pub iss: Start,
    /// And the peer's.
    pub irs: Start,
    /// What the peer's SYN says.
    pub window: u16,
    /// Its options.
    pub mss: Option<u16>,
    /// Its options.
    pub peer_scale: Option<u8>,
    /// Its options.
    pub peer_sack: bool,
    /// Its options.
    pub peer_timestamps: Option<u32>,
    /// Whether the SYN of whoever opens it has data.
    pub fast_open: Option<FastOpen>,
}

/// Fast Open (RFC 7413).
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct FastOpen {
    /// What the opener brings.
    pub cookie: Cookie,
    /// Bytes on its SYN.
    pub len: u16,
    /// How many of them the peer acknowledges with its SYN,ACK, if it is the peer who answers.
    pub taken: u16,
    /// The peer gives a cookie.
    pub granted: bool,
    /// With the option of the drafts.
    pub experimental: bool,
    /// Data is taken, and sent, without a cookie.
    pub cookieless: bool,
}

/// A cookie that is brought.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// None, and no option.
    Missing,
    /// A request for one.
    Request,
    /// The right one.
    Right,
    /// Another.
    Any([u8; 8]),
}

impl FastOpen {
    /// The key of the host's cookies.
    pub const KEY: [u8; 16] = *b"a key of a host.";
    /// More does not fit beside the options.
    const BYTES_MAX: u16 = 1_400;

    /// Getter: bytes on the SYN.
    pub fn bytes(&self) -> u32 {
        u32::from(self.len % (Self::BYTES_MAX + 1))
    }

    /// Getter: tcp_fastopen of the stack.
    pub const fn setting(&self) -> u16 {
        let with_cookies = fast_open::CLIENT | fast_open::SERVER | fast_open::SERVER_ALL;
        match self.cookieless {
            true => with_cookies | fast_open::CLIENT_NO_COOKIE | fast_open::SERVER_NO_COOKIE,
            false => with_cookies,
        }
    }

    /// Getter: the option of the opener's SYN; `right` is the cookie that the host gives.
    pub fn option(&self, right: FastOpenCookie) -> Option<FastOpenCookie> {
        let made = |bytes: &[u8]| FastOpenCookie::new(bytes, self.experimental);
        match self.cookie {
            Cookie::Missing => None,
            Cookie::Request => Some(FastOpenCookie::request(self.experimental)),
            Cookie::Right => made(right.bytes()),
            Cookie::Any(bytes) => made(&bytes),
        }
    }
}

/// Where sequence numbers begin.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Start {
    /// So much before they wrap.
    Wrap(u16),
    /// So much before the sign changes.
    Sign(u16),
    /// Anywhere.
    Any(u32),
}

impl Start {
    /// Getter: the number.
    pub fn number(self) -> u32 {
        match self {
            Self::Wrap(before) => u32::MAX - u32::from(before),
            Self::Sign(before) => (1 << 31) - u32::from(before),
            Self::Any(number) => number,
        }
    }
}

/// A whole run.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    /// The beginning.
    pub setup: Setup,
    /// What follows.
    pub actions: Vec<Action>,
}

impl Setup {
    /// Getter: the algorithm.
    pub fn congestion(&self) -> Algorithm {
        Algorithm::ALL[usize::from(self.algorithm) % Algorithm::ALL.len()]
    }
}
