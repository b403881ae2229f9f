//! `struct virtio_net_hdr`: what the kernel says of a frame's checksum and segments, and what it is told.

use causeway_core::nic::{GsoType, Offload};

/// Bytes of the header.
pub const VNET_HDR_LEN: usize = 10;

/// `VIRTIO_NET_HDR_F_*`.
const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
/// `VIRTIO_NET_HDR_GSO_*`.
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// May stand beside the two of TCP: the first segment alone has CWR.
const GSO_ECN: u8 = 0x80;

/// Where TCP's flags lie in its header, and CWR among them (RFC 9293 §3.1).
const TCP_FLAGS_AT: usize = 13;
const TCP_CWR: u8 = 0x80;
/// Where TCP's header length lies.
const TCP_OFFSET_AT: usize = 12;

/// What a received frame is a whole of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// An ordinary frame.
    No,
    /// Segments of TCP.
    Tcp(GsoType),
    /// Datagrams of UDP with one header (`UDP_SEGMENT`).
    Udp,
    /// Something else, which nobody has asked for.
    Unknown,
}

/// The header of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VnetHeader {
    /// Whether, and of what, the frame was put together.
    pub joined: Joined,
    /// Payload bytes of each of its segments.
    pub gso_size: u16,
    /// Where the transport header begins; meaningful with `needs_csum`.
    pub csum_start: u16,
    /// Where the checksum lies from there.
    pub csum_offset: u16,
    /// The checksum is partial: the frame comes from this machine.
    pub needs_csum: bool,
    /// Somebody has checked the checksum.
    pub data_valid: bool,
}

impl VnetHeader {
    /// Input: as the kernel wrote it, in the machine's byte order (the legacy form of virtio).
    pub fn decode(bytes: [u8; VNET_HDR_LEN]) -> Self {
        let [flags, gso_type, rest @ ..] = bytes;
        let field = |at: usize| u16::from_ne_bytes([rest[at], rest[at + 1]]);
        let joined = match gso_type & !GSO_ECN {
            GSO_NONE => Joined::No,
            GSO_TCPV4 => Joined::Tcp(GsoType::TcpV4),
            GSO_TCPV6 => Joined::Tcp(GsoType::TcpV6),
            GSO_UDP_L4 => Joined::Udp,
            _ => Joined::Unknown,
        };
        Self {
            joined,
            gso_size: field(2),
            csum_start: field(4),
            csum_offset: field(6),
            needs_csum: flags & NEEDS_CSUM != 0,
            data_valid: flags & DATA_VALID != 0,
        }
    }

    /// Output: the same in the words of the `Nic` trait, for a frame that is handed on as it is. The length of the headers is read
    /// from the frame: the kernel's is that of its first piece of memory.
    pub fn offload(&self, frame: &[u8]) -> Offload {
        let gso_type = match self.joined {
            Joined::Tcp(gso_type) => gso_type,
            Joined::No | Joined::Udp | Joined::Unknown => GsoType::None,
        };
        let joined = gso_type != GsoType::None;
        let tcp_len = || {
            let words = frame.get(usize::from(self.csum_start) + TCP_OFFSET_AT).map(|b| b >> 4);
            u16::from(words.unwrap_or(0)) * 4
        };
        Offload {
            gso_type,
            gso_size: if joined { self.gso_size } else { 0 },
            hdr_len: if joined { self.csum_start.saturating_add(tcp_len()) } else { 0 },
            csum_start: if self.needs_csum { self.csum_start } else { 0 },
            csum_offset: if self.needs_csum { self.csum_offset } else { 0 },
            needs_csum: self.needs_csum,
        }
    }
}

/// Output: what the kernel is told of a frame to be sent.
pub fn encode(offload: &Offload, frame: &[u8]) -> [u8; VNET_HDR_LEN] {
    let Offload { gso_type, gso_size, hdr_len, csum_start, csum_offset, needs_csum } = *offload;
    let mut header = [0; VNET_HDR_LEN];
    if !needs_csum {
        // Without a partial checksum nothing can be cut.
        return header;
    }
    header[0] = NEEDS_CSUM;
    let kind = match gso_type {
        GsoType::None => GSO_NONE,
        GsoType::TcpV4 => GSO_TCPV4,
        GsoType::TcpV6 => GSO_TCPV6,
    };
    let mut put = |at: usize, field: u16| {
        header[at..at + 2].copy_from_slice(&field.to_ne_bytes());
    };
    put(6, csum_start);
    put(8, csum_offset);
    if kind != GSO_NONE {
        put(2, hdr_len);
        put(4, gso_size);
        let flags = frame.get(usize::from(csum_start) + TCP_FLAGS_AT).copied().unwrap_or(0);
        header[1] = kind | if flags & TCP_CWR != 0 { GSO_ECN } else { 0 };
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPER: Offload = Offload {
        gso_type: GsoType::TcpV4,
        gso_size: 1_448,
        hdr_len: 66,
        csum_start: 34,
        csum_offset: 16,
        needs_csum: true,
    };

    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 3_000];
        frame[34 + TCP_OFFSET_AT] = 8 << 4;
        frame
    }

    #[test]
    fn what_is_told_of_a_super_segment_comes_back() {
        for (gso_type, joined) in [
            (GsoType::TcpV4, Joined::Tcp(GsoType::TcpV4)),
            (GsoType::TcpV6, Joined::Tcp(GsoType::TcpV6)),
            (GsoType::None, Joined::No),
        ] {
            let told = Offload { gso_type, ..SUPER };
            let header = VnetHeader::decode(encode(&told, &frame()));
            assert_eq!(header.joined, joined);
            let plain = Offload { gso_size: 0, hdr_len: 0, ..told };
            let expected = if gso_type == GsoType::None { plain } else { told };
            assert_eq!(header.offload(&frame()), expected);
        }
    }

    #[test]
    fn a_frame_with_a_whole_checksum_asks_for_nothing() {
        let told = Offload { needs_csum: false, ..SUPER };
        assert_eq!(encode(&told, &frame()), [0; VNET_HDR_LEN]);
        let header = VnetHeader::decode([0; VNET_HDR_LEN]);
        assert_eq!(header.offload(&frame()), Offload::default());
    }

    #[test]
    fn a_super_segment_that_reduces_its_window_says_so_once() {
        let mut frame = frame();
        assert_eq!(encode(&SUPER, &frame)[1], GSO_TCPV4);
        frame[34 + TCP_FLAGS_AT] = TCP_CWR;
        let header = encode(&SUPER, &frame);
        assert_eq!(header[1], GSO_TCPV4 | GSO_ECN);
        assert_eq!(VnetHeader::decode(header).joined, Joined::Tcp(GsoType::TcpV4));
    }

    #[test]
    fn kinds_that_nobody_asked_for_are_told_apart() {
        for gso_type in [2, 3, 6, 0x7f] {
            let mut bytes = [0; VNET_HDR_LEN];
            bytes[1] = gso_type;
            assert_eq!(VnetHeader::decode(bytes).joined, Joined::Unknown, "{gso_type}");
        }
        // The transport header may lie behind the end of what there is.
        let mut bytes = encode(&SUPER, &frame());
        bytes[6..8].copy_from_slice(&u16::MAX.to_ne_bytes());
        assert_eq!(VnetHeader::decode(bytes).offload(&frame()).hdr_len, u16::MAX);
    }
}
