//! Where the parts of a TCP segment lie in a frame: what faults of links and middleboxes change.

/// A whole TCP segment over IPv4 or IPv6 in a frame, without a VLAN tag, fragments and extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The version of IP: 4 or 6.
    pub version: u8,
    /// Where the TCP header begins.
    pub tcp: usize,
    /// Where the payload begins.
    pub payload: usize,
    /// One past the payload.
    pub end: usize,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// The lower eight flags.
    pub flags: u8,
}

/// Where the IP header begins.
pub const IP: usize = 14;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Place {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push: the application is to be told.
    pub const PSH: u8 = 0x08;
    /// Acknowledgement.
    pub const ACK: u8 = 0x10;

    /// Getter: the segment of a frame, if it is one.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (version, tcp, end) = match u16_at(bytes, 12)? {
            0x0800 => {
                let first = *bytes.get(IP)?;
                let fragment = u16_at(bytes, IP + 6)? & 0x3fff;
                let is_tcp = first >> 4 == 4 && bytes.get(IP + 9) == Some(&6) && fragment == 0;
                let tcp = IP + usize::from(first & 15) * 4;
                is_tcp.then_some((4, tcp, IP + usize::from(u16_at(bytes, IP + 2)?)))?
            }
            0x86dd => {
                let is_tcp = bytes.get(IP + 6) == Some(&6);
                is_tcp.then_some((6, IP + 40, IP + 40 + usize::from(u16_at(bytes, IP + 4)?)))?
            }
            _ => return None,
        };
        let payload = tcp + usize::from(bytes.get(tcp + 12)? >> 4) * 4;
        if payload < tcp + 20 || payload > end || end > bytes.len() {
            return None;
        }
        Some(Self {
            version,
            tcp,
            payload,
            end,
            ports: (u16_at(bytes, tcp)?, u16_at(bytes, tcp + 2)?),
            seq: u32_at(bytes, tcp + 4)?,
            ack: u32_at(bytes, tcp + 8)?,
            flags: *bytes.get(tcp + 13)?,
        })
    }

    /// Getter: bytes of payload.
    pub const fn payload_len(&self) -> usize {
        self.end - self.payload
    }

    /// Getter: it acknowledges, and does nothing else.
    pub const fn is_pure_ack(&self) -> bool {
        let others = Self::SYN | Self::FIN | Self::RST;
        self.payload_len() == 0 && self.flags & (others | Self::ACK) == Self::ACK
    }

    /// Getter: `other` is of the same direction of the same connection. Each of the two segments comes with its frame.
    pub fn same_flow(&self, frame: &[u8], (other, bytes): (&Self, &[u8])) -> bool {
        let addresses = if self.version == 4 { IP + 12..IP + 20 } else { IP + 8..IP + 40 };
        (self.version, self.ports) == (other.version, other.ports)
            && frame[addresses.clone()] == bytes[addresses]
    }

    /// Getter: the sequence number behind the segment.
    pub fn next_seq(&self) -> u32 {
        let controls =
            u32::from(self.flags & Self::SYN != 0) + u32::from(self.flags & Self::FIN != 0);
        self.seq.wrapping_add(self.payload_len() as u32).wrapping_add(controls)
    }
}
