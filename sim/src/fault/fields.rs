//! The fields of a frame's headers: what damage aims at.

use super::place::IP;

/// A field: where it begins and how long it is, in bits from the first byte of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The first bit, the most significant of its byte first.
    pub bit: u32,
    /// How many.
    pub bits: u32,
}

/// Fields as (bits in front of it since the header's begin, bits).
type Fields = &'static [(u32, u32)];

const ETHERNET: Fields = &[(0, 48), (48, 48), (96, 16)];
/// RFC 791 §3.1: version, IHL, DSCP, ECN, length, identification, flags, offset, TTL, protocol, checksum, addresses.
const IPV4: Fields = &[
    (0, 4),
    (4, 4),
    (8, 6),
    (14, 2),
    (16, 16),
    (32, 16),
    (48, 3),
    (51, 13),
    (64, 8),
    (72, 8),
    (80, 16),
    (96, 32),
    (128, 32),
];
/// RFC 8200 §3: version, DSCP, ECN, flow label, length, next header, hop limit, addresses.
const IPV6: Fields =
    &[(0, 4), (4, 6), (10, 2), (12, 20), (32, 16), (48, 8), (56, 8), (64, 128), (192, 128)];
/// RFC 9293 §3.1: ports, numbers, offset, reserved, flags, window, checksum, urgent pointer.
const TCP: Fields = &[
    (0, 16),
    (16, 16),
    (32, 32),
    (64, 32),
    (96, 4),
    (100, 4),
    (104, 8),
    (112, 16),
    (128, 16),
    (144, 16),
];
/// RFC 768: ports, length, checksum.
const UDP: Fields = &[(0, 16), (16, 16), (32, 16), (48, 16)];
/// RFC 792, RFC 4443: type, code, checksum, the rest.
const ICMP: Fields = &[(0, 8), (8, 8), (16, 16), (32, 32)];
/// Behind UDP: magic, kind, message flags, numbers, bitmap, its count, timestamp.
const MACHNET: Fields =
    &[(0, 16), (16, 8), (24, 8), (32, 32), (64, 32), (96, 256), (352, 16), (368, 64)];

/// Output: every field of the headers of a frame, appended to `out`, which is emptied first. None of what is no IP packet: ARP has no checksum,
/// so that changing it is an attack and no damage.
pub fn fields_of(frame: &[u8], out: &mut Vec<Field>) {
    out.clear();
    let mut add = |at: usize, fields: Fields| {
        let bits = (frame.len().saturating_sub(at) * 8) as u32;
        let whole = fields.iter().take_while(|(bit, len)| bit + len <= bits);
        out.extend(whole.map(|&(bit, bits)| Field { bit: at as u32 * 8 + bit, bits }));
    };
    let (protocol, l4) = match (frame.get(12..14), frame.get(IP)) {
        (Some([0x08, 0x00]), Some(first)) => {
            add(0, ETHERNET);
            add(IP, IPV4);
            (frame.get(IP + 9), IP + usize::from(first & 15) * 4)
        }
        (Some([0x86, 0xdd]), Some(_)) => {
            add(0, ETHERNET);
            add(IP, IPV6);
            (frame.get(IP + 6), IP + 40)
        }
        _ => return,
    };
    match protocol {
        Some(6) => {
            add(l4, TCP);
            let header = frame.get(l4 + 12).map_or(0, |offset| usize::from(offset >> 4) * 4);
            for at in (l4 + 20)..(l4 + header).min(frame.len()) {
                out.push(Field { bit: at as u32 * 8, bits: 8 });
            }
        }
        Some(17) => {
            add(l4, UDP);
            if frame.get(l4 + 8..l4 + 10) == Some(b"NS") {
                add(l4 + 8, MACHNET);
            }
        }
        Some(1 | 58) => add(l4, ICMP),
        Some(_) | None => {}
    }
}

impl Field {
    /// Getter: one byte of the field and a change of it, as `draws` choose: the byte's offset in the frame, and what it is XORed with,
    /// which is not zero.
    pub const fn damage(self, draws: [u64; 2]) -> (u32, u8) {
        let first = self.bit / 8;
        let last = (self.bit + self.bits - 1) / 8;
        let offset = first + (draws[0] % (last - first + 1) as u64) as u32;
        // What of that byte is the field's.
        let mut mask = 0xff_u8;
        if offset == first {
            mask &= 0xff >> (self.bit % 8);
        }
        if offset == last {
            mask &= 0xff << (7 - (self.bit + self.bits - 1) % 8);
        }
        let change = draws[1] as u8 & mask;
        (offset, if change == 0 { mask } else { change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ethertype: [u8; 2], first: u8, protocol_at: usize, protocol: u8) -> Vec<u8> {
        let mut frame = vec![0; 200];
        frame[12..14].copy_from_slice(&ethertype);
        frame[IP] = first;
        frame[protocol_at] = protocol;
        frame
    }

    fn count(frame: &[u8]) -> usize {
        let mut out = Vec::new();
        fields_of(frame, &mut out);
        assert!(out.iter().all(|field| (field.bit + field.bits) as usize <= frame.len() * 8));
        out.len()
    }

    #[test]
    fn every_header_of_a_packet_has_its_fields() {
        let mut tcp = frame([8, 0], 0x45, IP + 9, 6);
        tcp[IP + 20 + 12] = 0x80;
        assert_eq!(count(&tcp), 3 + 13 + 10 + 12, "twelve bytes of options");
        let mut udp = frame([0x86, 0xdd], 0x60, IP + 6, 17);
        assert_eq!(count(&udp), 3 + 9 + 4);
        udp[IP + 48..IP + 50].copy_from_slice(b"NS");
        assert_eq!(count(&udp), 3 + 9 + 4 + 8, "Machnet");
        assert_eq!(count(&frame([8, 0], 0x45, IP + 9, 1)), 3 + 13 + 4);
        assert_eq!(count(&frame([8, 6], 0, 20, 0)), 0, "ARP");
        for len in 0..tcp.len() {
            count(&tcp[..len]);
        }
    }

    #[test]
    fn damage_stays_in_its_field_and_reaches_all_of_it() {
        for field in [
            Field { bit: 112, bits: 4 },
            Field { bit: 116, bits: 4 },
            Field { bit: 163, bits: 13 },
            Field { bit: 96, bits: 16 },
        ] {
            let mut reached = [0_u8; 32];
            for draw in 0..4_096_u64 {
                let (offset, mask) = field.damage([draw, draw >> 2]);
                assert_ne!(mask, 0);
                reached[offset as usize] |= mask;
            }
            let is_in = |bit: u32| (field.bit..field.bit + field.bits).contains(&bit);
            for bit in 0..256 {
                let hit = reached[bit as usize / 8] & (0x80 >> (bit % 8)) != 0;
                assert_eq!(hit, is_in(bit), "{field:?} {bit}");
            }
        }
    }
}
