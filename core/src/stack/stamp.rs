//! IP_TOS, IP_TTL, DF and what they are called in IPv6: written into a packet that is complete otherwise. Nearly no socket
//! sets them, so the ways on which packets are made know only the defaults.

use core::net::IpAddr;

use crate::nic::Frame;
use crate::tcp::{Config, Connection};
use crate::udp::UdpSocket;
use crate::wire::checksum::{finish, fold};
use crate::wire::ipv4::IPV4_HEADER_LEN;

/// ECN's two bits (RFC 3168 §5), which are the machine's.
const ECN_MASK: u8 = 0b11;
/// The sequence number of the TCP segment behind the header.
const SEQ: core::ops::Range<usize> = IPV4_HEADER_LEN + 4..IPV4_HEADER_LEN + 8;
/// In the byte of the flags.
const DONT_FRAGMENT: u8 = 0x40;
/// Where the checksum lies in an IPv4 header.
const CHECKSUM: core::ops::Range<usize> = 10..12;

/// What a socket's packets say differently.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    traffic_class: u8,
    hops: Option<u8>,
    /// DF is cleared (IPv4).
    may_be_cut: bool,
}

impl Stamp {
    /// `None` where the socket is content with the defaults.
    #[inline]
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        Self::new(connection.config(), connection.may_be_cut())
    }

    #[inline]
    fn new(config: &Config, may_be_cut: bool) -> Option<Self> {
        let (traffic_class, hops) = (config.traffic_class(), config.hops());
        (traffic_class != 0 || hops.is_some() || may_be_cut).then_some(Self {
            traffic_class,
            hops,
            may_be_cut,
        })
    }

    /// `None` where a UDP socket is content with the defaults for datagrams to `remote`.
    pub(super) fn of_udp(udp: &UdpSocket, remote: IpAddr) -> Option<Self> {
        let (traffic_class, hops) = (udp.traffic_class(remote), udp.hops(remote));
        let set = traffic_class != 0 || hops.is_some();
        set.then_some(Self { traffic_class, hops, may_be_cut: false })
    }

    /// Writes it into the packet behind `link_len` bytes of link header.
    pub(super) fn put<F: Frame>(&self, frame: &mut F, link_len: usize) {
        let Some(packet) = frame.segment_mut(0).get_mut(link_len..) else { return };
        match packet.first().map(|byte| byte >> 4) {
            Some(4) => self.put_ipv4(packet),
            Some(6) => self.put_ipv6(packet),
            Some(_) | None => {}
        }
    }

    fn put_ipv4(&self, packet: &mut [u8]) {
        // Whoever puts pieces together must tell those of one segment from those of another (RFC 791 §3.2): they differ in where
        // they begin, and what is sent again is the same again.
        let seq = packet.get(SEQ).unwrap_or(&[0; 4]);
        let identification = [seq[0] ^ seq[2], seq[1] ^ seq[3]];
        let Some(header) = packet.first_chunk_mut::<IPV4_HEADER_LEN>() else { return };
        header[1] = self.traffic_class | (header[1] & ECN_MASK);
        header[8] = self.hops.unwrap_or(header[8]);
        if self.may_be_cut {
            header[4..6].copy_from_slice(&identification);
            header[6] &= !DONT_FRAGMENT;
        }
        header[CHECKSUM].fill(0);
        let words = header.chunks_exact(2);
        let sum = words.map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum();
        let checksum = finish(fold(sum));
        header[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    }

    fn put_ipv6(&self, packet: &mut [u8]) {
        let Some(header) = packet.first_chunk_mut::<8>() else { return };
        let class = self.traffic_class | ((header[0] << 4 | header[1] >> 4) & ECN_MASK);
        header[0] = (header[0] & 0xf0) | class >> 4;
        header[1] = (header[1] & 0x0f) | class << 4;
        header[7] = self.hops.unwrap_or(header[7]);
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::port::SocketOption;
    use crate::socket::MtuDiscover;
    use crate::tcp::SharedConfig;
    use crate::testing::FramePool;
    use crate::wire::IpProtocol;
    use crate::wire::ipv4::Ipv4Header;
    use crate::wire::ipv6::Ipv6Header;

    fn stamp(options: &[SocketOption]) -> Option<Stamp> {
        let mut config = SharedConfig::default();
        options.iter().for_each(|option| config.set(*option).unwrap());
        Stamp::new(&config, config.mtu_discover().may_be_cut())
    }

    #[test]
    fn class_and_hops_are_written_and_the_checksum_is_right_again() {
        let mut frame = FramePool::default().alloc(54).unwrap();
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let header = Ipv4Header::new(src, dst, IpProtocol::TCP, 20);
        Ipv4Header { traffic_class: 0b10, ..header }.emit(&mut frame.segment_mut(0)[14..]);
        frame.segment_mut(0)[14 + 6] |= DONT_FRAGMENT;
        let all = [
            SocketOption::Ipv4Tos(0xff),
            SocketOption::Ipv4Ttl(3),
            SocketOption::MtuDiscover(MtuDiscover::Omit),
        ];
        stamp(&all).unwrap().put(&mut frame, 14);
        let (header, _) = Ipv4Header::parse(&frame.segment(0)[14..]).unwrap();
        assert!(!header.dont_fragment);
        assert_eq!(
            (header.traffic_class, header.ttl),
            (0b1111_1110, 3),
            "ECN is not the application's"
        );
        assert!(stamp(&[SocketOption::NoDelay(true)]).is_none());
    }

    #[test]
    fn in_an_ipv6_header_they_lie_elsewhere() {
        let mut frame = FramePool::default().alloc(60).unwrap();
        let header = Ipv6Header::new(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, IpProtocol::TCP, 20);
        Ipv6Header { traffic_class: 0b01, ..header }.emit(frame.segment_mut(0));
        let all = [SocketOption::Ipv6TrafficClass(0xa8), SocketOption::Ipv6UnicastHops(3)];
        stamp(&all).unwrap().put(&mut frame, 0);
        let (header, _) = Ipv6Header::parse(frame.segment(0)).unwrap();
        assert_eq!((header.traffic_class, header.hop_limit), (0xa9, 3));
    }
}
