//! What middleboxes make of a segment and the one in front of it, and of acknowledgements: always with checksums that fit afterwards.

use super::rewrite::{is_sound, option_at, repair, set_len};
use crate::fault::{IP, Meddling, Place};
use crate::frame::SimFrame;

/// Bytes of an Ethernet header.
const ETHERNET: usize = IP;
const SACK: u8 = 5;

/// The segment of a frame, if it is a sound one.
fn sound(frame: &[u8]) -> Option<Place> {
    Place::of(frame).filter(|_| is_sound(frame))
}

/// Command: appends the payload of `second` to `first`, which becomes a packet of at most `within` bytes that says what both said. False,
/// and nothing is changed, where they do not follow each other, differ in what one packet cannot say twice, or do not fit.
pub fn join(first: &mut SimFrame, second: &[u8], within: u16) -> bool {
    let (Some(a), Some(b)) = (sound(first.bytes()), sound(second)) else { return false };
    let bytes = first.bytes();
    let odd = Place::SYN | Place::RST | Place::FIN;
    // Type of service or traffic class, with the ECN field; the options, timestamps among them.
    let same = bytes[IP..IP + 2] == second[IP..IP + 2]
        && bytes[a.tcp + 20..a.payload] == second[b.tcp + 20..b.payload]
        && a.flags & !Place::PSH == b.flags & !(Place::PSH | Place::FIN);
    let follows = a.payload_len() > 0 && b.payload_len() > 0 && a.next_seq() == b.seq;
    let end = a.end + b.payload_len();
    if !(same && follows && a.flags & odd == 0 && a.same_flow(bytes, (&b, second)))
        || end - ETHERNET > usize::from(within)
        || !first.set_len(end)
    {
        return false;
    }
    let bytes = first.bytes_mut();
    bytes[a.end..end].copy_from_slice(&second[b.payload..b.end]);
    // The later acknowledgement, flags and window.
    bytes[a.tcp + 8..a.tcp + 16].copy_from_slice(&second[b.tcp + 8..b.tcp + 16]);
    set_len(bytes, end);
    repair(bytes);
    true
}

/// Getter: `newer` says all that `older` says: both are pure acknowledgements of one flow, and it acknowledges no less.
pub fn supersedes(newer: &[u8], older: &[u8]) -> bool {
    let (Some(a), Some(b)) = (sound(newer), sound(older)) else { return false };
    a.is_pure_ack()
        && b.is_pure_ack()
        && a.same_flow(newer, (&b, older))
        && a.ack.wrapping_sub(b.ack).cast_signed() >= 0
}

/// Output: the acknowledgements in front of `frame`, which says the last of them; fewer where frames run out.
pub fn divided(frame: &SimFrame, parts: u16, bytes: u32) -> Vec<SimFrame> {
    let Some(place) = sound(frame.bytes()).filter(Place::is_pure_ack) else { return Vec::new() };
    let parts = parts.min(Meddling::PARTS_MAX);
    let part = |index: u16| {
        let more = u64::from(bytes) * u64::from(index) / u64::from(parts);
        let ack = place.ack.wrapping_sub(bytes).wrapping_add(more as u32);
        let mut copy = frame.duplicate()?;
        copy.bytes_mut()[place.tcp + 8..place.tcp + 12].copy_from_slice(&ack.to_be_bytes());
        repair(copy.bytes_mut());
        Some(copy)
    };
    (1..parts).map_while(part).collect()
}

/// Command: every block of a SACK option reaches `bytes` further than what was received.
pub fn sack_ahead(frame: &mut [u8], bytes: u32) {
    let Some(place) = sound(frame) else { return };
    let Some((from, until)) = option_at(frame, &place, SACK) else { return };
    for block in frame[from + 2..until].chunks_exact_mut(8) {
        let right = u32::from_be_bytes([block[4], block[5], block[6], block[7]]);
        block[4..].copy_from_slice(&right.wrapping_add(bytes).to_be_bytes());
    }
    repair(frame);
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::tests::segment;
    use super::*;
    use crate::frame::FramePool;

    fn frame(bytes: &[u8]) -> SimFrame {
        let mut frame = FramePool::new(1_518, 80).alloc(bytes.len()).expect("there is room");
        frame.bytes_mut().copy_from_slice(bytes);
        frame
    }

    fn place(frame: &[u8]) -> Place {
        Place::of(frame).expect("a segment")
    }

    /// With other numbers, flags and so much less of its payload.
    fn changed(original: &[u8], seq: u32, ack: u32, flags: u8, less: usize) -> Vec<u8> {
        let at = place(original);
        let mut frame = original[..at.end - less].to_vec();
        frame[at.tcp + 4..at.tcp + 8].copy_from_slice(&seq.to_be_bytes());
        frame[at.tcp + 8..at.tcp + 12].copy_from_slice(&ack.to_be_bytes());
        frame[at.tcp + 13] = flags;
        set_len(&mut frame, at.end - less);
        repair(&mut frame);
        frame
    }

    #[test]
    fn joined_segments_say_what_both_said() {
        for v6 in [false, true] {
            let first = segment(v6, Place::ACK);
            let at = place(&first);
            let second =
                changed(&first, at.next_seq(), at.ack + 9, Place::ACK | Place::FIN | Place::PSH, 3);
            let mut joined = frame(&first);
            assert!(join(&mut joined, &second, 1_500));
            let both = place(joined.bytes());
            assert_eq!((both.seq, both.ack), (at.seq, at.ack + 9));
            assert_eq!(both.payload_len(), at.payload_len() * 2 - 3);
            assert_eq!(both.next_seq(), place(&second).next_seq());
            assert_eq!(both.flags, Place::ACK | Place::FIN | Place::PSH);
            assert!(is_sound(joined.bytes()));
        }
    }

    #[test]
    fn what_does_not_belong_together_is_not_joined() {
        let first = segment(false, Place::ACK);
        let at = place(&first);
        let next = at.next_seq();
        let good = changed(&first, next, at.ack, Place::ACK, 0);
        let len = (first.len() + at.payload_len() - IP) as u16;
        assert!(join(&mut frame(&first), &good, len), "it fits exactly");
        let mut damaged = good.clone();
        *damaged.last_mut().expect("it has bytes") ^= 1;
        let mut marked = good.clone();
        marked[IP + 1] ^= 3;
        repair(&mut marked);
        let mut other = good.clone();
        other[at.tcp + 1] ^= 1;
        repair(&mut other);
        let mut option = good.clone();
        option[at.payload - 1] ^= 1;
        repair(&mut option);
        for second in [
            changed(&first, next + 1, at.ack, Place::ACK, 0),
            changed(&first, next, at.ack, Place::ACK | Place::SYN, 0),
            changed(&first, next, at.ack, Place::ACK, at.payload_len()),
            damaged,
            marked,
            other,
            option,
        ] {
            let mut joined = frame(&first);
            assert!(!join(&mut joined, &second, 1_500) && joined.bytes() == first);
        }
        let mut joined = frame(&first);
        assert!(!join(&mut joined, &good, len - 1) && joined.bytes() == first, "too long");
        let finished = changed(&first, at.seq, at.ack, Place::ACK | Place::FIN, 0);
        assert!(!join(&mut frame(&finished), &good, 1_500), "nothing follows a FIN");
    }

    #[test]
    fn an_acknowledgement_stands_for_one_that_says_no_more() {
        let data = segment(false, Place::ACK);
        let at = place(&data);
        let ack = |more: u32| {
            changed(&data, at.seq, at.ack.wrapping_add(more), Place::ACK, at.payload_len())
        };
        assert!(supersedes(&ack(5), &ack(0)) && supersedes(&ack(5), &ack(5)));
        assert!(!supersedes(&ack(0), &ack(5)) && !supersedes(&data, &ack(0)));
        assert!(!supersedes(&ack(5), &data));
    }

    #[test]
    fn the_parts_of_an_acknowledgement_come_before_it_in_equal_steps() {
        for v6 in [false, true] {
            let data = segment(v6, Place::ACK);
            let at = place(&data);
            let ack = changed(&data, at.seq, 1_000, Place::ACK, at.payload_len());
            let parts = divided(&frame(&ack), 4, 100);
            let acks: Vec<u32> = parts.iter().map(|part| place(part.bytes()).ack).collect();
            assert_eq!(acks, [925, 950, 975]);
            assert!(parts.iter().all(|part| is_sound(part.bytes())));
            assert!(divided(&frame(&data), 4, 100).is_empty(), "data is no pure acknowledgement");
        }
    }

    #[test]
    fn blocks_reach_further_than_what_was_received() {
        let mut frame = segment(false, Place::ACK);
        let at = place(&frame);
        // In place of the timestamps.
        frame[at.tcp + 20..at.payload].fill(1);
        frame[at.tcp + 20..at.tcp + 30].copy_from_slice(&[SACK, 10, 0, 0, 0, 5, 0, 0, 0, 9]);
        repair(&mut frame);
        sack_ahead(&mut frame, 256);
        assert_eq!(frame[at.tcp + 22..at.tcp + 30], [0, 0, 0, 5, 0, 0, 1, 9]);
        assert!(is_sound(&frame));
        let without = segment(false, Place::ACK);
        let mut same = without.clone();
        sack_ahead(&mut same, 256);
        assert_eq!(same, without);
    }
}
