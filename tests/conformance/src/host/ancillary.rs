//! What comes beside the bytes of a datagram: when it came, where to, and what its IP header said.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_core::time::Instant;

use super::call::ControlMessage;
use super::file::Values;
use super::values::{IP, IPV6, SOCKET};

/// The host's interface, as programs number it: 1 is loopback.
const INTERFACE: i32 = 2;

/// Of one datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    at: Instant,
    to: IpAddr,
    traffic_class: u8,
    hops: u8,
}

impl Beside {
    /// What a datagram from the wire, from its IP header on, says at `at`. `None` for what is none.
    pub(super) fn of(packet: &[u8], at: Instant) -> Option<Self> {
        Some(match packet.first()? >> 4 {
            4 => {
                let header = packet.first_chunk::<20>()?;
                let to = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
                Self { at, to: to.into(), traffic_class: header[1], hops: header[8] }
            }
            6 => {
                let header = packet.first_chunk::<40>()?;
                let to: [u8; 16] = *header[24..].first_chunk()?;
                let traffic_class = header[0] << 4 | header[1] >> 4;
                Self { at, to: Ipv6Addr::from(to).into(), traffic_class, hops: header[7] }
            }
            _ => return None,
        })
    }

    /// What one that never was on the wire says: a host talks to itself, at its own address `to`, with the defaults.
    pub(super) const fn of_own(to: IpAddr, at: Instant) -> Self {
        Self { at, to, traffic_class: 0, hops: 64 }
    }

    /// Ancillary data for a socket with these options, in the kernel's order.
    pub(super) fn control(&self, values: &Values, v6: bool) -> Vec<ControlMessage> {
        let mut out: Vec<_> = stamp(values, self.at).into_iter().collect();
        let mut put = |level, asked, kind, data: Vec<u8>| {
            if values.flag((level, asked)) {
                out.push(ControlMessage { level, kind, data });
            }
        };
        let number = |byte: u8| i32::from(byte).to_ne_bytes().to_vec();
        let interface = INTERFACE.to_ne_bytes();
        if v6 {
            let to = match self.to {
                IpAddr::V4(to) => to.to_ipv6_mapped(),
                IpAddr::V6(to) => to,
            };
            let info = to.octets().into_iter().chain(interface).collect();
            put(IPV6, libc::IPV6_RECVPKTINFO, libc::IPV6_PKTINFO, info);
        }
        match self.to {
            IpAddr::V4(to) => {
                let (own, to) = (to.octets(), to.octets());
                let info = interface.into_iter().chain(own).chain(to).collect();
                put(IP, libc::IP_PKTINFO, libc::IP_PKTINFO, info);
                put(IP, libc::IP_RECVTTL, libc::IP_TTL, number(self.hops));
                put(IP, libc::IP_RECVTOS, libc::IP_TOS, vec![self.traffic_class]);
            }
            IpAddr::V6(_) => {
                put(IPV6, libc::IPV6_RECVHOPLIMIT, libc::IPV6_HOPLIMIT, number(self.hops));
                put(IPV6, libc::IPV6_RECVTCLASS, libc::IPV6_TCLASS, number(self.traffic_class));
            }
        }
        out
    }
}

/// SO_TIMESTAMP or SO_TIMESTAMPNS: when what is read came.
pub(super) fn stamp(values: &Values, at: Instant) -> Option<ControlMessage> {
    let nanos = at.as_nanos();
    let (kind, fraction) = if values.flag((SOCKET, libc::SO_TIMESTAMPNS)) {
        (libc::SO_TIMESTAMPNS, nanos % 1_000_000_000)
    } else if values.flag((SOCKET, libc::SO_TIMESTAMP)) {
        (libc::SO_TIMESTAMP, nanos % 1_000_000_000 / 1_000)
    } else {
        return None;
    };
    let data = [nanos / 1_000_000_000, fraction].into_iter().flat_map(u64::to_ne_bytes);
    Some(ControlMessage { level: SOCKET, kind, data: data.collect() })
}
