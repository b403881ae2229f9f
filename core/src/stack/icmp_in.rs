//! ICMP errors that come in, of either family: whose packet they quote, whether they are to be believed, and what
//! follows (RFC 1122 §3.2.2, RFC 4443 §2.4, RFC 5927).

use core::net::{IpAddr, SocketAddr};

use super::composition::Stack;
use super::datagram::ip_header_len;
use super::sock::Kind;
use crate::error::{CommandError, EndReason};
use crate::ip::PMTU_MIN_V4;
use crate::nic::IfIndex;
use crate::planted::{self, Bug};
use crate::port::{AppPort, Completion, SocketId};
use crate::socket::{FourTuple, MtuDiscover};
use crate::tcp::{IcmpError, SeqNumber};
use crate::time::Instant;
use crate::wire::icmpv4::{CODE_FRAGMENTATION_NEEDED, Icmpv4Header, QuotedPacket};
use crate::wire::tcp::TCP_HEADER_LEN;
use crate::wire::{IpProtocol, icmpv4};

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The packet did not arrive.
    Lost(IcmpError),
    /// The packet is too big for a link that carries `mtu` bytes; 0 when the router does not say.
    TooBig { mtu: u32 },
}

impl News {
    /// What an ICMP message of IPv4 says; `None` for what is no error that concerns a transport. Hard and soft are told
    /// apart as RFC 1122 §4.2.3.9 and, for the later codes, RFC 1812 §5.2.7.1 have it.
    pub(super) const fn of_icmpv4(header: Icmpv4Header) -> Option<Self> {
        use IcmpError::{Hard, Soft};
        let error = match header {
            Icmpv4Header::Unreachable { code: CODE_FRAGMENTATION_NEEDED, next_hop_mtu } => {
                return Some(Self::TooBig { mtu: next_hop_mtu as u32 });
            }
            Icmpv4Header::Unreachable { code, .. } => match code {
                0 | 5 | 11 => Soft(EndReason::NoRoute),
                1 | 12 => Soft(EndReason::HostUnreachable),
                icmpv4::CODE_PROTOCOL_UNREACHABLE | icmpv4::CODE_PORT_UNREACHABLE => {
                    Hard(EndReason::Refused)
                }
                6 | 9 => Hard(EndReason::NoRoute),
                7 | 8 | 10 | 13..=15 => Hard(EndReason::HostUnreachable),
                _ => return None,
            },
            Icmpv4Header::TimeExceeded { .. } | Icmpv4Header::ParameterProblem { .. } => {
                Soft(EndReason::HostUnreachable)
            }
            Icmpv4Header::EchoRequest { .. }
            | Icmpv4Header::EchoReply { .. }
            | Icmpv4Header::Other { .. } => return None,
        };
        Some(Self::Lost(error))
    }

    /// What an ICMP message of IPv6 says, by its type, code and the four bytes behind the checksum (RFC 4443 §3).
    pub(super) const fn of_icmpv6(kind: u8, code: u8, rest: u32) -> Option<Self> {
        use IcmpError::{Hard, Soft};
        Some(match (kind, code) {
            (1, 0) => Self::Lost(Soft(EndReason::NoRoute)),
            (1, 2 | 3) => Self::Lost(Soft(EndReason::HostUnreachable)),
            (1, 4) => Self::Lost(Hard(EndReason::Refused)),
            (1, 1 | 5 | 6) => Self::Lost(Hard(EndReason::HostUnreachable)),
            (2, _) => Self::TooBig { mtu: rest },
            (3, _) => Self::Lost(Soft(EndReason::HostUnreachable)),
            // "Unrecognized next header": nobody speaks that protocol there.
            (4, 1) => Self::Lost(Hard(EndReason::Refused)),
            (4, _) => Self::Lost(Soft(EndReason::HostUnreachable)),
            _ => return None,
        })
    }
}

/// The packet that an error quotes, as its sender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) protocol: IpProtocol,
    /// The local end is where the packet came from.
    pub(super) tuple: FourTuple,
    /// The four bytes behind the ports: TCP's sequence number, identifier and sequence number of an echo request.
    pub(super) rest: u32,
    /// The length that its IP header says, that header included.
    pub(super) len: u32,
}

impl From<QuotedPacket> for About {
    fn from(quoted: QuotedPacket) -> Self {
        let local = SocketAddr::from((quoted.src, quoted.src_port));
        let remote = SocketAddr::from((quoted.dst, quoted.dst_port));
        Self {
            protocol: quoted.protocol,
            tuple: FourTuple::new(local, remote),
            rest: quoted.seq,
            len: u32::from(quoted.total_len),
        }
    }
}

impl Stack {
    /// Input: an ICMP error. What it quotes must be a packet that a socket of ours has sent, as far as can be known;
    /// everything else is counted and changes nothing.
    pub(super) fn handle_icmp_news<P: AppPort>(
        &mut self,
        now: Instant,
        news: News,
        about: &About,
        port: &mut P,
    ) {
        let believed = self.is_local(about.tuple.local.address.ip())
            && match about.protocol {
                IpProtocol::TCP => self.tell_connection(now, news, about, port),
                IpProtocol::UDP => {
                    self.tell_flow(now, news, about, port)
                        || (!planted::is(Bug::RefusalsUntold)
                            && self.tell_udp_socket(now, news, about, port))
                }
                IpProtocol::ICMP | IpProtocol::ICMPV6 => self.tell_ping(news, about, port),
                _ => false,
            };
        if believed {
            self.stats.icmp_errors_in += 1;
        } else {
            self.stats.icmp_ignored += 1;
        }
    }

    fn tell_connection<P: AppPort>(
        &mut self,
        now: Instant,
        news: News,
        about: &About,
        port: &mut P,
    ) -> bool {
        let Some(id) = self.tcp.connection(&self.sockets, &about.tuple) else { return false };
        self.stats.socket_visits += 1;
        let seq = SeqNumber(about.rest);
        let mss_ip = match news {
            News::Lost(_) => None,
            News::TooBig { mtu } => match self.shrink_path(now, id, mtu, about) {
                Some(mss_ip) => Some(mss_ip),
                None => return false,
            },
        };
        let Some(socket) = self.sockets.get_mut(id) else { return false };
        let before = socket.tcp_state();
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return false };
        let believed = match (news, mss_ip) {
            (News::Lost(error), _) => connection.handle_icmp(seq, error),
            (News::TooBig { .. }, Some(mss_ip)) => {
                connection.handle_packet_too_big(now, seq, mss_ip)
            }
            (News::TooBig { .. }, None) => false,
        };
        self.settle(now, id, before, port);
        believed
    }

    /// A router dropped a segment of connection `id` for its size. Returns what TCP may put behind its bare header from
    /// now on, or `None` when the router is not believed.
    fn shrink_path(&mut self, now: Instant, id: SocketId, mtu: u32, about: &About) -> Option<u16> {
        let socket = self.sockets.get(id)?;
        let Kind::Tcp { connection, .. } = &socket.kind else { return None };
        let remote = socket.tuple.remote.address.ip();
        let current = self.path_mtu_now(now, socket.interface, remote);
        // RFC 5927 §7.2: neither a stranger's number nor a datagram that we could not have sent changes a path. It may be longer than
        // what the path is known to carry by now: sent before that, and late.
        let ours = connection.has_in_flight(SeqNumber(about.rest))
            && about.len <= self.link_mtu(socket.interface);
        if !ours {
            return None;
        }
        let headers = ip_header_len(remote) + TCP_HEADER_LEN;
        // However little of it the router quotes.
        let len = match connection.syn_data_len() {
            0 => about.len,
            data => about.len.max(headers as u32 + data),
        };
        let discover = connection.config().mtu_discover();
        let believes = discover.believes_icmp();
        // Who insists on DF keeps it.
        if discover == MtuDiscover::Want
            && remote.is_ipv4()
            && (1..u32::from(PMTU_MIN_V4)).contains(&mtu)
            && len > mtu
            && !planted::is(Bug::NeverCut)
            && let Some(socket) = self.sockets.get_mut(id)
            && let Kind::Tcp { connection, .. } = &mut socket.kind
        {
            connection.let_be_cut();
        }
        let mtu = self.paths.learn(now, remote, mtu, len, current)?;
        self.stats.path_mtus_lowered += 1;
        if !believes {
            // The path is known to whoever asks for it; this socket does not.
            return None;
        }
        Some(mtu.saturating_sub(headers as u16))
    }

    /// Getter: no packet that leaves there is longer.
    fn link_mtu(&self, interface: IfIndex) -> u32 {
        self.links[interface.index()].mtu.into()
    }

    fn path_mtu_now(&self, now: Instant, interface: IfIndex, remote: IpAddr) -> u16 {
        self.paths.peek(now, remote, self.links[interface.index()].mtu)
    }

    /// A flow carries no number that an ICMP error would have to know, so the hard kind ends it before it is established only.
    /// Its datagrams may be fragmented on the way: their size is nobody's trouble.
    fn tell_flow<P: AppPort>(
        &mut self,
        now: Instant,
        news: News,
        about: &About,
        port: &mut P,
    ) -> bool {
        let Some(id) = self.machnet.connection(&self.sockets, &about.tuple) else { return false };
        let Some(socket) = self.sockets.get_mut(id) else { return false };
        let Kind::Machnet { flow, .. } = &mut socket.kind else { return false };
        let News::Lost(IcmpError::Hard(reason)) = news else { return false };
        let believed = flow.refuse(reason);
        self.settle(now, id, None, port);
        believed
    }

    /// A connected UDP socket is told of the hard kind (RFC 1122 §4.1.3.3); nobody else can be meant for certain. Of the
    /// size of a path an IPv6 socket may be told: only there nobody else cuts datagrams.
    fn tell_udp_socket<P: AppPort>(
        &mut self,
        now: Instant,
        news: News,
        about: &About,
        port: &mut P,
    ) -> bool {
        let tuple = &about.tuple;
        match news {
            News::Lost(IcmpError::Soft(_)) => false,
            News::Lost(IcmpError::Hard(reason)) => {
                let Some(id) = self.udp.connection(&self.sockets, tuple) else { return false };
                let Some(socket) = self.sockets.get_mut(id) else { return false };
                let Kind::Udp(udp) = &mut socket.kind else { return false };
                let told = udp.refused();
                if told {
                    let refused = Completion::DatagramRefused { socket: id, reason };
                    port.complete(socket.channel, refused);
                }
                told
            }
            News::TooBig { mtu } => {
                let remote = tuple.remote.address.ip();
                let hop = self.next_hop(remote);
                let (Some(hop), Some(_)) = (hop, self.udp_socket(tuple)) else { return false };
                let current = self.path_mtu_now(now, hop.interface, remote);
                let ours = remote.is_ipv6() && about.len <= self.link_mtu(hop.interface);
                ours && self.paths.learn(now, remote, mtu, about.len, current).is_some()
            }
        }
    }

    fn tell_ping<P: AppPort>(&mut self, news: News, about: &About, port: &mut P) -> bool {
        let News::Lost(_) = news else { return false };
        let [identifier, sequence] = [(about.rest >> 16) as u16, about.rest as u16];
        let remote = about.tuple.remote.address.ip();
        let Some(ping) = self.pings.finish(identifier, sequence, remote) else { return false };
        let error = CommandError::NoRoute;
        port.complete(ping.channel, Completion::Failed { tag: ping.tag, error });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_both_families_are_hard_or_soft_as_their_rfcs_have_it() {
        let v4 = |code| News::of_icmpv4(Icmpv4Header::Unreachable { code, next_hop_mtu: 0 });
        let hard = |news| matches!(news, Some(News::Lost(IcmpError::Hard(_))));
        let soft = |news| matches!(news, Some(News::Lost(IcmpError::Soft(_))));
        for code in [2, 3, 6, 7, 8, 9, 10, 13, 14, 15] {
            assert!(hard(v4(code)), "{code}");
        }
        for code in [0, 1, 5, 11, 12] {
            assert!(soft(v4(code)), "{code}");
        }
        assert_eq!(v4(4), Some(News::TooBig { mtu: 0 }));
        assert_eq!(v4(16), None);
        assert!(soft(News::of_icmpv4(Icmpv4Header::TimeExceeded { code: 0 })));
        let quench = Icmpv4Header::Other { kind: 4, code: 0, rest: 0 };
        assert_eq!(News::of_icmpv4(quench), None);
        assert!(hard(News::of_icmpv6(1, 4, 0)) && hard(News::of_icmpv6(4, 1, 40)));
        assert!(soft(News::of_icmpv6(1, 0, 0)) && soft(News::of_icmpv6(3, 0, 0)));
        assert_eq!(News::of_icmpv6(2, 0, 1_280), Some(News::TooBig { mtu: 1_280 }));
        assert_eq!(News::of_icmpv6(128, 0, 0), None);
    }
}
