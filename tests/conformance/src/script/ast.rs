//! What a script says.

use std::net::IpAddr;

/// Microseconds of script time.
pub type Micros = i64;

/// A whole script.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The option lines at its beginning.
    pub options: Options,
    /// A command in backticks before the first event.
    pub init: Option<(usize, String)>,
    /// The events in their order.
    pub events: Vec<Event>,
    /// A command in backticks after the last event.
    pub cleanup: Option<(usize, String)>,
}

/// Which IP the sockets and the wire speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// AF_INET sockets, IPv4 packets.
    #[default]
    V4,
    /// AF_INET6 sockets, IPv6 packets.
    V6,
    /// AF_INET6 sockets, IPv4 packets.
    V4MappedV6,
}

/// The option lines (`--name=value`).
#[derive(Clone, Debug)]
pub struct Options {
    /// `--ip_version`.
    pub ip_version: IpVersion,
    /// `--tolerance_usecs`.
    pub tolerance_us: Micros,
    /// `--tolerance_percent`, in thousandths of a percent.
    pub tolerance_millipercent: i64,
    /// `--mtu`.
    pub mtu: u16,
    /// `--local_ip`.
    pub local_ip: Option<IpAddr>,
    /// `--remote_ip`, its prefix length aside.
    pub remote_ip: Option<IpAddr>,
    /// `--bind_port`.
    pub bind_port: u16,
    /// `--connect_port`.
    pub connect_port: u16,
    /// `--tcp_ts_tick_usecs`; 0: values of outbound timestamps are not compared.
    pub ts_tick_us: i64,
    /// `--tcp_ts_ecr_scaled`.
    pub ts_ecr_scaled: bool,
    /// `--strict_segments`: outbound segments are not joined to match a longer one.
    pub strict_segments: bool,
    /// `--define=NAME=value`.
    pub defines: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ip_version: IpVersion::default(),
            tolerance_us: 4_000,
            tolerance_millipercent: 12_500,
            mtu: 1_500,
            local_ip: None,
            remote_ip: None,
            bind_port: 8_080,
            connect_port: 8_080,
            ts_tick_us: 0,
            ts_ecr_scaled: false,
            strict_segments: false,
            defines: Vec::new(),
        }
    }
}

/// When an event is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// At this time of the script.
    Absolute(Micros),
    /// So long after the event before.
    Relative(Micros),
    /// At any time (`*`): outbound packets only.
    Any,
    /// Between these times: outbound packets only.
    AbsoluteRange(Micros, Micros),
    /// Between these spans after the event before: outbound packets only.
    RelativeRange(Micros, Micros),
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Line, from 1.
    pub line: usize,
    /// When.
    pub time: Time,
    /// What.
    pub action: Action,
}

/// What happens in an event.
#[derive(Clone, Debug)]
pub enum Action {
    /// A packet, in or out.
    Packet(Box<PacketSpec>),
    /// A system call.
    Syscall(Box<SyscallSpec>),
    /// A command in backticks.
    Command(String),
    /// Code between `%{` and `}%`.
    Code(String),
}

/// A system call with its expected end.
#[derive(Clone, Debug)]
pub struct SyscallSpec {
    /// When a blocking call ends, by the same clock as its event's time.
    pub end: Option<Micros>,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// The expected result.
    pub result: Expr,
    /// The expected errno's name.
    pub errno: Option<String>,
}

/// A string literal, or one in backticks.
pub type Quoted = Vec<u8>;

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `...`
    Ellipsis,
    /// A number.
    Int(i64),
    /// A name.
    Word(String),
    /// A string; `true` when `...` follows it.
    Text(Quoted, bool),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{a, b}`
    Braces(Vec<Expr>),
    /// `{name = a, name(count) = b}`: name, what stands in parentheses, value.
    Struct(Vec<(String, Option<Expr>, Expr)>),
    /// `a | b`
    Or(Box<Expr>, Box<Expr>),
    /// `name = a`
    Assign(String, Box<Expr>),
    /// `name(a)`: htons, inet_addr, inet6_addr.
    Call(String, Box<Expr>),
}

/// Which way a packet goes, seen from the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `<`: to the stack.
    Inbound,
    /// `>`: from the stack.
    Outbound,
}

/// What is said of the type-of-service byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnCheck {
    /// Nothing.
    #[default]
    Nothing,
    /// `ect01`: either of the two.
    Ect01,
    /// The two ECN bits.
    Ecn(u8),
    /// `tos 0x..`: the whole byte.
    Tos(u8),
}

/// What stands in brackets before the transport header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpSpec {
    /// Type of service.
    pub ecn: EcnCheck,
    /// `flowlabel 0x..`.
    pub flow_label: Option<u32>,
    /// `ttl n`.
    pub ttl: Option<u8>,
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketSpec {
    /// Which way.
    pub direction: Direction,
    /// What is said of its IP header.
    pub ip: IpSpec,
    /// Its ports, where the script gives them.
    pub ports: Option<(u16, u16)>,
    /// Its transport header.
    pub transport: TransportSpec,
}

/// A transport header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportSpec {
    /// TCP.
    Tcp(TcpSpec),
    /// UDP.
    Udp(UdpSpec),
    /// ICMP or ICMPv6.
    Icmp(IcmpSpec),
}

/// The flags of a TCP header, reserved bits as on the wire: AE is 0x100, then CWR, ECE, URG, ACK, PSH, RST, SYN, FIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// Each flag's bit and letter, in the order in which they are written.
    pub const LETTERS: [(u16, char); 9] = [
        (0x001, 'F'),
        (0x002, 'S'),
        (0x004, 'R'),
        (0x008, 'P'),
        (0x040, 'E'),
        (0x080, 'W'),
        (0x100, 'A'),
        (0x020, 'U'),
        (0x010, '.'),
    ];
    /// ACK.
    pub const ACK: u16 = 0x10;
    /// RST.
    pub const RST: u16 = 0x04;
    /// SYN.
    pub const SYN: u16 = 0x02;
    /// ECE, CWR and AE: what a SYN says about ECN.
    pub const ECN: u16 = 0x1c0;
    /// CWR.
    pub const CWR: u16 = 0x80;

    /// Getter: true when every bit of `bits` is set.
    pub const fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }
}

impl std::fmt::Display for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters: String =
            Self::LETTERS.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, c)| *c).collect();
        f.write_str(if letters.is_empty() { "-" } else { &letters })
    }
}

/// A TCP header as a script says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSpec {
    /// Its flags.
    pub flags: Flags,
    /// The first sequence number.
    pub seq: u32,
    /// Payload bytes.
    pub len: u16,
    /// The acknowledgement number, 0 where none is said.
    pub ack: u32,
    /// The window field; `None`: not compared.
    pub window: Option<u16>,
    /// The urgent pointer, 0 where none is said.
    pub urgent: u16,
    /// The options; `None` for `<...>`: not compared.
    pub options: Option<Vec<TcpOption>>,
}

/// One TCP option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// `nop`
    Nop,
    /// `eol`
    Eol,
    /// `mss n`
    Mss(u16),
    /// `wscale n`
    WindowScale(u8),
    /// `sackOK`
    SackOk,
    /// `sack a:b c:d`
    Sack(Vec<(u32, u32)>),
    /// `TS val a ecr b`
    Timestamps(u32, u32),
    /// `FO cookie`: option 34.
    FastOpen(Vec<u8>),
    /// `FOEXP cookie`: option 254 with its magic number.
    FastOpenExperimental(Vec<u8>),
    /// Another option that the stack sent: its kind and what follows.
    Other(u8, Vec<u8>),
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpSpec {
    /// Payload bytes.
    pub len: u16,
}

/// An ICMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpSpec {
    /// Type byte.
    pub kind: u8,
    /// Code byte.
    pub code: u8,
    /// `mtu n`.
    pub mtu: Option<u32>,
    /// `id n` of an echo.
    pub echo_id: Option<u16>,
    /// Of which packet it speaks.
    pub echoed: Echoed,
}

/// The packet inside an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echoed {
    /// A TCP segment: sequence number and payload bytes.
    Tcp(u32, u16),
    /// A UDP datagram of so many bytes.
    Udp(u16),
    /// None: the message is so many bytes in all.
    Raw(u16),
}
