//! A frame that holds several UDP datagrams under one header, taken apart.
//!
//! A program that sends with `UDP_SEGMENT` on this machine makes them; a network card would cut them. The `Nic` trait has super-segments
//! of TCP only, so what the card would do is done here.

use causeway_core::wire::checksum::{combine, finish, sum};

const UDP_HEADER_LEN: usize = 8;
const UDP_LEN_AT: usize = 4;
const UDP_SUM_AT: usize = 6;
const IPV4_LEN_AT: usize = 2;
const IPV4_ID_AT: usize = 4;
const IPV4_SUM_AT: usize = 10;
const IPV6_LEN_AT: usize = 4;
const IPV6_HEADER_LEN: usize = 40;

/// Datagrams under one header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagrams<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    size: usize,
    ip_at: usize,
    udp_at: usize,
    v6: bool,
}

impl<'a> Datagrams<'a> {
    /// Input: a frame whose UDP header begins at `udp_at`, and whose datagrams have `size` bytes of payload each, the last one
    /// perhaps fewer. `None` if its headers do not fit together.
    pub fn open(frame: &'a [u8], udp_at: usize, size: usize) -> Option<Self> {
        let (headers, payload) = frame.split_at_checked(udp_at + UDP_HEADER_LEN)?;
        // One tag may stand in the frame beside the one that the kernel took out.
        let ip_at =
            if matches!(headers.get(12..14)?, [0x81, 0x00] | [0x88, 0xa8]) { 18 } else { 14 };
        let ip = headers.get(ip_at..udp_at)?;
        let v6 = match (ip.first()? >> 4, ip.len()) {
            (4, len) if len >= 20 && len == usize::from(ip[0] & 0xf) * 4 => false,
            (6, len) if len >= IPV6_HEADER_LEN => true,
            _ => return None,
        };
        (size > 0).then_some(Self { headers, payload, size, ip_at, udp_at, v6 })
    }

    /// Getter: how many there are; one without payload counts.
    pub const fn count(&self) -> usize {
        if self.payload.is_empty() { 1 } else { self.payload.len().div_ceil(self.size) }
    }

    /// Getter: the bytes of datagram `index` (< `count`) with all its headers.
    pub fn frame_len(&self, index: usize) -> usize {
        self.headers.len() + self.part(index).len()
    }

    fn part(&self, index: usize) -> &'a [u8] {
        let start = (index * self.size).min(self.payload.len());
        &self.payload[start..(start + self.size).min(self.payload.len())]
    }

    /// Output: writes datagram `index` into `out`, which is as long as [`Self::frame_len`] says. Its UDP checksum is partial, as that
    /// of the whole was.
    pub fn write(&self, index: usize, out: &mut [u8]) {
        let part = self.part(index);
        let (headers, payload) = out.split_at_mut(self.headers.len());
        headers.copy_from_slice(self.headers);
        payload.copy_from_slice(part);
        let udp_len = UDP_HEADER_LEN + part.len();
        let (lower, udp) = headers.split_at_mut(self.udp_at);
        let ip = &mut lower[self.ip_at..];
        let ip_len = ip.len();
        if self.v6 {
            put(ip, IPV6_LEN_AT, ip_len - IPV6_HEADER_LEN + udp_len);
        } else {
            put(ip, IPV4_LEN_AT, ip_len + udp_len);
            let id = u16::from_be_bytes([ip[IPV4_ID_AT], ip[IPV4_ID_AT + 1]]);
            put(ip, IPV4_ID_AT, usize::from(id.wrapping_add(index as u16)));
            put(ip, IPV4_SUM_AT, 0);
            let checksum = finish(sum(ip));
            put(ip, IPV4_SUM_AT, usize::from(checksum));
        }
        // The partial sum has the length of the whole in it: out with it, and in with that of the part (RFC 1624).
        let whole = u16::from_be_bytes([udp[UDP_LEN_AT], udp[UDP_LEN_AT + 1]]);
        let partial = u16::from_be_bytes([udp[UDP_SUM_AT], udp[UDP_SUM_AT + 1]]);
        let partial = combine(combine(partial, !whole, false), udp_len as u16, false);
        put(udp, UDP_LEN_AT, udp_len);
        put(udp, UDP_SUM_AT, usize::from(partial));
    }
}

/// Writes a field of 16 bits; what is measured here is part of a frame of at most 64 KiB.
fn put(bytes: &mut [u8], at: usize, field: usize) {
    bytes[at..at + 2].copy_from_slice(&(field as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_core::wire::checksum::{pseudo_header, verify};
    use causeway_core::wire::{IpProtocol, Ipv4Header};
    use std::net::IpAddr;

    const PAYLOAD: usize = 2_500;
    const SIZE: usize = 1_000;

    /// A frame as the kernel hands it over: lengths of the whole, a partial checksum.
    fn whole(v6: bool) -> (Vec<u8>, usize, IpAddr, IpAddr) {
        let mut frame = vec![2; 12];
        let udp_len = UDP_HEADER_LEN + PAYLOAD;
        let (src, dst): (IpAddr, IpAddr) = if v6 {
            ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
        } else {
            ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
        };
        match (src, dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend((udp_len as u16).to_be_bytes());
                frame.extend([17, 64]);
                frame.extend(src.octets());
                frame.extend(dst.octets());
            }
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                frame.extend([0x08, 0x00, 0x45, 0]);
                frame.extend((20 + udp_len as u16).to_be_bytes());
                frame.extend([0xff, 0xff, 0x40, 0, 64, 17, 0, 0]);
                frame.extend(src.octets());
                frame.extend(dst.octets());
            }
            _ => unreachable!("of one family"),
        }
        let udp_at = frame.len();
        frame.extend([0, 7, 0, 9]);
        frame.extend((udp_len as u16).to_be_bytes());
        frame.extend(pseudo_header(src, dst, IpProtocol::UDP, udp_len).unwrap().to_be_bytes());
        frame.extend((0..PAYLOAD).map(|i| (i % 251) as u8));
        (frame, udp_at, src, dst)
    }

    #[test]
    fn datagrams_are_cut_with_right_lengths_and_checksums() {
        for v6 in [false, true] {
            let (frame, udp_at, src, dst) = whole(v6);
            let datagrams = Datagrams::open(&frame, udp_at, SIZE).expect("a good frame");
            assert_eq!(datagrams.count(), 3);
            let mut payload = Vec::new();
            for index in 0..3 {
                let mut out = vec![0xee; datagrams.frame_len(index)];
                datagrams.write(index, &mut out);
                let udp_len = out.len() - udp_at;
                assert_eq!(udp_len, UDP_HEADER_LEN + if index == 2 { 500 } else { 1_000 });
                if !v6 {
                    let (ip, _) = Ipv4Header::parse(&out[14..]).expect("a right checksum");
                    assert_eq!(usize::from(ip.payload_len), udp_len);
                    assert_eq!(ip.identification, 0xffff_u16.wrapping_add(index as u16));
                } else {
                    assert_eq!(out[18..20], (udp_len as u16).to_be_bytes());
                }
                assert_eq!(out[udp_at + 4..udp_at + 6], (udp_len as u16).to_be_bytes());
                // Completed, as a card would do it, the checksum is right.
                let checksum = finish(sum(&out[udp_at..]));
                out[udp_at + 6..udp_at + 8].copy_from_slice(&checksum.to_be_bytes());
                verify(src, dst, IpProtocol::UDP, &out[udp_at..]).expect("a right checksum");
                payload.extend_from_slice(&out[udp_at + UDP_HEADER_LEN..]);
            }
            assert_eq!(payload, frame[udp_at + UDP_HEADER_LEN..]);
        }
    }

    #[test]
    fn headers_that_do_not_fit_together_are_refused() {
        let (frame, udp_at, ..) = whole(false);
        assert!(Datagrams::open(&frame, udp_at, 0).is_none(), "no size");
        assert!(Datagrams::open(&frame, udp_at + 4, SIZE).is_none(), "another header length");
        assert!(Datagrams::open(&frame, 10, SIZE).is_none(), "within the Ethernet header");
        assert!(Datagrams::open(&frame, frame.len(), SIZE).is_none(), "behind the end");
        assert!(Datagrams::open(&frame[..udp_at + 7], udp_at, SIZE).is_none(), "half a header");
        let mut arp = frame.clone();
        arp[14] = 0x15;
        assert!(Datagrams::open(&arp, udp_at, SIZE).is_none(), "no version of IP");
        let empty = &frame[..udp_at + UDP_HEADER_LEN];
        assert_eq!(Datagrams::open(empty, udp_at, SIZE).unwrap().count(), 1);
    }
}
