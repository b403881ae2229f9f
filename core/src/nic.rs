//! The edge to the network: frames, their metadata, and the trait that every backend implements.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// The most segments of NIC memory that one [`Frame`] may chain.
pub const SEGMENTS_MAX: usize = 20;
/// Header parsing needs this many bytes (or the whole frame, if shorter) in the first segment.
pub const HEADER_CONTIGUOUS: usize = 128;
/// The longest super-segment, headers included: what a 16-bit IP length and an Ethernet header can say.
pub const SUPER_FRAME_MAX: usize = 65_535 + 18;
/// The most frames one burst moves.
pub const BURST_MAX: usize = 64;
/// The most NIC queues one engine drives, the built-in loopback included.
pub const INTERFACES_MAX: usize = 8;

/// The number of an interface within its engine. Every frame, neighbour entry and route carries one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IfIndex(pub u8);

impl IfIndex {
    /// The engine's built-in loopback, for flows between two addresses of this host.
    pub const LOOPBACK: Self = Self(0);

    /// Getter: as an index into per-interface arrays.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An Ethernet (EUI-48) address.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All hosts on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Getter: true for group addresses, broadcast included (the I/G bit of IEEE 802).
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl core::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What the hardware found out about the transport checksum of a received frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: the stack checks it.
    #[default]
    Unknown,
    /// Correct, or never left memory (a partial checksum from a local peer).
    Verified,
    /// Wrong: the stack drops and counts the frame.
    Bad,
}

/// How a super-segment is to be cut, or was put together (`gso_type` of virtio_net_hdr).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GsoType {
    /// An ordinary frame.
    #[default]
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
}

/// The fields of virtio_net_hdr, for both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The kind of super-segment.
    pub gso_type: GsoType,
    /// Payload bytes of each resulting segment; meaningful only with a `gso_type`.
    pub gso_size: u16,
    /// Bytes of Ethernet, IP and TCP header in front of the payload.
    pub hdr_len: u16,
    /// Where the transport header begins; meaningful only with `needs_csum`.
    pub csum_start: u16,
    /// Where the checksum field lies, from `csum_start`.
    pub csum_offset: u16,
    /// The checksum field holds the pseudo-header sum only; the NIC completes it.
    pub needs_csum: bool,
}

impl Offload {
    /// Getter: receive: payload bytes of each of the TCP segments that the NIC joined (LRO), but for the last, which may have fewer; 0
    /// where the frame is a single one.
    #[inline(always)]
    pub const fn joined_size(&self) -> u16 {
        match self.gso_type {
            GsoType::None => 0,
            GsoType::TcpV4 | GsoType::TcpV6 => self.gso_size,
        }
    }
}

/// One metadata block per frame, whatever the number of its segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// Receive: what is known of the transport checksum.
    pub rx_checksum: RxChecksum,
    /// Segmentation and checksum work left to, or done by, the NIC.
    pub offload: Offload,
    /// The 802.1Q tag control information that the NIC stripped or shall insert.
    pub vlan_tci: Option<u16>,
    /// Receive: the RSS (Toeplitz) hash, zero where the NIC computes none.
    pub rss_hash: u32,
}

/// A frame in the NIC's own memory: a chain of 1 to [`SEGMENTS_MAX`] segments and one metadata block.
///
/// Dropping a frame returns its memory to the NIC that made it.
pub trait Frame: Sized {
    /// Getter: the metadata.
    fn meta(&self) -> &FrameMeta;
    /// Command: change the metadata.
    fn meta_mut(&mut self) -> &mut FrameMeta;
    /// Getter: how many segments the chain has; at least 1.
    fn segment_count(&self) -> usize;
    /// Getter: the bytes of segment `index` (< `segment_count`).
    fn segment(&self, index: usize) -> &[u8];
    /// Command: write segment `index`.
    fn segment_mut(&mut self, index: usize) -> &mut [u8];
    /// Command: shorten the frame to `len` bytes in total; a longer `len` changes nothing.
    fn truncate(&mut self, len: usize);

    /// Getter: bytes in all segments together.
    fn len(&self) -> usize {
        (0..self.segment_count()).map(|i| self.segment(i).len()).sum()
    }

    /// Getter: true when there is no byte in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What frames look like on this link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Ethernet II headers, neighbour resolution.
    Ethernet,
    /// Bare IP datagrams (tun).
    Ip,
}

/// What a backend can do. Constant for the life of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicCaps {
    /// Link layer.
    pub medium: Medium,
    /// Address of the interface; zero for [`Medium::Ip`].
    pub mac: MacAddr,
    /// Largest IP datagram in bytes.
    pub mtu: u16,
    /// Most frames one `rx_burst` or `tx_burst` moves, at most [`BURST_MAX`].
    pub burst: u16,
    /// Most segments a transmitted frame may chain, 1 where the backend cannot chain.
    pub tx_segments: u8,
    /// The NIC completes TCP and UDP checksums (`Offload::needs_csum`).
    pub tx_checksum: bool,
    /// The NIC reports `RxChecksum::Verified` or `Bad`.
    pub rx_checksum: bool,
    /// Longest super-segment it cuts (TSO/GSO), headers included; 0 for none.
    pub tso_bytes_max: u32,
    /// It may deliver super-segments (LRO/GRO).
    pub lro: bool,
    /// It fills `rss_hash`.
    pub rss: bool,
    /// It strips and inserts VLAN tags.
    pub vlan: bool,
}

/// What a sleeping driver has to watch for this NIC. A plain number: the core does no I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitSource {
    /// A file descriptor that becomes readable when a frame has arrived.
    Fd(i32),
    /// It must be polled.
    Poll,
    /// The driver knows by other means (the simulator's event queue, the loopback).
    Driver,
}

/// One queue of a network interface: batches of owned frames, no closures and no one-packet tokens.
///
/// Call order: any. No method blocks.
pub trait Nic {
    /// A frame in this NIC's memory.
    type Frame: Frame;

    /// Getter: what it can do.
    fn caps(&self) -> &NicCaps;
    /// Getter: true while the link has carrier.
    fn link_up(&self) -> bool;
    /// Output: appends up to `max` received frames to `out`, returns how many.
    fn rx_burst(&mut self, out: &mut Vec<Self::Frame>, max: usize) -> usize;
    /// Command: a frame of `len` bytes to be written. `None` when memory is exhausted or `len` is
    /// more than the NIC sends. The bytes are unspecified: the caller writes each one.
    fn alloc(&mut self, len: usize) -> Option<Self::Frame>;
    /// Input: sends a prefix of `frames`, removing what was accepted; the rest stays with the caller.
    /// Returns how many were accepted.
    fn tx_burst(&mut self, frames: &mut VecDeque<Self::Frame>) -> usize;
    /// Getter: what to sleep on.
    fn wait_source(&self) -> WaitSource;
}
