//! Socket options, by Linux's names.
//!
//! A [`SocketOption`] is a plain value that crosses the channel as two numbers and a name; [`SocketOption::check`] is the
//! one place that knows its range, so that the application's side and the stack refuse the same values.

use crate::error::CommandError;
use crate::tcp::congestion::Algorithm;

/// Whether and how packets of a socket discover the path MTU (IP_MTU_DISCOVER, IPV6_MTU_DISCOVER).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum MtuDiscover {
    /// IP_PMTUDISC_DONT: DF is never set (IPv4), what ICMP says is believed all the same.
    Dont,
    /// IP_PMTUDISC_WANT: as the route says.
    #[default]
    Want,
    /// IP_PMTUDISC_DO: DF is always set.
    Do,
    /// IP_PMTUDISC_PROBE: DF is set, and what ICMP says is ignored.
    Probe,
    /// IP_PMTUDISC_INTERFACE: packets are as large as the interface takes; DF is never set, what ICMP says is ignored.
    Interface,
    /// IP_PMTUDISC_OMIT: as [`Self::Interface`], and a datagram may be cut here.
    Omit,
}

impl MtuDiscover {
    /// Getter: Linux's number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Dont => 0,
            Self::Want => 1,
            Self::Do => 2,
            Self::Probe => 3,
            Self::Interface => 4,
            Self::Omit => 5,
        }
    }

    /// The inverse of [`MtuDiscover::code`].
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Dont),
            1 => Some(Self::Want),
            2 => Some(Self::Do),
            3 => Some(Self::Probe),
            4 => Some(Self::Interface),
            5 => Some(Self::Omit),
            _ => None,
        }
    }

    /// Getter: routers may cut the packets (IPv4).
    pub const fn may_be_cut(self) -> bool {
        match self {
            Self::Dont | Self::Interface | Self::Omit => true,
            Self::Want | Self::Do | Self::Probe => false,
        }
    }

    /// Getter: what routers say of the size of the path is followed.
    pub const fn believes_icmp(self) -> bool {
        match self {
            Self::Dont | Self::Want | Self::Do => true,
            Self::Probe | Self::Interface | Self::Omit => false,
        }
    }
}

/// TCP_QUICKACK: whether acknowledgements wait for company. Not permanent: what the connection does decides from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuickAck {
    /// 0: they wait until the delayed-acknowledgement timer has expired once.
    Off,
    /// An odd value: what waits is sent, once everything was read, and the next ones follow at once as long as quick ones are left.
    On,
    /// An even value: what waits is sent, and the next ones wait.
    Once,
}

impl QuickAck {
    /// What `value` of Linux's option stands for.
    pub const fn from_value(value: i32) -> Self {
        match (value, value & 1) {
            (0, _) => Self::Off,
            (_, 1) => Self::On,
            (_, _) => Self::Once,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::On => 1,
            Self::Once => 2,
        }
    }
}

/// One option of a TCP socket and the value that it shall have. Options of a listener are inherited by what it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketOption {
    /// TCP_NODELAY: small segments do not wait (Nagle's algorithm off). Switching it on sends what waits.
    NoDelay(bool),
    /// TCP_CORK: only full segments leave, for at most 200 ms. Switching it off sends what waits.
    Cork(bool),
    /// TCP_QUICKACK: acknowledge at once, or delay acknowledgements.
    QuickAck(QuickAck),
    /// TCP_MAXSEG: most payload bytes of a segment, in both directions; 0 for no limit of its own, else 88 to 32,767.
    MaxSegment(u16),
    /// SO_KEEPALIVE: probe a silent peer.
    KeepAlive(bool),
    /// TCP_KEEPIDLE: seconds of silence before the first probe, 1 to 32,767.
    KeepIdle(u32),
    /// TCP_KEEPINTVL: seconds between probes, 1 to 32,767.
    KeepInterval(u32),
    /// TCP_KEEPCNT: probes without an answer that end the connection, 1 to 127.
    KeepCount(u8),
    /// TCP_USER_TIMEOUT: milliseconds that data, or probes, may stay unacknowledged before the connection ends
    /// (RFC 5482); 0 for the default; below 2^31.
    UserTimeout(u32),
    /// TCP_SYNCNT: retransmissions of the SYN, 1 to 127.
    SynCount(u8),
    /// TCP_LINGER2: seconds in FIN-WAIT-2 without an application; 0 for the default, negative for none at all.
    Linger2(i32),
    /// SO_LINGER: `Some(0)` makes close reset the connection; `Some(n)` makes it wait up to n seconds (the waiting is
    /// the application side's), `None` is the default.
    Linger(Option<u16>),
    /// TCP_CONGESTION, by name on the wire of the channel.
    Congestion(Algorithm),
    /// TCP_NOTSENT_LOWAT: unsent bytes above which the socket is not writable; `u32::MAX` for no limit.
    NotSentLowWater(u32),
    /// TCP_WINDOW_CLAMP: most bytes of receive window; 0 for no limit.
    WindowClamp(u32),
    /// TCP_DEFER_ACCEPT: seconds that a connection without data may wait before it is handed over, rounded up to whole spans of the
    /// SYN,ACK's timer ([`crate::tcp::defer_accept_lasts`]), up to 2^20; 0 for off.
    DeferAccept(u32),
    /// SO_RCVBUF: bytes of receive buffer, at least 1; switches autotuning off. Linux's doubling is the caller's.
    ReceiveBuffer(u32),
    /// SO_SNDBUF: bytes of send buffer, at least 1.
    SendBuffer(u32),
    /// SO_MAX_PACING_RATE: bytes a second; `u64::MAX` for no limit.
    MaxPacingRate(u64),
    /// TCP_FASTOPEN on a listener: most connections opened by data on a SYN that are not established yet; 0 for off.
    FastOpen(u32),
    /// TCP_FASTOPEN_CONNECT: the SYN waits for the first data and carries it, where a cookie is known.
    FastOpenConnect(bool),
    /// TCP_FASTOPEN_NO_COOKIE: Fast Open does without cookies, whatever tcp_fastopen says: on a connection that is opened, and on
    /// those that a listener takes.
    FastOpenNoCookie(bool),
    /// SO_OOBINLINE: urgent data is read with the rest. The application's side does what it says; the stack keeps it.
    OobInline(bool),
    /// MSG_MORE: more follows what is written from now on. A small tail waits for it, until a segment of the peer comes or for
    /// 200 ms, and is not pushed. For what is there already, not for sockets to come.
    More(bool),
    /// SO_REUSEADDR.
    ReuseAddress(bool),
    /// SO_REUSEPORT.
    ReusePort(bool),
    /// IP_TOS. The ECN bits of a TCP socket are the stack's: those of the value are ignored. UDP sockets have this option and the
    /// next three, too; there all bits are the application's.
    Ipv4Tos(u8),
    /// IP_TTL, 1 to 255; 0 for the default (Linux's -1).
    Ipv4Ttl(u8),
    /// IPV6_TCLASS.
    Ipv6TrafficClass(u8),
    /// IPV6_UNICAST_HOPS, 1 to 255; 0 for the default (Linux's -1).
    Ipv6UnicastHops(u8),
    /// IP_MTU_DISCOVER and IPV6_MTU_DISCOVER.
    MtuDiscover(MtuDiscover),
}

/// TCP_MAXSEG below this is refused, as on Linux (TCP_MIN_MSS).
const MAX_SEGMENT_MIN: u16 = 88;
/// TCP_MAXSEG above this is refused (MAX_TCP_WINDOW).
const MAX_SEGMENT_MAX: u16 = 32_767;
/// MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL, in seconds.
const KEEP_SECONDS_MAX: u32 = 32_767;
/// MAX_TCP_KEEPCNT and MAX_TCP_SYNCNT.
const COUNT_MAX: u8 = 127;

impl SocketOption {
    /// Getter: whether the value is in its documented range.
    ///
    /// # Errors
    /// [`CommandError::InvalidArgument`].
    pub fn check(&self) -> Result<(), CommandError> {
        let valid = match *self {
            Self::MaxSegment(bytes) => {
                bytes == 0 || (MAX_SEGMENT_MIN..=MAX_SEGMENT_MAX).contains(&bytes)
            }
            Self::KeepIdle(s) | Self::KeepInterval(s) => (1..=KEEP_SECONDS_MAX).contains(&s),
            Self::KeepCount(n) | Self::SynCount(n) => (1..=COUNT_MAX).contains(&n),
            Self::UserTimeout(ms) => ms < 1 << 31,
            Self::DeferAccept(s) => s <= 1 << 20,
            Self::ReceiveBuffer(bytes) | Self::SendBuffer(bytes) => (1..1 << 31).contains(&bytes),
            Self::MaxPacingRate(rate) => rate > 0,
            Self::NoDelay(_)
            | Self::Cork(_)
            | Self::QuickAck(_)
            | Self::KeepAlive(_)
            | Self::Linger2(_)
            | Self::Linger(_)
            | Self::Congestion(_)
            | Self::NotSentLowWater(_)
            | Self::WindowClamp(_)
            | Self::FastOpen(_)
            | Self::FastOpenConnect(_)
            | Self::FastOpenNoCookie(_)
            | Self::OobInline(_)
            | Self::More(_)
            | Self::ReuseAddress(_)
            | Self::ReusePort(_)
            | Self::Ipv4Tos(_)
            | Self::Ipv4Ttl(_)
            | Self::Ipv6TrafficClass(_)
            | Self::Ipv6UnicastHops(_)
            | Self::MtuDiscover(_) => true,
        };
        if valid { Ok(()) } else { Err(CommandError::InvalidArgument) }
    }

    /// Getter: the option and its value as numbers; numbers are never reused. The name of a congestion control is
    /// [`Algorithm::name`], its value 0.
    pub fn to_parts(self) -> (u16, u64) {
        match self {
            Self::NoDelay(on) => (1, on.into()),
            Self::Cork(on) => (2, on.into()),
            Self::QuickAck(quick) => (3, quick.code().into()),
            Self::MaxSegment(bytes) => (4, bytes.into()),
            Self::KeepAlive(on) => (5, on.into()),
            Self::KeepIdle(s) => (6, s.into()),
            Self::KeepInterval(s) => (7, s.into()),
            Self::KeepCount(n) => (8, n.into()),
            Self::UserTimeout(ms) => (9, ms.into()),
            Self::SynCount(n) => (10, n.into()),
            Self::Linger2(s) => (11, s.cast_unsigned().into()),
            Self::Linger(s) => (12, s.map_or(1 << 16, u64::from)),
            Self::Congestion(_) => (CONGESTION, 0),
            Self::NotSentLowWater(bytes) => (14, bytes.into()),
            Self::WindowClamp(bytes) => (15, bytes.into()),
            Self::DeferAccept(s) => (16, s.into()),
            Self::ReceiveBuffer(bytes) => (17, bytes.into()),
            Self::SendBuffer(bytes) => (18, bytes.into()),
            Self::MaxPacingRate(rate) => (19, rate),
            Self::FastOpen(n) => (20, n.into()),
            Self::FastOpenConnect(on) => (21, on.into()),
            Self::OobInline(on) => (22, on.into()),
            Self::ReuseAddress(on) => (23, on.into()),
            Self::ReusePort(on) => (24, on.into()),
            Self::Ipv4Tos(tos) => (25, tos.into()),
            Self::Ipv4Ttl(hops) => (26, hops.into()),
            Self::Ipv6TrafficClass(class) => (27, class.into()),
            Self::Ipv6UnicastHops(hops) => (28, hops.into()),
            Self::MtuDiscover(how) => (29, how.code().into()),
            Self::FastOpenNoCookie(on) => (30, on.into()),
            Self::More(on) => (31, on.into()),
        }
    }

    /// The inverse of [`SocketOption::to_parts`]; `name` is a congestion control's. `None` for numbers that no option
    /// has, values that do not fit, and values outside their range.
    pub fn from_parts(number: u16, value: u64, name: Option<Algorithm>) -> Option<Self> {
        let bits = u32::try_from(value);
        let short = u16::try_from(value);
        let byte = u8::try_from(value);
        let on = || if value <= 1 { Some(value == 1) } else { None };
        let option = match number {
            1 => Self::NoDelay(on()?),
            2 => Self::Cork(on()?),
            3 if value <= 2 => Self::QuickAck(QuickAck::from_value(value as i32)),
            4 => Self::MaxSegment(short.ok()?),
            5 => Self::KeepAlive(on()?),
            6 => Self::KeepIdle(bits.ok()?),
            7 => Self::KeepInterval(bits.ok()?),
            8 => Self::KeepCount(byte.ok()?),
            9 => Self::UserTimeout(bits.ok()?),
            10 => Self::SynCount(byte.ok()?),
            11 => Self::Linger2(bits.ok()?.cast_signed()),
            12 if value == 1 << 16 => Self::Linger(None),
            12 => Self::Linger(Some(short.ok()?)),
            CONGESTION => Self::Congestion(name.filter(|_| value == 0)?),
            14 => Self::NotSentLowWater(bits.ok()?),
            15 => Self::WindowClamp(bits.ok()?),
            16 => Self::DeferAccept(bits.ok()?),
            17 => Self::ReceiveBuffer(bits.ok()?),
            18 => Self::SendBuffer(bits.ok()?),
            19 => Self::MaxPacingRate(value),
            20 => Self::FastOpen(bits.ok()?),
            21 => Self::FastOpenConnect(on()?),
            22 => Self::OobInline(on()?),
            23 => Self::ReuseAddress(on()?),
            24 => Self::ReusePort(on()?),
            25 => Self::Ipv4Tos(byte.ok()?),
            26 => Self::Ipv4Ttl(byte.ok()?),
            27 => Self::Ipv6TrafficClass(byte.ok()?),
            28 => Self::Ipv6UnicastHops(byte.ok()?),
            29 => Self::MtuDiscover(MtuDiscover::from_code(byte.ok()?)?),
            30 => Self::FastOpenNoCookie(on()?),
            31 => Self::More(on()?),
            _ => return None,
        };
        option.check().is_ok().then_some(option)
    }
}

/// The number of TCP_CONGESTION, whose value is a name.
const CONGESTION: u16 = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_acknowledgements_are_off_on_or_asked_for_once_by_the_lowest_bit_of_the_value() {
        for (value, quick) in [
            (0, QuickAck::Off),
            (1, QuickAck::On),
            (2, QuickAck::Once),
            (3, QuickAck::On),
            (-1, QuickAck::On),
            (-2, QuickAck::Once),
        ] {
            assert_eq!(QuickAck::from_value(value), quick);
            let option = SocketOption::QuickAck(quick);
            let (number, value) = option.to_parts();
            assert_eq!(SocketOption::from_parts(number, value, None), Some(option));
        }
        assert_eq!(SocketOption::from_parts(3, 3, None), None);
    }

    #[test]
    fn a_value_outside_its_range_is_refused() {
        let refused = Err(CommandError::InvalidArgument);
        assert_eq!(SocketOption::MaxSegment(87).check(), refused);
        assert_eq!(SocketOption::MaxSegment(32_768).check(), refused);
        assert_eq!(SocketOption::MaxSegment(0).check(), Ok(()));
        assert_eq!(SocketOption::KeepIdle(0).check(), refused);
        assert_eq!(SocketOption::KeepInterval(32_768).check(), refused);
        assert_eq!(SocketOption::KeepCount(128).check(), refused);
        assert_eq!(SocketOption::SynCount(0).check(), refused);
        assert_eq!(SocketOption::UserTimeout(1 << 31).check(), refused);
        assert_eq!(SocketOption::MaxPacingRate(0).check(), refused);
        assert_eq!(SocketOption::ReceiveBuffer(0).check(), refused);
    }

    #[test]
    fn numbers_that_are_no_option_are_refused_and_the_others_come_back() {
        for number in 0..64 {
            for value in [0, 1, 2, 100, 1 << 16, u64::MAX] {
                let name = Some(Algorithm::Reno);
                let Some(option) = SocketOption::from_parts(number, value, name) else { continue };
                assert_eq!(option.to_parts(), (number, value), "{option:?}");
                assert_eq!(option.check(), Ok(()));
            }
        }
        assert_eq!(SocketOption::from_parts(1, 2, None), None);
        assert_eq!(SocketOption::from_parts(0, 0, None), None);
        assert_eq!(
            SocketOption::from_parts(11, 0xffff_ffff, None),
            Some(SocketOption::Linger2(-1))
        );
    }
}
