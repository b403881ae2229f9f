//! Two connections on a link, each with its application; each may have a twin, which does everything twice as well and is restarted.

use causeway_core::port::SocketOption;
use causeway_core::tcp::{
    Config, Connection, ConnectionEvent, Disposition, Ecn, FastOpenOffer, IcmpError,
    ListenDecision, SegmentIn, SegmentOut, SeqNumber, State, TxLimits, listen,
};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::{FastOpenCookie, TcpFlags, TcpHeader};

use crate::link::{Link, Packet, Weather};
use crate::rings::Rings;
use crate::two_stacks::SIDES;
use crate::window::WindowWatch;

/// Segments that one input may call forth: far more than a ring has.
const SENT_MAX: usize = 5_000;

/// Things that may happen in one world: there is an end to each of them.
const STEPS_MAX: usize = 50_000;

/// How a world begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The settings of both sides.
    pub config: [Config; 2],
    /// Their initial sequence numbers.
    pub iss: [u32; 2],
    /// The link's.
    pub weather: Weather,
    /// What the way out of both carries.
    pub limits: TxLimits,
    /// Bytes of each ring.
    pub ring: u64,
    /// The client brings a cookie, and its data on the SYN is taken.
    pub fast_open: bool,
}

impl Plan {
    /// A plain conversation over Ethernet.
    pub fn new(config: &Config, weather: Weather) -> Self {
        Self {
            config: [*config, *config],
            iss: [u32::MAX - 2_000, 77],
            weather,
            limits: TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max: 0 },
            ring: 32 << 10,
            fast_open: false,
        }
    }
}

/// A connection with its application.
#[derive(Clone, Debug)]
pub struct End {
    /// The connection.
    pub tcp: Connection,
    /// Its rings.
    pub rings: Rings,
    /// The application takes what comes.
    reads: bool,
}

/// What a connection did, and when it wants to be asked again.
#[derive(Debug, Default, PartialEq)]
struct Deeds {
    disposition: Option<Disposition>,
    sent: Vec<SegmentOut>,
    events: Vec<ConnectionEvent>,
    next: Option<Instant>,
}

/// What carries a connection's segments, and the number of the first one under way.
struct Way<'a> {
    limits: &'a TxLimits,
    first: SeqNumber,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// It is only asked what is due.
    Nothing,
    /// A segment arrives.
    Packet(&'a Packet),
    /// Its timers are looked at.
    Time,
    /// The application writes so many bytes,
    Write(u64),
    /// says that what it has written last is urgent,
    Urgent,
    /// or ends a record,
    EndRecord,
    /// takes what comes from now on, or does not,
    Reads(bool),
    /// sets an option,
    Option(SocketOption),
    /// writes no more,
    Shutdown,
    /// or is done.
    Close,
    /// The first segment in flight found no way.
    Icmp(IcmpError),
    /// The first segment in flight was too big for a link that carries this much.
    TooBig(u16),
}

impl End {
    const fn new(tcp: Connection, side: usize, ring: u64) -> Self {
        Self { tcp, rings: Rings::new(side, ring), reads: true }
    }

    /// The input, and everything that follows from it. With `restarts` the connection is restarted before each single call.
    fn take(&mut self, now: Instant, way: &Way<'_>, restarts: bool, input: Input<'_>) -> Deeds {
        let mut deeds = Deeds { disposition: self.input(now, way, input), ..Deeds::default() };
        if self.reads {
            self.rings.read(u64::MAX);
        }
        if restarts {
            self.restart();
        }
        self.tcp.handle_app(now, &self.rings);
        loop {
            if restarts {
                self.restart();
            }
            if let Some(event) = self.tcp.poll_event() {
                deeds.events.push(event);
                continue;
            }
            let Some(segment) = self.tcp.poll_transmit(now, way.limits, &self.rings) else { break };
            deeds.sent.push(segment);
            assert!(deeds.sent.len() < SENT_MAX, "it sends and sends");
        }
        deeds.next = self.tcp.poll_timeout().map(|(at, _)| at);
        deeds
    }

    fn input(&mut self, now: Instant, way: &Way<'_>, input: Input<'_>) -> Option<Disposition> {
        let Self { tcp, rings, reads } = self;
        match input {
            Input::Nothing => {}
            Input::Packet(Packet { header, payload, ecn, .. }) => {
                let payload_len = payload.len() as u32;
                let segment =
                    SegmentIn { header, payload: &[payload], payload_len, gso_size: 0, ecn: *ecn };
                let disposition = tcp.handle_segment(now, &segment, rings);
                if tcp.state() != State::SynReceived {
                    tcp.settle_fast_child();
                }
                return Some(disposition);
            }
            Input::Time => tcp.handle_timeout(now, rings),
            Input::Write(len) => rings.write(len),
            // Where nothing can be sent any more both are refused.
            Input::Urgent => drop(tcp.mark_urgent(rings.written(), rings)),
            Input::EndRecord => drop(tcp.end_record(rings.written(), rings)),
            Input::Reads(on) => *reads = on,
            Input::Option(option) => tcp.set_option(now, option).expect("a right value"),
            Input::Shutdown => tcp.shutdown_write(now, rings),
            Input::Close => tcp.close(now, false, rings),
            Input::Icmp(error) => drop(tcp.handle_icmp(way.first, error)),
            Input::TooBig(mss_ip) => drop(tcp.handle_packet_too_big(now, way.first, mss_ip)),
        }
        None
    }

    fn restart(&mut self) {
        let mut bytes = Vec::new();
        self.tcp.write_state(&mut bytes);
        self.tcp = Connection::read_state(&bytes).expect("what was written out reads back");
        let mut again = Vec::new();
        self.tcp.write_state(&mut again);
        assert!(bytes == again, "what was read back is written out the same");
    }
}

/// Two ends, each with a twin that is restarted now and then.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Instant,
    plan: Plan,
    link: Link,
    ends: [Option<[End; 2]>; 2],
    windows: WindowWatch,
    restarts_always: bool,
    steps: usize,
    sent: Vec<(usize, TcpHeader, u32)>,
}

impl World {
    /// The client's SYN is due, or waits for data with Fast Open.
    pub fn new(plan: Plan) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let mut tcp = Connection::connect(now, &plan.config[0], plan.iss[0], 5);
        if plan.fast_open {
            let cookie = FastOpenCookie::new(&[7; 8], false);
            tcp.offer_fast_open(FastOpenOffer::Data(cookie, 1_460));
        }
        let client = End::new(tcp, 0, plan.ring);
        let mut world = Self {
            now,
            link: Link::new(plan.weather),
            plan,
            ends: [Some([client.clone(), client]), None],
            windows: WindowWatch::default(),
            restarts_always: false,
            steps: 0,
            sent: Vec::new(),
        };
        world.give(0, Input::Nothing);
        world
    }

    /// Command: the twins are restarted before each single call from now on.
    pub const fn restart_always(&mut self) {
        self.restarts_always = true;
    }

    /// Command: the link's weather changes.
    pub const fn set_weather(&mut self, weather: Weather) {
        self.link.set_weather(weather);
    }

    /// Getter: a side, if it is there.
    pub fn end(&self, side: usize) -> Option<&End> {
        self.ends[side].as_ref().map(|twins| &twins[0])
    }

    /// Output: what was sent since the last time: by whom, and with how much payload.
    pub fn take_sent(&mut self) -> Vec<(usize, TcpHeader, u32)> {
        std::mem::take(&mut self.sent)
    }

    /// Command: both twins get the input; they must do the same with it.
    pub fn give(&mut self, side: usize, input: Input<'_>) {
        let always = self.restarts_always;
        let Some([first, twin]) = &mut self.ends[side] else { return };
        let una = SeqNumber(self.plan.iss[side]) + 1 + first.tcp.bytes_acked() as u32;
        let way = Way { limits: &self.plan.limits, first: una };
        let deeds = first.take(self.now, &way, false, input);
        let same = twin.take(self.now, &way, always, input);
        assert_eq!(deeds, same, "side {side}");
        assert!(first.tcp == twin.tcp, "side {side}: the connections are not the same");
        for segment in &deeds.sent {
            self.windows.look(side, &segment.header);
            self.send(side, segment);
        }
    }

    /// Command: the twins are restarted.
    pub fn restart(&mut self) {
        self.ends.iter_mut().flatten().for_each(|twins| twins[1].restart());
    }

    /// Puts a segment on the link, cut as a NIC would cut it.
    fn send(&mut self, from: usize, segment: &SegmentOut) {
        self.sent.push((from, segment.header, segment.payload_len));
        if segment.gso_size == 0 {
            return self.link.send(self.now, from, segment);
        }
        let size = u32::from(segment.gso_size);
        for index in 0..segment.payload_len.div_ceil(size) {
            let mut part = segment.cut(index);
            part.payload_len = size.min(segment.payload_len - index * size);
            if (index + 1) * size < segment.payload_len {
                part.header.flags.0 &= !TcpFlags::FIN.0;
            }
            self.link.send(self.now, from, &part);
        }
    }

    fn deliver(&mut self, packet: &Packet) {
        if self.ends[1].is_some() || packet.to == 0 {
            return self.give(packet.to, Input::Packet(packet));
        }
        if listen(&packet.header) != ListenDecision::Accept {
            return;
        }
        let (config, iss) = (&self.plan.config[1], self.plan.iss[1]);
        let tcp = Connection::accept(self.now, config, iss, 9, &packet.header);
        let mut server = End::new(tcp, 1, self.plan.ring);
        if self.plan.fast_open && !packet.payload.is_empty() {
            let len = packet.payload.len() as u32;
            let taken = server.tcp.take_syn_data(&[&packet.payload], len, None, &mut server.rings);
            taken.expect("the rings are empty");
        }
        self.ends[1] = Some([server.clone(), server]);
        self.give(1, Input::Nothing);
    }

    /// The next thing that happens. False when nothing will.
    pub fn step(&mut self) -> bool {
        let timer = |end: &Option<[End; 2]>| end.as_ref()?[0].tcp.poll_timeout();
        let timers = self.ends.iter().filter_map(timer).map(|(at, _)| at).min();
        let Some(next) = [self.link.next(), timers].into_iter().flatten().min() else {
            return false;
        };
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "it goes on and on");
        self.now = self.now.max(next);
        match self.link.arrive(self.now) {
            Some(packet) => self.deliver(&packet),
            None => SIDES.iter().for_each(|side| self.give(*side, Input::Time)),
        }
        true
    }

    /// Command: what happens within `span` happens.
    pub fn pass(&mut self, span: Duration, mut look: impl FnMut(&Self)) {
        let end = self.now + span;
        let timer = |end: &Option<[End; 2]>| end.as_ref()?[0].tcp.poll_timeout();
        loop {
            let timers = self.ends.iter().filter_map(timer).map(|(at, _)| at).min();
            let next = [self.link.next(), timers].into_iter().flatten().min();
            if next.is_none_or(|next| next > end) {
                break;
            }
            self.step();
            look(self);
        }
        self.now = end;
    }

    /// Getter: both sides have closed.
    pub fn is_over(&self) -> bool {
        let closed = |side: &usize| {
            let state = self.end(*side).map(|end| end.tcp.state());
            matches!(state, Some(State::Closed | State::TimeWait))
        };
        SIDES.iter().all(closed)
    }

    /// Command: both sides shut down, within an hour everything is over, and what was written was received.
    ///
    /// # Panics
    /// When it is not so.
    pub fn finish(&mut self) {
        SIDES.iter().for_each(|side| self.give(*side, Input::Shutdown));
        let end = self.now + Duration::from_secs(3_600);
        while !self.is_over() && self.now < end && self.step() {}
        self.check();
    }

    /// Both streams came whole.
    ///
    /// # Panics
    /// When they did not.
    pub fn check(&self) {
        for writer in SIDES {
            let (Some(from), Some(to)) = (self.end(writer), self.end(1 - writer)) else {
                panic!("nobody answered the SYN")
            };
            let (received, written) = (to.rings.received(), from.rings.written());
            assert_eq!(received.len() as u64, written, "what side {writer} wrote");
            assert!(crate::is_there(writer, 0, received), "other bytes than side {writer} wrote");
        }
    }
}

/// Getter: a segment's ECN field after a router that marks it, if it may be marked.
pub(crate) const fn marked(ecn: Ecn) -> Ecn {
    match ecn {
        Ecn::NotEct => Ecn::NotEct,
        Ecn::Ect0 | Ecn::Ect1 | Ecn::Ce => Ecn::Ce,
    }
}
