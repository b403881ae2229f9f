//! Hot restart at any point: a connection that is written out and read back does, says and sends what it would have done.

use causeway_core::tcp::congestion::Algorithm;
use causeway_core::tcp::{
    Config, Connection, ConnectionEvent, Disposition, Ecn, ListenDecision, SegmentIn, SegmentOut,
    State, TxLimits, listen,
};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::TcpHeader;
use causeway_properties::{Link, Packet, Rings, SIDES, Weather, is_there};
use proptest::prelude::*;

const RING: u64 = 32 << 10;
const STEPS_MAX: usize = 400;

/// A connection with its application.
#[derive(Clone)]
struct End {
    tcp: Connection,
    rings: Rings,
}

/// What a connection did, and when it wants to be asked again.
#[derive(Debug, Default, PartialEq)]
struct Deeds {
    disposition: Option<Disposition>,
    sent: Vec<SegmentOut>,
    events: Vec<ConnectionEvent>,
    next: Option<Instant>,
}

/// What happens to a connection.
enum Input<'a> {
    Nothing,
    Packet(&'a Packet),
    Time,
    Write(u64),
    Shutdown,
}

impl End {
    fn take(&mut self, now: Instant, limits: &TxLimits, input: &Input<'_>) -> Deeds {
        let mut deeds = Deeds::default();
        match input {
            Input::Nothing => {}
            Input::Packet(Packet { header, payload, .. }) => {
                let segment = SegmentIn {
                    header,
                    payload: &[payload],
                    payload_len: payload.len() as u32,
                    ecn: Ecn::NotEct,
                };
                deeds.disposition = Some(self.tcp.handle_segment(now, &segment, &mut self.rings));
                self.rings.read(RING);
            }
            Input::Time => self.tcp.handle_timeout(now, &mut self.rings),
            Input::Write(len) => self.rings.write(*len),
            Input::Shutdown => self.tcp.shutdown_write(now),
        }
        self.tcp.handle_app(now, &self.rings);
        loop {
            deeds.events.extend(std::iter::from_fn(|| self.tcp.poll_event()));
            let Some(segment) = self.tcp.poll_transmit(now, limits, &self.rings) else { break };
            deeds.sent.push(segment);
        }
        deeds.next = self.tcp.poll_timeout().map(|(at, _)| at);
        deeds
    }

    fn restart(&mut self) {
        let mut bytes = Vec::new();
        self.tcp.write_state(&mut bytes);
        self.tcp = Connection::read_state(&bytes).expect("what was written out reads back");
    }
}

/// Two ends, each with a twin that is restarted now and then.
struct World {
    now: Instant,
    config: Config,
    limits: TxLimits,
    link: Link,
    ends: [Option<[End; 2]>; 2],
}

impl World {
    fn new(config: Config, weather: Weather, gso: bool) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let gso_bytes_max = if gso { 20_000 } else { 0 };
        let tcp = Connection::connect(now, &config, u32::MAX - 2_000, 5);
        let client = End { tcp, rings: Rings::new(0, RING) };
        let mut world = Self {
            now,
            config,
            limits: TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max },
            link: Link::new(weather),
            ends: [Some([client.clone(), client]), None],
        };
        world.give(0, &Input::Nothing);
        world
    }

    /// Both twins get the input; they must do the same with it.
    fn give(&mut self, side: usize, input: &Input<'_>) {
        let Some([first, twin]) = &mut self.ends[side] else { return };
        let deeds = first.take(self.now, &self.limits, input);
        assert_eq!(deeds, twin.take(self.now, &self.limits, input), "side {side}");
        assert!(first.tcp == twin.tcp, "side {side}: the connections are not the same");
        for segment in &deeds.sent {
            send(&mut self.link, self.now, side, segment);
        }
    }

    fn deliver(&mut self, packet: &Packet) {
        if self.ends[1].is_none() && packet.to == 1 {
            if listen(&packet.header) == ListenDecision::Accept {
                let tcp = Connection::accept(self.now, &self.config, 77, 9, &packet.header);
                let server = End { tcp, rings: Rings::new(1, RING) };
                self.ends[1] = Some([server.clone(), server]);
                self.give(1, &Input::Nothing);
            }
            return;
        }
        self.give(packet.to, &Input::Packet(packet));
    }

    /// The next thing that happens. False when nothing will.
    fn step(&mut self) -> bool {
        let timer = |end: &Option<[End; 2]>| end.as_ref()?[0].tcp.poll_timeout();
        let timers = self.ends.iter().filter_map(timer).map(|(at, _)| at).min();
        let Some(next) = [self.link.next(), timers].into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        match self.link.arrive(self.now) {
            Some(packet) => self.deliver(&packet),
            None => SIDES.iter().for_each(|side| self.give(*side, &Input::Time)),
        }
        true
    }

    fn is_over(&self) -> bool {
        let closed = |end: &Option<[End; 2]>| {
            let state = end.as_ref().map(|twins| twins[0].tcp.state());
            matches!(state, Some(State::Closed | State::TimeWait))
        };
        self.ends.iter().all(closed)
    }
}

/// Puts a segment on the link, cut as a NIC would cut it.
fn send(link: &mut Link, now: Instant, from: usize, segment: &SegmentOut) {
    let size = match segment.gso_size {
        0 => segment.payload_len.max(1),
        size => size.into(),
    };
    let count = segment.payload_len.div_ceil(size).max(1);
    for index in 0..count {
        let at = index * size;
        let header = TcpHeader { seq: segment.header.seq + at, ..segment.header };
        let mut part = SegmentOut {
            header,
            payload_offset: segment.payload_offset + u64::from(at),
            payload_len: size.min(segment.payload_len - at),
            ..*segment
        };
        if index + 1 < count {
            // FIN and PSH are the last one's.
            part.header.flags.0 &= !0x09;
        }
        link.send(now, from, &part);
    }
}

fn weather() -> impl Strategy<Value = Weather> {
    (any::<u64>(), 0u32..150_000, 0u32..100_000, 0u32..400_000).prop_map(
        |(seed, loss_ppm, duplicate_ppm, reorder_ppm)| Weather {
            seed,
            loss_ppm,
            duplicate_ppm,
            reorder_ppm,
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    let algorithm = proptest::sample::select(Algorithm::ALL.to_vec());
    (any::<[bool; 3]>(), algorithm).prop_map(|([timestamps, sack, pacing], algorithm)| {
        let builder = Config::builder().timestamps(timestamps).sack(sack).pacing(pacing);
        builder.congestion(algorithm).retries_max(100).build().expect("a right configuration")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_connection_that_is_restarted_anywhere_does_what_its_twin_does(
        weather in weather(),
        config in config(),
        gso in any::<bool>(),
        writes in proptest::collection::vec((0usize..2, 1u64..8_000), 1..12),
        pauses in proptest::collection::vec(0usize..20, 1..30),
    ) {
        let mut world = World::new(config, weather, gso);
        let mut writes = writes.into_iter();
        for (turn, pause) in pauses.iter().cycle().take(STEPS_MAX / 4).enumerate() {
            for _ in 0..*pause {
                world.step();
            }
            for twins in world.ends.iter_mut().flatten() {
                twins[1].restart();
            }
            match writes.next() {
                Some((side, len)) => world.give(side, &Input::Write(len)),
                None if turn > 30 => SIDES.iter().for_each(|side| world.give(*side, &Input::Shutdown)),
                None => {}
            }
        }
        SIDES.iter().for_each(|side| world.give(*side, &Input::Shutdown));
        let end = world.now + Duration::from_secs(3_600);
        while !world.is_over() && world.now < end && world.step() {}
        let [Some(client), Some(server)] = &world.ends else { panic!("nobody answered the SYN") };
        for (side, writer, reader) in [(0, &client[0], &server[0]), (1, &server[0], &client[0])] {
            prop_assert_eq!(reader.rings.received().len() as u64, writer.rings.written());
            prop_assert!(is_there(side, 0, reader.rings.received()));
        }
    }
}
