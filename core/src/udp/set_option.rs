//! Socket options of UDP: what the IP headers of datagrams say.

use core::net::IpAddr;

use super::socket::UdpSocket;
use crate::error::CommandError;
use crate::port::SocketOption;

/// What an application has set, for each family: a socket of IPv6 that sends to mapped addresses has both. Zero: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct IpFields {
    ipv4_tos: u8,
    ipv4_ttl: u8,
    ipv6_traffic_class: u8,
    ipv6_hops: u8,
}

impl UdpSocket {
    /// Command: sets an option, for the datagrams that leave from now on.
    ///
    /// # Errors
    /// [`CommandError::WrongState`] for options that a UDP socket does not have.
    pub fn set_option(&mut self, option: SocketOption) -> Result<(), CommandError> {
        option.check()?;
        match option {
            SocketOption::Ipv4Tos(tos) => self.fields.ipv4_tos = tos,
            SocketOption::Ipv4Ttl(ttl) => self.fields.ipv4_ttl = ttl,
            SocketOption::Ipv6TrafficClass(class) => self.fields.ipv6_traffic_class = class,
            SocketOption::Ipv6UnicastHops(hops) => self.fields.ipv6_hops = hops,
            SocketOption::NoDelay(_)
            | SocketOption::Cork(_)
            | SocketOption::QuickAck(_)
            | SocketOption::MaxSegment(_)
            | SocketOption::KeepAlive(_)
            | SocketOption::KeepIdle(_)
            | SocketOption::KeepInterval(_)
            | SocketOption::KeepCount(_)
            | SocketOption::UserTimeout(_)
            | SocketOption::SynCount(_)
            | SocketOption::Linger2(_)
            | SocketOption::Linger(_)
            | SocketOption::Congestion(_)
            | SocketOption::NotSentLowWater(_)
            | SocketOption::WindowClamp(_)
            | SocketOption::DeferAccept(_)
            | SocketOption::ReceiveBuffer(_)
            | SocketOption::SendBuffer(_)
            | SocketOption::MaxPacingRate(_)
            | SocketOption::FastOpen(_)
            | SocketOption::FastOpenConnect(_)
            | SocketOption::FastOpenNoCookie(_)
            | SocketOption::OobInline(_)
            | SocketOption::More(_)
            | SocketOption::ReuseAddress(_)
            | SocketOption::ReusePort(_)
            | SocketOption::MtuDiscover(_) => return Err(CommandError::WrongState),
        }
        Ok(())
    }

    /// Getter: the whole byte, ECN bits included, of datagrams to `remote`.
    pub const fn traffic_class(&self, remote: IpAddr) -> u8 {
        match remote {
            IpAddr::V4(_) => self.fields.ipv4_tos,
            IpAddr::V6(_) => self.fields.ipv6_traffic_class,
        }
    }

    /// Getter: time to live or hop limit of datagrams to `remote`, where the application has set one.
    pub const fn hops(&self, remote: IpAddr) -> Option<u8> {
        let hops = match remote {
            IpAddr::V4(_) => self.fields.ipv4_ttl,
            IpAddr::V6(_) => self.fields.ipv6_hops,
        };
        if hops == 0 { None } else { Some(hops) }
    }
}
