//! bind, listen, accept, connect, shutdown, close.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use causeway_core::port::{Completion, Op, SocketId, Transport};
use causeway_core::time::Duration;

use super::call::{CallResult, Progress, Reply};
use super::errno::Errno;
use super::file::{File, Role, TcpFile};
use super::host::Host;
use super::values::IP_LOCAL_PORT_RANGE;
use causeway_core::planted::{self, Bug};

/// An IPv4 address in IPv6's clothes is an IPv4 address to the stack.
pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What a socket of the family `v6` shows of an address.
pub(super) fn shown(address: SocketAddr, v6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if v6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

impl Host {
    pub(super) fn bind(&mut self, fd: i32, address: SocketAddr) -> CallResult {
        if let File::Udp(_) = self.file(fd)? {
            return self.bind_udp(fd, address);
        }
        let tcp = self.tcp(fd)?;
        if address.is_ipv6() != tcp.v6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        let address = unmapped(address);
        if tcp.bound.is_some() || !matches!(tcp.role, Role::Fresh) {
            return Err(Errno::EINVAL);
        }
        tcp.bound = Some(address);
        let known =
            address.ip().is_unspecified() || self.machine.engine.stack().is_local(address.ip());
        if !known {
            self.tcp(fd)?.bound = None;
            return Err(Errno::EADDRNOTAVAIL);
        }
        if self.is_taken(fd, address) {
            self.tcp(fd)?.bound = None;
            return Err(Errno::EADDRINUSE);
        }
        Ok(Reply::Number(0))
    }

    /// Another socket is bound to the same address and port, and one of the two does not share.
    fn is_taken(&mut self, fd: i32, address: SocketAddr) -> bool {
        let reuse = (libc::SOL_SOCKET, libc::SO_REUSEADDR);
        let shares =
            |tcp: &TcpFile| tcp.values.flag(reuse) && !matches!(tcp.role, Role::Listener { .. });
        let ours = self.tcp(fd).is_ok_and(|tcp| shares(tcp));
        let overlaps = |other: SocketAddr| {
            other.port() == address.port()
                && (other.ip() == address.ip()
                    || other.ip().is_unspecified()
                    || address.ip().is_unspecified())
        };
        let others = self.files.iter().enumerate().filter(|(i, _)| *i as i32 + 3 != fd);
        address.port() != 0
            && others.filter_map(|(_, file)| file.as_ref()).any(|file| match file {
                File::Tcp(tcp) => tcp.bound.is_some_and(overlaps) && !(ours && shares(tcp)),
                File::Udp(_) | File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => false,
            })
    }

    pub(super) fn listen(&mut self, fd: i32, backlog: i32) -> CallResult {
        let most = self.sysctl.somaxconn();
        let asked = u32::try_from(backlog).map_or(most, |backlog| backlog.min(most));
        let tcp = self.tcp(fd)?;
        match &mut tcp.role {
            Role::Listener { socket, backlog, .. } => {
                *backlog = asked;
                let listener = *socket;
                self.tell(Op::Backlog { listener, backlog: asked })?;
                return Ok(Reply::Number(0));
            }
            Role::Stream { .. } => return Err(Errno::EINVAL),
            Role::Fresh => {}
        }
        let unbound = SocketAddr::new(unspecified(tcp.v6), 0);
        let local = tcp.bound.unwrap_or(unbound);
        self.stage_options(fd)?;
        let answer = self.ask(Op::Listen { transport: Transport::Tcp, local, backlog: asked });
        match answer {
            Some(Completion::Listening { socket, local, .. }) => {
                let tcp = self.tcp(fd)?;
                tcp.bound = Some(local);
                tcp.role = Role::Listener { socket, queue: VecDeque::new(), backlog: asked };
                Ok(Reply::Number(0))
            }
            Some(Completion::Failed { error, .. }) => Err(error.into()),
            _ => Err(Errno::EIO),
        }
    }

    pub(super) fn accept(
        &mut self,
        fd: i32,
        flags: i32,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        match self.try_accept(fd, flags) {
            Err(Errno::EAGAIN) => match self.block(fd, 0) {
                None if self.timed_out(fd, libc::SO_RCVTIMEO, progress) => Some(Err(Errno::EAGAIN)),
                other => other,
            },
            result => Some(result),
        }
    }

    fn try_accept(&mut self, fd: i32, flags: i32) -> CallResult {
        let tcp = self.tcp(fd)?;
        let (v6, values) = (tcp.v6, tcp.values.clone());
        let Role::Listener { socket: listener, queue, .. } = &mut tcp.role else {
            return Err(Errno::EINVAL);
        };
        let (listener, socket) = (*listener, queue.pop_front().ok_or(Errno::EAGAIN)?);
        self.tell(Op::Accepted { listener, count: 1 })?;
        let remote = self.endpoints.get(&socket).map(|e| e.remote).ok_or(Errno::EIO)?;
        let mut tcp = TcpFile::new(v6, flags & libc::SOCK_NONBLOCK != 0);
        tcp.role = Role::Stream { socket };
        tcp.values = values;
        let accepted = self.install(File::Tcp(Box::new(tcp)))?;
        self.note_close_on_exec(accepted, flags & libc::SOCK_CLOEXEC != 0);
        Ok(Reply::Accepted(accepted, shown(remote, v6)))
    }

    /// The call waits, unless the descriptor or `flags` forbid it or its time is over.
    pub(super) fn block(&mut self, fd: i32, flags: i32) -> Option<CallResult> {
        let nonblocking = match self.file(fd) {
            Err(error) => return Some(Err(error)),
            Ok(File::Tcp(tcp)) => tcp.nonblocking,
            Ok(File::Udp(udp)) => udp.nonblocking,
            Ok(File::PipeRead(_, on) | File::PipeWrite(_, on)) => *on,
            Ok(File::Epoll(_)) => false,
        };
        if nonblocking || flags & libc::MSG_DONTWAIT != 0 {
            return Some(Err(Errno::EAGAIN));
        }
        None
    }

    pub(super) fn connect(
        &mut self,
        fd: i32,
        address: Option<SocketAddr>,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        match self.try_connect(fd, address, progress.begun) {
            Err(Errno::EINPROGRESS) if self.block(fd, 0).is_none() => {
                let expired = self.timed_out(fd, libc::SO_SNDTIMEO, progress);
                expired.then_some(Err(Errno::EINPROGRESS))
            }
            result => Some(result),
        }
    }

    fn try_connect(&mut self, fd: i32, address: Option<SocketAddr>, begun: bool) -> CallResult {
        if let File::Udp(_) = self.file(fd)? {
            return self.connect_udp(fd, address);
        }
        let tcp = self.tcp(fd)?;
        if let Some(error) = tcp.error.take() {
            return Err(error);
        }
        match tcp.role {
            Role::Listener { .. } => Err(Errno::EISCONN),
            Role::Stream { socket } => self.connect_again(fd, socket, address, begun),
            Role::Fresh => match address {
                Some(address) if address.is_ipv6() != tcp.v6 => Err(Errno::EAFNOSUPPORT),
                Some(address) => self.begin_connect(fd, unmapped(address)),
                None => Ok(Reply::Number(0)),
            },
        }
    }

    fn connect_again(
        &mut self,
        fd: i32,
        socket: SocketId,
        address: Option<SocketAddr>,
        begun: bool,
    ) -> CallResult {
        let endpoint = self.endpoints.get_mut(&socket).ok_or(Errno::EIO)?;
        if address.is_none() {
            // connect(AF_UNSPEC)
            return self.disconnect(fd, socket);
        }
        if let Some(error) = endpoint.error.take() {
            self.tcp(fd)?.role = Role::Fresh;
            return Err(error);
        }
        let (ended, connected) = (endpoint.ended, endpoint.connected);
        if endpoint.fast_open && !connected {
            // As far as its application can tell (TCP_FASTOPEN_CONNECT).
            return Err(Errno::EISCONN);
        }
        // The success of a connect that did not wait is told by the next one.
        let tcp = self.tcp(fd)?;
        let untold = connected && std::mem::take(&mut tcp.connecting);
        match (ended, connected, begun) {
            (true, false, _) => {
                tcp.role = Role::Fresh;
                Err(Errno::ECONNABORTED)
            }
            (_, true, _) if untold => Ok(Reply::Number(0)),
            (_, true, _) => Err(Errno::EISCONN),
            (false, false, true) => Err(Errno::EINPROGRESS),
            (false, false, false) => Err(Errno::EALREADY),
        }
    }

    /// The connection is cut, the socket may be used again.
    fn disconnect(&mut self, fd: i32, socket: SocketId) -> CallResult {
        self.tell(Op::Abort { socket })?;
        let tcp = self.tcp(fd)?;
        (tcp.role, tcp.shut_read, tcp.shut_write) = (Role::Fresh, false, false);
        Ok(Reply::Number(0))
    }

    pub(super) fn begin_connect(&mut self, fd: i32, remote: SocketAddr) -> CallResult {
        let tcp = self.tcp(fd)?;
        if remote.is_ipv6() && !tcp.v6 {
            return Err(Errno::EAFNOSUPPORT);
        }
        let local = tcp.bound.map(|bound| bound.ip());
        let (ports, reuse) = self.connect_ports(fd)?;
        self.stage_options(fd)?;
        self.machine.limit_ports(ports, reuse);
        let answer = self.ask(Op::Connect { transport: Transport::Tcp, local, remote });
        self.machine.limit_ports(self.sysctl.local_ports(), self.sysctl.time_wait_reuse());
        match answer {
            Some(Completion::Connecting { socket, .. }) => {
                if let Some(endpoint) = self.endpoints.get_mut(&socket) {
                    endpoint.remote = remote;
                }
                let tcp = self.tcp(fd)?;
                (tcp.role, tcp.connecting) = (Role::Stream { socket }, true);
                if self.waits_for_data(socket) {
                    // TCP_FASTOPEN_CONNECT: the first write is what connects.
                    return Ok(Reply::Number(0));
                }
                Err(Errno::EINPROGRESS)
            }
            Some(Completion::Failed { error, .. }) => Err(error.into()),
            _ => Err(Errno::EIO),
        }
    }

    /// What the port of a connection is chosen from, and after how long from one in TIME-WAIT. Of whoever is bound to a port it is
    /// that one, and at once (tcp_twsk_unique).
    fn connect_ports(&mut self, fd: i32) -> Result<(RangeInclusive<u16>, Option<Duration>), Errno> {
        let all = self.sysctl.local_ports();
        let tcp = self.tcp(fd)?;
        if let Some(port) = tcp.bound.map(|bound| bound.port()).filter(|port| *port > 0) {
            return Ok((port..=port, Some(Duration::ZERO)));
        }
        // A bound that is not in the range of all does not count (inet_sk_get_local_port_range).
        let own = tcp.values.int((libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE)).unwrap_or(0);
        let bound = |port: i32, other: u16| {
            let port = port as u16;
            if all.contains(&port) { port } else { other }
        };
        let ports = bound(own & 0xffff, *all.start())..=bound((own >> 16) & 0xffff, *all.end());
        Ok((ports, self.sysctl.time_wait_reuse()))
    }

    /// The SYN waits for data to carry (TCP Fast Open): nothing has left yet.
    pub(super) fn waits_for_data(&mut self, socket: SocketId) -> bool {
        let waits = self.info(socket).is_some_and(|info| info.state == 2 && info.segs_out == 0);
        if let Some(endpoint) = self.endpoints.get_mut(&socket) {
            endpoint.fast_open = waits;
        }
        waits
    }

    /// SO_RCVTIMEO or SO_SNDTIMEO is over.
    pub(super) fn timed_out(&mut self, fd: i32, name: i32, progress: &mut Progress) -> bool {
        let values = match self.file(fd) {
            Ok(File::Tcp(tcp)) => Some(&tcp.values),
            Ok(File::Udp(udp)) => Some(&udp.values),
            Ok(File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..)) | Err(_) => None,
        };
        let span = values.and_then(|values| values.span((libc::SOL_SOCKET, name)));
        self.deadline(span, progress)
    }

    pub(super) fn shutdown(&mut self, fd: i32, how: i32) -> CallResult {
        let (read, write) = match how {
            libc::SHUT_RD => (true, false),
            libc::SHUT_WR => (false, true),
            libc::SHUT_RDWR => (true, true),
            _ => return Err(Errno::EINVAL),
        };
        if let File::Udp(_) = self.file(fd)? {
            return self.shutdown_udp(fd, read, write);
        }
        let tcp = self.tcp(fd)?;
        match &tcp.role {
            Role::Fresh => Err(Errno::ENOTCONN),
            Role::Listener { socket, queue, .. } => {
                if !read {
                    return Ok(Reply::Number(0));
                }
                let all: Vec<SocketId> = queue.iter().chain([socket]).copied().collect();
                tcp.role = Role::Fresh;
                self.end_all(&all)?;
                Ok(Reply::Number(0))
            }
            Role::Stream { socket } => {
                let socket = *socket;
                let ended = self.endpoints.get(&socket).is_none_or(|e| e.ended);
                if ended {
                    return Err(Errno::ENOTCONN);
                }
                if self.info(socket).is_some_and(|info| info.state == 2) {
                    // Nobody knows of the connection yet (inet_shutdown; RFC 9293 §3.10.4 deletes it).
                    return self.disconnect(fd, socket);
                }
                let tcp = self.tcp(fd)?;
                let deaf = read && !tcp.shut_read;
                tcp.shut_read |= read;
                let first = write && !tcp.shut_write;
                tcp.shut_write |= write;
                if let Some(endpoint) = self.endpoints.get_mut(&socket) {
                    // Whoever waits for an edge is told of one's own doing as well.
                    endpoint.news.state += 1;
                }
                if deaf {
                    self.tell(Op::ShutdownRead { socket })?;
                }
                if first {
                    self.tell(Op::ShutdownWrite { socket })?;
                }
                Ok(Reply::Number(0))
            }
        }
    }

    /// Ends connections that nobody accepted, and then their listener (the last).
    fn end_all(&mut self, sockets: &[SocketId]) -> Result<(), Errno> {
        for socket in sockets {
            if self.endpoints.contains_key(socket) {
                self.tell(Op::Abort { socket: *socket })?;
            } else {
                self.tell(Op::Close { socket: *socket })?;
            }
        }
        Ok(())
    }

    pub(super) fn close(&mut self, fd: i32, progress: &mut Progress) -> Option<CallResult> {
        let (socket, linger) = match self.file(fd) {
            Err(error) => return Some(Err(error)),
            Ok(File::Tcp(tcp)) => match tcp.role {
                Role::Stream { socket } => (socket, tcp.values.linger()),
                Role::Fresh | Role::Listener { .. } => return Some(self.close_now(fd)),
            },
            Ok(File::Udp(_) | File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..)) => {
                return Some(self.close_now(fd));
            }
        };
        // With unread bytes there is nothing to wait for: RST leaves at once.
        let stream = self.endpoints.get(&socket).map(|endpoint| endpoint.stream);
        let unread = stream.is_some_and(|s| self.machine.engine.port_mut().rings(s).readable() > 0);
        let lingers =
            |seconds: &u32| *seconds > 0 && !unread && !planted::is(Bug::LingerDoesNotWait);
        let Some(seconds) = linger.filter(lingers) else {
            return Some(self.close_now(fd));
        };
        // A lingering close waits for the peer to have everything, FIN included.
        if !progress.begun
            && let Err(error) = self.tell(Op::ShutdownWrite { socket })
        {
            return Some(Err(error.into()));
        }
        let expired = self.deadline(Some(Duration::from_secs(u64::from(seconds))), progress);
        let delivered =
            self.endpoints.get(&socket).is_none_or(|e| e.ended) || self.all_acked(socket);
        (expired || delivered).then(|| self.close_now(fd))
    }

    /// The peer has acknowledged everything that was written, and FIN.
    fn all_acked(&mut self, socket: SocketId) -> bool {
        match self.ask(Op::Info { socket }) {
            // Linux's numbers of FIN-WAIT-2, TIME-WAIT and CLOSED.
            Some(Completion::Info { info, .. }) => matches!(info.state, 5..=7),
            _ => true,
        }
    }

    fn close_now(&mut self, fd: i32) -> CallResult {
        let file = self.remove_file(fd)?;
        for other in self.files.iter_mut().flatten() {
            if let File::Epoll(watches) = other {
                watches.remove(&fd);
            }
        }
        match file {
            File::Tcp(tcp) => match tcp.role {
                Role::Fresh => {}
                Role::Listener { socket, queue, .. } => {
                    let all: Vec<SocketId> = queue.into_iter().chain([socket]).collect();
                    self.end_all(&all)?;
                }
                Role::Stream { socket } if tcp.values.linger() == Some(0) => {
                    self.tell(Op::Abort { socket })?;
                }
                Role::Stream { socket } => self.tell(Op::Close { socket })?,
            },
            File::Udp(udp) => self.close_udp(&udp)?,
            File::Epoll(_) => {}
            File::PipeRead(buffer, _) => buffer.borrow_mut().readers -= 1,
            File::PipeWrite(buffer, _) => buffer.borrow_mut().writers -= 1,
        }
        Ok(Reply::Number(0))
    }
}

const fn unspecified(v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
    }
}
