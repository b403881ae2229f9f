//! The queue of what is out of order, against a map with a byte for each place: what came first stays, the window is the limit,
//! a FIN in its turn ends the stream, and one before its turn that contradicts bytes is none.

use causeway_core::tcp::{Config, Connection, Ecn, SegmentIn, SeqNumber, State, TxLimits};
use causeway_core::testing::StreamModel;
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};
use causeway_properties::{Rings, cases};
use proptest::prelude::*;

const RING: u64 = 8 << 10;
const LIMITS: TxLimits = TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max: 0 };

/// A segment: where it begins before or behind what is expected, its length, what its bytes are, whether FIN follows.
type Piece = (i32, usize, u8, bool);

struct Receiver {
    now: Instant,
    tcp: Connection,
    rings: Rings,
    irs: SeqNumber,
    ack: SeqNumber,
    model: StreamModel,
}

impl Receiver {
    fn new(irs: SeqNumber) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let config = Config::builder().timestamps(false).window_scaling(false).build();
        let config = config.expect("a right configuration");
        let mut tcp = Connection::connect(now, &config, 500, 0);
        let mut rings = Rings::new(0, RING);
        let syn = tcp.poll_transmit(now, &LIMITS, &rings).expect("a SYN comes first").header;
        let ack = syn.seq + 1;
        let flags = TcpFlags::SYN.union(TcpFlags::ACK);
        let header = TcpHeader { seq: irs, ack, flags, window: 60_000, ..TcpHeader::default() };
        let segment = SegmentIn {
            header: &header,
            payload: &[],
            payload_len: 0,
            gso_size: 0,
            ecn: Ecn::NotEct,
        };
        let _ = tcp.handle_segment(now, &segment, &mut rings);
        let mut receiver = Self { now, tcp, rings, irs, ack, model: StreamModel::default() };
        receiver.answer();
        assert_eq!(receiver.tcp.state(), State::Established);
        receiver
    }

    /// Sends what is due; whether anything was.
    fn answer(&mut self) -> bool {
        self.tcp.handle_app(self.now, &self.rings);
        while self.tcp.poll_event().is_some() {}
        let sent = std::iter::from_fn(|| self.tcp.poll_transmit(self.now, &LIMITS, &self.rings));
        let expected = self.irs + 1 + self.model.edge as u32;
        sent.filter(|out| out.header.ack >= expected).count() > 0
    }

    fn take(&mut self, (start, len, salt, fin): Piece) {
        let payload = vec![salt | 1; len];
        let mut flags = TcpFlags::ACK;
        if fin {
            flags = flags.union(TcpFlags::FIN);
        }
        let place = self.model.edge as i64 + i64::from(start);
        let seq = SeqNumber((self.irs + 1).0.wrapping_add(place as u32));
        let header =
            TcpHeader { seq, ack: self.ack, flags, window: 60_000, ..TcpHeader::default() };
        let (left, right) = payload.split_at(len / 3);
        let segment = SegmentIn {
            header: &header,
            payload: &[left, right],
            payload_len: len as u32,
            gso_size: 0,
            ecn: Ecn::NotEct,
        };
        let wnd = self.tcp.info().rcv_wnd;
        let limit = self.model.edge + u64::from(wnd);
        let open = self.tcp.state().may_receive();
        let _ = self.tcp.handle_segment(self.now, &segment, &mut self.rings);
        // RFC 9293 §3.10.7.4: a segment no part of which lies in the window is not looked at, its FIN neither.
        let end = place + (len + usize::from(fin)) as i64;
        let some = match wnd {
            0 => place == self.model.edge as i64,
            _ => place < limit as i64 && end > self.model.edge as i64,
        };
        let before = self.model.edge;
        if open && some {
            self.model.take(place, &payload, limit, fin);
        }
        let out_of_order = some && place > before as i64 && len + usize::from(fin) > 0;
        let answered = self.answer();
        assert!(answered || !open || !out_of_order, "RFC 5681 §4.2: at once");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_came_first_stays_in_any_order_and_overlap(
        irs in prop_oneof![Just(u32::MAX - 3_000), Just(0x7fff_f000), any::<u32>()],
        pieces in proptest::collection::vec(
            (-1_500i32..6_000, 0usize..1_400, any::<u8>(), proptest::bool::weighted(0.03)), 1..50),
        reads in proptest::collection::vec(any::<bool>(), 50),
    ) {
        let mut receiver = Receiver::new(SeqNumber(irs));
        for (piece, reads) in pieces.into_iter().zip(reads) {
            receiver.take(piece);
            prop_assert_eq!(receiver.rings.received().len() as u64, receiver.model.edge);
            prop_assert!(receiver.model.agrees(receiver.rings.received()));
            prop_assert_eq!(!receiver.tcp.state().may_receive(), receiver.model.is_whole());
            if reads {
                receiver.rings.read(RING);
                receiver.answer();
            }
            // Beyond the limit of challenges.
            receiver.now += Duration::from_secs(1);
        }
    }
}
