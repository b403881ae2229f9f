use std::vec::Vec;

use proptest::prelude::*;

use super::pair::{CLIENT, Pair, SERVER};
use crate::tcp::congestion::Algorithm;
use crate::tcp::{Config, Connection, SeqNumber, StateError};
use crate::wire::tcp::{TcpFlags, TcpHeader, Timestamps};

fn state_in_mid_transfer() -> Vec<u8> {
    state_of(SERVER, Algorithm::default())
}

fn state_of(who: usize, algorithm: Algorithm) -> Vec<u8> {
    let mut pair = Pair::established(Config::builder().congestion(algorithm).build().unwrap());
    pair.link.drop_data = [3].into();
    pair.write(CLIENT, &[1; 30_000]);
    for _ in 0..12 {
        pair.step();
    }
    let mut bytes = Vec::new();
    pair.ends[who].tcp().write_state(&mut bytes);
    assert!(Connection::read_state(&bytes).is_ok());
    bytes
}

#[test]
fn bytes_that_are_no_state_are_refused_with_the_reason() {
    let bytes = state_in_mid_transfer();
    assert_eq!(Connection::read_state(&[]), Err(StateError::NotAConnection));
    assert_eq!(Connection::read_state(&bytes[..5]), Err(StateError::Encoding));
    assert_eq!(Connection::read_state(&bytes[..bytes.len() - 1]), Err(StateError::Encoding));
    let mut other = bytes.clone();
    other[4] ^= 0xff;
    assert_eq!(Connection::read_state(&other), Err(StateError::Version));
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Connection::read_state(&longer), Err(StateError::Encoding));
}

#[test]
fn a_state_whose_sequence_numbers_are_half_the_space_apart_is_refused() {
    let mut tcp = Connection::read_state(&state_in_mid_transfer()).unwrap();
    tcp.snd.anchor.seq = tcp.snd.snd_una + (1 << 31);
    let mut bytes = Vec::new();
    tcp.write_state(&mut bytes);
    assert_eq!(Connection::read_state(&bytes), Err(StateError::Impossible));
}

proptest! {
    #[test]
    fn a_hostile_state_is_refused_or_harmless(
        who in proptest::sample::select(&[CLIENT, SERVER][..]),
        algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
        changes in proptest::collection::vec((6usize..1_500, any::<u8>()), 1..6),
        segments in proptest::collection::vec(
            (any::<u8>(), -5i32..5, -5i32..5, 0usize..3_000, any::<u16>()), 1..12),
    ) {
        let mut bytes = state_of(who, algorithm);
        let len = bytes.len();
        for (at, value) in changes {
            bytes[6 + at % (len - 6)] = value;
        }
        if let Ok(tcp) = Connection::read_state(&bytes) {
            let mut pair = Pair::new(Config::default());
            pair.ends[CLIENT].reads = false;
            // No harness checks here: only that nothing panics.
            let mut tcp = tcp;
            let mut io = Sink;
            for (flags, seq, ack, len, window) in segments {
                let header = TcpHeader {
                    seq: SeqNumber(tcp.rcv.rcv_nxt.0.wrapping_add_signed(seq * 700)),
                    ack: SeqNumber(tcp.snd.snd_max.0.wrapping_add_signed(ack * 700)),
                    flags: TcpFlags(flags),
                    window,
                    ..TcpHeader::default()
                };
                let mut header = header;
                header.options.timestamps = Some(Timestamps { value: tcp.rcv.ts_recent, echo: 1 });
                let payload = std::vec![0u8; len];
                let segment = crate::tcp::SegmentIn {
                    header: &header,
                    payload: &[&payload],
                    payload_len: len as u32,
                    gso_size: 0,
                    ecn: crate::tcp::Ecn::NotEct,
                };
                tcp.handle_segment(pair.now, &segment, &mut io);
                for _ in 0..50 {
                    if tcp.poll_transmit(pair.now, &pair.limits, &io).is_none() {
                        break;
                    }
                }
                if let Some((at, _)) = tcp.poll_timeout() {
                    tcp.handle_timeout(at, &mut io);
                    pair.now = pair.now.max(at);
                }
                while tcp.poll_event().is_some() {}
                tcp.info();
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut state = b"CWTC".to_vec();
        state.extend(crate::tcp::STATE_VERSION.to_le_bytes());
        state.extend(bytes);
        prop_assert!(Connection::read_state(&state).is_err());
    }
}

/// Rings that take everything and keep nothing.
struct Sink;

impl crate::port::StreamIo for Sink {
    fn tx_end(&self) -> u64 {
        50_000
    }
    fn tx_copy_out_sum(&self, _: u64, dst: &mut [u8]) -> u16 {
        dst.fill(0);
        0
    }
    fn tx_release(&mut self, _: u64) {}
    fn rx_limit(&self) -> u64 {
        1 << 20
    }
    fn rx_consumed(&self) -> u64 {
        0
    }
    fn rx_copy_in(&mut self, _: u64, _: &[u8]) -> Result<(), crate::port::RingError> {
        Ok(())
    }
    fn rx_commit(&mut self, _: u64) {}
}
