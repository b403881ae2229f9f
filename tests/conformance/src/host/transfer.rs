//! Sending and receiving: read, write and their many forms.

use causeway_core::port::{Op, SocketId, SocketOption};
use causeway_core::tcp::fast_open_setting;

use super::ancillary::stamp;
use super::call::{CallResult, ControlMessage, Destination, Progress, Received, Reply};
use super::errno::Errno;
use super::file::{File, Role, TcpFile};
use super::host::Host;
use super::values::SO_ZEROCOPY;
use causeway_core::planted::{self, Bug};

/// Bytes of a burst that a device cuts, without its headers.
const BURST_MAX: u32 = 65_536 - 1 - 320;
const MSG_ZEROCOPY: i32 = 0x400_0000;
/// The longest options, which a SYN leaves room for beside its data.
const OPTIONS_MAX: u32 = 40;

impl Host {
    pub(super) fn receive(
        &mut self,
        fd: i32,
        len: usize,
        flags: i32,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        let result = match self.file(fd) {
            Err(error) => return Some(Err(error)),
            Ok(File::PipeRead(..)) => self.read_pipe(fd, len),
            Ok(File::Tcp(_)) => self.try_receive(fd, len, flags),
            Ok(File::Udp(_)) => self.receive_udp(fd, len, flags),
            Ok(File::PipeWrite(..)) => return Some(Err(Errno::EBADF)),
            Ok(File::Epoll(_)) => return Some(Err(Errno::EINVAL)),
        };
        match result {
            // Urgent data is never waited for.
            result if flags & (libc::MSG_OOB | libc::MSG_ERRQUEUE) != 0 => Some(result),
            Err(Errno::EAGAIN) => match self.block(fd, flags) {
                None if self.timed_out(fd, libc::SO_RCVTIMEO, progress) => {
                    self.receive_less(fd, len)
                }
                other => other,
            },
            result => Some(result),
        }
    }

    /// Nothing is lost that cannot be put down.
    pub(super) fn receive_nowhere(
        &mut self,
        fd: i32,
        len: usize,
        flags: i32,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        if flags & libc::MSG_TRUNC != 0 && matches!(self.file(fd), Ok(File::Tcp(_))) {
            // What is thrown away needs no place.
            return self.receive(fd, len, flags, progress);
        }
        let result = self.receive(fd, len, flags | libc::MSG_PEEK, progress)?;
        Some(match result {
            Ok(Reply::Received(1.., received)) if !received.bytes.is_empty() => Err(Errno::EFAULT),
            result => result,
        })
    }

    /// What cannot be read is not sent. What comes before the copying happens: on a connection that waits for data the SYN
    /// leaves without (tcp_send_syn_data), and who finds no room waits for it.
    pub(super) fn send_nowhere(
        &mut self,
        fd: i32,
        flags: i32,
        to: Destination,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        match self.file(fd) {
            Err(error) => return Some(Err(error)),
            Ok(File::Tcp(_)) => {}
            Ok(_) => return Some(Err(Errno::EFAULT)),
        }
        match self.send(fd, &[], flags, to, progress)? {
            Ok(_) if self.has_room(fd) => Some(Err(Errno::EFAULT)),
            Ok(_) => self.block(fd, flags),
            refused => Some(refused),
        }
    }

    fn has_room(&mut self, fd: i32) -> bool {
        let Ok(TcpFile { role: Role::Stream { socket }, .. }) = self.tcp(fd) else { return false };
        let socket = *socket;
        let Some(stream) = self.endpoints.get(&socket).map(|e| e.stream) else { return false };
        let room = self.machine.engine.port_mut().rings(stream).tx_room() > 0;
        room && self.below_low_water(fd, socket) > 0
    }

    /// SO_RCVTIMEO is over: what is there is less than was asked for, or nothing.
    fn receive_less(&mut self, fd: i32, len: usize) -> Option<CallResult> {
        Some(match self.try_receive(fd, len, libc::MSG_DONTWAIT) {
            Err(Errno::EAGAIN | Errno::EOPNOTSUPP) => Err(Errno::EAGAIN),
            result => result,
        })
    }

    pub(super) fn try_receive(&mut self, fd: i32, len: usize, flags: i32) -> CallResult {
        if flags & libc::MSG_ERRQUEUE != 0 {
            self.release_zero_copies(fd);
            let tcp = self.tcp(fd)?;
            if let Some(stamp) = tcp.stamps.pop(tcp.v6) {
                return Ok(stamp);
            }
            let error = tcp.zero_copies.pop(tcp.v6).ok_or(Errno::EAGAIN)?;
            return Ok(error.received());
        }
        if flags & libc::MSG_OOB != 0 {
            return self.receive_urgent(fd, len, flags);
        }
        let mut ahead = self.mark_ahead(fd);
        let may_wait = self.block(fd, flags).is_none();
        let tcp = self.tcp(fd)?;
        let Role::Stream { socket } = tcp.role else { return Err(Errno::ENOTCONN) };
        let (shut, low_water) = (tcp.shut_read, tcp.values.low_water());
        let endpoint = self.endpoints.get_mut(&socket).ok_or(Errno::EIO)?;
        let stream = endpoint.stream;
        let over = endpoint.peer_closed || endpoint.ended || shut;
        let rings = self.machine.engine.port_mut().rings(stream);
        let mut readable = usize::try_from(rings.readable()).unwrap_or(usize::MAX);
        let hole = readable > 0 && len > 0 && ahead.is_some_and(|ahead| ahead.is_hole());
        if hole && flags & libc::MSG_PEEK == 0 {
            self.skip_urgent(socket);
            return self.try_receive(fd, len, flags);
        }
        ahead = ahead.filter(|ahead| !ahead.is_here());
        readable -= usize::from(hole);
        // Nothing is read across the mark.
        let mark =
            ahead.map_or(usize::MAX, |ahead| usize::try_from(ahead.distance).unwrap_or(usize::MAX));
        let len = len.min(mark);
        let target = if flags & libc::MSG_WAITALL != 0 { len } else { low_water.min(len) };
        let waits = may_wait && readable < target && !over;
        if readable > 0 && len > 0 && !waits {
            return Ok(self.take(socket, len, flags, hole));
        }
        if over || len == 0 {
            if let Some(error) = endpoint.error.take() {
                return Err(error);
            }
            let control = self.inquired(socket);
            return Ok(Reply::Received(0, Received { control, ..Received::default() }));
        }
        Err(Errno::EAGAIN)
    }

    /// What comes beside bytes: SO_TIMESTAMP, and TCP_INQ.
    fn beside(&mut self, socket: SocketId) -> Vec<ControlMessage> {
        let arrived = self.endpoints.get(&socket).and_then(|endpoint| endpoint.arrived);
        let tcp = self.fd_of(socket).and_then(|fd| self.tcp(fd).ok());
        let stamp = tcp.zip(arrived).and_then(|(tcp, at)| stamp(&tcp.values, at));
        stamp.into_iter().chain(self.inquired(socket)).collect()
    }

    /// TCP_INQ: what is left to read, with one more for the peer's FIN (tcp_inq_hint).
    fn inquired(&mut self, socket: SocketId) -> Vec<ControlMessage> {
        let key = (libc::IPPROTO_TCP, libc::TCP_INQ);
        let fd = self.fd_of(socket);
        let asked = fd.and_then(|fd| self.tcp(fd).ok()).is_some_and(|tcp| tcp.values.flag(key));
        let Some(endpoint) = self.endpoints.get(&socket).filter(|_| asked) else {
            return Vec::new();
        };
        let (stream, fin) = (endpoint.stream, u64::from(endpoint.peer_closed));
        let fin = if planted::is(Bug::InqOfTheBuffer) { 0 } else { fin };
        let left = self.machine.engine.port_mut().rings(stream).readable() + fin;
        let data = i32::try_from(left).unwrap_or(i32::MAX).to_ne_bytes().to_vec();
        vec![ControlMessage { level: libc::IPPROTO_TCP, kind: libc::TCP_CM_INQ, data }]
    }

    /// `hole`: what is peeked at begins behind the urgent byte.
    fn take(&mut self, socket: SocketId, len: usize, flags: i32, hole: bool) -> Reply {
        let peek = flags & libc::MSG_PEEK != 0;
        let Some(stream) = self.endpoints.get(&socket).map(|e| e.stream) else {
            return Reply::Received(0, Received::default());
        };
        let skip = usize::from(hole);
        let mut bytes = self.machine.engine.port_mut().rings(stream).read(len + skip, peek);
        bytes.drain(..skip);
        let count = bytes.len() as i64;
        if flags & libc::MSG_TRUNC != 0 {
            // tcp(7): the bytes are thrown away.
            bytes.clear();
        }
        if !peek {
            // A refusal means that the connection is over: what lay in its ring is read all the same.
            let _ = self.tell(Op::Kick { socket });
        }
        let control = self.beside(socket);
        Reply::Received(count, Received { bytes, control, ..Received::default() })
    }

    pub(super) fn send(
        &mut self,
        fd: i32,
        bytes: &[u8],
        flags: i32,
        to: Destination,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        match self.file(fd) {
            Err(error) => return Some(Err(error)),
            Ok(File::PipeWrite(..)) => return Some(self.write_pipe(fd, bytes)),
            Ok(File::Udp(_)) => {
                return match self.send_udp(fd, bytes, flags, to) {
                    Err(Errno::EAGAIN) => self.block(fd, flags),
                    sent => Some(sent.map(|count| Reply::Number(count as i64))),
                };
            }
            Ok(File::Tcp(_)) => {}
            Ok(File::PipeRead(..)) => return Some(Err(Errno::EBADF)),
            Ok(File::Epoll(_)) => return Some(Err(Errno::EINVAL)),
        }
        loop {
            if progress.on_syn {
                match self.syn_taken(fd) {
                    Ok(true) => progress.on_syn = false,
                    Ok(false) => break,
                    Err(error) => return Some(Err(error)),
                }
            }
            match self.try_send(fd, &bytes[progress.sent..], flags, to, progress) {
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(sent) => progress.sent += sent,
                // What was sent before the error is the result; the error is told by the next call.
                Err(_) if progress.sent > 0 => {
                    return Some(Ok(Reply::Number(progress.sent as i64)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        if progress.sent == bytes.len() && !progress.on_syn {
            return Some(Ok(Reply::Number(bytes.len() as i64)));
        }
        self.note_no_space(fd);
        let blocked = self.block(fd, flags);
        let expired = blocked.is_none() && self.timed_out(fd, libc::SO_SNDTIMEO, progress);
        match (blocked, progress.sent) {
            (None, _) if !expired => None,
            (_, 0) if progress.on_syn => Some(Err(Errno::EINPROGRESS)),
            (_, 0) => Some(Err(Errno::EAGAIN)),
            (_, sent) => Some(Ok(Reply::Number(sent as i64))),
        }
    }

    /// A call that connects, by what it sends, waits for the handshake. True once that is done.
    fn syn_taken(&mut self, fd: i32) -> Result<bool, Errno> {
        let TcpFile { role: Role::Stream { socket }, .. } = self.tcp(fd)? else {
            return Err(Errno::EPIPE);
        };
        let socket = *socket;
        let endpoint = self.endpoints.get_mut(&socket).ok_or(Errno::EIO)?;
        match endpoint.error.take() {
            Some(error) => Err(error),
            None if endpoint.ended => Err(Errno::EPIPE),
            None => Ok(endpoint.connected),
        }
    }

    /// Whoever waits for room is told once there is some.
    pub(super) fn note_no_space(&mut self, fd: i32) {
        if let Ok(TcpFile { role: Role::Stream { socket }, .. }) = self.tcp(fd) {
            let socket = *socket;
            if let Some(endpoint) = self.endpoints.get_mut(&socket) {
                endpoint.no_space = true;
            }
        }
    }

    /// What a call that sent `sent` bytes wants to be told of: MSG_ZEROCOPY, if the socket has SO_ZEROCOPY; SO_TIMESTAMPING, of
    /// the socket or beside the bytes.
    pub(super) fn note_sent(&mut self, fd: i32, flags: i32, control: &[ControlMessage], sent: i64) {
        let Ok(TcpFile { role: Role::Stream { socket }, .. }) = self.tcp(fd) else { return };
        let socket = *socket;
        let Some(stream) = self.endpoints.get(&socket).map(|e| e.stream).filter(|_| sent > 0)
        else {
            return;
        };
        let end = self.machine.engine.port_mut().rings(stream).tx_end();
        let own = control
            .iter()
            .filter(|c| (c.level, c.kind) == (libc::SOL_SOCKET, libc::SO_TIMESTAMPING))
            .filter_map(|c| c.data.first_chunk::<4>())
            .fold(0, |all, flags| all | u32::from_ne_bytes(*flags));
        if let Ok(tcp) = self.tcp(fd) {
            tcp.stamps.sent(end, own);
            if flags & MSG_ZEROCOPY != 0 && tcp.values.flag((libc::SOL_SOCKET, SO_ZEROCOPY)) {
                tcp.zero_copies.sent(end);
            }
        }
    }

    /// Takes note of what the peer has. True if something waits in the error queue.
    pub(super) fn release_zero_copies(&mut self, fd: i32) -> bool {
        let Ok(TcpFile { role: Role::Stream { socket }, .. }) = self.tcp(fd) else { return false };
        let socket = *socket;
        let stream = self.endpoints.get(&socket).map(|e| e.stream);
        let released = stream.map_or(0, |stream| {
            let rings = self.machine.engine.port_mut().rings(stream);
            rings.tx_end() - rings.tx_queued()
        });
        self.tcp(fd).is_ok_and(|tcp| {
            tcp.zero_copies.release(released);
            tcp.zero_copies.is_done() || tcp.stamps.is_done()
        })
    }

    pub(super) fn try_send(
        &mut self,
        fd: i32,
        bytes: &[u8],
        flags: i32,
        to: Destination,
        progress: &mut Progress,
    ) -> Result<usize, Errno> {
        if flags & libc::MSG_FASTOPEN != 0 && !progress.opened {
            self.open_fast(fd, flags, to)?;
            progress.opened = true;
        }
        let tcp = self.tcp(fd)?;
        let Role::Stream { socket } = tcp.role else { return Err(Errno::EPIPE) };
        let shut = tcp.shut_write;
        let endpoint = self.endpoints.get_mut(&socket).ok_or(Errno::EIO)?;
        if let Some(error) = endpoint.error.take() {
            return Err(error);
        }
        if shut || endpoint.ended {
            return Err(Errno::EPIPE);
        }
        let (stream, connected) = (endpoint.stream, endpoint.connected);
        let waits = std::mem::take(&mut endpoint.fast_open);
        let stays = self.block(fd, flags).is_none();
        // Who waits for the handshake leaves what the SYN has no room for: it goes with the acknowledgement.
        let may_write = connected || waits || (stays && progress.opened);
        if !may_write {
            return Err(Errno::EAGAIN);
        }
        progress.on_syn = !connected;
        let room = match self.info(socket).filter(|_| !connected && !stays) {
            // One SYN carries no more than this: a segment less the longest options.
            Some(info) => info.snd_mss.saturating_sub(OPTIONS_MAX) as usize,
            None => self.below_low_water(fd, socket),
        };
        let chunk = room.min(bytes.len());
        let sent = self.machine.engine.port_mut().rings(stream).write(&bytes[..chunk]);
        if sent > 0 || progress.on_syn {
            self.announce(fd, socket, flags & libc::MSG_MORE != 0)?;
            let offset = self.machine.engine.port_mut().rings(stream).tx_end();
            if flags & libc::MSG_OOB != 0 {
                self.tell(Op::MarkUrgent { socket, offset })?;
            }
            self.tell(match flags & libc::MSG_EOR {
                0 => Op::Kick { socket },
                _ => Op::EndRecord { socket, offset },
            })?;
        }
        if sent == 0 && !bytes.is_empty() { Err(Errno::EAGAIN) } else { Ok(sent) }
    }

    /// TCP_NOTSENT_LOWAT: another buffer may be begun while less than that waits unsent. How long a buffer is, Linux says by
    /// what may become one burst: whole segments, 64 KiB, half the peer's window (tcp_xmit_size_goal).
    fn below_low_water(&mut self, fd: i32, socket: SocketId) -> usize {
        let limit = self.not_sent_low_water(fd);
        let Some((limit, info)) = limit.zip(self.info(socket)) else { return usize::MAX };
        let mss = info.snd_mss.max(1);
        let goal = BURST_MAX.min(info.snd_wnd / 2);
        let goal = (goal - goal % mss).max(mss);
        // What has left made room in the last buffer, which is filled up whatever the limit.
        let room = goal - info.notsent_bytes % goal;
        if info.notsent_bytes >= limit && room == goal { 0 } else { room as usize }
    }

    /// MSG_FASTOPEN: connect, with the data on the SYN if a cookie is known. A call that does not wait and has no cookie is
    /// [`Errno::EINPROGRESS`], and has sent nothing.
    fn open_fast(&mut self, fd: i32, flags: i32, to: Destination) -> Result<(), Errno> {
        let off = self.sysctl.tcp().fast_open_bits() & fast_open_setting::CLIENT == 0;
        if off || to == Destination::Unspecified {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.tcp(fd)?.role {
            Role::Fresh => {}
            Role::Listener { .. } => return Err(Errno::EISCONN),
            Role::Stream { socket } => return self.open_again(fd, socket),
        }
        let remote = to.address().ok_or(Errno::EINVAL)?;
        self.tell(Op::SetOption { socket: None, option: SocketOption::FastOpenConnect(true) })?;
        match self.begin_connect(fd, remote) {
            Ok(_) => Ok(()),
            Err(Errno::EINPROGRESS) if self.block(fd, flags).is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// MSG_FASTOPEN where there is a connection already, or the beginning of one.
    fn open_again(&mut self, fd: i32, socket: SocketId) -> Result<(), Errno> {
        let endpoint = self.endpoints.get_mut(&socket).ok_or(Errno::EIO)?;
        let (connected, waits) = (endpoint.connected, endpoint.fast_open);
        if endpoint.ended || waits {
            return Ok(());
        }
        if !connected {
            return Err(Errno::EALREADY);
        }
        // The success of a connect that did not wait is told by this.
        if std::mem::take(&mut self.tcp(fd)?.connecting) { Ok(()) } else { Err(Errno::EISCONN) }
    }
}
