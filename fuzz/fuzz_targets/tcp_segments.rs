//! Segments, time and application calls against a live connection, aimed near what it expects.
#![no_main]

use causeway_core::tcp::{
    Config, Connection, Ecn, SegmentIn, SegmentOut, SeqNumber, State, TxLimits,
};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::{TcpFlags, TcpHeader, Timestamps};
use causeway_fuzz::{Bytes, CheckedRings};
use libfuzzer_sys::fuzz_target;

const RING: u64 = 64 << 10;
const LIMITS: TxLimits = TxLimits { mss_ip: 1_460, gso_bytes_max: 0 };
/// Segments that one poke of the connection may call forth: a whole ring in the least segments there are, and a
/// few acknowledgements. More is a storm.
const SEGMENTS_MAX: usize = RING as usize / 32 + 64;

struct World {
    now: Instant,
    tcp: Connection,
    rings: CheckedRings,
    /// What the peer sends next, and what it has seen of us.
    seq: SeqNumber,
    ack: SeqNumber,
    /// The highest sequence number that the peer has ever used, SYN and FIN counted.
    seq_sent: SeqNumber,
    edge: Option<SeqNumber>,
    scale: u8,
}

impl World {
    /// An established connection, with options and first numbers from the fuzzer.
    fn new(bytes: &mut Bytes<'_>) -> Option<Self> {
        let options = bytes.u8();
        let config = Config::builder()
            .timestamps(options & 1 != 0)
            .window_scaling(options & 2 != 0)
            .build()
            .ok()?;
        let now = Instant::from_nanos(1_000_000_000);
        let mut tcp = Connection::connect(now, &config, bytes.u32(), bytes.u32());
        let rings = CheckedRings::new(RING);
        let syn = tcp.poll_transmit(now, &LIMITS, &rings)?.header;
        let irs = SeqNumber(bytes.u32());
        let mut world = Self {
            now,
            tcp,
            rings,
            seq: irs,
            ack: syn.seq + 1,
            seq_sent: irs,
            edge: None,
            scale: 0,
        };
        let mut header = TcpHeader {
            flags: TcpFlags::SYN.union(TcpFlags::ACK),
            window: bytes.u16(),
            ..TcpHeader::default()
        };
        header.seq = irs;
        header.ack = world.ack;
        header.options.mss = (options & 4 != 0).then(|| bytes.u16());
        header.options.window_scale = (options & 8 != 0).then(|| bytes.u8());
        header.options.timestamps =
            (options & 16 != 0).then(|| Timestamps { value: bytes.u32(), echo: 0 });
        if header.options.window_scale.is_some() {
            world.scale = syn.options.window_scale.unwrap_or(0);
        }
        world.handle(&header, &[]);
        Some(world)
    }

    fn handle(&mut self, header: &TcpHeader, payload: &[u8]) {
        let controls = u32::from(header.flags.contains(TcpFlags::SYN))
            + u32::from(header.flags.contains(TcpFlags::FIN));
        self.seq_sent = self.seq_sent.max(header.seq + payload.len() as u32 + controls);
        let segment = SegmentIn {
            header,
            payload: &[payload],
            payload_len: payload.len() as u32,
            ecn: Ecn::NotEct,
        };
        let _ = self.tcp.handle_segment(self.now, &segment, &mut self.rings);
        self.drain();
    }

    fn drain(&mut self) {
        for _ in 0..SEGMENTS_MAX {
            while self.tcp.poll_event().is_some() {}
            let Some(out) = self.tcp.poll_transmit(self.now, &LIMITS, &self.rings) else { return };
            self.check(&out);
        }
        panic!("more than {SEGMENTS_MAX} segments at once in {:?}", self.tcp.state());
    }

    fn check(&mut self, out: &SegmentOut) {
        let header = &out.header;
        assert!(out.payload_len <= 1_460, "a segment above the MSS");
        assert!(
            out.payload_offset + u64::from(out.payload_len) <= self.rings.written,
            "bytes that nobody wrote"
        );
        self.ack = self.ack.max(header.seq + out.payload_len);
        if header.flags.contains(TcpFlags::RST) || !header.flags.contains(TcpFlags::ACK) {
            return;
        }
        assert!(header.ack <= self.seq_sent, "acknowledged what was never sent");
        self.seq = self.seq.max(header.ack);
        if !header.flags.contains(TcpFlags::SYN) && self.tcp.state() == State::Established {
            let edge = header.ack + (u32::from(header.window) << self.scale);
            if let Some(before) = self.edge {
                // RFC 7323 §2.4: what the scale cuts off may be missing, less than one unit of it, when the rings
                // are nearly full.
                let unit = 1 << self.scale;
                assert!(
                    edge + (unit - 1) >= before,
                    "the right edge of the window was retracted (RFC 9293 SHLD-14)"
                );
            }
            self.edge = Some(self.edge.map_or(edge, |before| before.max(edge)));
        }
    }

    fn segment(&mut self, bytes: &mut Bytes<'_>) {
        let shape = bytes.u8();
        // Mostly the flags that matter, sometimes any.
        let flags = match shape & 7 {
            0..=3 => TcpFlags::ACK,
            4 => TcpFlags::ACK.union(TcpFlags::FIN),
            5 => TcpFlags::RST,
            6 => TcpFlags::ACK.union(TcpFlags::SYN),
            _ => TcpFlags(bytes.u8()),
        };
        let mut header = TcpHeader {
            flags,
            window: bytes.u16(),
            seq: self.seq,
            ack: self.ack,
            ..TcpHeader::default()
        };
        if shape & 8 != 0 {
            // Around what is expected, on both sides.
            header.seq = if shape & 16 != 0 {
                self.seq + u32::from(bytes.u16())
            } else {
                self.seq - u32::from(bytes.u16())
            };
        }
        if shape & 32 != 0 {
            header.ack = if shape & 16 != 0 {
                self.ack + u32::from(bytes.u16())
            } else {
                self.ack - u32::from(bytes.u16())
            };
        }
        if shape & 64 != 0 {
            header.options.timestamps = Some(Timestamps { value: bytes.u32(), echo: bytes.u32() });
        }
        let payload = vec![0; if shape & 128 != 0 { usize::from(bytes.u16() % 3_000) } else { 0 }];
        self.handle(&header, &payload);
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    let Some(mut world) = World::new(&mut bytes) else { return };
    while !bytes.is_empty() {
        match bytes.u8() % 8 {
            0..=2 => world.segment(&mut bytes),
            3 => world.now += Duration::from_micros(u64::from(bytes.u16())),
            4 => {
                if let Some((at, _)) = world.tcp.poll_timeout() {
                    world.now = Instant::from_nanos(world.now.as_nanos().max(at.as_nanos()));
                }
                world.tcp.handle_timeout(world.now, &mut world.rings);
            }
            5 => world.rings.write(u64::from(bytes.u16())),
            6 => world.rings.read(u64::from(bytes.u16())),
            _ => match bytes.u8() % 4 {
                0 => world.tcp.shutdown_write(world.now),
                1 => world.tcp.close(world.now, false),
                2 => world.tcp.abort(world.now),
                _ => {
                    let mut state = Vec::new();
                    world.tcp.write_state(&mut state);
                    world.tcp =
                        Connection::read_state(&state).expect("what was written out reads back");
                }
            },
        }
        world.tcp.handle_app(world.now, &world.rings);
        world.drain();
    }
});
