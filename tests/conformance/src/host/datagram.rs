//! Datagram sockets (UDP).

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use causeway_core::error::EndReason;
use causeway_core::port::{Completion, Op, SocketId, StreamId};

use super::ancillary::Beside;
use super::call::{CallResult, Destination, Received, Reply};
use super::errno::Errno;
use super::errors::QueuedError;
use super::file::{File, News, Values};
use super::host::Host;
use super::stream::{shown, unmapped};

/// The longest payload (IPv4).
const PAYLOAD_MAX: usize = 65_507;

/// A datagram that was not read.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    offset: u64,
    len: u32,
    from: SocketAddr,
    beside: Beside,
}

/// What lies in front of the application.
#[derive(Debug)]
pub(super) struct Inbox {
    arrived: VecDeque<Arrived>,
    /// SO_ERROR: told once.
    pub(super) error: Option<Errno>,
    /// What ICMP said (IP_RECVERR), newest last.
    pub(super) errors: VecDeque<QueuedError>,
    news: News,
}

/// A UDP socket.
#[derive(Debug)]
pub(super) struct UdpFile {
    pub(super) v6: bool,
    pub(super) nonblocking: bool,
    pub(super) bound: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    /// The stack's socket, made when it gets an address.
    opened: Option<(SocketId, StreamId)>,
    pub(super) values: Values,
    shut_read: bool,
    shut_write: bool,
    /// What MSG_MORE holds back, and for whom.
    held: Vec<u8>,
    held_to: Option<SocketAddr>,
}

impl UdpFile {
    pub(super) fn new(v6: bool, nonblocking: bool) -> Self {
        Self {
            v6,
            nonblocking,
            bound: None,
            peer: None,
            opened: None,
            values: Values::default(),
            shut_read: false,
            shut_write: false,
            held: Vec::new(),
            held_to: None,
        }
    }

    /// Getter: the stack's socket.
    pub(super) fn opened(&self) -> Option<SocketId> {
        self.opened.map(|(socket, _)| socket)
    }

    /// Getter: whether the stack knows of it.
    pub(super) const fn is_open(&self) -> bool {
        self.opened.is_some()
    }
}

impl Host {
    pub(super) fn udp(&mut self, fd: i32) -> Result<&mut UdpFile, Errno> {
        match self.file(fd)? {
            File::Udp(udp) => Ok(udp),
            File::Tcp(_) | File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => {
                Err(Errno::ENOTSOCK)
            }
        }
    }

    /// Input: a datagram lies in a socket's ring.
    pub(super) fn absorb_datagram(
        &mut self,
        socket: SocketId,
        (offset, len): (u64, u32),
        from: SocketAddr,
    ) {
        let own = Beside::of_own(from.ip(), self.now());
        let beside = self.coming.unwrap_or(own);
        if let Some(inbox) = self.inboxes.get_mut(&socket) {
            inbox.arrived.push_back(Arrived { offset, len, from, beside });
            inbox.news.input += 1;
        }
    }

    /// Input: ICMP says that what a connected socket sent was not taken.
    pub(super) fn absorb_refusal(&mut self, socket: SocketId, reason: EndReason) {
        let Some(error) = Errno::of_end(reason, false) else { return };
        let recverr = |udp: &UdpFile| {
            udp.values.flag((libc::IPPROTO_IP, libc::IP_RECVERR))
                || udp.values.flag((libc::IPPROTO_IPV6, libc::IPV6_RECVERR))
        };
        let file = self.files.iter().flatten().find_map(|file| match file {
            File::Udp(udp) if udp.opened.is_some_and(|(own, _)| own == socket) => Some(udp),
            _ => None,
        });
        let queued = file.filter(|udp| recverr(udp)).and_then(|udp| udp.peer);
        if let Some(inbox) = self.inboxes.get_mut(&socket) {
            inbox.error = Some(error);
            inbox.errors.extend(queued.and_then(|peer| QueuedError::of_icmp(reason, error, peer)));
            inbox.news.state += 1;
        }
    }

    fn open_udp(&mut self, fd: i32, local: SocketAddr) -> Result<(SocketId, StreamId), Errno> {
        let udp = self.udp(fd)?;
        if let Some(opened) = udp.opened {
            return Ok(opened);
        }
        let values = udp.values.clone();
        let (tx_limit, window) = self.ring_sizes(&values);
        let port = self.machine.engine.port_mut();
        (port.tx_limit, port.window) = (tx_limit, window);
        match self.ask(Op::BindUdp { local }) {
            Some(Completion::Bound { socket, stream, local, .. }) => {
                let inbox = Inbox {
                    arrived: VecDeque::new(),
                    error: None,
                    errors: VecDeque::new(),
                    news: News::default(),
                };
                self.inboxes.insert(socket, inbox);
                let udp = self.udp(fd)?;
                (udp.opened, udp.bound) = (Some((socket, stream)), Some(local));
                self.tell_udp_options(socket, &values)?;
                Ok((socket, stream))
            }
            Some(Completion::Failed { error, .. }) => Err(error.into()),
            _ => Err(Errno::EIO),
        }
    }

    pub(super) fn bind_udp(&mut self, fd: i32, address: SocketAddr) -> CallResult {
        let udp = self.udp(fd)?;
        if address.is_ipv6() != udp.v6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        let address = unmapped(address);
        if udp.is_open() {
            return Err(Errno::EINVAL);
        }
        self.open_udp(fd, address)?;
        Ok(Reply::Number(0))
    }

    pub(super) fn connect_udp(&mut self, fd: i32, address: Option<SocketAddr>) -> CallResult {
        let remote = address.map(unmapped);
        let udp = self.udp(fd)?;
        if remote.is_some_and(|remote| remote.is_ipv6() && !udp.v6) {
            return Err(Errno::EAFNOSUPPORT);
        }
        if remote.is_none() && !udp.is_open() {
            return Ok(Reply::Number(0));
        }
        let (socket, _) = self.open_udp(fd, any(remote))?;
        match self.ask(Op::ConnectUdp { socket, remote }) {
            Some(Completion::Bound { .. }) => {
                self.udp(fd)?.peer = remote;
                Ok(Reply::Number(0))
            }
            Some(Completion::Failed { error, .. }) => Err(error.into()),
            _ => Err(Errno::EIO),
        }
    }

    /// One datagram. What MSG_MORE held back goes in front.
    pub(super) fn send_udp(
        &mut self,
        fd: i32,
        bytes: &[u8],
        flags: i32,
        to: Destination,
    ) -> Result<usize, Errno> {
        if flags & libc::MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let mtu = self.mtu;
        let udp = self.udp(fd)?;
        if to == Destination::Unspecified && !udp.v6 {
            // The family is taken for AF_INET, and the port is none (udp_sendmsg).
            return Err(Errno::EINVAL);
        }
        let to = to.address().map(unmapped).or(udp.held_to);
        let remote = to.or(udp.peer).ok_or(Errno::EDESTADDRREQ)?;
        if remote.is_ipv6() && !udp.v6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        if remote.port() == 0 {
            return Err(Errno::EINVAL);
        }
        if udp.shut_write {
            return Err(Errno::EPIPE);
        }
        let len = udp.held.len() + bytes.len();
        let headers = if remote.is_ipv4() { 28 } else { 48 };
        let whole = udp.values.never_fragments() && len + headers > usize::from(mtu);
        if len > PAYLOAD_MAX || whole {
            udp.held.clear();
            return Err(Errno::EMSGSIZE);
        }
        if let Some((socket, _)) = udp.opened
            && let Some(error) = self.inboxes.get_mut(&socket).and_then(|inbox| inbox.error.take())
        {
            return Err(error);
        }
        let udp = self.udp(fd)?;
        if flags & libc::MSG_MORE != 0 {
            udp.held.extend_from_slice(bytes);
            udp.held_to = to;
            return Ok(bytes.len());
        }
        let mut datagram = std::mem::take(&mut udp.held);
        udp.held_to = None;
        datagram.extend_from_slice(bytes);
        self.transmit_udp(fd, &datagram, to, remote)?;
        Ok(bytes.len())
    }

    fn transmit_udp(
        &mut self,
        fd: i32,
        datagram: &[u8],
        to: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Result<(), Errno> {
        let (socket, stream) = self.open_udp(fd, any(Some(remote)))?;
        let rings = self.machine.engine.port_mut().rings(stream);
        if rings.tx_room() < datagram.len() as u64 {
            return Err(Errno::EAGAIN);
        }
        let offset = rings.tx_end();
        rings.write(datagram);
        let len = u32::try_from(datagram.len()).map_err(|_| Errno::EMSGSIZE)?;
        self.tell(Op::SendDatagram { socket, offset, len, remote: to })?;
        Ok(())
    }

    pub(super) fn receive_udp(&mut self, fd: i32, len: usize, flags: i32) -> CallResult {
        let udp = self.udp(fd)?;
        let (v6, shut) = (udp.v6, udp.shut_read);
        if flags & libc::MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let Some((socket, stream)) = udp.opened else { return Err(Errno::EAGAIN) };
        let inbox = self.inboxes.get_mut(&socket).ok_or(Errno::EIO)?;
        if flags & libc::MSG_ERRQUEUE != 0 {
            let error = inbox.errors.pop_front().ok_or(Errno::EAGAIN)?;
            return Ok(error.received());
        }
        if let Some(error) = inbox.error.take() {
            return Err(error);
        }
        let Some(Arrived { offset, len: whole, from, beside }) = inbox.arrived.front().copied()
        else {
            return if shut {
                Ok(Reply::Received(0, Received::default()))
            } else {
                Err(Errno::EAGAIN)
            };
        };
        let rings = self.machine.engine.port_mut().rings(stream);
        let skip = (offset - rings.rx_consumed()) as usize;
        let whole = whole as usize;
        let mut bytes = rings.read(skip + whole, true);
        bytes.drain(..skip);
        if flags & libc::MSG_PEEK == 0 {
            // An empty datagram takes a byte of the ring.
            rings.read(skip + whole.max(1), false);
            if let Some(inbox) = self.inboxes.get_mut(&socket) {
                inbox.arrived.pop_front();
            }
            self.tell(Op::Kick { socket })?;
        }
        let cut = whole > len;
        bytes.truncate(len);
        let count = if flags & libc::MSG_TRUNC != 0 { whole } else { bytes.len() };
        let received = Received {
            bytes,
            from: Some(shown(from, v6)),
            flags: if cut { libc::MSG_TRUNC } else { 0 },
            control: beside.control(&self.udp(fd)?.values, v6),
        };
        Ok(Reply::Received(count as i64, received))
    }

    pub(super) fn udp_readiness(&mut self, fd: i32) -> Result<u32, Errno> {
        let udp = self.udp(fd)?;
        let (shut_read, both) = (udp.shut_read, udp.shut_read && udp.shut_write);
        let mut events = (libc::EPOLLOUT | libc::EPOLLWRNORM) as u32;
        let inbox = udp.opened.and_then(|(socket, _)| self.inboxes.get(&socket));
        let readable = inbox.is_some_and(|inbox| !inbox.arrived.is_empty());
        let failed = inbox.is_some_and(|inbox| inbox.error.is_some() || !inbox.errors.is_empty());
        if readable || shut_read {
            events |= (libc::EPOLLIN | libc::EPOLLRDNORM) as u32;
        }
        for (so, bit) in
            [(failed, libc::EPOLLERR), (shut_read, libc::EPOLLRDHUP), (both, libc::EPOLLHUP)]
        {
            events |= if so { bit as u32 } else { 0 };
        }
        Ok(events)
    }

    pub(super) fn udp_news(&self, udp: &UdpFile) -> News {
        let inbox = udp.opened.and_then(|(socket, _)| self.inboxes.get(&socket));
        inbox.map_or_else(News::default, |inbox| inbox.news)
    }

    /// SIOCINQ is the length of the next datagram, SIOCOUTQ what was not sent.
    pub(super) fn udp_waiting(&mut self, fd: i32, inbound: bool) -> Result<u64, Errno> {
        let Some((socket, stream)) = self.udp(fd)?.opened else { return Ok(0) };
        if !inbound {
            return Ok(self.machine.engine.port_mut().rings(stream).tx_queued());
        }
        let next = self.inboxes.get(&socket).and_then(|inbox| inbox.arrived.front());
        Ok(next.map_or(0, |arrived| u64::from(arrived.len)))
    }

    pub(super) fn shutdown_udp(&mut self, fd: i32, read: bool, write: bool) -> CallResult {
        let udp = self.udp(fd)?;
        if udp.peer.is_none() {
            return Err(Errno::ENOTCONN);
        }
        udp.shut_read |= read;
        udp.shut_write |= write;
        Ok(Reply::Number(0))
    }

    /// SO_ERROR, taken.
    pub(super) fn udp_error(&mut self, fd: i32) -> Result<i32, Errno> {
        let opened = self.udp(fd)?.opened;
        let inbox = opened.and_then(|(socket, _)| self.inboxes.get_mut(&socket));
        Ok(inbox.and_then(|inbox| inbox.error.take()).map_or(0, |error| error.0))
    }

    pub(super) fn close_udp(&mut self, udp: &UdpFile) -> Result<(), Errno> {
        if let Some((socket, _)) = udp.opened {
            self.inboxes.remove(&socket);
            self.tell(Op::Close { socket })?;
        }
        Ok(())
    }
}

/// Where a socket that was never bound is bound to.
fn any(remote: Option<SocketAddr>) -> SocketAddr {
    let ip = match remote {
        Some(SocketAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Some(SocketAddr::V4(_)) | None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}
