//! getsockopt and setsockopt.

use causeway_core::port::{Op, QuickAck, SocketId, SocketInfo, SocketOption};
use causeway_core::tcp::congestion::{Algorithm, CongestionFigures};
use causeway_core::tcp::fast_open_setting;

use super::call::{CallResult, Reply};
use super::errno::Errno;
use super::file::{File, Role, Values};
use super::host::Host;
use super::info::{CLOSED, tcp_cc_info, tcp_info};
use super::port::RxWindow;
use super::values::{
    IP, IPV6, Key, SO_COOKIE, SO_MAX_PACING_RATE, SOCKET, TCP, checked, default_of_tcp,
    default_of_udp, int, is_buffer, is_kept, older, shown_buffer,
};
use causeway_core::planted::{self, Bug};

/// Bytes that a value has at least; 0 where that is looked at elsewhere.
const fn len_min(key: Key, kept: bool) -> usize {
    match key {
        (SOCKET, libc::SO_LINGER) => 8,
        (SOCKET, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO) => 16,
        (TCP, libc::TCP_CONGESTION) => 0,
        (SOCKET | TCP, _) if !kept => 4,
        _ => 0,
    }
}

/// The least TCP_WINDOW_CLAMP: half of SOCK_MIN_RCVBUF.
const WINDOW_CLAMP_MIN: i32 = 1_152;

/// What the stack is told of an option; `None` where it need not know.
fn for_stack(key: Key, value: &[u8]) -> Result<Option<SocketOption>, Errno> {
    if key == (TCP, libc::TCP_CONGESTION) {
        let name = value.split(|b| *b == 0).next().unwrap_or(&[]);
        let name = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        return Algorithm::from_name(name)
            .map(|a| Some(SocketOption::Congestion(a)))
            .ok_or(Errno::ENOENT);
    }
    let kept = is_kept(key) || key == (SOCKET, SO_COOKIE);
    if value.len() < len_min(key, kept) {
        return Err(Errno::EINVAL);
    }
    if key == (SOCKET, libc::SO_LINGER) {
        let mut values = Values::default();
        values.set.insert(key, value.to_vec());
        let seconds = values.linger().map(|s| u16::try_from(s).unwrap_or(u16::MAX));
        return Ok(Some(SocketOption::Linger(seconds)));
    }
    if kept {
        return Ok(None);
    }
    let value = int(value)?;
    let on = value != 0;
    let positive = || u32::try_from(value).map_err(|_| Errno::EINVAL);
    let byte = || u8::try_from(value).map_err(|_| Errno::EINVAL);
    // -1 is the default, which is 0 to the stack.
    let hops = || if value == -1 { Ok(0) } else { byte() };
    Ok(Some(match key {
        (TCP, libc::TCP_NODELAY) => SocketOption::NoDelay(on),
        (TCP, libc::TCP_CORK) => SocketOption::Cork(on),
        (TCP, libc::TCP_QUICKACK) => SocketOption::QuickAck(QuickAck::from_value(value)),
        (TCP, libc::TCP_MAXSEG) => {
            SocketOption::MaxSegment(u16::try_from(value).map_err(|_| Errno::EINVAL)?)
        }
        (TCP, libc::TCP_KEEPIDLE) => SocketOption::KeepIdle(positive()?),
        (TCP, libc::TCP_KEEPINTVL) => SocketOption::KeepInterval(positive()?),
        (TCP, libc::TCP_KEEPCNT) => SocketOption::KeepCount(byte()?),
        (TCP, libc::TCP_USER_TIMEOUT) => SocketOption::UserTimeout(positive()?),
        (TCP, libc::TCP_SYNCNT) => SocketOption::SynCount(byte()?),
        (TCP, libc::TCP_LINGER2) => SocketOption::Linger2(value),
        (TCP, libc::TCP_NOTSENT_LOWAT) => SocketOption::NotSentLowWater(value.cast_unsigned()),
        (TCP, libc::TCP_WINDOW_CLAMP) => SocketOption::WindowClamp(positive()?),
        (TCP, libc::TCP_DEFER_ACCEPT) => SocketOption::DeferAccept(positive()?),
        (TCP, libc::TCP_FASTOPEN) => SocketOption::FastOpen(positive()?),
        (TCP, libc::TCP_FASTOPEN_CONNECT) => SocketOption::FastOpenConnect(on),
        (TCP, libc::TCP_FASTOPEN_NO_COOKIE) if matches!(value, 0 | 1) => {
            SocketOption::FastOpenNoCookie(on)
        }
        (TCP, libc::TCP_FASTOPEN_NO_COOKIE) => return Err(Errno::EINVAL),
        (SOCKET, libc::SO_KEEPALIVE) => SocketOption::KeepAlive(on),
        (SOCKET, libc::SO_OOBINLINE) => SocketOption::OobInline(on),
        (SOCKET, libc::SO_REUSEPORT) => SocketOption::ReusePort(on),
        (SOCKET, libc::SO_RCVBUF) => SocketOption::ReceiveBuffer(positive()?.max(1)),
        (SOCKET, libc::SO_SNDBUF) => SocketOption::SendBuffer(positive()?.max(1)),
        (SOCKET, SO_MAX_PACING_RATE) => SocketOption::MaxPacingRate(match value {
            -1 => u64::MAX,
            rate => u64::from(rate.cast_unsigned()),
        }),
        (IP, libc::IP_TOS) => SocketOption::Ipv4Tos(value as u8),
        (IP, libc::IP_TTL) => SocketOption::Ipv4Ttl(hops()?),
        (IPV6, libc::IPV6_TCLASS) => SocketOption::Ipv6TrafficClass(value as u8),
        (IPV6, libc::IPV6_UNICAST_HOPS) => SocketOption::Ipv6UnicastHops(hops()?),
        (IP, libc::IP_MTU_DISCOVER) | (IPV6, libc::IPV6_MTU_DISCOVER) => {
            let how = causeway_core::socket::MtuDiscover::from_code(byte()?);
            SocketOption::MtuDiscover(how.ok_or(Errno::EINVAL)?)
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }))
}

/// IP_TOS, IP_TTL and their like of IPv6.
const fn is_of_header(key: Key) -> bool {
    matches!(
        key,
        (IP, libc::IP_TOS | libc::IP_TTL) | (IPV6, libc::IPV6_TCLASS | libc::IPV6_UNICAST_HOPS)
    )
}

/// The option that does not hold any more once this one is set.
const fn instead_of(key: Key) -> Option<Key> {
    match key {
        (SOCKET, libc::SO_TIMESTAMP) => Some((SOCKET, libc::SO_TIMESTAMPNS)),
        (SOCKET, libc::SO_TIMESTAMPNS) => Some((SOCKET, libc::SO_TIMESTAMP)),
        _ => None,
    }
}

impl Host {
    pub(super) fn set_option(
        &mut self,
        fd: i32,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> CallResult {
        let key = older((level, name));
        let (udp, v6) = match self.file(fd)? {
            File::Tcp(tcp) => (false, tcp.v6),
            File::Udp(udp) => (true, udp.v6),
            File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => {
                return Err(Errno::ENOTSOCK);
            }
        };
        if (level == TCP && udp) || (level == IPV6 && !v6) {
            return Err(Errno::ENOPROTOOPT);
        }
        match key {
            // As a kernel without any.
            (TCP, libc::TCP_ULP) if value.is_empty() => return Err(Errno::EINVAL),
            (TCP, libc::TCP_ULP) => return Err(Errno::ENOENT),
            // Only where a connection is repaired.
            (TCP, libc::TCP_TIMESTAMP) => return Err(Errno::EPERM),
            (TCP, libc::TCP_FASTOPEN_KEY) => return self.set_fast_open_key(fd, value),
            (TCP, libc::TCP_FASTOPEN_CONNECT) => self.may_open_fast(fd)?,
            _ => {}
        }
        let bounded = self.bounded(fd, key, value)?;
        let (key, value) = bounded.as_ref().map_or((key, value), |(key, value)| (*key, value));
        let value = &checked(key, value, udp)?;
        let option = for_stack(key, value)?;
        if let Some(other) = instead_of(key)
            && let Some(values) = self.file(fd)?.values_mut()
        {
            values.set.remove(&other);
        }
        if udp {
            return self.set_udp_option(fd, key, value, option);
        }
        if key == (SOCKET, libc::SO_TIMESTAMPING) {
            self.set_stamps(fd, int(value)?)?;
        }
        let tcp = self.tcp(fd)?;
        if let Some(option) = option {
            option.check().map_err(|_| Errno::EINVAL)?;
        }
        let socket = match &tcp.role {
            Role::Fresh => None,
            Role::Listener { socket, .. } | Role::Stream { socket } => Some(*socket),
        };
        tcp.values.set.insert(key, value.to_vec());
        if let (Some(socket), Some(option)) = (socket, option) {
            let over = self.endpoints.get(&socket).is_some_and(|endpoint| endpoint.ended);
            if !over {
                self.tell(Op::SetOption { socket: Some(socket), option })?;
            }
            self.size_rings(fd, socket);
        }
        Ok(Reply::Number(0))
    }

    /// Of a socket of UDP the stack is told what the headers of its datagrams say.
    fn set_udp_option(
        &mut self,
        fd: i32,
        key: Key,
        value: &[u8],
        option: Option<SocketOption>,
    ) -> CallResult {
        let udp = self.udp(fd)?;
        udp.values.set.insert(key, value.to_vec());
        let opened = udp.opened();
        if let (Some(socket), Some(option)) = (opened, option.filter(|_| is_of_header(key))) {
            self.tell(Op::SetOption { socket: Some(socket), option })?;
        }
        Ok(Reply::Number(0))
    }

    /// What was set before the socket got an address.
    pub(super) fn tell_udp_options(
        &mut self,
        socket: SocketId,
        values: &Values,
    ) -> Result<(), Errno> {
        for (key, value) in values.set.iter().filter(|(key, _)| is_of_header(**key)) {
            if let Some(option) = for_stack(*key, value)? {
                self.tell(Op::SetOption { socket: Some(socket), option })?;
            }
        }
        Ok(())
    }

    /// Sizes of buffers as the kernel takes them: SO_RCVBUFFORCE and SO_SNDBUFFORCE are SO_RCVBUF and SO_SNDBUF beyond what
    /// all sockets may have.
    fn bounded(
        &mut self,
        fd: i32,
        key: Key,
        value: &[u8],
    ) -> Result<Option<(Key, Vec<u8>)>, Errno> {
        let (name, most) = match key {
            (TCP, libc::TCP_WINDOW_CLAMP) if value.len() >= 4 => {
                return Ok(Some((key, self.window_clamp(fd, int(value)?)?.to_ne_bytes().to_vec())));
            }
            (SOCKET, libc::SO_RCVBUF) => (libc::SO_RCVBUF, Some(self.sysctl.rmem_max())),
            (SOCKET, libc::SO_SNDBUF) => (libc::SO_SNDBUF, Some(self.sysctl.wmem_max())),
            (SOCKET, libc::SO_RCVBUFFORCE) => (libc::SO_RCVBUF, None),
            (SOCKET, libc::SO_SNDBUFFORCE) => (libc::SO_SNDBUF, None),
            _ => return Ok(None),
        };
        let asked = value.first_chunk().ok_or(Errno::EINVAL).map(|b| i32::from_ne_bytes(*b))?;
        let bytes = match most {
            // A size below zero is a great one to the kernel, and cut; beyond the limit it is none.
            Some(most) => asked.cast_unsigned().min(most).min(i32::MAX.cast_unsigned()),
            None => u32::try_from(asked).unwrap_or(0),
        };
        Ok(Some(((SOCKET, name), bytes.to_ne_bytes().to_vec())))
    }

    /// TCP_WINDOW_CLAMP, as tcp_set_window_clamp takes it: none only where there is no connection, and no less than half of the
    /// least receive buffer.
    fn window_clamp(&mut self, fd: i32, bytes: i32) -> Result<i32, Errno> {
        let socket = match self.tcp(fd)?.role {
            Role::Fresh => None,
            Role::Listener { socket, .. } | Role::Stream { socket } => Some(socket),
        };
        let ended = |socket| self.endpoints.get(&socket).is_some_and(|endpoint| endpoint.ended);
        match bytes {
            0 if socket.is_some_and(|socket| !ended(socket)) => Err(Errno::EINVAL),
            0 => Ok(0),
            bytes => Ok(bytes.max(WINDOW_CLAMP_MIN)),
        }
    }

    /// The options that were set before there was a connection or listener go to the next one.
    pub(super) fn stage_options(&mut self, fd: i32) -> Result<(), Errno> {
        let values = self.tcp(fd)?.values.clone();
        for (key, value) in &values.set {
            if let Some(option) = for_stack(*key, value)? {
                self.tell(Op::SetOption { socket: None, option })?;
            }
        }
        self.stage_fast_open_key(fd)?;
        let (tx_limit, window) = self.ring_sizes(&values);
        let port = self.machine.engine.port_mut();
        (port.tx_limit, port.window) = (tx_limit, window);
        Ok(())
    }

    /// TCP_FASTOPEN_CONNECT: before a connection, and where the host lets clients do so.
    fn may_open_fast(&mut self, fd: i32) -> Result<(), Errno> {
        if self.sysctl.tcp().fast_open_bits() & fast_open_setting::CLIENT == 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.tcp(fd)?.role {
            Role::Fresh => Ok(()),
            Role::Listener { .. } | Role::Stream { .. } => Err(Errno::EINVAL),
        }
    }

    /// SO_SNDBUF and SO_RCVBUF, where they are set, are what the rings hold.
    pub(super) fn ring_sizes(&self, values: &Values) -> (u64, RxWindow) {
        let size = |name| u64::try_from(values.int((SOCKET, name))?).ok();
        let tx = size(libc::SO_SNDBUF).map(|bytes| bytes.max(2_304));
        let rx = size(libc::SO_RCVBUF).map(|bytes| bytes.max(1_152));
        let window = rx.map(|bytes| RxWindow { initial: bytes, max: bytes });
        (
            tx.unwrap_or_else(|| self.sysctl.tx_limit()),
            window.unwrap_or_else(|| self.sysctl.rx_window()),
        )
    }

    fn size_rings(&mut self, fd: i32, socket: SocketId) {
        let Ok(tcp) = self.tcp(fd) else { return };
        let values = tcp.values.clone();
        let (tx_limit, window) = self.ring_sizes(&values);
        let Some(stream) = self.endpoints.get(&socket).map(|e| e.stream) else {
            let port = self.machine.engine.port_mut();
            (port.tx_limit, port.window) = (tx_limit, window);
            return;
        };
        let rings = self.machine.engine.port_mut().rings(stream);
        rings.tx_limit = tx_limit;
        rings.set_window(window);
    }

    /// Tells of MSG_MORE, and of a write without it.
    pub(super) fn announce(&mut self, fd: i32, socket: SocketId, more: bool) -> Result<(), Errno> {
        let tcp = self.tcp(fd)?;
        let more = more && !planted::is(Bug::MoreIgnored);
        if more || tcp.more {
            tcp.more = more;
            let option = SocketOption::More(more);
            self.tell(Op::SetOption { socket: Some(socket), option })?;
        }
        Ok(())
    }

    pub(super) fn read_option(&mut self, fd: i32, level: i32, name: i32, len: usize) -> CallResult {
        let (level, name) = older((level, name));
        self.may_have(fd, level)?;
        let cookie = (level, name) == (SOCKET, SO_COOKIE);
        let mut value = match self.file(fd)? {
            File::Tcp(_) | File::Udp(_) if cookie && len < 8 => return Err(Errno::EINVAL),
            File::Tcp(_) | File::Udp(_) if cookie => self.cookie_of(fd)?,
            File::Tcp(_) if (level, name) == (TCP, libc::TCP_SAVED_SYN) => {
                self.saved_syn(fd, len)?
            }
            File::Tcp(_) => self.tcp_option(fd, level, name)?,
            File::Udp(_) => self.udp_option(fd, (level, name))?,
            File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => {
                return Err(Errno::ENOTSOCK);
            }
        };
        value.truncate(len);
        Ok(Reply::Option(value))
    }

    /// Of a level that a socket does not have getsockopt says so, by the word of IPv4 or that of IPv6 (ip_getsockopt,
    /// ipv6_getsockopt).
    fn may_have(&mut self, fd: i32, level: i32) -> Result<(), Errno> {
        let (own, v6) = match self.file(fd)? {
            File::Tcp(tcp) => (TCP, tcp.v6),
            File::Udp(udp) => (libc::IPPROTO_UDP, udp.v6),
            File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => {
                return Err(Errno::ENOTSOCK);
            }
        };
        match level {
            SOCKET | IP => Ok(()),
            level if level == own || (level == IPV6 && v6) => Ok(()),
            _ if v6 => Err(Errno::ENOPROTOOPT),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    fn udp_option(&mut self, fd: i32, key: Key) -> Result<Vec<u8>, Errno> {
        let error = if key == (SOCKET, libc::SO_ERROR) { self.udp_error(fd)? } else { 0 };
        let udp = self.udp(fd)?;
        let value = match key {
            (SOCKET, libc::SO_ERROR) => error,
            (SOCKET, libc::SO_TYPE) => libc::SOCK_DGRAM,
            (SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_UDP,
            (SOCKET, libc::SO_DOMAIN) if udp.v6 => libc::AF_INET6,
            (SOCKET, libc::SO_DOMAIN) => libc::AF_INET,
            (TCP, _) => return Err(Errno::ENOPROTOOPT),
            (IPV6, _) if !udp.v6 => return Err(Errno::ENOPROTOOPT),
            (SOCKET, libc::SO_BINDTODEVICE) => {
                return Ok(udp.values.set.get(&key).cloned().unwrap_or_default());
            }
            (SOCKET, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO) => {
                return Ok(udp.values.shown_span(key));
            }
            _ => match udp.values.set.get(&key) {
                Some(value) if value.len() > 4 => return Ok(value.clone()),
                Some(_) => {
                    let value = udp.values.int(key).unwrap_or_else(|| default_of_udp(key));
                    if is_buffer(key) { shown_buffer(key, value) } else { value }
                }
                None if is_kept(key) || for_stack(key, &[1, 0, 0, 0]).is_ok() => {
                    default_of_udp(key)
                }
                None => return Err(Errno::ENOPROTOOPT),
            },
        };
        Ok(value.to_ne_bytes().to_vec())
    }

    fn tcp_option(&mut self, fd: i32, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        Ok(match (level, name) {
            (TCP, libc::TCP_INFO) => self.tcp_info_of(fd)?,
            (TCP, libc::TCP_CC_INFO) => {
                self.congestion_figures(fd)?.map_or_else(Vec::new, |figures| tcp_cc_info(&figures))
            }
            (TCP, libc::TCP_CONGESTION) => self.congestion_name(fd)?,
            (TCP, libc::TCP_FASTOPEN_KEY) => self.fast_open_key(fd)?,
            (TCP, libc::TCP_ULP) => Vec::new(),
            (SOCKET, libc::SO_MEMINFO) => self.memory_of(fd)?,
            (SOCKET, libc::SO_BINDTODEVICE) => {
                self.tcp(fd)?.values.set.get(&(level, name)).cloned().unwrap_or_default()
            }
            (SOCKET, libc::SO_LINGER) => {
                let values = &self.tcp(fd)?.values;
                values.set.get(&(level, name)).cloned().unwrap_or_else(|| vec![0; 8])
            }
            (SOCKET, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO) => {
                self.tcp(fd)?.values.shown_span((level, name))
            }
            _ => self.int_option(fd, (level, name))?.to_ne_bytes().to_vec(),
        })
    }

    fn int_option(&mut self, fd: i32, key: Key) -> Result<i32, Errno> {
        let at_first = default_of_tcp(key, &self.sysctl);
        let tcp = self.tcp(fd)?;
        let socket = match tcp.role {
            Role::Stream { socket } => Some(socket),
            Role::Fresh | Role::Listener { .. } => None,
        };
        let listening = matches!(tcp.role, Role::Listener { .. });
        let (v6, set) = (tcp.v6, tcp.values.int(key));
        let own_error = if key == (SOCKET, libc::SO_ERROR) { tcp.error.take() } else { None };
        Ok(match key {
            (SOCKET, libc::SO_ERROR) => {
                let endpoint = socket.and_then(|socket| self.endpoints.get_mut(&socket));
                let error = endpoint.and_then(|endpoint| endpoint.error.take());
                error.or(own_error).map_or(0, |error| error.0)
            }
            (SOCKET, libc::SO_TYPE) => libc::SOCK_STREAM,
            (SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_TCP,
            (SOCKET, libc::SO_DOMAIN) => {
                if v6 {
                    libc::AF_INET6
                } else {
                    libc::AF_INET
                }
            }
            (SOCKET, libc::SO_ACCEPTCONN) => i32::from(listening),
            key if is_buffer(key) => set.map_or(at_first, |bytes| shown_buffer(key, bytes)),
            (TCP, libc::TCP_LINGER2) => set.filter(|seconds| *seconds != 0).unwrap_or(at_first),
            (TCP, libc::TCP_MAXSEG) => match socket.and_then(|socket| self.info(socket)) {
                Some(info) => i32::try_from(info.snd_mss).unwrap_or(i32::MAX),
                None => set.unwrap_or(at_first),
            },
            (IP, libc::IP_MTU) | (IPV6, libc::IPV6_MTU) => {
                let info = socket.and_then(|socket| self.info(socket)).ok_or(Errno::ENOTCONN)?;
                i32::try_from(info.pmtu).unwrap_or(i32::MAX)
            }
            _ => match set {
                Some(value) => value,
                None if key.0 == IPV6 && !v6 => return Err(Errno::ENOPROTOOPT),
                None if is_kept(key) || for_stack(key, &[1, 0, 0, 0]).is_ok() => at_first,
                None => return Err(Errno::ENOPROTOOPT),
            },
        })
    }

    /// SO_COOKIE: a number that no other socket ever has.
    fn cookie_of(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        let next = self.cookies + 1;
        let values = self.file(fd)?.values_mut().ok_or(Errno::ENOTSOCK)?;
        let fresh = || next.to_ne_bytes().to_vec();
        let cookie = values.set.entry((SOCKET, SO_COOKIE)).or_insert_with(fresh).clone();
        if cookie == fresh() {
            self.cookies = next;
        }
        Ok(cookie)
    }

    fn tcp_info_of(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        let info = match &self.tcp(fd)?.role {
            Role::Stream { socket } => {
                let socket = *socket;
                let none = SocketInfo { state: CLOSED, ..Default::default() };
                self.info(socket).unwrap_or(none)
            }
            Role::Fresh => SocketInfo { state: CLOSED, ..Default::default() },
            Role::Listener { queue, backlog, .. } => SocketInfo {
                state: 10,
                unacked: u32::try_from(queue.len()).unwrap_or(u32::MAX),
                sacked: *backlog,
                ..Default::default()
            },
        };
        Ok(tcp_info(&info).to_vec())
    }

    /// What the stack says of the socket's congestion control; `None` where it has no such socket.
    fn congestion_figures(&mut self, fd: i32) -> Result<Option<CongestionFigures>, Errno> {
        let socket = match self.tcp(fd)?.role {
            Role::Fresh => return Ok(None),
            Role::Listener { socket, .. } | Role::Stream { socket } => socket,
        };
        Ok(self.machine.engine.stack().congestion_figures(socket))
    }

    /// The name and its zeros: TCP_CA_NAME_MAX bytes. Where there is no connection yet it is what the next one will have.
    fn congestion_name(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        let at_work = self.congestion_figures(fd)?.map(|figures| figures.algorithm().name());
        let set = self.tcp(fd)?.values.set.get(&(TCP, libc::TCP_CONGESTION)).cloned();
        let mut name = match (at_work, set) {
            (Some(name), _) => name.as_bytes().to_vec(),
            (None, Some(name)) => name,
            (None, None) => self.sysctl.congestion().as_bytes().to_vec(),
        };
        name.resize(16, 0);
        Ok(name)
    }

    /// SO_MEMINFO: nine words of which the buffers' sizes and fill levels mean something here.
    fn memory_of(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        let tcp = self.tcp(fd)?;
        let values = tcp.values.clone();
        let socket = match tcp.role {
            Role::Stream { socket } => Some(socket),
            Role::Fresh | Role::Listener { .. } => None,
        };
        let stream = socket.and_then(|socket| self.endpoints.get(&socket)).map(|e| e.stream);
        let fill = stream.map_or((0, 0), |stream| {
            let rings = self.machine.engine.port_mut().rings(stream);
            (rings.readable(), rings.tx_queued())
        });
        let (tx_limit, window) = self.ring_sizes(&values);
        let locked = values.int((SOCKET, libc::SO_RCVBUF)).is_some();
        let buffer = if locked { 2 * window.initial } else { self.sysctl.receive_buffer() };
        let words = [fill.0, buffer, fill.1, tx_limit, 0, fill.1, 0, 0, 0];
        let short = |word: &u64| u32::try_from(*word).unwrap_or(u32::MAX).to_ne_bytes();
        Ok(words.iter().flat_map(short).collect())
    }

    /// A FIN was sent and is not acknowledged: SIOCOUTQ counts it.
    pub(super) fn fin_waits(&mut self, socket: SocketId) -> bool {
        // Linux's numbers of FIN-WAIT-1, LAST-ACK and CLOSING.
        self.info(socket).is_some_and(|info| matches!(info.state, 4 | 9 | 11))
    }
}
