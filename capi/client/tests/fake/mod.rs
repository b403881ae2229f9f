//! A daemon of one page: a real socket, real channels, and a stack in which every address is its own.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use causeway_channel::{DaemonChannel, DaemonLane, Doorbells, Geometry, Owner, handshake};
use causeway_client::{Channel, CommandError, Duration, EndReason, OsEnv, SocketInfo};
use causeway_core::port::{ChannelId, Completion, Op, SocketId, StreamId, StreamIo, Transport};
use rustix::event::{PollFd, PollFlags, Timespec};

pub struct FakeDaemon {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeDaemon {
    pub fn start(geometry: Geometry) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-client-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = handshake::listen(&path).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut stack = Stack { geometry, ..Stack::default() };
            while !stopped.load(Ordering::Relaxed) {
                stack.accept(&listener);
                if !stack.step() {
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            }
        });
        Self { path, stop, thread: Some(thread) }
    }

    pub fn attach(&self) -> Channel {
        Channel::attach_in(Arc::new(OsEnv::with_socket(&self.path))).unwrap()
    }

    /// As `kill -9` would: everything that it holds is closed.
    pub fn kill(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Sock {
    channel: usize,
    slot: u32,
    peer: SocketId,
    moved: u64,
    messages: VecDeque<(u64, u32)>,
    /// No more bytes come: the peer may be told once all have moved.
    shut: bool,
    told: bool,
    closed: bool,
}

#[derive(Default)]
struct Stack {
    geometry: Geometry,
    channels: Vec<(DaemonLane, OwnedFd)>,
    gone: Vec<bool>,
    listeners: Vec<(usize, SocketId, Transport, SocketAddr)>,
    sockets: BTreeMap<SocketId, Sock>,
    next: u32,
}

impl Stack {
    fn accept(&mut self, listener: &OwnedFd) {
        let mut ready = [PollFd::new(listener, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if rustix::event::poll(&mut ready, Some(&now)) != Ok(1) {
            return;
        }
        let control = rustix::net::accept(listener).unwrap();
        handshake::negotiate(&handshake::recv_hello(control.as_fd()).unwrap()).unwrap();
        let id = ChannelId { index: self.channels.len() as u32, generation: 0 };
        let owner = Owner { pid: std::process::id(), lease: 0 };
        let bells = Doorbells::os(1).unwrap();
        let (channel, grant) = DaemonChannel::create(&self.geometry, id, owner, bells).unwrap();
        handshake::send_grant(control.as_fd(), &grant).unwrap();
        self.channels.push((channel.into_lanes().pop().unwrap(), control));
        self.gone.push(false);
    }

    fn step(&mut self) -> bool {
        let mut work = false;
        for c in 0..self.channels.len() {
            work |= self.channels[c].0.snapshot(64).unwrap() > 0;
            while let Some((tag, op)) = self.channels[c].0.poll_command() {
                self.command(c, tag, op);
            }
        }
        for id in self.sockets.keys().copied().collect::<Vec<_>>() {
            work |= self.transfer(id);
        }
        for c in 0..self.channels.len() {
            work |= self.bury(c);
        }
        for (lane, _) in &mut self.channels {
            lane.flush();
        }
        work
    }

    /// An application that went away: its peers are told.
    fn bury(&mut self, c: usize) -> bool {
        let mut ready = [PollFd::new(&self.channels[c].1, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if self.gone[c] || rustix::event::poll(&mut ready, Some(&now)) != Ok(1) {
            return false;
        }
        self.gone[c] = true;
        let its = self.sockets.iter().filter(|(_, s)| s.channel == c);
        for (id, peer) in its.map(|(id, s)| (*id, s.peer)).collect::<Vec<_>>() {
            self.sockets.remove(&id);
            self.end(peer, EndReason::Reset);
        }
        true
    }

    fn say(&mut self, channel: usize, completion: Completion) {
        self.channels[channel].0.push_completion(&completion);
    }

    fn id(&mut self) -> SocketId {
        self.next += 1;
        SocketId { index: self.next, generation: 1 }
    }

    fn command(&mut self, c: usize, tag: u64, op: Op) {
        match op {
            Op::Listen { transport, mut local, .. } => {
                if local.port() == 0 {
                    local.set_port(4242);
                }
                let socket = self.id();
                self.listeners.push((c, socket, transport, local));
                self.say(c, Completion::Listening { tag, socket, local });
            }
            Op::Connect { transport, remote, .. } => self.connect(c, tag, transport, remote),
            Op::SendMessage { socket, offset, len, .. } => {
                if let Some(sock) = self.sockets.get_mut(&socket) {
                    sock.messages.push_back((offset, len));
                }
            }
            Op::ShutdownWrite { socket } => {
                if let Some(sock) = self.sockets.get_mut(&socket) {
                    sock.shut = true;
                }
            }
            Op::Close { socket } => {
                self.listeners.retain(|l| l.1 != socket);
                if let Some(sock) = self.sockets.get_mut(&socket) {
                    (sock.shut, sock.closed) = (true, true);
                }
            }
            Op::Abort { socket } => {
                let peer = self.sockets.get(&socket).map(|s| s.peer);
                self.end(socket, EndReason::Aborted);
                if let Some(peer) = peer {
                    self.end(peer, EndReason::Reset);
                }
            }
            Op::Ping { remote, sequence, len } => {
                if remote == IpAddr::V4(Ipv4Addr::BROADCAST) {
                    let error = CommandError::NoRoute;
                    return self.say(c, Completion::Failed { tag, error });
                }
                let rtt = Duration::from_micros(7);
                self.say(c, Completion::EchoReply { tag, sequence, len, rtt, ttl: 64 });
            }
            Op::Info { .. } => {
                let info = SocketInfo { bytes_sent: 11, message_acked: 3, ..Default::default() };
                self.say(c, Completion::Info { tag, info: Box::new(info) });
            }
            // The daemon of one page knows no datagrams.
            Op::BindUdp { .. } | Op::ConnectUdp { .. } | Op::SendDatagram { .. } => {}
            Op::Kick { .. } | Op::Accepted { .. } | Op::SetOption { .. } | Op::Detach { .. } => {}
            Op::ShutdownRead { .. } | Op::Backlog { .. } => {}
            // Clients read in line, and mark nothing.
            Op::MarkUrgent { .. } | Op::EndRecord { .. } => {}
        }
    }

    fn connect(&mut self, c: usize, tag: u64, transport: Transport, remote: SocketAddr) {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), 50_000);
        let found = self.listeners.iter().find(|l| l.2 == transport && l.3 == remote).copied();
        let (ours, theirs) = (self.id(), self.id());
        let stream = self.open(c, ours, theirs);
        self.say(c, Completion::Connecting { tag, socket: ours, stream, local });
        let Some((lc, listener, ..)) = found else {
            return self.end(ours, EndReason::Refused);
        };
        let stream = self.open(lc, theirs, ours);
        let (l, r) = (remote, local);
        let incoming =
            Completion::Incoming { listener, socket: theirs, stream, local: l, remote: r };
        self.say(lc, incoming);
        self.say(c, Completion::Connected { socket: ours });
    }

    fn open(&mut self, channel: usize, socket: SocketId, peer: SocketId) -> StreamId {
        let slot =
            self.channels[channel].0.stream_open(socket, Transport::Machnet, 1 << 20).unwrap();
        let sock = Sock {
            channel,
            slot,
            peer,
            moved: 0,
            messages: VecDeque::new(),
            shut: false,
            told: false,
            closed: false,
        };
        self.sockets.insert(socket, sock);
        StreamId { channel: ChannelId { index: channel as u32, generation: 0 }, slot }
    }

    fn end(&mut self, id: SocketId, reason: EndReason) {
        if let Some(sock) = self.sockets.remove(&id) {
            let info = SocketInfo { state: 7, bytes_sent: 12, ..Default::default() };
            self.say(sock.channel, Completion::LastInfo { socket: id, info: Box::new(info) });
            self.say(sock.channel, Completion::Ended { socket: id, reason });
            self.channels[sock.channel].0.stream_close(sock.slot);
        }
    }

    /// Moves bytes and messages to the peer.
    fn transfer(&mut self, id: SocketId) -> bool {
        let Some((c, slot, peer)) = self.sockets.get(&id).map(|s| (s.channel, s.slot, s.peer))
        else {
            return false;
        };
        let end = self.channels[c].0.stream(slot).tx_end();
        let (pc, pslot) = match self.sockets.get(&peer) {
            Some(p) => (p.channel, p.slot),
            None => return self.finish(id, end),
        };
        let mut bytes = vec![0; 32 << 10];
        let Some(sock) = self.sockets.get_mut(&id) else { return false };
        let limit = self.channels[pc].0.stream(pslot).rx_limit();
        let len = (end.min(limit) - sock.moved).min(bytes.len() as u64) as usize;
        let mut work = len > 0;
        self.channels[c].0.stream(slot).tx_copy_out_sum(sock.moved, &mut bytes[..len]);
        let mut stream = self.channels[pc].0.stream(pslot);
        if stream.rx_copy_in(sock.moved, &bytes[..len]).is_ok() {
            sock.moved += len as u64;
            stream.rx_commit(sock.moved);
            self.channels[c].0.stream(slot).tx_release(sock.moved);
        } else {
            work = false;
        }
        let moved = sock.moved;
        let mut whole = Vec::new();
        while sock.messages.front().is_some_and(|(o, l)| o + u64::from(*l) <= moved) {
            whole.extend(sock.messages.pop_front());
        }
        for (offset, len) in whole {
            self.say(pc, Completion::Message { socket: peer, offset, len });
        }
        if work {
            self.say(pc, Completion::Ready { socket: peer });
        }
        work | self.finish(id, end)
    }

    /// FIN once everything moved; the end once both sides are through.
    fn finish(&mut self, id: SocketId, end: u64) -> bool {
        let Some(sock) = self.sockets.get_mut(&id) else { return false };
        let (peer, closed) = (sock.peer, sock.closed);
        if sock.shut && sock.moved == end && !sock.told {
            sock.told = true;
            if let Some(channel) = self.sockets.get(&peer).map(|p| p.channel) {
                self.say(channel, Completion::PeerClosed { socket: peer });
            }
            return true;
        }
        let through = |s: Option<&Sock>| s.is_none_or(|s| s.told);
        if through(self.sockets.get(&id)) && through(self.sockets.get(&peer))
            || closed && !self.sockets.contains_key(&peer)
        {
            self.end(id, EndReason::Closed);
            self.end(peer, EndReason::Closed);
            return true;
        }
        false
    }
}
