//! The kernel's network devices and their addresses, from rtnetlink(7): of our own network namespace, whatever /sys shows.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Somebody has set it up.
    pub up: bool,
    /// It has carrier.
    pub running: bool,
    /// The kernel's addresses on it.
    pub addresses: Vec<IpAddr>,
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// NLM_F_REQUEST | NLM_F_DUMP.
const DUMP: u16 = 0x301;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFF_UP: u32 = 1;
const IFF_RUNNING: u32 = 0x40;
/// struct nlmsghdr, struct ifinfomsg, struct ifaddrmsg.
const HEADER: usize = 16;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;

/// Output: every device of our network namespace.
pub fn links() -> io::Result<Vec<Link>> {
    let mut links: BTreeMap<u32, Link> = BTreeMap::new();
    dump(RTM_GETLINK, &mut |kind, body| {
        let Some((head, rest)) = body.split_at_checked(IFINFOMSG).filter(|_| kind == RTM_NEWLINK)
        else {
            return;
        };
        let (index, flags) = (word(&head[4..8]), word(&head[8..12]));
        let mut link =
            Link { up: flags & IFF_UP != 0, running: flags & IFF_RUNNING != 0, ..Link::default() };
        for (kind, value) in attributes(rest) {
            match kind {
                IFLA_IFNAME => {
                    link.name = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned();
                }
                IFLA_MTU => link.mtu = word(value),
                _ => {}
            }
        }
        links.insert(index, link);
    })?;
    dump(RTM_GETADDR, &mut |kind, body| {
        let Some((head, rest)) = body.split_at_checked(IFADDRMSG).filter(|_| kind == RTM_NEWADDR)
        else {
            return;
        };
        let of = |wanted| attributes(rest).into_iter().find(|(kind, _)| *kind == wanted);
        // On a link between two hosts IFA_ADDRESS is the other one's.
        let address = of(IFA_LOCAL).or_else(|| of(IFA_ADDRESS)).and_then(|(_, value)| ip(value));
        if let (Some(address), Some(link)) = (address, links.get_mut(&word(&head[4..8]))) {
            link.addresses.push(address);
        }
    })?;
    Ok(links.into_values().collect())
}

fn dump(question: u16, each: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    // Protocol 0 is NETLINK_ROUTE.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, None)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(5)))?;
    let mut request = vec![0; HEADER + IFINFOMSG];
    let len = request.len() as u32;
    request[..4].copy_from_slice(&len.to_ne_bytes());
    request[4..6].copy_from_slice(&question.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    rustix::net::send(&socket, &request, SendFlags::empty())?;
    let mut bytes = vec![0; 64 << 10];
    loop {
        let (len, _) = rustix::net::recv(&socket, &mut bytes[..], RecvFlags::empty())?;
        let mut rest = &bytes[..len];
        while rest.len() >= HEADER {
            let message = (word(&rest[..4]) as usize).clamp(HEADER, rest.len());
            match half(&rest[4..6]) {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return Err(io::Error::other("the kernel tells no devices")),
                kind => each(kind, &rest[HEADER..message]),
            }
            rest = &rest[message.next_multiple_of(4).min(rest.len())..];
        }
    }
}

/// The attributes of a message: each a length with this header, a kind, and bytes.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let len = usize::from(half(&bytes[..2])).clamp(4, bytes.len());
        found.push((half(&bytes[2..4]), &bytes[4..len]));
        bytes = &bytes[len.next_multiple_of(4).min(bytes.len())..];
    }
    found
}

fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |four| u32::from_ne_bytes(*four))
}

fn half(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |two| u16::from_ne_bytes(*two))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_found_in_every_namespace() {
        let links = links().unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        assert!(lo.mtu >= 16_384, "{lo:?}");
        assert!(!lo.up || lo.addresses.contains(&"127.0.0.1".parse().unwrap()), "{lo:?}");
    }

    #[test]
    fn attributes_that_lie_about_their_length_end_with_the_message() {
        let mut bytes = Vec::new();
        bytes.extend(6_u16.to_ne_bytes());
        bytes.extend(3_u16.to_ne_bytes());
        bytes.extend(b"ab\0\0");
        bytes.extend(900_u16.to_ne_bytes());
        bytes.extend(4_u16.to_ne_bytes());
        bytes.push(7);
        assert_eq!(attributes(&bytes), [(3, &b"ab"[..]), (4, &[7][..])]);
        assert_eq!(attributes(&[0; 8]), [(0, &[][..]), (0, &[][..])]);
    }
}
