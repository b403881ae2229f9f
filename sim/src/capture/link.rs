//! What stands in front of an IP packet in a capture.

/// The kind of link header, of those that LINKTYPE_ numbers name (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// 1: Ethernet.
    Ethernet,
    /// 101, and 12 and 14 of older systems, 228, 229: IP without anything in front.
    Raw,
    /// 113: Linux "cooked".
    Sll,
    /// 276: the same, version 2.
    Sll2,
    /// 0 and 108: the loopback of BSD; four bytes name the family.
    Null,
    /// Another one.
    Unknown(u16),
}

/// EtherTypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
/// 802.1Q, 802.1ad and what switches used before that.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// More tags than anybody nests.
const TAGS_MAX: usize = 4;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried<'a> {
    /// What begins as an IP packet should.
    Ip(&'a [u8]),
    /// ARP.
    Arp,
    /// Another protocol.
    Other,
    /// The link header is cut.
    Cut,
    /// A link header that is not read.
    Unknown(u16),
}

impl LinkKind {
    /// The kind with this LINKTYPE_ number.
    pub const fn of(number: u16) -> Self {
        match number {
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::Sll,
            276 => Self::Sll2,
            0 | 108 => Self::Null,
            other => Self::Unknown(other),
        }
    }

    /// Getter: what is in a frame of this kind.
    pub(super) fn carried(self, frame: &[u8]) -> Carried<'_> {
        let unwrapped = match self {
            Self::Raw => Some((IPV4, frame)),
            Self::Ethernet => ether(frame, 12, 14),
            // Packet type, ARPHRD, address and its length; then the protocol.
            Self::Sll => ether(frame, 14, 16),
            // The protocol comes first.
            Self::Sll2 => ether(frame, 0, 20),
            Self::Null => frame.get(4..).map(|rest| (IPV4, rest)),
            Self::Unknown(number) => return Carried::Unknown(number),
        };
        match unwrapped {
            None => Carried::Cut,
            // The version says which it is, wherever nobody else does.
            Some((IPV4 | IPV6, packet)) => Carried::Ip(packet),
            Some((ARP, _)) => Carried::Arp,
            Some(_) => Carried::Other,
        }
    }
}

/// The protocol that stands at `at`, and what follows the header of `len` bytes; tags between them are passed over.
fn ether(frame: &[u8], at: usize, len: usize) -> Option<(u16, &[u8])> {
    let half = |bytes: &[u8], at: usize| {
        let two = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_be_bytes(two))
    };
    let mut protocol = half(frame, at)?;
    let mut rest = frame.get(len..)?;
    for _ in 0..TAGS_MAX {
        if !TAGS.contains(&protocol) {
            break;
        }
        protocol = half(rest, 2)?;
        rest = &rest[4..];
    }
    Some((protocol, rest))
}
