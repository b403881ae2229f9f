//! One stack with one TCP connection, an application that does what a script says, and a wire that ends at a [`Peer`].

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::{Frame, Medium, NicCaps};
use causeway_core::port::SocketOption;
use causeway_core::port::{Completion, Op, SocketId, StreamId, Transport};
use causeway_core::stack::StackConfigBuilder;
use causeway_core::tcp::{Config, FastOpenKeys, FastOpenVerdict, IsnSecret, initial_sequence};
use causeway_core::testing::{CHANNEL, Host};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::{FastOpenCookie, TcpFlags, TcpHeader};

use crate::content::{self, Way};
use crate::frame;
use crate::lab::SEGMENTS_MAX;
use crate::peer::Peer;
use crate::script::{Action, FastOpen, Pause, Setup};

const RING: usize = 64 << 10;
/// Frames that one input may call forth: a whole ring in the least segments there are, and a few more. More is a storm.
const FRAMES_MAX: usize = SEGMENTS_MAX;
/// Segments without anything to them among those.
const BARE_MAX: usize = 3;
/// Turns of the engine that one input may take.
const TURNS_MAX: usize = 4 * FRAMES_MAX;
/// Timers that may expire while the peer says nothing, until everything has ended.
const TIMERS_MAX: usize = 20_000;
/// The written state of a connection: what is in flight in the least segments there are, of which each takes up to 32 bytes, and all that
/// is out of order.
const STATE_BYTES_MAX: usize = 32 * SEGMENTS_MAX + (64 << 10);
/// Timers of a whole script: beyond, a run only takes long.
const TIMERS_OF_RUN: usize = 3_000;
const PORT: u16 = 80;

/// The world of one connection.
#[derive(Debug)]
pub struct Wired {
    host: Host,
    now: Instant,
    peer: Peer,
    ours: SocketAddr,
    theirs: SocketAddr,
    socket: Option<(SocketId, StreamId)>,
    listener: Option<SocketId>,
    written: u64,
    read: u64,
    /// The application will not write any more.
    shut: bool,
    ended: bool,
    /// A command was refused.
    refused: bool,
    /// Timers that have expired.
    timers: usize,
    /// Frames, and segments without anything to them, since the last input.
    frames: usize,
    bare: usize,
}

fn address(v6: bool, number: u8) -> IpAddr {
    match v6 {
        false => Host::address(number),
        true => IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into())),
    }
}

fn host(setup: &Setup) -> Host {
    let config = Config::builder()
        .timestamps(setup.timestamps)
        .window_scaling(setup.window_scaling)
        .sack(setup.sack)
        .congestion(setup.congestion())
        .fast_open(setup.fast_open.map_or(0, |fast_open| fast_open.setting()))
        .fast_open_keys([Some(FastOpen::KEY), None])
        .build()
        .expect("a right configuration");
    let bits = if setup.v6 { 64 } else { 24 };
    let address = InterfaceAddress::new(address(setup.v6, 1), bits).expect("a host's address");
    let shape = |caps: &mut NicCaps| {
        caps.medium = Medium::Ip;
        if setup.gso {
            caps.tx_checksum = true;
            caps.tso_bytes_max = 20_000;
        }
    };
    let change = |builder: StackConfigBuilder| builder.tcp(config).dad_transmits(0);
    Host::with_addresses(1, RING, &[address], &shape, &change)
}

/// The cookie that the host gives to `client`.
fn fast_open_cookie(client: IpAddr, server: IpAddr) -> FastOpenCookie {
    let keys = FastOpenKeys::new([Some(FastOpen::KEY), None], &IsnSecret([0; 16]), Instant::ZERO);
    let ask = FastOpenCookie::request(false);
    match keys.judge(client, server, Some(ask), 0, true) {
        FastOpenVerdict::Grant(cookie) => cookie,
        FastOpenVerdict::Ordinary | FastOpenVerdict::Take(_) => ask,
    }
}

impl Wired {
    /// The beginning of a connection: the SYN of whoever opens it is under way.
    pub fn new(setup: &Setup) -> Self {
        let theirs = SocketAddr::new(address(setup.v6, 2), 40_000);
        let mut wired = Self {
            host: host(setup),
            now: Instant::ZERO,
            peer: Peer::new(setup),
            ours: SocketAddr::new(address(setup.v6, 1), PORT),
            theirs,
            socket: None,
            listener: None,
            written: 0,
            read: 0,
            shut: false,
            ended: false,
            refused: false,
            timers: 0,
            frames: 0,
            bare: 0,
        };
        // The number that the connection begins with follows from the time.
        let iss = initial_sequence(&IsnSecret([1; 16]), Instant::ZERO, wired.ours, theirs);
        let ticks = setup.iss.number().wrapping_sub(iss);
        wired.now = Instant::from_nanos(((1 << 32) + u64::from(ticks)) << 12);
        if setup.passive {
            let local = wired.ours;
            wired.host.ask(Op::Listen { transport: Transport::Tcp, local, backlog: 1 });
            wired.settle();
        } else {
            wired.open(setup);
        }
        let cookie = fast_open_cookie(theirs.ip(), wired.ours.ip());
        let (syn, len) = wired.peer.syn(wired.now, cookie);
        wired.deliver(&syn, len, 0);
        wired
    }

    fn open(&mut self, setup: &Setup) {
        if setup.fast_open.is_some() {
            let option = SocketOption::FastOpenConnect(true);
            self.host.ask(Op::SetOption { socket: None, option });
        }
        let remote = self.theirs;
        self.host.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
        let Some(fast_open) = setup.fast_open else { return self.settle() };
        // Without a cookie the SYN waits for data only where none is needed.
        let len = fast_open.bytes();
        self.peer.allow_syn_data(if fast_open.cookieless { len } else { 0 });
        self.settle();
        self.write(len as usize);
        if self.peer.iss.is_none() {
            // It waits for data and there is none: FIN gives it up.
            self.ask(|socket| Op::ShutdownWrite { socket }, true);
        }
    }

    /// Getter: there is nothing more to be seen.
    pub const fn is_over(&self) -> bool {
        self.peer.is_over || self.ended || self.timers > TIMERS_OF_RUN
    }

    /// One step of the script, and everything that follows from it at once.
    pub fn play(&mut self, action: &Action) {
        match *action {
            Action::Segment(ref segment) => {
                let (header, len) = self.peer.segment(self.now, segment);
                self.deliver(&header, len, segment.ecn);
            }
            Action::Acknowledge => {
                let header = self.peer.acknowledgement(self.now);
                self.deliver(&header, 0, 0);
            }
            Action::Pass(Pause::Micros(us)) => self.pass(Duration::from_micros(us.into())),
            Action::Pass(Pause::Millis(ms)) => self.pass(Duration::from_millis(ms.into())),
            Action::Pass(Pause::Timer) => {
                let next = self.host.engine.stack().poll_timeout();
                self.now = next.map_or(self.now, |(at, _)| at.max(self.now));
                self.settle();
            }
            Action::Write(len) => self.write(len.into()),
            Action::Record(len) => self.write_record(len.into()),
            Action::Read(len) => self.read(len.into()),
            Action::Urgent => {
                let offset = self.written;
                self.ask(|socket| Op::MarkUrgent { socket, offset }, false);
            }
            Action::Shutdown => self.ask(|socket| Op::ShutdownWrite { socket }, true),
            Action::Close => self.ask(|socket| Op::Close { socket }, true),
            Action::Abort => self.ask(|socket| Op::Abort { socket }, true),
            Action::Option(choice) => {
                if let Some(option) = choice.option() {
                    self.ask(|socket| Op::SetOption { socket: Some(socket), option }, false);
                }
            }
            Action::Restore => self.restore(),
        }
    }

    fn ask(&mut self, op: impl Fn(SocketId) -> Op, shuts: bool) {
        self.shut |= shuts;
        if let Some((socket, _)) = self.socket {
            self.host.ask(op(socket));
            self.settle();
        }
    }

    fn write(&mut self, len: usize) {
        if self.put(len).is_some() {
            self.settle();
        }
    }

    /// Both commands are there before anything leaves.
    fn write_record(&mut self, len: usize) {
        let Some(socket) = self.put(len) else { return };
        let offset = self.written;
        self.host.ask(Op::EndRecord { socket, offset });
        (self.frames, self.bare, self.refused) = (0, 0, false);
        let unsent = self.peer.may_end_record(offset);
        self.turn();
        if unsent && !self.refused {
            self.peer.end_record(offset);
        }
        self.peer.look_at_texts();
    }

    /// The application writes, and says so.
    fn put(&mut self, len: usize) -> Option<SocketId> {
        let (socket, stream) = self.socket.filter(|_| !self.shut)?;
        let mut bytes = vec![0; len.min(RING)];
        content::fill(Way::Out, self.written, &mut bytes);
        self.written += self.host.engine.port_mut().write(stream, &bytes) as u64;
        self.host.ask(Op::Kick { socket });
        Some(socket)
    }

    fn read(&mut self, len: usize) {
        let Some((socket, stream)) = self.socket else { return };
        let mut bytes = vec![0; len.min(RING)];
        let count = self.host.engine.port_mut().read(stream, &mut bytes);
        assert!(
            content::is_there(Way::In, self.read, &bytes[..count]),
            "other bytes were delivered than were sent"
        );
        self.read += count as u64;
        self.host.ask(Op::Kick { socket });
        self.settle();
    }

    /// Hot restart: the connection goes from the stack into bytes and back, and nobody notices.
    fn restore(&mut self) {
        let Some((socket, stream)) = self.socket else { return };
        let (stack, port) = self.host.engine.parts_mut();
        let Some(state) = stack.take_connection(socket) else { return };
        assert!(state.len() < STATE_BYTES_MAX, "{} bytes of state", state.len());
        let restored = stack
            .read_connection(self.now, CHANNEL, Some(stream), &state, port)
            .expect("what was written out reads back");
        assert_eq!(stack.write_connection(restored).as_ref(), Some(&state), "and is the same");
        self.socket = Some((restored, stream));
        self.settle();
        assert_eq!((self.frames, self.bare), (0, 0), "a restart is nothing to talk about");
    }

    fn deliver(&mut self, header: &TcpHeader, len: u32, ecn: u8) {
        let payload = self.peer.payload(header, len);
        let packet = frame::tcp_packet(self.theirs, self.ours, header, &payload, ecn);
        self.host.nic().inject(&packet);
        self.settle();
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        for count in 0.. {
            let next = self.host.engine.stack().poll_timeout().map(|(at, _)| at);
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(count < TIMERS_MAX, "{count} timers in {span:?}");
            self.timers += 1;
            self.now = next.max(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// The engine's turns at this moment, until nothing happens any more.
    fn settle(&mut self) {
        (self.frames, self.bare) = (0, 0);
        self.turn();
        self.peer.look_at_texts();
    }

    fn turn(&mut self) {
        for turn in 0.. {
            assert!(turn < TURNS_MAX, "no rest after {turn} turns");
            let progress = self.host.engine.step(self.now);
            self.look_at_frames();
            self.look_at_news();
            if progress.work == 0 {
                let next = progress.next.map(|(at, _)| at);
                assert!(next.is_none_or(|at| at > self.now), "a timer that has passed: {next:?}");
                break;
            }
        }
        assert!(self.frames <= FRAMES_MAX, "{} frames for one input", self.frames);
        assert!(self.bare <= BARE_MAX, "{} bare segments for one input", self.bare);
    }

    fn look_at_frames(&mut self) {
        while let Some(sent) = self.host.nic().outbound.pop_front() {
            self.frames += 1;
            let opened = frame::open_ip(sent.bytes());
            // A NIC that computes checksums is given half of one.
            let partial = sent.meta().offload.needs_csum;
            let Some((header, payload)) = frame::open_tcp(&opened, !partial) else { continue };
            let something = TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;
            self.bare += usize::from(payload.is_empty() && header.flags.0 & something == 0);
            if self.peer.iss.is_none() {
                self.ours.set_port(header.src_port);
            }
            self.peer.see(&header, payload, payload.len() as u32);
        }
    }

    fn look_at_news(&mut self) {
        while let Some((_, news)) = self.host.engine.port_mut().poll_completion() {
            match news {
                Completion::Listening { socket, .. } => self.listener = Some(socket),
                Completion::Connecting { socket, stream, .. } => {
                    self.socket = Some((socket, stream));
                }
                Completion::Incoming { listener, socket, stream, .. } => {
                    self.socket = self.socket.or(Some((socket, stream)));
                    self.host.ask(Op::Accepted { listener, count: 1 });
                }
                Completion::Failed { .. } => self.refused = true,
                Completion::Ended { socket, .. } => {
                    self.ended |= self.socket.is_some_and(|(ours, _)| ours == socket);
                }
                _ => {}
            }
        }
    }

    /// What the stack says of the socket.
    fn info(&mut self) -> Option<Completion> {
        let (socket, _) = self.socket?;
        self.host.ask(Op::Info { socket });
        self.host.engine.step(self.now);
        self.host.engine.port_mut().poll_completion().map(|(_, news)| news)
    }

    /// The application reads the rest and closes, the peer says no more: everything ends by itself.
    pub fn finish(mut self) {
        self.read(RING);
        if let Some(socket) = self.listener {
            self.host.ask(Op::Close { socket });
            self.settle();
        }
        // Up to 24 days may be asked for.
        let option = causeway_core::port::SocketOption::UserTimeout(0);
        self.ask(|socket| Op::SetOption { socket: Some(socket), option }, false);
        self.ask(|socket| Op::Close { socket }, true);
        let mut count = 0;
        while let Some((at, reason)) = self.host.engine.stack().poll_timeout() {
            count += 1;
            assert!(count < TIMERS_MAX, "{reason:?} comes again and again");
            self.now = at.max(self.now);
            self.settle();
        }
        let left = self.host.engine.stack().socket_count();
        assert_eq!(left, 0, "sockets are left behind: {:?}", self.info());
        assert_eq!(self.host.engine.port().streams_open(), 0, "rings are left behind");
        // The stack keeps one of either size for the next time.
        let frames = self.host.nic().pool.outstanding();
        assert!(frames <= 2, "{frames} frames are left behind");
    }
}
