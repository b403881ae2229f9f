//! Readiness: poll and epoll.

use std::collections::{BTreeMap, BTreeSet};

use causeway_core::port::SocketId;
use causeway_core::time::Duration;

use super::call::{CallResult, EpollEvent, PollFd, Progress, Reply};
use super::errno::Errno;
use super::file::{File, News, Role, Watch};
use super::host::Host;
use causeway_core::planted::{self, Bug};

const IN: u32 = (libc::EPOLLIN | libc::EPOLLRDNORM) as u32;
const OUT: u32 = (libc::EPOLLOUT | libc::EPOLLWRNORM) as u32;
const ERR: u32 = libc::EPOLLERR as u32;
const HUP: u32 = libc::EPOLLHUP as u32;
const RDHUP: u32 = libc::EPOLLRDHUP as u32;
const ONE_SHOT: u32 = libc::EPOLLONESHOT as u32;
const PRI: u32 = libc::EPOLLPRI as u32;
const EDGE: u32 = libc::EPOLLET as u32;
/// So many epolls may lie within each other, the outermost included (EP_MAX_NESTS are within it).
const EPOLL_LAYERS_MAX: usize = 5;

/// Epolls within each other, by how deep they lie.
type Layers = Vec<BTreeSet<i32>>;

fn span(timeout_ms: i32) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}

impl Watch {
    /// Getter: something happened that it waits for since it was last told of (EPOLLET).
    fn is_triggered(&self, news: News) -> bool {
        let Some(told) = self.told else { return true };
        told.state != news.state
            || told.errors != news.errors
            || (told.input != news.input && self.events & (IN | PRI) != 0)
            || (told.output != news.output && self.events & OUT != 0)
    }
}

impl Host {
    /// What is so of a descriptor, in epoll's bits (those of poll are the same).
    fn readiness(&mut self, fd: i32) -> Result<u32, Errno> {
        match self.file(fd)? {
            File::Tcp(_) => self.tcp_readiness(fd),
            File::Udp(_) => self.udp_readiness(fd),
            File::Epoll(watches) => {
                let fds: Vec<i32> = watches.keys().copied().collect();
                let ready = fds.into_iter().any(|fd| self.watched(fd, u32::MAX) != 0);
                Ok(if ready { IN } else { 0 })
            }
            File::PipeRead(buffer, _) => {
                let buffer = buffer.borrow();
                let readable = if buffer.bytes.is_empty() { 0 } else { IN };
                Ok(readable | if buffer.writers == 0 { HUP } else { 0 })
            }
            File::PipeWrite(buffer, _) => {
                Ok(if buffer.borrow().readers == 0 { ERR | OUT } else { OUT })
            }
        }
    }

    /// How much news there was of a descriptor.
    fn news_of(&self, fd: i32) -> News {
        match self.look(fd) {
            Some(File::Tcp(tcp)) => match tcp.role {
                Role::Stream { socket } => {
                    let news = self.endpoints.get(&socket).map_or_else(News::default, |e| e.news);
                    News { errors: tcp.zero_copies.released() + tcp.stamps.queued(), ..news }
                }
                Role::Fresh | Role::Listener { .. } => {
                    News { input: tcp.arrived, ..News::default() }
                }
            },
            Some(File::Udp(udp)) => self.udp_news(udp),
            Some(File::PipeRead(buffer, _) | File::PipeWrite(buffer, _)) => {
                let buffer = buffer.borrow();
                News { input: buffer.written, output: buffer.read, ..News::default() }
            }
            Some(File::Epoll(_)) | None => News::default(),
        }
    }

    fn tcp_readiness(&mut self, fd: i32) -> Result<u32, Errno> {
        let tcp = self.tcp(fd)?;
        let (shut_read, shut_write) = (tcp.shut_read, tcp.shut_write);
        let low_water = tcp.values.low_water();
        let socket = match &tcp.role {
            Role::Fresh => return Ok(HUP | OUT),
            Role::Listener { queue, .. } => return Ok(if queue.is_empty() { 0 } else { IN }),
            Role::Stream { socket } => *socket,
        };
        let endpoint = self.endpoints.get(&socket).cloned().ok_or(Errno::EIO)?;
        let rings = self.machine.engine.port_mut().rings(endpoint.stream);
        let readable = usize::try_from(rings.readable()).unwrap_or(usize::MAX);
        let mut events = 0;
        let ended_reading = endpoint.peer_closed || shut_read || endpoint.ended;
        if endpoint.ended || (ended_reading && shut_write) {
            events |= HUP;
        }
        if ended_reading {
            events |= IN | RDHUP;
        }
        // The urgent byte is not among what a read would give.
        let hole = usize::from(self.mark_ahead(fd).is_some_and(|ahead| ahead.is_hole()));
        if readable >= low_water + hole {
            events |= IN;
        }
        // A connect that waits for what is written (TCP_FASTOPEN_CONNECT) lets it be written.
        let deferred = endpoint.fast_open && !endpoint.connected;
        let roomy = endpoint.connected && self.is_roomy(fd, socket);
        if shut_write || endpoint.ended || deferred || roomy {
            events |= OUT;
        } else {
            self.note_no_space(fd);
        }
        if self.urgent_waits(fd) {
            events |= PRI;
        }
        if endpoint.error.is_some() || self.release_zero_copies(fd) {
            events |= ERR;
        }
        Ok(events)
    }

    /// TCP_NOTSENT_LOWAT, or the setting of that name.
    pub(super) fn not_sent_low_water(&mut self, fd: i32) -> Option<u32> {
        let of_all = self.sysctl.not_sent_low_water();
        let values = &self.tcp(fd).ok().filter(|_| !planted::is(Bug::LowWaterIgnored))?.values;
        values.not_sent_low_water(of_all)
    }

    /// Linux: at least a third of the buffer is free (sk_stream_min_wspace), and half of what may wait unsent.
    fn is_roomy(&mut self, fd: i32, socket: SocketId) -> bool {
        let lowat = self.not_sent_low_water(fd);
        let Some(stream) = self.endpoints.get(&socket).map(|e| e.stream) else { return false };
        let rings = self.machine.engine.port_mut().rings(stream);
        let (room, queued) = (rings.tx_room(), rings.tx_queued());
        let unsent = lowat.is_some_and(|limit| {
            self.info(socket).is_some_and(|info| 2 * info.notsent_bytes >= limit)
        });
        room > 0 && room >= queued / 2 && !unsent
    }

    /// Input: bytes arrived in order, or were acknowledged.
    pub(super) fn absorb_ready(&mut self, socket: SocketId) {
        let Some(endpoint) = self.endpoints.get(&socket) else { return };
        let (stream, missed) = (endpoint.stream, endpoint.no_space);
        let committed = self.machine.engine.port_mut().rings(stream).rx_committed();
        let roomy = missed && self.fd_of(socket).is_some_and(|fd| self.is_roomy(fd, socket));
        let now = self.now();
        if let Some(endpoint) = self.endpoints.get_mut(&socket) {
            if committed > endpoint.committed {
                endpoint.news.input += 1;
                endpoint.arrived = Some(now);
            }
            endpoint.committed = committed;
            if roomy {
                endpoint.no_space = false;
                endpoint.news.output += 1;
            }
        }
    }

    /// The events that are so among those asked for; errors and hang-ups always are.
    fn watched(&mut self, fd: i32, asked: u32) -> u32 {
        self.readiness(fd).map_or(0, |events| events & (asked | ERR | HUP))
    }

    pub(super) fn poll(
        &mut self,
        fds: &[PollFd],
        timeout_ms: i32,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        let mut out = fds.to_vec();
        for entry in &mut out {
            let asked = u32::from(entry.events.cast_unsigned());
            let revents = match self.file(entry.fd) {
                _ if entry.fd < 0 => 0,
                Err(_) => libc::POLLNVAL as u32,
                Ok(_) => self.watched(entry.fd, asked),
            };
            entry.revents = revents as u16 as i16;
        }
        let count = out.iter().filter(|entry| entry.revents != 0).count() as i64;
        let expired = self.deadline(span(timeout_ms), progress);
        (count > 0 || expired).then_some(Ok(Reply::Polled(count, out)))
    }

    pub(super) fn epoll_create(&mut self) -> CallResult {
        Ok(Reply::Number(i64::from(self.install(File::Epoll(BTreeMap::new()))?)))
    }

    fn watches(&mut self, epfd: i32) -> Result<&mut BTreeMap<i32, Watch>, Errno> {
        match self.file(epfd)? {
            File::Epoll(watches) => Ok(watches),
            File::Tcp(_) | File::Udp(_) | File::PipeRead(..) | File::PipeWrite(..) => {
                Err(Errno::EINVAL)
            }
        }
    }

    /// `fd` if it is an epoll, then those that `next` leads to from it, then those that it leads to from these: as many layers as
    /// there are, or one too many.
    fn layers(&self, fd: i32, next: fn(&Self, &BTreeSet<i32>) -> BTreeSet<i32>) -> Layers {
        let is_epoll = matches!(self.look(fd), Some(File::Epoll(_)));
        let mut layer: BTreeSet<i32> = is_epoll.then_some(fd).into_iter().collect();
        let mut layers = Vec::new();
        while !layer.is_empty() && layers.len() <= EPOLL_LAYERS_MAX {
            let following = next(self, &layer);
            layers.push(layer);
            layer = following;
        }
        layers
    }

    /// The epolls that one of `above` watches.
    fn epolls_below(&self, above: &BTreeSet<i32>) -> BTreeSet<i32> {
        let watches = above.iter().filter_map(|fd| match self.look(*fd)? {
            File::Epoll(watches) => Some(watches.keys().copied()),
            _ => None,
        });
        watches.flatten().filter(|fd| matches!(self.look(*fd), Some(File::Epoll(_)))).collect()
    }

    /// The epolls that watch one of `below`.
    fn epolls_above(&self, below: &BTreeSet<i32>) -> BTreeSet<i32> {
        let watches_one = |fd: &i32| match self.look(*fd) {
            Some(File::Epoll(watches)) => watches.keys().any(|watched| below.contains(watched)),
            _ => false,
        };
        self.descriptors().filter(watches_one).collect()
    }

    /// If `epfd` watched `fd`, it would watch itself, be it by way of others; or too many would lie within each other.
    fn is_too_deep(&self, epfd: i32, fd: i32) -> bool {
        let below = self.layers(fd, Self::epolls_below);
        let above = self.layers(epfd, Self::epolls_above);
        let in_itself = below.iter().any(|layer| layer.contains(&epfd));
        !below.is_empty() && (in_itself || below.len() + above.len() > EPOLL_LAYERS_MAX)
    }

    pub(super) fn epoll_ctl(
        &mut self,
        epfd: i32,
        operation: i32,
        fd: i32,
        event: EpollEvent,
    ) -> CallResult {
        self.file(fd)?;
        if epfd == fd {
            return Err(Errno::EINVAL);
        }
        if operation == libc::EPOLL_CTL_ADD && self.is_too_deep(epfd, fd) {
            return Err(Errno::ELOOP);
        }
        let watches = self.watches(epfd)?;
        let EpollEvent { events, data } = event;
        let watch = Watch { events, data, disarmed: false, told: None };
        match operation {
            libc::EPOLL_CTL_ADD if watches.contains_key(&fd) => return Err(Errno::EEXIST),
            libc::EPOLL_CTL_ADD => watches.insert(fd, watch),
            libc::EPOLL_CTL_MOD if watches.contains_key(&fd) => watches.insert(fd, watch),
            libc::EPOLL_CTL_DEL if watches.contains_key(&fd) => watches.remove(&fd),
            libc::EPOLL_CTL_MOD | libc::EPOLL_CTL_DEL => return Err(Errno::ENOENT),
            _ => return Err(Errno::EINVAL),
        };
        Ok(Reply::Number(0))
    }

    pub(super) fn epoll_wait(
        &mut self,
        epfd: i32,
        max: usize,
        timeout_ms: i32,
        progress: &mut Progress,
    ) -> Option<CallResult> {
        let watches = match self.watches(epfd) {
            Ok(watches) => watches.clone(),
            Err(error) => return Some(Err(error)),
        };
        if max == 0 {
            return Some(Err(Errno::EINVAL));
        }
        let mut ready = Vec::new();
        for (fd, mut watch) in watches {
            if watch.disarmed || ready.len() == max {
                continue;
            }
            self.release_zero_copies(fd);
            let news = self.news_of(fd);
            if watch.events & EDGE != 0 && !watch.is_triggered(news) {
                continue;
            }
            let Ok(events) = self.readiness(fd) else { continue };
            let events = events & (watch.events | ERR | HUP);
            watch.told = Some(news);
            if events != 0 {
                watch.disarmed = watch.events & ONE_SHOT != 0;
                ready.push(EpollEvent { events, data: watch.data });
            }
            if let Ok(watches) = self.watches(epfd) {
                watches.insert(fd, watch);
            }
        }
        let expired = self.deadline(span(timeout_ms), progress);
        (!ready.is_empty() || expired).then_some(Ok(Reply::Events(ready)))
    }
}
