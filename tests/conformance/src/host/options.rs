//! getsockopt and setsockopt.

use causeway_core::port::{Op, SocketId, SocketOption};
use causeway_core::tcp::congestion::Algorithm;
use causeway_core::time::Duration;

use super::call::{CallResult, Reply};
use super::errno::Errno;
use super::file::{File, Role, Values};
use super::host::Host;
use super::info::tcp_info;
use super::port::RxWindow;

/// A level and a name.
type Key = (i32, i32);

const SOCKET: i32 = libc::SOL_SOCKET;
const TCP: i32 = libc::IPPROTO_TCP;
const IP: i32 = libc::IPPROTO_IP;
const IPV6: i32 = libc::IPPROTO_IPV6;
/// SO_MAX_PACING_RATE, SO_ZEROCOPY, SO_TXTIME, TCP_TX_DELAY: the C library's headers lack some.
const SO_MAX_PACING_RATE: i32 = 47;
const SO_ZEROCOPY: i32 = 60;

/// Options whose value is kept and given back, and which need nothing of the stack.
const KEPT: &[Key] = &[
    (SOCKET, libc::SO_PRIORITY),
    (SOCKET, libc::SO_MARK),
    (SOCKET, libc::SO_RCVLOWAT),
    (SOCKET, libc::SO_RCVTIMEO),
    (SOCKET, libc::SO_SNDTIMEO),
    (SOCKET, libc::SO_DONTROUTE),
    (SOCKET, libc::SO_BROADCAST),
    (SOCKET, libc::SO_BUSY_POLL),
    (SOCKET, SO_ZEROCOPY),
    (SOCKET, libc::SO_TIMESTAMPING),
    (TCP, libc::TCP_INQ),
    (TCP, libc::TCP_THIN_LINEAR_TIMEOUTS),
    (TCP, libc::TCP_SAVE_SYN),
    (IP, libc::IP_RECVERR),
    (IP, libc::IP_FREEBIND),
    (IP, libc::IP_BIND_ADDRESS_NO_PORT),
    (IPV6, libc::IPV6_V6ONLY),
    (IPV6, libc::IPV6_RECVERR),
];

/// What an option is before it is set.
const DEFAULTS: &[(Key, i32)] = &[
    ((SOCKET, libc::SO_SNDBUF), 16_384),
    ((SOCKET, libc::SO_RCVBUF), 131_072),
    ((SOCKET, libc::SO_RCVLOWAT), 1),
    ((SOCKET, SO_MAX_PACING_RATE), -1),
    ((TCP, libc::TCP_KEEPIDLE), 7_200),
    ((TCP, libc::TCP_KEEPINTVL), 75),
    ((TCP, libc::TCP_KEEPCNT), 9),
    ((TCP, libc::TCP_SYNCNT), 6),
    ((TCP, libc::TCP_LINGER2), 60),
    ((TCP, libc::TCP_QUICKACK), 1),
    ((TCP, libc::TCP_MAXSEG), 536),
    ((IP, libc::IP_TTL), 64),
    ((IP, libc::IP_MTU_DISCOVER), 1),
    ((IPV6, libc::IPV6_UNICAST_HOPS), 64),
    ((IPV6, libc::IPV6_MTU_DISCOVER), 1),
];

fn int(value: &[u8]) -> Result<i32, Errno> {
    match (value.first_chunk::<4>(), value.first()) {
        (Some(bytes), _) => Ok(i32::from_ne_bytes(*bytes)),
        // IP_TOS and its like may be one byte.
        (None, Some(byte)) => Ok(i32::from(*byte)),
        (None, None) => Err(Errno::EINVAL),
    }
}

impl Values {
    fn int(&self, key: Key) -> Option<i32> {
        self.set.get(&key).and_then(|value| int(value).ok())
    }

    pub(super) fn flag(&self, key: Key) -> bool {
        self.int(key).is_some_and(|value| value != 0)
    }

    /// SO_RCVLOWAT.
    pub(super) fn low_water(&self) -> usize {
        let value = self.int((SOCKET, libc::SO_RCVLOWAT)).unwrap_or(1);
        usize::try_from(value).unwrap_or(1).max(1)
    }

    /// TCP_NOTSENT_LOWAT, or where it is not set what all sockets have.
    pub(super) fn not_sent_low_water(&self, of_all: u32) -> Option<u32> {
        let own = self.int((TCP, libc::TCP_NOTSENT_LOWAT)).filter(|value| *value != 0);
        Some(own.map_or(of_all, i32::cast_unsigned)).filter(|value| *value != u32::MAX)
    }

    /// IP_MTU_DISCOVER says that what does not fit into one packet is refused.
    pub(super) fn never_fragments(&self) -> bool {
        let keys = [(IP, libc::IP_MTU_DISCOVER), (IPV6, libc::IPV6_MTU_DISCOVER)];
        keys.iter().any(|key| matches!(self.int(*key), Some(2 | 3)))
    }

    /// SO_LINGER's seconds, where it is on.
    pub(super) fn linger(&self) -> Option<u32> {
        let value = self.set.get(&(SOCKET, libc::SO_LINGER))?;
        let (on, seconds) = (int(value).ok()?, int(value.get(4..)?).ok()?);
        (on != 0).then_some(u32::try_from(seconds).unwrap_or(0))
    }

    /// A struct timeval, where it is not zero.
    pub(super) fn span(&self, key: Key) -> Option<Duration> {
        let value = self.set.get(&key)?;
        let word = |at: usize| {
            value
                .get(at..)?
                .first_chunk::<8>()
                .map(|b| i64::from_ne_bytes(*b))
                .map(i64::unsigned_abs)
        };
        let micros = word(0)?.saturating_mul(1_000_000).saturating_add(word(8)?);
        (micros > 0).then_some(Duration::from_micros(micros))
    }
}

/// What the stack is told of an option; `None` where it need not know.
fn for_stack(key: Key, value: &[u8]) -> Result<Option<SocketOption>, Errno> {
    if key == (TCP, libc::TCP_CONGESTION) {
        let name = value.split(|b| *b == 0).next().unwrap_or(&[]);
        let name = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        return Algorithm::from_name(name)
            .map(|a| Some(SocketOption::Congestion(a)))
            .ok_or(Errno::ENOENT);
    }
    if key == (SOCKET, libc::SO_LINGER) {
        let mut values = Values::default();
        values.set.insert(key, value.to_vec());
        let seconds = values.linger().map(|s| u16::try_from(s).unwrap_or(u16::MAX));
        return Ok(Some(SocketOption::Linger(seconds)));
    }
    if KEPT.contains(&key) || key == (SOCKET, libc::SO_REUSEADDR) {
        return Ok(None);
    }
    if value.len() < 4 && matches!(key.0, SOCKET | TCP) {
        return Err(Errno::EINVAL);
    }
    let value = int(value)?;
    let on = value != 0;
    let positive = || u32::try_from(value).map_err(|_| Errno::EINVAL);
    let byte = || u8::try_from(value).map_err(|_| Errno::EINVAL);
    Ok(Some(match key {
        (TCP, libc::TCP_NODELAY) => SocketOption::NoDelay(on),
        (TCP, libc::TCP_CORK) => SocketOption::Cork(on),
        (TCP, libc::TCP_QUICKACK) => SocketOption::QuickAck(on),
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
        (IP, libc::IP_TTL) => SocketOption::Ipv4Ttl(byte()?),
        (IPV6, libc::IPV6_TCLASS) => SocketOption::Ipv6TrafficClass(value as u8),
        (IPV6, libc::IPV6_UNICAST_HOPS) => SocketOption::Ipv6UnicastHops(byte()?),
        (IP, libc::IP_MTU_DISCOVER) | (IPV6, libc::IPV6_MTU_DISCOVER) => {
            let how = causeway_core::socket::MtuDiscover::from_code(byte()?);
            SocketOption::MtuDiscover(how.ok_or(Errno::EINVAL)?)
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }))
}

impl Host {
    pub(super) fn set_option(
        &mut self,
        fd: i32,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> CallResult {
        let key = (level, name);
        let flag = [(TCP, libc::TCP_INQ), (SOCKET, SO_ZEROCOPY)].contains(&key);
        if flag && !matches!(int(value)?, 0 | 1) {
            return Err(Errno::EINVAL);
        }
        let bounded = self.bounded(key, value)?;
        let (key, value) = bounded.as_ref().map_or((key, value), |(key, value)| (*key, value));
        let option = for_stack(key, value)?;
        if let File::Udp(udp) = self.file(fd)? {
            if level == TCP {
                return Err(Errno::ENOPROTOOPT);
            }
            udp.values.set.insert(key, value.to_vec());
            return Ok(Reply::Number(0));
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

    /// Sizes of buffers as the kernel takes them: SO_RCVBUFFORCE and SO_SNDBUFFORCE are SO_RCVBUF and SO_SNDBUF beyond what
    /// all sockets may have.
    fn bounded(&self, key: Key, value: &[u8]) -> Result<Option<(Key, Vec<u8>)>, Errno> {
        let (name, most) = match key {
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

    /// The options that were set before there was a connection or listener go to the next one.
    pub(super) fn stage_options(&mut self, fd: i32) -> Result<(), Errno> {
        let values = self.tcp(fd)?.values.clone();
        for (key, value) in &values.set {
            if let Some(option) = for_stack(*key, value)? {
                self.tell(Op::SetOption { socket: None, option })?;
            }
        }
        let (tx_limit, window) = self.ring_sizes(&values);
        let port = self.machine.engine.port_mut();
        (port.tx_limit, port.window) = (tx_limit, window);
        Ok(())
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

    /// MSG_MORE is TCP_CORK for one call.
    pub(super) fn cork_for(&mut self, fd: i32, socket: SocketId, more: bool) -> Result<(), Errno> {
        let key = (TCP, libc::TCP_CORK);
        let tcp = self.tcp(fd)?;
        let lasting = tcp.values.flag(key);
        let option = SocketOption::Cork(more || lasting);
        if more || tcp.corked {
            tcp.corked = more;
            self.tell(Op::SetOption { socket: Some(socket), option })?;
        }
        Ok(())
    }

    pub(super) fn read_option(&mut self, fd: i32, level: i32, name: i32, len: usize) -> CallResult {
        let mut value = match self.file(fd)? {
            File::Tcp(_) => self.tcp_option(fd, level, name)?,
            File::Udp(_) => self.udp_option(fd, (level, name))?,
            File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => {
                return Err(Errno::ENOTSOCK);
            }
        };
        value.truncate(len);
        Ok(Reply::Option(value))
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
            _ => match udp.values.set.get(&key) {
                Some(value) => return Ok(value.clone()),
                None => self.default_of(key),
            },
        };
        Ok(value.to_ne_bytes().to_vec())
    }

    fn tcp_option(&mut self, fd: i32, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        Ok(match (level, name) {
            (TCP, libc::TCP_INFO) => self.tcp_info_of(fd)?,
            (TCP, libc::TCP_CC_INFO) => Vec::new(),
            (TCP, libc::TCP_CONGESTION) => self.congestion_name(fd)?,
            (SOCKET, libc::SO_MEMINFO) => self.memory_of(fd)?,
            (SOCKET, libc::SO_LINGER | libc::SO_RCVTIMEO | libc::SO_SNDTIMEO) => {
                let len = if name == libc::SO_LINGER { 8 } else { 16 };
                let tcp = self.tcp(fd)?;
                tcp.values.set.get(&(level, name)).cloned().unwrap_or_else(|| vec![0; len])
            }
            _ => self.int_option(fd, (level, name))?.to_ne_bytes().to_vec(),
        })
    }

    fn int_option(&mut self, fd: i32, key: Key) -> Result<i32, Errno> {
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
            // Linux doubles what is set, for its own bookkeeping, and says so.
            (SOCKET, libc::SO_SNDBUF | libc::SO_RCVBUF) => match set {
                Some(bytes) => bytes.saturating_mul(2).max(if key.1 == libc::SO_SNDBUF {
                    4_608
                } else {
                    2_304
                }),
                None => self.default_of(key),
            },
            (TCP, libc::TCP_MAXSEG) => match socket.and_then(|socket| self.info(socket)) {
                Some(info) => i32::try_from(info.snd_mss).unwrap_or(i32::MAX),
                None => set.unwrap_or_else(|| self.default_of(key)),
            },
            (IP, libc::IP_MTU) | (IPV6, libc::IPV6_MTU) => {
                let info = socket.and_then(|socket| self.info(socket)).ok_or(Errno::ENOTCONN)?;
                i32::try_from(info.pmtu).unwrap_or(i32::MAX)
            }
            _ => match set {
                Some(value) => value,
                None if KEPT.contains(&key) || for_stack(key, &[1, 0, 0, 0]).is_ok() => {
                    self.default_of(key)
                }
                None => return Err(Errno::ENOPROTOOPT),
            },
        })
    }

    fn default_of(&self, key: Key) -> i32 {
        DEFAULTS.iter().find(|(known, _)| *known == key).map_or(0, |(_, value)| *value)
    }

    fn tcp_info_of(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        let info = match &self.tcp(fd)?.role {
            Role::Stream { socket } => {
                let socket = *socket;
                match self.info(socket) {
                    Some(info) => info,
                    None => causeway_core::port::SocketInfo { state: 7, ..Default::default() },
                }
            }
            Role::Fresh => causeway_core::port::SocketInfo { state: 7, ..Default::default() },
            Role::Listener { queue, .. } => causeway_core::port::SocketInfo {
                state: 10,
                unacked: u32::try_from(queue.len()).unwrap_or(u32::MAX),
                ..Default::default()
            },
        };
        Ok(tcp_info(&info).to_vec())
    }

    /// The name and its zeros: TCP_CA_NAME_MAX bytes.
    fn congestion_name(&mut self, fd: i32) -> Result<Vec<u8>, Errno> {
        let default = self.sysctl.congestion().to_owned();
        let tcp = self.tcp(fd)?;
        let set = tcp.values.set.get(&(TCP, libc::TCP_CONGESTION)).cloned();
        let mut name = set.unwrap_or_else(|| default.as_bytes().to_vec());
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
