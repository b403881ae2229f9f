//! Two flows and a link between them that loses, doubles and delays.

use std::collections::BTreeMap;
use std::vec::Vec;

use causeway_checksum::Implementation;

use crate::machnet::{
    Config, Disposition, Flow, FlowEvent, FlowState, IN_FLIGHT_MAX, PacketIn, PacketOut, Profile,
    Trailer, answer_nobody,
};
use crate::port::{RingError, StreamIo};
use crate::rng::Stream;
use crate::time::{Duration, Instant};
use crate::wire::machnet::{HEADER_LEN, MachnetHeader, MsgFlags, NetFlags, PAYLOAD_MAX};

/// The rings of one flow, in plain vectors.
#[derive(Default)]
pub struct Rings {
    pub tx: Vec<u8>,
    pub released: u64,
    pub rx: Vec<u8>,
    pub committed: u64,
    pub consumed: u64,
    pub capacity: u64,
}

impl Rings {
    pub fn new(capacity: u64) -> Self {
        Self { capacity, ..Self::default() }
    }
}

impl StreamIo for Rings {
    fn tx_end(&self) -> u64 {
        self.tx.len() as u64
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        assert!(
            dst.is_empty() || offset >= self.released,
            "bytes that were released are read again"
        );
        let offset = offset as usize;
        dst.copy_from_slice(&self.tx[offset..offset + dst.len()]);
        0
    }

    fn tx_release(&mut self, offset: u64) {
        assert!(offset >= self.released && offset <= self.tx_end());
        self.released = offset;
    }

    fn rx_limit(&self) -> u64 {
        self.consumed + self.capacity
    }

    fn rx_consumed(&self) -> u64 {
        self.consumed
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let end = offset + src.len() as u64;
        if end > self.rx_limit() {
            return Err(RingError::OutOfRange);
        }
        if self.rx.len() < end as usize {
            self.rx.resize(end as usize, 0);
        }
        self.rx[offset as usize..end as usize].copy_from_slice(src);
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        assert!(offset >= self.committed && offset <= self.rx.len() as u64);
        self.committed = offset;
    }
}

/// One end.
pub struct Side {
    pub flow: Flow,
    pub io: Rings,
    pub messages: Vec<Vec<u8>>,
    pub events: Vec<FlowEvent>,
    /// The application reads what arrives.
    pub reads: bool,
    next_message: u64,
    check: UpstreamLimits,
}

impl Side {
    pub fn new(flow: Flow, capacity: u64) -> Self {
        Self {
            flow,
            io: Rings::new(capacity),
            messages: Vec::new(),
            events: Vec::new(),
            reads: true,
            next_message: 0,
            check: UpstreamLimits::default(),
        }
    }

    pub fn send(&mut self, message: &[u8]) {
        let offset = self.io.tx_end();
        self.io.tx.extend_from_slice(message);
        self.next_message += 1;
        self.flow.send_message(offset, message.len() as u32, self.next_message, &self.io).unwrap();
    }

    pub fn take_events(&mut self) {
        while let Some(event) = self.flow.poll_event() {
            if let FlowEvent::Message { offset, len } = event {
                let range = offset as usize..offset as usize + len as usize;
                assert!(range.end as u64 <= self.io.committed, "news of bytes not committed");
                self.messages.push(self.io.rx[range].to_vec());
            }
            self.events.push(event);
        }
        if self.reads {
            self.io.consumed = self.io.committed;
        }
    }

    pub fn packet(&mut self, now: Instant) -> Option<(MachnetHeader, Vec<u8>)> {
        let promised = self.flow.has_output();
        let packet = self.flow.poll_transmit(now).or_else(|| {
            assert!(!promised, "has_output promised a packet");
            None
        })?;
        assert!(promised, "a packet that has_output did not announce");
        let payload = written(&mut self.flow, &packet, &self.io);
        if self.flow.profile() == Profile::Upstream {
            self.check.sent(&packet.header, payload.len());
        }
        Some((packet.header, payload))
    }
}

/// What stands behind the header of a packet that `flow` sends, as the stack writes it.
pub fn written(flow: &mut Flow, packet: &PacketOut, io: &impl StreamIo) -> Vec<u8> {
    let mut bytes = flow.prefix(packet).to_vec();
    let from = bytes.len();
    bytes.resize(from + usize::from(packet.payload_len), 0);
    io.tx_copy_out_sum(packet.payload_offset, &mut bytes[from..]);
    let crc = |crc| Implementation::PORTABLE.crc32c(crc, &bytes[from..]);
    let (crc, ends) = match packet.trailer {
        Trailer::None => (0, false),
        Trailer::Continues(before) => (crc(before), false),
        Trailer::Ends(before) => (crc(before), true),
        Trailer::Known(crc) => (crc, true),
    };
    flow.note_written(packet, crc);
    if ends {
        bytes.extend(crc.to_be_bytes());
    }
    assert_eq!(bytes.len(), packet.body_len());
    bytes
}

/// What would crash an upstream peer, checked on each packet that leaves.
#[derive(Default)]
struct UpstreamLimits {
    highest_sent: Option<u32>,
    peer_una: Option<u32>,
    peer_next: Option<u32>,
    /// Acknowledgements of `snd_una` that the peer sent, as upstream counts them.
    duplicates: u32,
    duplicates_of: u32,
}

impl UpstreamLimits {
    fn sent(&mut self, header: &MachnetHeader, len: usize) {
        assert!(len <= PAYLOAD_MAX as usize);
        let flags = header.msg_flags;
        assert!(!(flags.contains(MsgFlags::LAST) && flags.contains(MsgFlags::MORE)));
        if header.net_flags == NetFlags::Data {
            assert!(flags.is_data_place() && len > 0);
            let highest = self.highest_sent.get_or_insert(header.seqno);
            if header.seqno.wrapping_sub(*highest).cast_signed() > 0 {
                *highest = header.seqno;
            }
            if let Some(una) = self.peer_una {
                assert!(
                    highest.wrapping_sub(una) < u32::from(IN_FLIGHT_MAX),
                    "more than 32 packets in flight"
                );
            }
        } else {
            assert_eq!(len, 0);
        }
        let bits: u32 = header.sack.words.iter().map(|word| word.count_ones()).sum();
        assert_eq!(bits, u32::from(header.sack.count), "the count is not what is visible");
        if let (NetFlags::Ack, Some(next)) = (header.net_flags, self.peer_next) {
            assert!(header.ackno.wrapping_sub(next).cast_signed() <= 0, "acknowledged unsent");
        }
    }

    /// Three repetitions with nothing outstanding crash an upstream in the place of `flow`. What the link doubled is not
    /// the sender's fault.
    fn acknowledged(&mut self, header: &MachnetHeader, copy: bool, flow: &Flow) {
        let una = flow.tx.snd_una();
        if self.duplicates_of != una {
            (self.duplicates, self.duplicates_of) = (0, una);
        }
        if header.net_flags == NetFlags::Ack && header.ackno == una && !copy {
            self.duplicates += 1;
            assert!(
                self.duplicates < 3 || !flow.tx.is_empty(),
                "three acknowledgements of {una} with nothing outstanding"
            );
        }
    }

    fn received(&mut self, header: &MachnetHeader) {
        let later = |old: &mut Option<u32>, new: u32| {
            if old.is_none_or(|old| new.wrapping_sub(old).cast_signed() > 0) {
                *old = Some(new);
            }
        };
        match header.net_flags {
            NetFlags::Ack | NetFlags::SynAck => later(&mut self.peer_una, header.ackno),
            NetFlags::Data => later(&mut self.peer_next, header.seqno.wrapping_add(1)),
            NetFlags::Syn | NetFlags::Rst => {}
        }
    }
}

/// A packet between the two.
struct InTheAir {
    from_a: bool,
    /// The link made it, not the sender.
    copy: bool,
    header: MachnetHeader,
    payload: Vec<u8>,
}

/// What the link does, in parts per million.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub loss: u32,
    pub duplicate: u32,
    pub reorder: u32,
    /// One bit of header or payload is changed, and no checksum notices.
    pub damage: u32,
    /// By how much a packet that is held back comes late, at most.
    pub late_max: Duration,
    /// Until then nothing moves.
    pub still_until: Instant,
}

impl Default for Link {
    fn default() -> Self {
        let late_max = Duration::from_micros(200);
        let still_until = Instant::ZERO;
        Self { loss: 0, duplicate: 0, reorder: 0, damage: 0, late_max, still_until }
    }
}

/// What became of the DATA packets of `a`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub sent: u32,
    pub dropped: u32,
    pub again: u32,
    /// Of those sent again: an earlier copy was not dropped.
    pub needless: u32,
}

pub struct Pair {
    pub now: Instant,
    pub a: Side,
    pub b: Option<Side>,
    pub config: Config,
    /// That of `b`.
    pub config_b: Config,
    pub link: Link,
    pub sent: Vec<(Instant, bool, MachnetHeader)>,
    pub account: Account,
    /// Packets that were not believed.
    pub blind: u32,
    /// The longest payload that left.
    pub longest: usize,
    /// The next packet that is sent again is lost.
    doomed_again: bool,
    /// Of the packets of `a`: whether a copy was not dropped.
    carried: BTreeMap<u32, bool>,
    capacity: u64,
    seed: u64,
    rng: Stream,
    /// The number of the DATA packet from now on that is lost.
    doomed: u32,
    wire: BTreeMap<(Instant, u64), InTheAir>,
    count: u64,
}

pub const DELAY: Duration = Duration::from_micros(50);

impl Pair {
    /// Two ends with settings of their own.
    pub fn between(seed: u64, link: Link, (a, b): (Config, Config), capacity: u64) -> Self {
        Self { config_b: b, ..Self::new(seed, link, a, capacity) }
    }

    pub fn new(seed: u64, link: Link, config: Config, capacity: u64) -> Self {
        let now = Instant::from_nanos(1_000);
        let mut flow = Flow::connect(now, &config, (seed as u32).wrapping_mul(0xffff_fff1));
        flow.start_clock(now, Stream::new(seed, 2).next_u64() as u32);
        Self {
            now,
            a: Side::new(flow, capacity),
            b: None,
            config,
            config_b: config,
            seed,
            link,
            sent: Vec::new(),
            account: Account::default(),
            blind: 0,
            longest: 0,
            doomed_again: false,
            carried: BTreeMap::new(),
            capacity,
            rng: Stream::new(seed, 1),
            doomed: 0,
            wire: BTreeMap::new(),
            count: 0,
        }
    }

    pub fn established(seed: u64, config: Config) -> Self {
        let mut pair = Self::new(seed, Link::default(), config, 1 << 20);
        pair.run(Duration::from_millis(1));
        assert_eq!(pair.b().flow.state(), FlowState::Established);
        pair
    }

    pub fn b(&mut self) -> &mut Side {
        self.b.as_mut().expect("a SYN has arrived")
    }

    /// Loses the `n`th DATA packet from now on.
    pub fn drop_next_data(&mut self, n: u32) {
        self.doomed = n;
    }

    /// Loses the next DATA packet that `a` sends again.
    pub fn drop_next_repetition(&mut self) {
        self.doomed_again = true;
    }

    /// Sends what is due, and loses all of it.
    pub fn lose_all_data(&mut self) {
        let loss = core::mem::replace(&mut self.link.loss, 1_000_000);
        self.flush();
        self.link.loss = loss;
    }

    /// Changes a byte of every payload that is in the air.
    pub fn damage_payloads(&mut self) {
        for packet in self.wire.values_mut() {
            if let Some(byte) = packet.payload.get_mut(50) {
                *byte ^= 4;
            }
        }
    }

    /// The application of `b` has read.
    pub fn wake(&mut self) {
        let now = self.now;
        let b = self.b();
        b.flow.handle_app(now, &mut b.io);
        b.take_events();
        b.flow.handle_app(now, &mut b.io);
    }

    /// The host of `a` has forgotten everything; its application asks for a flow between the same ports.
    pub fn reborn(&mut self) {
        let mut flow = Flow::connect(self.now, &self.config, 0);
        flow.start_clock(self.now, 12_345);
        self.a = Side::new(flow, self.capacity);
        self.wire.clear();
    }

    fn put(&mut self, from_a: bool, header: MachnetHeader, payload: Vec<u8>) {
        self.longest = self.longest.max(payload.len());
        self.sent.push((self.now, from_a, header));
        let doomed = header.net_flags == NetFlags::Data && self.doomed > 0 && {
            self.doomed -= 1;
            self.doomed == 0
        };
        let again = from_a && self.carried.contains_key(&header.seqno);
        let again =
            again && header.net_flags == NetFlags::Data && core::mem::take(&mut self.doomed_again);
        let dropped = doomed || again || self.rng.chance_ppm(self.link.loss);
        if from_a && header.net_flags == NetFlags::Data {
            self.account(header.seqno, dropped);
        }
        if dropped {
            return;
        }
        let copies = 1 + u32::from(self.rng.chance_ppm(self.link.duplicate));
        for copy in 0..copies {
            let late = if self.rng.chance_ppm(self.link.reorder) {
                self.rng.below(self.link.late_max.as_nanos())
            } else {
                0
            };
            let at = self.now.max(self.link.still_until) + DELAY + Duration::from_nanos(late);
            self.count += 1;
            let mut payload = payload.clone();
            let mut header = header;
            if self.link.damage > 0 && self.rng.chance_ppm(self.link.damage) {
                self.damage(&mut header, &mut payload);
            }
            let packet = InTheAir { from_a, copy: copy > 0, header, payload };
            self.wire.insert((at, self.count), packet);
        }
    }

    fn damage(&mut self, header: &mut MachnetHeader, payload: &mut [u8]) {
        let mut bytes = [0; HEADER_LEN];
        header.emit(&mut bytes);
        let at = self.rng.below(8 * (HEADER_LEN + payload.len()) as u64) as usize;
        let bit = 1 << (at % 8);
        match at / 8 {
            at if at < HEADER_LEN => bytes[at] ^= bit,
            at => payload[at - HEADER_LEN] ^= bit,
        }
        if let Ok((damaged, _)) = MachnetHeader::parse(&bytes) {
            *header = damaged;
        }
    }

    fn account(&mut self, seqno: u32, dropped: bool) {
        let before = self.carried.get(&seqno).copied();
        self.carried.insert(seqno, before == Some(true) || !dropped);
        self.account.sent += 1;
        self.account.dropped += u32::from(dropped);
        self.account.again += u32::from(before.is_some());
        self.account.needless += u32::from(before == Some(true));
    }

    /// Sends everything that is due now.
    pub fn flush(&mut self) {
        let now = self.now;
        for side in [Some(&mut self.a), self.b.as_mut()].into_iter().flatten() {
            side.flow.watch(now);
        }
        while let Some((header, payload)) = self.a.packet(self.now) {
            self.put(true, header, payload);
        }
        self.a.take_events();
        while let Some((header, payload)) = self.b.as_mut().and_then(|b| b.packet(now)) {
            self.put(false, header, payload);
        }
        if let Some(b) = &mut self.b {
            b.take_events();
        }
    }

    fn deliver(&mut self, packet: &InTheAir) {
        let InTheAir { from_a, copy, ref header, ref payload } = *packet;
        let now = self.now;
        if from_a && self.b.is_none() && header.net_flags == NetFlags::Syn {
            let offered = self.config_b.agree(header.timestamp).is_some();
            let mut secret = Stream::new(self.seed, 3);
            let iss = if offered { secret.next_u64() as u32 } else { 0 };
            let mut flow = Flow::accept(now, &self.config_b, iss, header);
            flow.start_clock(now, secret.next_u64() as u32);
            self.b = Some(Side::new(flow, self.capacity));
            return;
        }
        let side = if from_a { self.b.as_mut() } else { Some(&mut self.a) };
        let Some(side) = side.filter(|side| !side.flow.is_finished()) else {
            return self.refuse(from_a, header);
        };
        let (front, back) = payload.split_at(payload.len() / 3);
        let packet = PacketIn { header, payload: &[front, back] };
        if side.flow.profile() == Profile::Upstream {
            side.check.received(header);
            side.check.acknowledged(header, copy, &side.flow);
        }
        let disposition = side.flow.handle_packet(now, &packet, &mut side.io);
        side.take_events();
        self.blind += u32::from(disposition == Disposition::Blind);
        if disposition == Disposition::Forgotten {
            self.refuse(from_a, header);
        }
    }

    /// Nobody takes a packet.
    fn refuse(&mut self, from_a: bool, header: &MachnetHeader) {
        let config = if from_a { &self.config_b } else { &self.config };
        if let Some(rst) = answer_nobody(header).filter(|_| config.extended()) {
            self.put(!from_a, rst, Vec::new());
        }
    }

    /// Runs until nothing is left to happen or `span` has passed.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.flush();
            let timers = [Some(&self.a), self.b.as_ref()];
            let timer = timers
                .into_iter()
                .flatten()
                .filter_map(|s| s.flow.poll_timeout())
                .min_by_key(|t| t.0);
            let wire = self.wire.keys().next().map(|key| key.0);
            let Some(next) = timer.map(|t| t.0).into_iter().chain(wire).min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            let now = self.now;
            while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= now) {
                let packet = entry.remove();
                self.deliver(&packet);
            }
            for side in [Some(&mut self.a), self.b.as_mut()].into_iter().flatten() {
                side.flow.handle_app(now, &mut side.io);
                side.flow.handle_timeout(now, &mut side.io);
            }
        }
        self.now = self.now.max(end);
    }
}
