//! Why a frame cannot be read.

/// The header that cannot be what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// Less than an Ethernet header, or a tag without its end.
    #[error("the frame is shorter than its Ethernet header")]
    EthernetShort,
    /// Less than an ARP packet for Ethernet and IPv4, or one of other lengths.
    #[error("the ARP packet is not one for Ethernet and IPv4")]
    Arp,
    /// Less than 20 bytes of IPv4, or less than its options.
    #[error("the IPv4 header is cut")]
    Ipv4Short,
    /// Another version, or a header of less than 20 bytes.
    #[error("the IPv4 header's version or length cannot be")]
    Ipv4Header,
    /// The total length is less than the header or more than the frame.
    #[error("the IPv4 total length does not fit header and frame")]
    Ipv4TotalLength,
    /// Less than 40 bytes of IPv6, or another version.
    #[error("the IPv6 header is cut, or of another version")]
    Ipv6Header,
    /// The payload length is more than the frame.
    #[error("the IPv6 payload length does not fit the frame")]
    Ipv6Length,
    /// An extension header is cut, or there are too many.
    #[error("an IPv6 extension header is cut, or there are too many of them")]
    Ipv6Extension,
    /// Less than 20 bytes of TCP, or a data offset beyond the segment.
    #[error("the TCP header is cut, or its data offset cannot be")]
    Tcp,
    /// Less than 8 bytes of UDP, or a length that does not fit.
    #[error("the UDP header is cut, or its length is not that of the packet")]
    Udp,
    /// Less than 8 bytes of ICMP.
    #[error("the ICMP header is cut")]
    Icmp,
}
