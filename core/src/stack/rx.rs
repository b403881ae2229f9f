//! From a frame to its protocol: link layer, IP, and who may talk to whom.

use core::net::{IpAddr, SocketAddr};

use super::composition::{Link, Stack};
use super::icmp_out::Complaint;
use crate::event::{DropReason, Event};
use crate::ip::{is_martian_destination, is_martian_source};
use crate::nic::{Frame, IfIndex, Medium, RxChecksum};
use crate::planted::{self, Bug};
use crate::port::AppPort;
use crate::socket::FourTuple;
use crate::time::Instant;
use crate::wire::ethernet::{EtherType, EthernetHeader};
use crate::wire::ipv4::{BadOption, Ipv4Header, PROTOCOL_AT};
use crate::wire::{IpProtocol, VlanTag, WireError};

/// What the layers below the transport found out about a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) now: Instant,
    /// Where it came from: a link-local address means something on this link only.
    pub(super) interface: IfIndex,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) ttl: u8,
    pub(super) ecn: u8,
    /// Where the IP header begins in the frame.
    pub(super) ip_at: usize,
    /// Where the transport header begins in the frame.
    pub(super) at: usize,
    /// Bytes from there to the end of the datagram; padding is behind.
    pub(super) len: usize,
    /// The NIC, or memory, vouches for the transport checksum.
    pub(super) verified: bool,
    /// Payload bytes of each of the TCP segments that the NIC joined; 0 where it joined none.
    pub(super) gso_size: u16,
}

impl Packet {
    /// The tuple of the connection that it belongs to, seen from here.
    pub(super) fn tuple(&self, local_port: u16, remote_port: u16) -> FourTuple {
        let local = SocketAddr::from((self.dst, local_port));
        FourTuple::new(local, SocketAddr::from((self.src, remote_port)))
    }

    /// The bytes of the transport header, and what of its payload lies in the first segment.
    pub(super) fn contiguous<'a, F: Frame>(&self, frame: &'a F) -> &'a [u8] {
        let head = frame.segment(0);
        head.get(self.at..head.len().min(self.at + self.len)).unwrap_or(&[])
    }
}

impl Link {
    /// The type of what a frame carries, and where that begins, if the frame is in this interface's VLAN. `stripped` is the tag
    /// that the NIC took out; else one may stand in the frame, at `at`. A tag of VLAN 0 carries a priority only (IEEE 802.1Q
    /// §6.9).
    fn untag(
        &self,
        stripped: Option<u16>,
        ethertype: EtherType,
        head: &[u8],
        at: usize,
    ) -> Result<(EtherType, usize), DropReason> {
        let (tci, ethertype, at) = match stripped {
            None if ethertype == EtherType::VLAN => {
                let (tag, len) = VlanTag::parse(&head[at..])?;
                (tag.tci, tag.ethertype, at + len)
            }
            stripped => (stripped.unwrap_or(0), ethertype, at),
        };
        let id = VlanTag { tci, ethertype }.vlan_id();
        let ours = id == self.vlan.unwrap_or(0) || planted::is(Bug::AnyVlan);
        if ours { Ok((ethertype, at)) } else { Err(DropReason::NotOurs) }
    }
}

impl From<WireError> for DropReason {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated | WireError::Malformed => Self::Malformed,
            WireError::Checksum => Self::Checksum,
            WireError::Unsupported => Self::Protocol,
        }
    }
}

impl Stack {
    /// Input: frames that arrived on `interface`. They stay with the caller; what is needed of them is copied into the
    /// application's rings. A frame that cannot be right is dropped and counted, with its reason in the events.
    pub fn handle_rx<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        frames: &[F],
        port: &mut P,
    ) {
        let link = self.links[interface.index()];
        let mut rest = frames;
        loop {
            rest = &rest[self.take_run(now, interface, &link, rest, port)..];
            let Some((frame, others)) = rest.split_first() else { return };
            rest = others;
            self.stats.rx_frames += 1;
            self.stats.rx_bytes += frame.len() as u64;
            if let Err(reason) = self.handle_frame(now, interface, frame, port) {
                self.count_drop(now, interface, reason);
            }
        }
    }

    #[cold]
    fn count_drop(&mut self, now: Instant, interface: IfIndex, reason: DropReason) {
        self.stats.drops.count(reason);
        self.events.push(now, Event::Dropped { interface, reason });
    }

    #[inline(never)]
    fn handle_frame<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        frame: &F,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let link = self.links[interface.index()];
        let head = frame.segment(0);
        if link.medium == Medium::Ip {
            return match head.first().map(|byte| byte >> 4) {
                Some(4) => self.handle_ipv4(now, interface, frame, 0, false, port),
                Some(6) => self.handle_ipv6(now, interface, frame, 0, false, port),
                Some(_) => Err(DropReason::Protocol),
                None => Err(DropReason::Malformed),
            };
        }
        let (ethernet, at) = EthernetHeader::parse(head)?;
        let group = ethernet.dst.is_multicast();
        if ethernet.dst != link.mac && !group {
            return Err(DropReason::NotOurs);
        }
        let (ethertype, at) = link.untag(frame.meta().vlan_tci, ethernet.ethertype, head, at)?;
        match ethertype {
            EtherType::IPV4 => self.handle_ipv4(now, interface, frame, at, group, port),
            EtherType::IPV6 => self.handle_ipv6(now, interface, frame, at, group, port),
            EtherType::ARP => self.handle_arp(now, interface, &head[at..]),
            // All other protocols are not for us.
            _ => Err(DropReason::Protocol),
        }
    }

    fn handle_ipv4<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        frame: &F,
        ip_at: usize,
        group: bool,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let (ip, header_len, bad_option) =
            Ipv4Header::parse_past_options(&frame.segment(0)[ip_at..], frame.len() - ip_at)?;
        // A NIC that calls a datagram of such a peer bad is right, and not asked: `handle_udp` sums again and counts.
        let overlooked = || ip.protocol == IpProtocol::UDP && self.overlooks_checksums_of(ip.src);
        // Of a fragment no NIC can know: its checksum covers the whole.
        let judged = !ip.is_fragment() && !overlooked();
        if frame.meta().rx_checksum == RxChecksum::Bad && judged && !planted::is(Bug::NicUnheard) {
            return Err(DropReason::Checksum);
        }
        self.check_addresses(interface, &ip, group)?;
        let packet = Packet {
            now,
            interface,
            src: IpAddr::V4(ip.src),
            dst: IpAddr::V4(ip.dst),
            ttl: ip.ttl,
            ecn: ip.ecn(),
            ip_at,
            at: ip_at + header_len,
            len: usize::from(ip.payload_len),
            verified: frame.meta().rx_checksum == RxChecksum::Verified
                || (planted::is(Bug::HashIsBelieved) && frame.meta().rss_hash != 0),
            gso_size: frame.meta().offload.joined_size(),
        };
        if let Some(bad) = bad_option {
            return Err(self.refuse_option(frame, &packet, &ip, bad));
        }
        if ip.is_fragment() {
            return self.handle_fragment_v4(frame, &packet, &ip, port);
        }
        self.deliver(frame, &packet, ip.protocol, port)
    }

    /// A whole IPv4 datagram to its protocol.
    pub(super) fn deliver<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        protocol: IpProtocol,
        port: &mut P,
    ) -> Result<(), DropReason> {
        match protocol {
            IpProtocol::TCP => self.handle_tcp(frame, packet, port),
            IpProtocol::UDP => self.handle_udp(frame, packet, port),
            IpProtocol::ICMP => self.handle_icmp(frame, packet, port),
            protocol => {
                let at = PROTOCOL_AT;
                self.complain(frame, packet, protocol, Complaint::ProtocolUnreachable { at });
                Err(DropReason::Protocol)
            }
        }
    }

    /// A source route is refused without a word (RFC 7126 §4.3); of a length that cannot be the sender is told (RFC 1122
    /// §3.2.2.5).
    fn refuse_option<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        ip: &Ipv4Header,
        bad: BadOption,
    ) -> DropReason {
        if bad.error == WireError::Malformed && ip.fragment_offset == 0 {
            let complaint = Complaint::ParameterProblem { at: bad.at };
            self.complain(frame, packet, ip.protocol, complaint);
        }
        bad.error.into()
    }

    /// RFC 1122 §3.2.1.3: which sources and destinations may appear, and RFC 1122 §3.3.6: a datagram for one host
    /// that came by link-layer broadcast is dropped.
    fn check_addresses(
        &self,
        interface: IfIndex,
        ip: &Ipv4Header,
        group: bool,
    ) -> Result<(), DropReason> {
        let loopback = interface == IfIndex::LOOPBACK;
        let (src, dst) = (IpAddr::V4(ip.src), IpAddr::V4(ip.dst));
        // Nobody else on a link has an address of ours, and everybody on the loopback has.
        if is_martian_source(src, loopback)
            || is_martian_destination(dst, loopback)
            || self.routing.is_directed_broadcast(src)
            || (loopback != self.is_local(src) && !planted::is(Bug::LandTaken))
        {
            return Err(DropReason::Martian);
        }
        // No transport of ours has a use for broadcasts.
        let group = group && !planted::is(Bug::BroadcastForUs);
        let ours = self.is_local(dst) || planted::is(Bug::ForAnybody);
        if group || !ours { Err(DropReason::NotOurs) } else { Ok(()) }
    }
}
