//! TCP_SAVED_SYN: the headers of the SYN that a connection began with.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::errno::Errno;
use super::file::{File, Role};
use super::host::Host;
use super::values::TCP;

/// SYNs that are kept until their connections come.
const SYNS_MAX: usize = 1_024;

const FLAGS_AT: usize = 13;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// The SYNs that came while a listener asked for them (TCP_SAVE_SYN), the newest last.
#[derive(Debug, Default)]
pub(super) struct Syns(VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>);

impl Syns {
    /// Input: a datagram from the wire.
    fn note(&mut self, packet: &[u8]) {
        let Some((remote, local, headers)) = syn(packet) else { return };
        self.take(remote, local);
        if self.0.len() >= SYNS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((remote, local, headers.to_vec()));
    }

    /// Output: the one that a connection began with.
    pub(super) fn take(&mut self, remote: SocketAddr, local: SocketAddr) -> Option<Vec<u8>> {
        let is = |entry: &(SocketAddr, SocketAddr, _)| (entry.0, entry.1) == (remote, local);
        let index = self.0.iter().position(is)?;
        self.0.remove(index).map(|(_, _, headers)| headers)
    }
}

/// Sender, receiver and headers of a SYN; `None` for whatever else.
fn syn(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (from, to, at, protocol) = match packet.first()? >> 4 {
        4 => {
            let header = packet.first_chunk::<20>()?;
            let address = |at: usize| {
                Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3])
            };
            (address(12).into(), address(16).into(), usize::from(header[0] & 15) * 4, header[9])
        }
        6 => {
            let header = packet.first_chunk::<40>()?;
            let address = |at: usize| Some(Ipv6Addr::from(*header[at..].first_chunk::<16>()?));
            (address(8)?.into(), address(24)?.into(), 40, header[6])
        }
        _ => return None,
    };
    let tcp = packet.get(at..)?.first_chunk::<20>()?;
    if i32::from(protocol) != libc::IPPROTO_TCP || tcp[FLAGS_AT] & (SYN | ACK) != SYN {
        return None;
    }
    let headers = packet.get(..at + usize::from(tcp[12] >> 4) * 4)?;
    let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    Some((SocketAddr::new(from, port(0)), SocketAddr::new(to, port(2)), headers))
}

impl Host {
    /// Input: a datagram from the wire, before the stack sees it.
    pub(super) fn note_syn(&mut self, packet: &[u8]) {
        let asks = |file: &File| match file {
            File::Tcp(tcp) => {
                matches!(tcp.role, Role::Listener { .. })
                    && tcp.values.flag((TCP, libc::TCP_SAVE_SYN))
            }
            File::Udp(_) | File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => false,
        };
        if self.files.iter().flatten().any(asks) {
            self.syns.note(packet);
        }
    }

    /// TCP_SAVED_SYN: told once. Too little room is an error, and it stays.
    pub(super) fn saved_syn(&mut self, fd: i32, len: usize) -> Result<Vec<u8>, Errno> {
        let Role::Stream { socket } = self.tcp(fd)?.role else { return Ok(Vec::new()) };
        let Some(endpoint) = self.endpoints.get_mut(&socket) else { return Ok(Vec::new()) };
        match &endpoint.saved_syn {
            Some(syn) if syn.len() > len => Err(Errno::EINVAL),
            Some(_) => Ok(endpoint.saved_syn.take().unwrap_or_default()),
            None => Ok(Vec::new()),
        }
    }
}
