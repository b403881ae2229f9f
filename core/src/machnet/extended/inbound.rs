//! Packets into messages: what stands around their bytes is checked, and their CRC computed as they are stored.

use serde::{Deserialize, Serialize};

use super::outbound::{CRC_LEN, PACKED_MAX, PREFIX_LEN};
use crate::machnet::config::Config;
use crate::machnet::message::{Assembly, FramingError};
use crate::machnet::packet::Disposition;
use crate::machnet::rx_window::MessageSink;
use crate::machnet::tx_window::PACKED;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::wire::machnet::MsgFlags;

/// The messages that come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::machnet) struct Inbound {
    /// Of the next message.
    id: u32,
    /// Of the message in progress: its length, and the CRC of what came of it.
    length: u32,
    crc: u32,
    /// FIN came in order: there is nothing more.
    pub(in crate::machnet) finished: bool,
}

/// A payload in the pieces that it came in.
#[derive(Clone, Copy, Debug)]
struct Pieces<'a>(&'a [&'a [u8]]);

impl<'a> Pieces<'a> {
    /// The bytes `start .. start + len`, piece by piece.
    fn range(self, start: usize, len: usize) -> impl Iterator<Item = &'a [u8]> {
        let (mut skip, mut left) = (start, len);
        self.0.iter().filter_map(move |piece| {
            let from = skip.min(piece.len());
            skip -= from;
            let piece = &piece[from..];
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// The `N` bytes from `start`; zeros where there are none.
    fn bytes<const N: usize>(self, start: usize) -> [u8; N] {
        let mut out = [0; N];
        for (to, from) in out.iter_mut().zip(self.range(start, N).flatten()) {
            *to = *from;
        }
        out
    }
}

/// What a packet consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    /// Where the bytes of messages are.
    start: usize,
    len: usize,
    /// The CRC that ends the message, or all messages.
    crc: Option<u32>,
    /// Of the message that begins here.
    length: Option<u32>,
    /// Messages in a packed packet, all here; else 0.
    packed: usize,
    lengths: [u16; PACKED_MAX],
}

impl Inbound {
    /// Stores the payload of the next packet in order: all or nothing. Whole messages are committed, and told to `sink`.
    pub(in crate::machnet) fn place(
        &mut self,
        assembly: &mut Assembly,
        config: &Config,
        (flags, len): (MsgFlags, u16),
        payload: &[&[u8]],
        io: &mut impl StreamIo,
        sink: &mut impl MessageSink,
    ) -> Disposition {
        let payload = Pieces(payload);
        if flags == MsgFlags::FIN {
            self.finished = !assembly.is_open() && len == 0;
            return if self.finished { Disposition::Accept } else { Disposition::Violation };
        }
        let Ok(parts) = self.parts(assembly, config, flags, payload, len.into()) else {
            return Disposition::Violation;
        };
        let mut offset = assembly.next_offset();
        let fits = offset.checked_add(parts.len as u64).is_some_and(|end| end <= io.rx_limit());
        if !fits || !sink.has_room() || assembly.is_crowded(io.rx_consumed()) {
            return Disposition::NoRoom;
        }
        let begins = flags.contains(MsgFlags::FIRST);
        let mut crc = if begins { 0 } else { self.crc };
        for piece in payload.range(parts.start, parts.len) {
            // Nothing is committed, so what was stored already will be stored again.
            if io.rx_copy_in(offset, piece).is_err() {
                return Disposition::NoRoom;
            }
            crc = config.checksum.crc32c(crc, piece);
            offset += piece.len() as u64;
        }
        if parts.crc.is_some_and(|expected| expected != crc)
            && !planted::is(Bug::MachnetCrcUnchecked)
        {
            return Disposition::Violation;
        }
        self.crc = crc;
        if begins {
            self.id = self.id.wrapping_add(parts.packed.max(1) as u32);
            self.length = parts.length.unwrap_or(0);
        }
        deliver(assembly, flags, &parts, io, sink);
        Disposition::Accept
    }

    /// Getter: bytes that the message in progress lacks.
    pub(in crate::machnet) const fn lacks(&self, assembly: &Assembly) -> u64 {
        let has = assembly.next_offset() - assembly.start();
        if assembly.is_open() { (self.length as u64).saturating_sub(has) } else { 0 }
    }

    /// Takes a packet apart, whatever its bytes are.
    fn parts(
        &self,
        assembly: &Assembly,
        config: &Config,
        flags: MsgFlags,
        payload: Pieces<'_>,
        len: usize,
    ) -> Result<Parts, FramingError> {
        let (first, last) = (flags.contains(MsgFlags::FIRST), flags.contains(MsgFlags::LAST));
        if first == assembly.is_open() {
            return Err(FramingError);
        }
        let mut parts =
            Parts { start: 0, len, crc: None, length: None, packed: 0, lengths: [0; PACKED_MAX] };
        if last {
            parts.len = len.checked_sub(CRC_LEN).ok_or(FramingError)?;
            parts.crc = Some(u32::from_be_bytes(payload.bytes(parts.len)));
        }
        if first {
            self.begin(&mut parts, config, payload, last)?;
        }
        let before = (assembly.next_offset() - assembly.start()) as usize;
        let length = parts.length.unwrap_or(self.length) as usize;
        let whole = before + parts.len == length;
        let shaped = if parts.packed > 0 {
            let sum: usize = parts.lengths.iter().map(|len| usize::from(*len)).sum();
            sum == parts.len
        } else if last {
            whole
        } else {
            // What follows may be the CRC alone.
            parts.len > 0 && before + parts.len <= length
        };
        if shaped { Ok(parts) } else { Err(FramingError) }
    }

    /// Reads number and length, or lengths.
    fn begin(
        &self,
        parts: &mut Parts,
        config: &Config,
        payload: Pieces<'_>,
        last: bool,
    ) -> Result<(), FramingError> {
        parts.start = PREFIX_LEN;
        parts.len = parts.len.checked_sub(PREFIX_LEN).ok_or(FramingError)?;
        let id = u32::from_be_bytes(payload.bytes(0));
        let length = u32::from_be_bytes(payload.bytes(4));
        if id != self.id {
            return Err(FramingError);
        }
        if length & PACKED == 0 {
            parts.length = Some(length).filter(|len| (1..=config.msg_max).contains(len));
            return if parts.length.is_some() { Ok(()) } else { Err(FramingError) };
        }
        parts.packed = (length & !PACKED) as usize;
        let lengths = 2 * parts.packed.min(PACKED_MAX);
        if !(2..=PACKED_MAX).contains(&parts.packed) || !last || parts.len < lengths {
            return Err(FramingError);
        }
        for (n, len) in parts.lengths[..parts.packed].iter_mut().enumerate() {
            *len = u16::from_be_bytes(payload.bytes(PREFIX_LEN + 2 * n));
            if *len == 0 || u32::from(*len) > config.msg_max {
                return Err(FramingError);
            }
        }
        parts.start += lengths;
        parts.len -= lengths;
        Ok(())
    }

    /// Consistency of a state read back.
    pub(in crate::machnet) fn is_valid(&self, assembly: &Assembly, config: &Config) -> bool {
        let has = assembly.next_offset() - assembly.start();
        !assembly.is_open()
            || (1..=config.msg_max).contains(&self.length) && has <= u64::from(self.length)
    }
}

/// Counts a packet in that is stored, and tells of what is whole by it.
fn deliver(
    assembly: &mut Assembly,
    flags: MsgFlags,
    parts: &Parts,
    io: &mut impl StreamIo,
    sink: &mut impl MessageSink,
) {
    // A payload has 16 bits of length.
    let all = [parts.len as u16];
    let pieces = if parts.packed > 0 { &parts.lengths[..parts.packed] } else { &all };
    let mut end = None;
    for len in pieces {
        if let Some((start, len)) = assembly.push(flags, *len) {
            end = Some(start + u64::from(len));
            sink.message(start, len);
        }
    }
    if let Some(end) = end {
        io.rx_commit(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machnet::packet::FlowEvent;
    use crate::machnet::tests::pair::Rings;
    use alloc::collections::VecDeque;
    use causeway_checksum::Implementation;
    use proptest::prelude::*;
    use std::vec::Vec;

    const WHOLE: MsgFlags = MsgFlags::place(true, true);

    fn packet(id: u32, length: u32, body: &[u8], crc: u32) -> Vec<u8> {
        let mut bytes = [id.to_be_bytes(), length.to_be_bytes()].concat();
        bytes.extend(body);
        bytes.extend(crc.to_be_bytes());
        bytes
    }

    fn crc(bytes: &[u8]) -> u32 {
        Implementation::PORTABLE.crc32c(0, bytes)
    }

    struct End {
        inbound: Inbound,
        assembly: Assembly,
        io: Rings,
        news: VecDeque<FlowEvent>,
    }

    impl End {
        fn new() -> Self {
            let (inbound, assembly) = (Inbound::default(), Assembly::new());
            Self { inbound, assembly, io: Rings::new(1 << 20), news: VecDeque::new() }
        }

        fn place(&mut self, flags: MsgFlags, bytes: &[u8]) -> Disposition {
            let (front, back) = bytes.split_at(bytes.len() / 2);
            let place = (flags, bytes.len() as u16);
            let Self { inbound, assembly, io, news } = self;
            inbound.place(assembly, &Config::default(), place, &[front, back], io, news)
        }
    }

    #[test]
    fn a_message_with_the_right_number_length_and_crc_is_delivered_and_no_other() {
        let good = packet(0, 5, b"hello", crc(b"hello"));
        for (at, what) in [(3, "number"), (7, "length"), (9, "a byte"), (16, "CRC")] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(End::new().place(WHOLE, &bad), Disposition::Violation, "{what}");
        }
        let mut end = End::new();
        assert_eq!(end.place(WHOLE, &good), Disposition::Accept);
        assert_eq!(end.news, [FlowEvent::Message { offset: 0, len: 5 }]);
        assert_eq!(end.io.rx, b"hello");
        assert_eq!(end.place(WHOLE, &good), Disposition::Violation, "the same number again");
        for short in 0..good.len() {
            assert_eq!(End::new().place(WHOLE, &good[..short]), Disposition::Violation);
        }
    }

    #[test]
    fn packed_messages_are_delivered_one_by_one() {
        let body = [&[0, 2, 0, 3][..], b"abcde"].concat();
        let mut end = End::new();
        let good = packet(0, PACKED | 2, &body, crc(b"abcde"));
        assert_eq!(end.place(WHOLE, &good), Disposition::Accept);
        let told = [(0, 2), (2, 3)].map(|(offset, len)| FlowEvent::Message { offset, len });
        assert_eq!(end.news, told);
        assert_eq!((end.io.committed, end.inbound.id), (5, 2));
        for (count, lengths) in
            [(1, [0, 5, 0, 0]), (2, [0, 0, 0, 5]), (2, [0, 2, 0, 2]), (65, [0; 4])]
        {
            let body = [&lengths[..], b"abcde"].concat();
            let bad = packet(0, PACKED | count, &body, crc(b"abcde"));
            assert_eq!(End::new().place(WHOLE, &bad), Disposition::Violation, "{count}");
        }
        let alone = MsgFlags::place(true, false);
        assert_eq!(End::new().place(alone, &good), Disposition::Violation);
    }

    #[test]
    fn a_message_that_has_all_its_bytes_waits_for_its_crc_alone() {
        let mut end = End::new();
        let first = [&[0, 0, 0, 0, 0, 0, 0, 3][..], b"abc"].concat();
        assert_eq!(end.place(MsgFlags::place(true, false), &first), Disposition::Accept);
        assert_eq!((end.news.len(), end.inbound.lacks(&end.assembly)), (0, 0));
        assert_eq!(end.place(MsgFlags::place(false, false), b"d"), Disposition::Violation);
        let last = MsgFlags::place(false, true);
        assert_eq!(end.place(last, &crc(b"abc").to_be_bytes()), Disposition::Accept);
        assert_eq!(end.news.len(), 1);
        assert_eq!(end.place(MsgFlags::FIN, b""), Disposition::Accept);
        assert!(end.inbound.finished);
        assert_eq!(End::new().place(MsgFlags::FIN, b"x"), Disposition::Violation);
    }

    proptest! {
        #[test]
        fn arbitrary_payloads_never_panic_and_leave_what_is_valid(
            packets in prop::collection::vec(
                (0u8..8, prop::collection::vec(any::<u8>(), 0..40), prop::option::of(0u32..70)), 1..8),
        ) {
            let mut end = End::new();
            for (flags, mut bytes, length) in packets {
                if let (Some(length), Some(head)) = (length, bytes.first_chunk_mut::<8>()) {
                    head[..4].copy_from_slice(&end.inbound.id.to_be_bytes());
                    let packed = if length > 35 { PACKED | (length - 35) } else { length };
                    head[4..].copy_from_slice(&packed.to_be_bytes());
                }
                let flags = MsgFlags::from_wire(flags);
                if flags.is_data_place() && end.place(flags, &bytes) == Disposition::Violation {
                    break;
                }
                prop_assert!(end.inbound.is_valid(&end.assembly, &Config::default()));
                prop_assert!(end.assembly.is_valid(&Config::default()));
            }
        }
    }
}
