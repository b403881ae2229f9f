//! A part of a received frame as slices, without copying.

use crate::nic::{Frame, SEGMENTS_MAX};

/// Bytes of a frame that may lie in several segments.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    slices: [&'a [u8]; SEGMENTS_MAX],
    count: usize,
    len: usize,
}

impl<'a> Payload<'a> {
    /// The bytes `start .. start + len` of `frame`; fewer when the frame ends earlier.
    pub(super) fn of<F: Frame>(frame: &'a F, start: usize, len: usize) -> Self {
        let mut payload = Self { slices: [&[]; SEGMENTS_MAX], count: 0, len: 0 };
        let mut skip = start;
        for index in 0..frame.segment_count().min(SEGMENTS_MAX) {
            let segment = frame.segment(index);
            let left = len - payload.len;
            if left == 0 {
                break;
            }
            let from = skip.min(segment.len());
            skip -= from;
            let piece = &segment[from..];
            let piece = &piece[..piece.len().min(left)];
            if !piece.is_empty() {
                payload.slices[payload.count] = piece;
                payload.count += 1;
                payload.len += piece.len();
            }
        }
        payload
    }

    /// Getter: the pieces in order, none of them empty.
    pub(super) fn slices(&self) -> &[&'a [u8]] {
        &self.slices[..self.count]
    }

    /// Getter: bytes in all pieces.
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FramePool;
    use alloc::vec::Vec;

    #[test]
    fn a_part_of_a_chain_is_the_same_bytes_wherever_the_segments_end() {
        let bytes: Vec<u8> = (0..=255).collect();
        for (first, rest) in [(256, 1), (128, 16), (7, 60), (54, 54)] {
            let mut frame = FramePool::default().frame(&bytes);
            frame.chain(first, rest);
            for (start, len) in [(0, 256), (54, 100), (0, 0), (200, 56), (200, 500), (300, 1)] {
                let payload = Payload::of(&frame, start, len);
                let expected = &bytes[start.min(256)..(start + len).min(256)];
                assert_eq!(payload.slices().concat(), expected, "{start}+{len}");
                assert_eq!(payload.len(), expected.len());
            }
        }
    }
}
