//! Oracle O1/O2 on the wire: every byte that a host sends, first time or again, is the byte that its place
//! in the stream or message demands.
//!
//! The ends check what they receive; this checks what is sent, retransmissions that are never delivered included.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use causeway_core::port::Transport;
use causeway_core::time::Instant;

use crate::content;
use crate::report::{Segment, parse};
use crate::tap::{Delivery, DirectionId, Fate, Tap};

/// What one oracle has seen of one direction of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Payload bytes compared, repetitions included.
    pub bytes: u64,
    /// One past the highest byte of the stream (TCP), or messages whose last packet was sent (Machnet).
    pub reached: u64,
    /// The first byte that was wrong, in words.
    pub wrong: Option<String>,
}

/// Which content is expected from whom.
#[derive(Clone, Copy, Debug)]
struct Expected {
    flow: u64,
    /// Machnet: messages beyond this many are free.
    messages: u64,
}

#[derive(Debug, Default)]
struct Direction {
    /// TCP: the sequence number of the SYN, and the highest offset reached.
    syn: Option<u32>,
    /// Machnet: the first DATA packet's number, and the place of each packet's payload: (message, offset).
    first_data: Option<u32>,
    places: Vec<(u64, u64)>,
    message: u64,
    offset: u64,
    verified: Verified,
}

#[derive(Debug, Default)]
struct State {
    to: HashMap<(Transport, SocketAddr), Expected>,
    from: HashMap<(Transport, SocketAddr), Expected>,
    directions: HashMap<(Transport, SocketAddr, SocketAddr), Direction>,
}

/// The oracle. Clones share their state: one goes to the world, the other is asked.
#[derive(Clone, Debug, Default)]
pub struct WireOracle {
    state: Rc<RefCell<State>>,
}

impl WireOracle {
    /// Command: what is sent to `server` has the content of `flow`; of Machnet, its first `messages` messages.
    pub fn expect_to(&self, transport: Transport, server: SocketAddr, flow: u64, messages: u64) {
        self.state.borrow_mut().to.insert((transport, server), Expected { flow, messages });
    }

    /// Command: as [`WireOracle::expect_to`], for what `server` sends.
    pub fn expect_from(&self, transport: Transport, server: SocketAddr, flow: u64, messages: u64) {
        self.state.borrow_mut().from.insert((transport, server), Expected { flow, messages });
    }

    /// Getter: what was seen, all directions towards and from `server` taken together.
    pub fn verified(&self, transport: Transport, server: SocketAddr) -> Verified {
        let mut sum = Verified::default();
        for (&(kind, from, to), direction) in &self.state.borrow().directions {
            if kind == transport && (from == server || to == server) {
                sum.bytes += direction.verified.bytes;
                sum.reached += direction.verified.reached;
                // The smallest text, so that the order in the map does not matter.
                let wrong = direction.verified.wrong.clone();
                sum.wrong = match (sum.wrong.take(), wrong) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        sum
    }
}

impl Tap for WireOracle {
    fn sent(&mut self, at: Instant, _direction: DirectionId, frame: &[u8], _fate: Fate<'_>) {
        let Some(segment) = parse(frame) else { return };
        let State { to, from, directions } = &mut *self.state.borrow_mut();
        let key = (segment.transport, segment.to);
        let reverse = (segment.transport, segment.from);
        let Some(&expected) = to.get(&key).or_else(|| from.get(&reverse)) else { return };
        let ends = (segment.transport, segment.from, segment.to);
        let direction = directions.entry(ends).or_default();
        let Some(payload) = frame.get(segment.payload.0..segment.payload.1) else { return };
        match segment.transport {
            Transport::Tcp => direction.tcp(at, &segment, payload, expected),
            Transport::Machnet => direction.machnet(at, &segment, payload, expected),
            // Datagrams promise nothing that could be held against them.
            Transport::Udp => {}
        }
    }

    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}
}

impl Direction {
    fn tcp(&mut self, at: Instant, segment: &Segment, payload: &[u8], expected: Expected) {
        if segment.opens {
            self.syn = Some(segment.seq);
        }
        let (Some(syn), false) = (self.syn, payload.is_empty()) else { return };
        // The offset in the stream, by its distance from the highest one so far.
        let highest = self.verified.reached;
        let distance = segment.seq.wrapping_sub(syn.wrapping_add(1)).wrapping_sub(highest as u32);
        let Some(offset) = highest.checked_add_signed(i64::from(distance.cast_signed())) else {
            self.fail(at, "a sequence number before the stream's first".to_owned());
            return;
        };
        self.compare(at, expected.flow, 0, offset, payload);
        self.verified.reached = highest.max(offset + payload.len() as u64);
    }

    fn machnet(&mut self, at: Instant, segment: &Segment, payload: &[u8], expected: Expected) {
        if payload.is_empty() {
            return;
        }
        let (pieces, ends) = pieces(segment, payload);
        let first = *self.first_data.get_or_insert(segment.seq);
        let packet = segment.seq.wrapping_sub(first) as usize;
        if packet == self.places.len() {
            self.places.push((self.message, self.offset));
            if ends {
                (self.message, self.offset) = (self.message + pieces.len() as u64, 0);
                self.verified.reached = self.message;
            } else {
                self.offset += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
            }
        }
        let Some(&(message, offset)) = self.places.get(packet) else {
            return self.fail(at, format!("packet {} is sent before its turn", segment.seq));
        };
        for (place, piece) in (message..expected.messages).zip(pieces) {
            // Only the first one may have begun in a packet before.
            let offset = if place == message { offset } else { 0 };
            self.compare(at, expected.flow, place, offset, piece);
        }
    }

    fn compare(&mut self, at: Instant, flow: u64, index: u64, offset: u64, payload: &[u8]) {
        self.verified.bytes += payload.len() as u64;
        if let Some(position) = content::mismatch(flow, index, offset, payload) {
            let byte = offset + position as u64;
            self.fail(at, format!("byte {byte} of message {index} of flow {flow} is wrong"));
        }
    }

    fn fail(&mut self, at: Instant, what: String) {
        self.verified.wrong.get_or_insert_with(|| format!("at {at} s: {what}"));
    }
}

/// The bytes of messages in a packet's payload, message by message, and whether the last one ends here. In the extended profile number and
/// length stand in front, for several messages their lengths, and a CRC behind (docs/machnet.md, messages).
fn pieces<'a>(segment: &Segment, payload: &'a [u8]) -> (Vec<&'a [u8]>, bool) {
    const PACKED: u32 = 1 << 31;
    let (begins, ends) = segment.message_ends;
    if !segment.extended {
        return (vec![payload], ends);
    }
    let body =
        if ends { payload.split_last_chunk::<4>().map_or(payload, |(b, _)| b) } else { payload };
    let Some((prefix, body)) = body.split_first_chunk::<8>().filter(|_| begins) else {
        return (vec![body], ends);
    };
    let [_, _, _, _, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length);
    if length & PACKED == 0 {
        return (vec![body], ends);
    }
    let (lengths, mut rest) = body.split_at(body.len().min(2 * (length & !PACKED) as usize));
    let take = |bytes: &[u8; 2]| {
        let (piece, after) = rest.split_at(rest.len().min(u16::from_be_bytes(*bytes).into()));
        rest = after;
        piece
    };
    (lengths.as_chunks::<2>().0.iter().map(take).collect(), ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "10.0.0.2:7";

    fn frame(seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 14];
        frame[12] = 8;
        let total = (40 + payload.len()) as u16;
        let [high, low] = total.to_be_bytes();
        frame.extend([0x45, 0, high, low, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x9c, 0x40, 0, 7]);
        frame.extend(seq.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    }

    fn watch(frames: &[Vec<u8>]) -> Verified {
        let mut oracle = WireOracle::default();
        let server = SERVER.parse().expect("an address");
        oracle.expect_to(Transport::Tcp, server, 3, 0);
        for frame in frames {
            let fate = Fate::OnWire { number: 1, faults: &[] };
            oracle.sent(Instant::ZERO, DirectionId(0), frame, fate);
        }
        oracle.verified(Transport::Tcp, server)
    }

    /// A packet of the extended profile with this body.
    fn packet(seq: u32, flags: u8, body: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x4e, 0x53, 0, flags];
        datagram.extend(seq.to_be_bytes());
        datagram.extend([0; 45]);
        datagram.push(7);
        datagram.extend(body);
        let mut frame = vec![0; 14];
        frame[12] = 8;
        let [high, low] = (28 + datagram.len() as u16).to_be_bytes();
        frame.extend([0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let [high, low] = (8 + datagram.len() as u16).to_be_bytes();
        frame.extend([0x9c, 0x40, 0, 7, high, low, 0, 0]);
        frame.extend(datagram);
        frame
    }

    #[test]
    fn what_stands_around_messages_is_no_part_of_them() {
        let whole = |message: u64, len: usize| {
            let mut bytes = vec![0; len];
            content::fill(3, message, 0, &mut bytes);
            bytes
        };
        let (long, crc) = (whole(0, 3_000), [0xee; 4]);
        let number = |n: u8, length: [u8; 4]| [&[0, 0, 0, n], &length[..]].concat();
        let two = [&whole(1, 10)[..], &whole(2, 20)].concat();
        let packed = [&number(1, [0x80, 0, 0, 2])[..], &[0, 10, 0, 20], &two, &crc].concat();
        let frames = [
            packet(5, 0x03, &[&number(0, [0, 0, 11, 184]), &long[..1_410]].concat()),
            packet(6, 0x02, &long[1_410..2_828]),
            packet(7, 0x04, &[&long[2_828..], &crc].concat()),
            packet(8, 0x05, &packed),
        ];
        let watch = |frames: &[Vec<u8>]| {
            let mut oracle = WireOracle::default();
            let server = SERVER.parse().expect("an address");
            oracle.expect_to(Transport::Machnet, server, 3, 9);
            for frame in frames {
                let fate = Fate::OnWire { number: 1, faults: &[] };
                oracle.sent(Instant::ZERO, DirectionId(0), frame, fate);
            }
            oracle.verified(Transport::Machnet, server)
        };
        assert_eq!(watch(&frames), Verified { bytes: 3_030, reached: 3, wrong: None });
        let mut wrong = frames;
        let at = wrong[3].len() - 5;
        wrong[3][at] ^= 1;
        let words = watch(&wrong).wrong.expect("it is wrong");
        assert!(words.ends_with("byte 19 of message 2 of flow 3 is wrong"), "{words}");
    }

    fn stream(offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        content::fill(3, 0, offset, &mut bytes);
        bytes
    }

    #[test]
    fn right_bytes_pass_in_any_order_and_across_the_wrap() {
        let syn = u32::MAX - 50;
        let verified = watch(&[
            frame(syn, 0x02, &[]),
            frame(syn.wrapping_add(1), 0x10, &stream(0, 100)),
            frame(syn.wrapping_add(101), 0x10, &stream(100, 33)),
            frame(syn.wrapping_add(31), 0x10, &stream(30, 20)),
        ]);
        assert_eq!(verified, Verified { bytes: 153, reached: 133, wrong: None });
    }

    #[test]
    fn a_wrong_byte_is_named_even_in_a_retransmission() {
        let mut again = stream(30, 20);
        again[5] ^= 1;
        let verified = watch(&[
            frame(9, 0x02, &[]),
            frame(10, 0x10, &stream(0, 100)),
            frame(40, 0x10, &again),
        ]);
        let wrong = verified.wrong.expect("it is wrong");
        assert!(wrong.ends_with("byte 35 of message 0 of flow 3 is wrong"), "{wrong}");
    }
}
