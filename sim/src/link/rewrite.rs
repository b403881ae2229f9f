//! What middleboxes do to a TCP segment: always with checksums that fit afterwards.

use causeway_checksum::{combine, finish, pseudo_header_v4, pseudo_header_v6, sum};

use crate::fault::{IP, Place, TcpOption};

const ICMPV4: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Command: makes every checksum of the IP packet in `frame` right; what is no whole IP packet stays as it is.
pub fn repair(frame: &mut [u8]) {
    let Some((protocol, l4, end)) = bounds(frame) else { return };
    let is_v4 = frame[IP] >> 4 == 4;
    if is_v4 {
        frame[IP + 10..IP + 12].fill(0);
        let sum = finish(sum(&frame[IP..l4]));
        frame[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
        if u16::from_be_bytes([frame[IP + 6], frame[IP + 7]]) & 0x3fff != 0 {
            // A fragment: the sum is over all of them.
            return;
        }
    }
    let at = match protocol {
        TCP => l4 + 16,
        UDP => l4 + 6,
        ICMPV4 | ICMPV6 => l4 + 2,
        _ => return,
    };
    if at + 2 > end || protocol == UDP && frame[at..at + 2] == [0, 0] {
        return;
    }
    frame[at..at + 2].fill(0);
    let pseudo = if protocol == ICMPV4 { 0 } else { pseudo_header(frame, protocol, end - l4) };
    let value = finish(combine(pseudo, sum(&frame[l4..end]), false));
    let value = if protocol == UDP && value == 0 { u16::MAX } else { value };
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Getter: every checksum of the IP packet in `frame` is right. Middleboxes leave alone what is damaged: whoever changed it and made the
/// checksums fit would hide the damage.
pub fn is_sound(frame: &[u8]) -> bool {
    let Some((protocol, l4, end)) = bounds(frame) else { return false };
    let is_v4 = frame[IP] >> 4 == 4;
    if is_v4 && finish(sum(&frame[IP..l4])) != 0 {
        return false;
    }
    let pseudo = if protocol == ICMPV4 { 0 } else { pseudo_header(frame, protocol, end - l4) };
    finish(combine(pseudo, sum(&frame[l4..end]), false)) == 0
}

/// Getter: the frame has checksums, and they are wrong.
pub fn is_damaged(frame: &[u8]) -> bool {
    bounds(frame).is_some() && !is_sound(frame)
}

/// The segment of a frame, if it is a sound one.
fn sound_segment(frame: &[u8]) -> Option<Place> {
    Place::of(frame).filter(|_| is_sound(frame))
}

/// The protocol, where its header begins and where the packet ends.
fn bounds(frame: &[u8]) -> Option<(u8, usize, usize)> {
    let u16_at =
        |at: usize| frame.get(at..at + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
    let (protocol, l4, end) = match frame.get(12..14)? {
        // A damaged version is none.
        [0x08, 0x00] if frame.get(IP)? >> 4 == 4 => {
            let header = usize::from(frame.get(IP)? & 15) * 4;
            (*frame.get(IP + 9)?, IP + header, IP + u16_at(IP + 2)?)
        }
        [0x86, 0xdd] if frame.get(IP)? >> 4 == 6 => {
            (*frame.get(IP + 6)?, IP + 40, IP + 40 + u16_at(IP + 4)?)
        }
        _ => return None,
    };
    (l4 >= IP + 20 && l4 <= end && end <= frame.len()).then_some((protocol, l4, end))
}

fn pseudo_header(frame: &[u8], protocol: u8, len: usize) -> u16 {
    if frame[IP] >> 4 == 4 {
        let address = |at: usize| [frame[at], frame[at + 1], frame[at + 2], frame[at + 3]];
        pseudo_header_v4(address(IP + 12), address(IP + 16), protocol, len as u16)
    } else {
        let mut addresses = [[0; 16]; 2];
        addresses[0].copy_from_slice(&frame[IP + 8..IP + 24]);
        addresses[1].copy_from_slice(&frame[IP + 24..IP + 40]);
        pseudo_header_v6(addresses[0], addresses[1], protocol, len as u32)
    }
}

/// Getter: a packet that its sender lets be marked: ECT(0), ECT(1), or marked before (RFC 3168 §5).
pub fn is_markable(frame: &[u8]) -> bool {
    match frame.get(12..IP + 2) {
        Some([0x08, 0x00, _, tos]) => tos & 3 != 0,
        Some([0x86, 0xdd, _, class]) => class & 0x30 != 0,
        Some(_) | None => false,
    }
}

/// Command: sets the ECN field of an IP packet (RFC 3168 §5). True when it was another.
pub fn set_ecn(frame: &mut [u8], ecn: u8) -> bool {
    let Some((_, l4, _)) = bounds(frame) else { return false };
    if frame[IP] >> 4 == 4 && finish(sum(&frame[IP..l4])) != 0 {
        return false;
    }
    let changed = if frame[IP] >> 4 == 4 {
        let before = frame[IP + 1];
        frame[IP + 1] = before & !3 | ecn;
        frame[IP + 1] != before
    } else {
        let before = frame[IP + 1];
        frame[IP + 1] = before & !0x30 | ecn << 4;
        frame[IP + 1] != before
    };
    if changed && frame[IP] >> 4 == 4 {
        // The header's own sum alone: whatever is wrong with the rest stays wrong.
        frame[IP + 10..IP + 12].fill(0);
        let sum = finish(sum(&frame[IP..l4]));
        frame[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
    }
    changed
}

const fn kind_of(option: TcpOption) -> u8 {
    match option {
        TcpOption::Mss => 2,
        TcpOption::WindowScale => 3,
        TcpOption::SackPermitted => 4,
        TcpOption::Sack => 5,
        TcpOption::Timestamps => 8,
        TcpOption::FastOpen => 34,
    }
}

/// Where the option of this kind begins and ends.
pub fn option_at(frame: &[u8], place: &Place, kind: u8) -> Option<(usize, usize)> {
    let mut at = place.tcp + 20;
    while at < place.payload {
        match frame[at] {
            0 => return None,
            1 => at += 1,
            found => {
                let len = usize::from(*frame.get(at + 1)?);
                if len < 2 || at + len > place.payload {
                    return None;
                }
                if found == kind {
                    return Some((at, at + len));
                }
                at += len;
            }
        }
    }
    None
}

/// Command: turns an option into no-operations.
pub fn strip(frame: &mut [u8], option: TcpOption) {
    let Some(place) = sound_segment(frame) else { return };
    if let Some((from, until)) = option_at(frame, &place, kind_of(option)) {
        frame[from..until].fill(1);
        repair(frame);
    }
}

/// Command: lowers the MSS of a SYN.
pub fn clamp_mss(frame: &mut [u8], mss: u16) {
    let Some(place) = sound_segment(frame).filter(|place| place.flags & Place::SYN != 0) else {
        return;
    };
    if let Some((from, until)) = option_at(frame, &place, 2)
        && until == from + 4
        && u16::from_be_bytes([frame[from + 2], frame[from + 3]]) > mss
    {
        frame[from + 2..until].copy_from_slice(&mss.to_be_bytes());
        repair(frame);
    }
}

/// Command: another window, in every segment that is no SYN.
pub fn set_window(frame: &mut [u8], window: u16) {
    let Some(place) = sound_segment(frame).filter(|place| place.flags & Place::SYN == 0) else {
        return;
    };
    frame[place.tcp + 14..place.tcp + 16].copy_from_slice(&window.to_be_bytes());
    repair(frame);
}

/// Command: acknowledges `bytes` more, in every segment that is no SYN.
pub fn ack_ahead(frame: &mut [u8], bytes: u32) {
    let wanted = |place: &Place| place.flags & (Place::SYN | Place::ACK) == Place::ACK;
    let Some(place) = sound_segment(frame).filter(wanted) else { return };
    let ack = place.ack.wrapping_add(bytes);
    frame[place.tcp + 8..place.tcp + 12].copy_from_slice(&ack.to_be_bytes());
    repair(frame);
}

/// Command: sets the length of the IP packet whose TCP segment ends at `end` of the frame now.
pub fn set_len(frame: &mut [u8], end: usize) {
    let (at, len) = if frame[IP] >> 4 == 4 { (IP + 2, end - IP) } else { (IP + 4, end - IP - 40) };
    frame[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A segment with MSS 1460, window scale 7 and timestamps, and ten bytes.
    pub fn segment(v6: bool, flags: u8) -> Vec<u8> {
        let options = [2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        let mut frame = vec![2; 12];
        let l4 = 20 + options.len() + 10;
        if v6 {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, l4 as u8, 6, 64]);
            frame.extend([0xfd; 32]);
        } else {
            frame.extend([8, 0, 0x45, 0, 0, 20 + l4 as u8, 0, 1, 0x40, 0, 64, 6, 0, 0]);
            frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        }
        frame.extend([0x9c, 0x40, 0, 80, 0, 0, 1, 0, 0, 0, 2, 0, 0xa0, flags, 1, 0, 0, 0, 0, 0]);
        frame.extend(options);
        frame.extend([7; 10]);
        repair(&mut frame);
        frame
    }

    #[test]
    fn each_change_leaves_checksums_that_fit() {
        for v6 in [false, true] {
            let changes: [fn(&mut [u8]); 7] = [
                |f| strip(f, TcpOption::Timestamps),
                |f| strip(f, TcpOption::Mss),
                |f| clamp_mss(f, 536),
                |f| set_window(f, 9),
                |f| ack_ahead(f, 1_000),
                |f| assert!(set_ecn(f, 3)),
                |f| {
                    let last = f.len() - 1;
                    f[last] ^= 0x40;
                    repair(f);
                },
            ];
            for (index, change) in changes.into_iter().enumerate() {
                let before = segment(v6, if index == 2 { Place::SYN } else { Place::ACK });
                let mut after = before.clone();
                change(&mut after);
                assert!(before != after && is_sound(&after), "{index} {v6}");
            }
        }
    }

    #[test]
    fn what_is_damaged_stays_so() {
        for v6 in [false, true] {
            let mut damaged = segment(v6, Place::ACK);
            let last = damaged.len() - 1;
            damaged[last] ^= 1;
            let before = damaged.clone();
            strip(&mut damaged, TcpOption::Timestamps);
            set_window(&mut damaged, 9);
            ack_ahead(&mut damaged, 1_000);
            assert!(damaged == before && !is_sound(&damaged));
            // The ECN field lies under the header's sum alone, or under none.
            assert!(set_ecn(&mut damaged, 3) && !is_sound(&damaged));
        }
    }

    #[test]
    fn a_stripped_option_is_gone_and_the_others_are_there() {
        let mut frame = segment(false, Place::SYN);
        let place = Place::of(&frame).expect("a segment");
        strip(&mut frame, TcpOption::WindowScale);
        let kinds = [2, 3, 8].map(|kind| option_at(&frame, &place, kind).is_some());
        assert_eq!(kinds, [true, false, true]);
        clamp_mss(&mut frame, 500);
        let (at, _) = option_at(&frame, &place, 2).expect("still there");
        assert_eq!(frame[at + 2..at + 4], [1, 244]);
        clamp_mss(&mut frame, 600);
        assert_eq!(frame[at + 2..at + 4], [1, 244], "lower only");
    }

    #[test]
    fn no_bytes_make_a_middlebox_panic() {
        let whole = segment(false, Place::SYN);
        for len in 0..whole.len() {
            for byte in 12..whole.len() {
                let mut frame = whole.clone();
                frame[byte] ^= 0xff;
                frame.truncate(len);
                repair(&mut frame);
                strip(&mut frame, TcpOption::Timestamps);
                clamp_mss(&mut frame, 1);
                set_window(&mut frame, 1);
                ack_ahead(&mut frame, 1);
                set_ecn(&mut frame, 3);
            }
        }
    }
}
