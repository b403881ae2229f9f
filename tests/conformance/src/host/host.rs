//! The host: files, connections, calls that wait.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use causeway_core::error::CommandError;
use causeway_core::ip::InterfaceAddress;
use causeway_core::port::{Completion, Op, SocketId};
use causeway_core::time::{Duration, Instant};

use super::ancillary::Beside;
use super::call::{Call, CallResult, Payload, Progress, Reply, TaskId};
use super::datagram::{Inbox, UdpFile};
use super::descriptor::Flags;
use super::errno::Errno;
use super::file::{Endpoint, File, News, Role, TcpFile};
use super::machine::{Datagram, Machine};
use super::port::HostPort;
use super::saved_syn::Syns;
use super::sysctl::{Sysctl, SysctlError};

/// Most descriptors.
const FILES_MAX: usize = 65_536;
/// The first descriptor, after those of standard streams.
const FIRST_FD: i32 = 3;
/// The bits of a socket's type, and how many types Linux has; the rest are flags.
const SOCK_TYPE_MASK: i32 = 15;
const SOCK_MAX: i32 = 11;
/// One more than the last number of a protocol (that of MPTCP).
const IPPROTO_MAX: i32 = 263;

/// What every link carries (RFC 791 section 3.2, RFC 8200 section 5).
const IPV4_MTU_MIN: u16 = 68;
const IPV6_MTU_MIN: u16 = 1_280;

/// The addresses of a host, with their prefix lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
}

impl Default for Addresses {
    fn default() -> Self {
        let v6 = Ipv6Addr::new(0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1);
        Self { v4: Ipv4Addr::new(192, 168, 0, 1), v6 }
    }
}

impl Addresses {
    /// Getter: those that its interface can have, with the lengths of their prefixes.
    fn of_interface(self) -> [Option<InterfaceAddress>; 2] {
        [(IpAddr::from(self.v4), 16), (self.v6.into(), 48)].map(|(address, prefix_len)| {
            let own = InterfaceAddress::new(address, prefix_len).ok();
            own.filter(|own| !own.addr().to_canonical().is_loopback())
        })
    }
}

/// What a host begins with.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its addresses. What cannot be an interface's it does not have.
    pub addresses: Addresses,
    /// MTU of its interface, in bytes. With less than 1280 it has no IPv6, with less than 68 no IPv4 either.
    pub mtu: u16,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { addresses: Addresses::default(), mtu: 1_500 }
    }
}

/// A call that waits, or whose end was not fetched.
#[derive(Debug)]
struct Task {
    call: Call,
    progress: Progress,
    done: Option<(Instant, CallResult)>,
}

/// One machine with one application, at one moment of its own time.
#[derive(Debug)]
pub struct Host {
    pub(super) machine: Machine,
    pub(super) files: Vec<Option<File>>,
    /// Of descriptors, where a call set any.
    pub(super) flags: BTreeMap<i32, Flags>,
    pub(super) endpoints: BTreeMap<SocketId, Endpoint>,
    pub(super) inboxes: BTreeMap<SocketId, Inbox>,
    /// Of the interface.
    pub(super) mtu: u16,
    pub(super) sysctl: Sysctl,
    /// What is known of the datagram that is coming in.
    pub(super) coming: Option<Beside>,
    pub(super) syns: Syns,
    /// How many sockets were asked for their SO_COOKIE.
    pub(super) cookies: u64,
    answers: BTreeMap<u64, Completion>,
    tag: u64,
    tasks: BTreeMap<TaskId, Task>,
    next_task: u64,
}

impl Host {
    /// A host at [`super::START`].
    ///
    /// In a build with `--cfg planted` the process suffers from the bug that `CAUSEWAY_PLANT` names, if any.
    pub fn new(config: &HostConfig) -> Self {
        #[cfg(planted)]
        if let Ok(id) = std::env::var("CAUSEWAY_PLANT") {
            assert!(causeway_core::planted::plant(&id), "there is no bug `{id}`");
        }
        let sysctl = Sysctl::default();
        let machine = new_machine(config, &sysctl);
        Self {
            machine,
            files: Vec::new(),
            flags: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            mtu: config.mtu,
            sysctl,
            coming: None,
            syns: Syns::default(),
            cookies: 0,
            answers: BTreeMap::new(),
            tag: 0,
            tasks: BTreeMap::new(),
            next_task: 0,
        }
    }

    /// Command: other addresses, as long as nothing listens or is connected, and if they can be a machine's own: one of the loopback
    /// or of a group cannot. Returns whether it was done.
    pub fn readdress(&mut self, addresses: Addresses, mtu: u16) -> bool {
        let idle = |file: &File| match file {
            File::Tcp(tcp) => matches!(tcp.role, Role::Fresh),
            File::Udp(udp) => !udp.is_open(),
            File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => true,
        };
        let all_own = addresses.of_interface().iter().all(Option::is_some);
        if !all_own || !self.endpoints.is_empty() || !self.files.iter().flatten().all(idle) {
            return false;
        }
        let now = self.now();
        self.mtu = mtu;
        self.machine = new_machine(&HostConfig { addresses, mtu }, &self.sysctl);
        self.machine.now = now;
        true
    }

    /// Getter: the time.
    pub const fn now(&self) -> Instant {
        self.machine.now
    }

    /// Command: what `sysctl -w name=value` does.
    ///
    /// # Errors
    /// [`SysctlError`] for names and values that this host does not have.
    pub fn sysctl(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        self.sysctl.set(name, value)?;
        self.machine.follow(&self.sysctl);
        Ok(())
    }

    /// Input: a datagram arrives, from its IP header on.
    pub fn inject(&mut self, bytes: &[u8]) {
        self.note_syn(bytes);
        self.coming = Beside::of(bytes, self.now());
        self.machine.inject(bytes);
        self.absorb();
        self.coming = None;
        self.react();
    }

    /// Output: the next datagram that the stack sent.
    pub fn poll_sent(&mut self) -> Option<Datagram> {
        self.machine.sent.pop_front()
    }

    /// Getter: datagrams that were not fetched.
    pub fn sent(&self) -> impl Iterator<Item = &Datagram> {
        self.machine.sent.iter()
    }

    /// Input: `call` begins now. Ask [`Host::poll_done`] for its end.
    pub fn start(&mut self, call: Call) -> TaskId {
        let id = TaskId(self.next_task);
        self.next_task += 1;
        self.tasks.insert(id, Task { call, progress: Progress::default(), done: None });
        self.react();
        id
    }

    /// Output: how and when a call ended; `None` while it waits. Told once.
    pub fn poll_done(&mut self, id: TaskId) -> Option<(Instant, CallResult)> {
        let done = self.tasks.get_mut(&id)?.done.take();
        if done.is_some() {
            self.tasks.remove(&id);
        }
        done
    }

    /// Command: nobody waits for the end of a call any more. It goes no further, and what it did so far stays done.
    pub fn abandon(&mut self, id: TaskId) {
        self.tasks.remove(&id);
    }

    /// Command: a call that must not block; the answer is that of its non-blocking form if it would.
    pub fn call_now(&mut self, call: Call) -> CallResult {
        let id = self.start(call);
        match self.poll_done(id) {
            Some((_, result)) => result,
            None => {
                self.abandon(id);
                Err(Errno::EAGAIN)
            }
        }
    }

    /// Getter: when something is due, `None` if only the wire or the application can bring news.
    pub fn next_due(&self) -> Option<Instant> {
        let deadlines = self.tasks.values().filter(|task| task.done.is_none());
        let deadline = deadlines.filter_map(|task| task.progress.deadline).min();
        [self.machine.next(), deadline].into_iter().flatten().min()
    }

    /// Command: time passes until `end`, or until the moment in which the stack sends or a call ends, if `stop`.
    pub fn advance(&mut self, end: Instant, stop: bool) {
        loop {
            if stop && (!self.machine.sent.is_empty() || self.any_done()) {
                return;
            }
            let due = self.next_due().filter(|due| *due <= end);
            self.machine.now = self.machine.now.max(due.unwrap_or(end));
            self.machine.settle();
            self.react();
            if due.is_none() {
                return;
            }
        }
    }

    fn any_done(&self) -> bool {
        self.tasks.values().any(|task| task.done.is_some())
    }

    /// Lets the application side see what happened, and calls go on that waited for it.
    fn react(&mut self) {
        loop {
            self.machine.settle();
            self.absorb();
            self.stamp();
            if !self.attempt_tasks() {
                return;
            }
        }
    }

    /// True when a call ended or went on, which may have consequences.
    fn attempt_tasks(&mut self) -> bool {
        let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        let mut moved = false;
        for id in ids {
            let Some(task) = self.tasks.get_mut(&id).filter(|task| task.done.is_none()) else {
                continue;
            };
            let call = task.call.clone();
            let mut progress = task.progress.clone();
            let sent = progress.sent;
            let result = self.attempt(&call, &mut progress);
            progress.begun = true;
            moved |= result.is_some() || progress.sent != sent;
            let now = self.now();
            if let Some(task) = self.tasks.get_mut(&id) {
                task.progress = progress;
                task.done = result.map(|result| (now, result));
            }
        }
        moved
    }

    /// One attempt; `None` while the call blocks.
    fn attempt(&mut self, call: &Call, progress: &mut Progress) -> Option<CallResult> {
        match call {
            Call::Socket { domain, kind, protocol } => Some(self.socket(*domain, *kind, *protocol)),
            Call::Bind { fd, address } => Some(self.bind(*fd, *address)),
            Call::Listen { fd, backlog } => Some(self.listen(*fd, *backlog)),
            Call::Accept { fd, flags } => self.accept(*fd, *flags, progress),
            Call::Connect { fd, address } => self.connect(*fd, *address, progress),
            Call::Receive { fd, len, flags, nowhere: false } => {
                self.receive(*fd, *len, *flags, progress)
            }
            Call::Receive { fd, len, flags, nowhere: true } => {
                self.receive_nowhere(*fd, *len, *flags, progress)
            }
            Call::Send { fd, payload, flags, to, control } => {
                let result = match payload {
                    Payload::Bytes(bytes) => self.send(*fd, bytes, *flags, *to, progress),
                    Payload::Nowhere => self.send_nowhere(*fd, *flags, *to, progress),
                };
                if let Some(Ok(Reply::Number(sent))) = result {
                    self.note_sent(*fd, *flags, control, sent);
                }
                result
            }
            Call::Shutdown { fd, how } => Some(self.shutdown(*fd, *how)),
            Call::Close { fd } => self.close(*fd, progress),
            Call::Fcntl { fd, command, argument } => Some(self.fcntl(*fd, *command, *argument)),
            Call::Ioctl { fd, request } => Some(self.ioctl(*fd, *request)),
            Call::GetOption { fd, level, name, len } => {
                Some(self.read_option(*fd, *level, *name, *len))
            }
            Call::SetOption { fd, level, name, value } => {
                Some(self.set_option(*fd, *level, *name, value))
            }
            Call::Poll { fds, timeout_ms } => self.poll(fds, *timeout_ms, progress),
            Call::EpollCreate => Some(self.epoll_create()),
            Call::EpollCtl { epfd, operation, fd, event } => {
                Some(self.epoll_ctl(*epfd, *operation, *fd, *event))
            }
            Call::EpollWait { epfd, max, timeout_ms } => {
                self.epoll_wait(*epfd, *max, *timeout_ms, progress)
            }
            Call::Pipe { flags } => Some(self.pipe(*flags)),
            Call::Splice { from, to, len, flags } => self.splice(*from, *to, *len, *flags),
        }
    }

    fn socket(&mut self, domain: i32, kind: i32, protocol: i32) -> CallResult {
        let flags = kind & !SOCK_TYPE_MASK;
        let nonblocking = flags & libc::SOCK_NONBLOCK != 0;
        if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
            return Err(Errno::EINVAL);
        }
        let (kind, v6) = (kind & SOCK_TYPE_MASK, domain == libc::AF_INET6);
        let mut file = match (domain, kind, protocol) {
            (libc::AF_INET | libc::AF_INET6, SOCK_MAX.., _)
            | (libc::AF_INET | libc::AF_INET6, _, ..0 | IPPROTO_MAX..) => {
                return Err(Errno::EINVAL);
            }
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => {
                File::Tcp(Box::new(TcpFile::new(v6, nonblocking)))
            }
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => {
                File::Udp(Box::new(UdpFile::new(v6, nonblocking)))
            }
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM | libc::SOCK_DGRAM, _)
            | (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW, 0) => {
                return Err(Errno::EPROTONOSUPPORT);
            }
            (libc::AF_INET | libc::AF_INET6, ..) => return Err(Errno::ESOCKTNOSUPPORT),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        if self.sysctl.no_pmtu_disc()
            && let Some(values) = file.values_mut()
        {
            let key = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
            values.set.insert(key, libc::IP_PMTUDISC_DONT.to_ne_bytes().to_vec());
        }
        let fd = self.install(file)?;
        self.note_close_on_exec(fd, flags & libc::SOCK_CLOEXEC != 0);
        Ok(Reply::Number(i64::from(fd)))
    }

    /// Takes the lowest free descriptor.
    pub(super) fn install(&mut self, file: File) -> Result<i32, Errno> {
        let index = self.files.iter().position(Option::is_none).unwrap_or(self.files.len());
        if index >= FILES_MAX {
            return Err(Errno::EMFILE);
        }
        if index == self.files.len() {
            self.files.push(None);
        }
        self.files[index] = Some(file);
        Ok(FIRST_FD + i32::try_from(index).map_err(|_| Errno::EMFILE)?)
    }

    fn index(fd: i32) -> usize {
        fd.checked_sub(FIRST_FD).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX)
    }

    pub(super) fn file(&mut self, fd: i32) -> Result<&mut File, Errno> {
        self.files.get_mut(Self::index(fd)).and_then(Option::as_mut).ok_or(Errno::EBADF)
    }

    /// Getter: all descriptors, open or not.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = i32> + use<> {
        (FIRST_FD..).take(self.files.len())
    }

    pub(super) fn look(&self, fd: i32) -> Option<&File> {
        self.files.get(Self::index(fd)).and_then(Option::as_ref)
    }

    pub(super) fn remove_file(&mut self, fd: i32) -> Result<File, Errno> {
        self.flags.remove(&fd);
        self.files.get_mut(Self::index(fd)).and_then(Option::take).ok_or(Errno::EBADF)
    }

    pub(super) fn tcp(&mut self, fd: i32) -> Result<&mut TcpFile, Errno> {
        match self.file(fd)? {
            File::Tcp(tcp) => Ok(tcp),
            File::Udp(_) => Err(Errno::EOPNOTSUPP),
            File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => Err(Errno::ENOTSOCK),
        }
    }

    /// The descriptor of a connection, if it was accepted.
    pub(super) fn fd_of(&self, socket: SocketId) -> Option<i32> {
        let is = |file: &Option<File>| matches!(file, Some(File::Tcp(tcp)) if matches!(tcp.role, Role::Stream { socket: s } if s == socket));
        self.files.iter().position(is).and_then(|index| Some(FIRST_FD + i32::try_from(index).ok()?))
    }

    /// Asks the stack and returns its answer to this one command, if it gives any.
    pub(super) fn ask(&mut self, op: Op) -> Option<Completion> {
        self.tag += 1;
        let tag = self.tag;
        self.machine.engine.port_mut().ask(tag, op);
        self.machine.settle();
        self.absorb();
        self.answers.remove(&tag)
    }

    /// Like [`Host::ask`], for commands that answer only when they are refused.
    pub(super) fn tell(&mut self, op: Op) -> Result<(), CommandError> {
        match self.ask(op) {
            Some(Completion::Failed { error, .. }) => Err(error),
            _ => Ok(()),
        }
    }

    fn absorb(&mut self) {
        while let Some(completion) = self.machine.poll_completion() {
            match completion {
                Completion::Failed { tag, .. }
                | Completion::Listening { tag, .. }
                | Completion::Bound { tag, .. }
                | Completion::Info { tag, .. }
                | Completion::EchoReply { tag, .. } => {
                    self.answers.insert(tag, completion);
                }
                Completion::Connecting { tag, socket, stream, .. } => {
                    let remote = SocketAddr::from(([0, 0, 0, 0], 0));
                    self.endpoints.insert(socket, Endpoint::new(stream, remote, false));
                    self.answers.insert(tag, completion);
                }
                Completion::Incoming { listener, socket, stream, local, remote } => {
                    let mut endpoint = Endpoint::new(stream, remote, true);
                    endpoint.saved_syn = self.syns.take(remote, local);
                    self.endpoints.insert(socket, endpoint);
                    self.queue_incoming(listener, socket);
                }
                Completion::Connected { socket } => {
                    self.changed(socket, |e| e.connected = true);
                }
                Completion::Ready { socket } => self.absorb_ready(socket),
                Completion::Urgent { socket, offset, byte } => {
                    self.absorb_mark(socket, offset, byte);
                }
                Completion::PeerClosed { socket } => {
                    self.changed(socket, |e| e.peer_closed = true);
                }
                Completion::LastInfo { socket, info } => {
                    let now = self.now();
                    if let Some(endpoint) = self.endpoints.get_mut(&socket) {
                        endpoint.last_info = Some((now, info));
                    }
                }
                Completion::Ended { socket, reason } => self.changed(socket, |endpoint| {
                    endpoint.ended = true;
                    endpoint.error = Errno::of_end(reason, endpoint.peer_closed);
                }),
                Completion::Datagram { socket, offset, len, remote } => {
                    self.absorb_datagram(socket, (offset, len), remote);
                }
                Completion::DatagramRefused { socket, reason } => {
                    self.absorb_refusal(socket, reason);
                }
                Completion::Message { .. } => {}
            }
        }
    }

    /// A change of state, which wakes whoever waits for whatever.
    pub(super) fn changed(&mut self, socket: SocketId, change: impl FnOnce(&mut Endpoint)) {
        if let Some(endpoint) = self.endpoints.get_mut(&socket) {
            endpoint.news.state += 1;
            change(endpoint);
        }
    }

    fn queue_incoming(&mut self, listener: SocketId, incoming: SocketId) {
        for file in self.files.iter_mut().flatten() {
            if let File::Tcp(tcp) = file
                && let Role::Listener { socket, queue, .. } = &mut tcp.role
                && *socket == listener
            {
                queue.push_back(incoming);
                tcp.arrived += 1;
                return;
            }
        }
    }

    /// The deadline of a call that waits `span` at most, set with its first attempt.
    pub(super) fn deadline(&self, span: Option<Duration>, progress: &mut Progress) -> bool {
        if !progress.begun {
            progress.deadline = span.map(|span| self.machine.after(span));
        }
        progress.deadline.is_some_and(|deadline| deadline <= self.now())
    }
}

fn new_machine(config: &HostConfig, sysctl: &Sysctl) -> Machine {
    // Linux takes a protocol away from an interface with a smaller MTU than that.
    let fits = |own: &InterfaceAddress| {
        config.mtu >= if own.addr().is_ipv4() { IPV4_MTU_MIN } else { IPV6_MTU_MIN }
    };
    let addresses: Vec<InterfaceAddress> =
        config.addresses.of_interface().into_iter().flatten().filter(fits).collect();
    let port = HostPort::new(sysctl.tx_limit(), sysctl.rx_window());
    let mut machine = Machine::new(&addresses, config.mtu, sysctl.tcp(), port);
    machine.follow(sysctl);
    machine
}

impl Endpoint {
    pub(super) fn new(
        stream: causeway_core::port::StreamId,
        remote: SocketAddr,
        connected: bool,
    ) -> Self {
        Self {
            stream,
            remote,
            connected,
            fast_open: false,
            peer_closed: false,
            ended: false,
            last_info: None,
            error: None,
            news: News::default(),
            committed: 0,
            no_space: false,
            arrived: None,
            saved_syn: None,
            mark: None,
        }
    }
}
