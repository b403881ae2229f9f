//! Messages over UDP sockets of the operating system: a datagram is a message, with its number in front.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::Context;
use rustix::event::PollFlags;

use super::load::{Carrier, Echo, Load};
use super::ready;

/// The longest message: what IPv4 takes with its own header and UDP's.
pub const SIZE_MAX: u32 = 65_507;

/// See the module.
pub struct Client {
    sockets: Vec<UdpSocket>,
    message: Vec<u8>,
    buffer: Vec<u8>,
    /// The socket that is looked at first.
    next: usize,
}

impl Client {
    /// Opens the sockets.
    ///
    /// # Errors
    /// The system refuses one.
    pub fn new(server: SocketAddr, from: Option<IpAddr>, load: &Load) -> anyhow::Result<Self> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => [0, 0, 0, 0].into(),
            SocketAddr::V6(_) => [0_u16; 8].into(),
        };
        let open = |_| {
            let socket = UdpSocket::bind((from.unwrap_or(any), 0))?;
            socket.connect(server)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let sockets: std::io::Result<Vec<UdpSocket>> = (0..load.flows).map(open).collect();
        Ok(Self {
            sockets: sockets.with_context(|| format!("cannot send to {server}"))?,
            message: vec![0x5a; load.size],
            buffer: vec![0; load.size],
            next: 0,
        })
    }

    /// The next datagram of any socket.
    fn look(&mut self) -> anyhow::Result<Option<Echo>> {
        for _ in 0..self.sockets.len() {
            let flow = self.next;
            match self.sockets[flow].recv(&mut self.buffer) {
                Ok(len) => {
                    let number = self.buffer[..len].first_chunk().copied();
                    let number = number.map(u64::from_le_bytes);
                    return Ok(Some(Echo { flow, number: number.or(Some(u64::MAX)) }));
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
                {
                    self.next = (self.next + 1) % self.sockets.len();
                }
                Err(error) => return Err(error).context("the server does not answer"),
            }
        }
        Ok(None)
    }
}

impl Carrier for Client {
    fn send(&mut self, flow: usize, number: u64) -> anyhow::Result<bool> {
        self.message[..8].copy_from_slice(&number.to_le_bytes());
        match self.sockets[flow].send(&self.message) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("the server does not answer"),
        }
    }

    fn recv(&mut self, until: Option<Instant>) -> anyhow::Result<Option<Echo>> {
        loop {
            if let Some(echo) = self.look()? {
                return Ok(Some(echo));
            }
            let Some(until) = until.filter(|until| Instant::now() < *until) else {
                return Ok(None);
            };
            let fds: Vec<_> = self.sockets.iter().map(|s| (s.as_fd(), PollFlags::IN)).collect();
            ready::wait(&fds, Some(until))?;
        }
    }

    fn loses(&self) -> bool {
        true
    }
}

/// Sends back what comes, on `local`, for ever.
///
/// # Errors
/// The address cannot be listened on.
pub fn serve(local: SocketAddr, spin: bool, listening: impl Fn(SocketAddr)) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(local).with_context(|| format!("cannot listen on {local}"))?;
    socket.set_nonblocking(spin)?;
    listening(socket.local_addr()?);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match socket.recv_from(&mut buffer) {
            // A full buffer of the system's loses it, as the network might.
            Ok((len, from)) => drop(socket.send_to(&buffer[..len], from)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            // What an earlier answer ran into, or a signal.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
