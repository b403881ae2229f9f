//! The captures of one engine, and what they hold.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_core::frame_tap::{Direction, FrameBytes, FrameTap};
use causeway_core::nic::IfIndex;
use causeway_core::time::{Duration, Instant};

use super::{CaptureStart, CapturedFrame, Filter, SNAP_BYTES_MAX};

/// Most captures at a time.
pub const CAPTURES_MAX: usize = 4;
/// What one holds at most, in bytes of frames and what is told of them.
const BUFFER_BYTES: usize = 4 << 20;
/// What is told of a frame: time, length, kept length, interface and direction.
const RECORD: usize = 8 + 4 + 4 + 2;
/// A tool that has not asked for so long is gone.
const FORGOTTEN: Duration = Duration::from_secs(3);
/// Frames of one page are at most so many bytes.
const PAGE_BYTES: usize = 80 << 10;
/// What a filter looks at.
const HEAD: usize = 256;

/// Those that run, shared by the engine's tap and by whoever answers for the engine. Both are the engine's own thread.
#[derive(Clone, Debug, Default)]
pub struct Captures(Arc<Mutex<Vec<Capture>>>);

#[derive(Debug)]
struct Capture {
    token: u64,
    filter: Filter,
    /// The interface that the filter names.
    interface: Option<IfIndex>,
    snap_bytes: usize,
    asked: Instant,
    bytes: VecDeque<u8>,
    dropped: u64,
}

/// The tap of an engine: which interfaces have Ethernet headers, and the captures.
#[derive(Debug)]
pub(crate) struct CaptureTap {
    pub(crate) ethernet: Vec<bool>,
    pub(crate) captures: Captures,
}

impl Captures {
    fn lock(&self) -> MutexGuard<'_, Vec<Capture>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Getter: none runs.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Command: begins one for whoever asks as `token`; `interface` is the one that the filter names. False: there are too many.
    pub fn start(
        &self,
        now: Instant,
        token: u64,
        start: &CaptureStart,
        interface: Option<IfIndex>,
    ) -> bool {
        let mut captures = self.lock();
        captures.retain(|c| c.token != token && now.saturating_since(c.asked) < FORGOTTEN);
        if captures.len() >= CAPTURES_MAX {
            return false;
        }
        captures.push(Capture {
            token,
            filter: start.filter.clone(),
            interface,
            snap_bytes: start.snap_bytes.clamp(1, SNAP_BYTES_MAX) as usize,
            asked: now,
            bytes: VecDeque::with_capacity(BUFFER_BYTES),
            dropped: 0,
        });
        true
    }

    /// Output: the oldest frames of a capture, as many as one page holds, and how many were dropped since the beginning. `wall_ns` is
    /// what is added to the engine's time. `None`: there is no such capture.
    pub fn page(
        &self,
        now: Instant,
        token: u64,
        wall_ns: u64,
    ) -> Option<(Vec<CapturedFrame>, u64)> {
        let mut captures = self.lock();
        let capture = captures.iter_mut().find(|capture| capture.token == token)?;
        capture.asked = now;
        let (mut frames, mut bytes) = (Vec::new(), 0);
        // The longest frame fits into what a page has beyond this.
        while bytes < PAGE_BYTES - SNAP_BYTES_MAX as usize
            && let Some(mut frame) = capture.pop()
        {
            bytes += RECORD + frame.bytes.len();
            frame.at_ns = frame.at_ns.wrapping_add(wall_ns);
            frames.push(frame);
        }
        Some((frames, capture.dropped))
    }
}

impl Capture {
    fn push(&mut self, now: Instant, interface: IfIndex, way: Direction, frame: &dyn FrameBytes) {
        let total = frame.total();
        let kept = total.min(self.snap_bytes);
        if self.bytes.len() + RECORD + kept > BUFFER_BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes.extend(now.as_nanos().to_le_bytes());
        self.bytes.extend((total as u32).to_le_bytes());
        self.bytes.extend((kept as u32).to_le_bytes());
        self.bytes.extend([interface.0, u8::from(way == Direction::Out)]);
        let mut left = kept;
        for piece in 0..frame.pieces() {
            let piece = frame.piece(piece);
            let some = piece.len().min(left);
            self.bytes.extend(&piece[..some]);
            left -= some;
        }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut taken = [0; N];
        for (place, byte) in taken.iter_mut().zip(self.bytes.drain(..N.min(self.bytes.len()))) {
            *place = byte;
        }
        Some(taken)
    }

    fn pop(&mut self) -> Option<CapturedFrame> {
        if self.bytes.is_empty() {
            return None;
        }
        let at_ns = u64::from_le_bytes(self.take()?);
        let len = u32::from_le_bytes(self.take()?);
        let kept = u32::from_le_bytes(self.take()?) as usize;
        let [interface, outgoing] = self.take()?;
        let bytes = self.bytes.drain(..kept.min(self.bytes.len())).collect();
        Some(CapturedFrame { at_ns, interface, outgoing: outgoing != 0, len, bytes })
    }
}

impl FrameTap for CaptureTap {
    fn frame(&mut self, now: Instant, interface: IfIndex, way: Direction, frame: &dyn FrameBytes) {
        let ethernet = self.ethernet.get(interface.index()).copied().unwrap_or(true);
        let mut captures = self.captures.lock();
        captures.retain(|c| now.saturating_since(c.asked) < FORGOTTEN);
        if captures.is_empty() {
            return;
        }
        let (mut head, mut len) = ([0; HEAD], 0);
        for piece in 0..frame.pieces() {
            let piece = frame.piece(piece);
            let some = piece.len().min(HEAD - len);
            head[len..len + some].copy_from_slice(&piece[..some]);
            len += some;
        }
        for capture in captures.iter_mut() {
            let here = capture.interface.is_none_or(|wanted| wanted == interface);
            if here && capture.filter.matches(ethernet, &head[..len]) {
                capture.push(now, interface, way, frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame in two pieces.
    struct Pieces([Vec<u8>; 2]);

    impl FrameBytes for Pieces {
        fn total(&self) -> usize {
            self.0[0].len() + self.0[1].len()
        }
        fn pieces(&self) -> usize {
            2
        }
        fn piece(&self, index: usize) -> &[u8] {
            &self.0[index]
        }
    }

    fn tap() -> CaptureTap {
        CaptureTap { ethernet: vec![false, true], captures: Captures::default() }
    }

    fn all(snap_bytes: u32) -> CaptureStart {
        CaptureStart { filter: Filter::default(), snap_bytes }
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn frames_come_out_as_they_went_in_cut_to_the_snap_length() {
        let mut tap = tap();
        assert!(tap.captures.start(at(0), 7, &all(5), None));
        assert!(tap.captures.start(at(0), 8, &all(100), Some(IfIndex(0))));
        let frame = Pieces([vec![1, 2, 3, 4], vec![5, 6, 7]]);
        tap.frame(at(1), IfIndex(1), Direction::In, &frame);
        tap.frame(at(2), IfIndex(0), Direction::Out, &frame);
        let (frames, dropped) = tap.captures.page(at(3), 7, 10).unwrap();
        let seen = |at_ns, interface, outgoing, bytes: &[u8]| CapturedFrame {
            at_ns,
            interface,
            outgoing,
            len: 7,
            bytes: bytes.to_vec(),
        };
        let cut = [1, 2, 3, 4, 5];
        assert_eq!(frames, [seen(1_000_010, 1, false, &cut), seen(2_000_010, 0, true, &cut)]);
        assert_eq!(dropped, 0);
        assert_eq!(tap.captures.page(at(3), 7, 10), Some((Vec::new(), 0)));
        let (frames, _) = tap.captures.page(at(3), 8, 0).unwrap();
        assert_eq!(frames, [seen(2_000_000, 0, true, &[1, 2, 3, 4, 5, 6, 7])]);
        assert_eq!(tap.captures.page(at(3), 9, 0), None);
    }

    #[test]
    fn a_full_buffer_drops_and_counts_and_every_page_is_bounded() {
        let mut tap = tap();
        assert!(tap.captures.start(at(0), 1, &all(u32::MAX), None));
        let frame = Pieces([vec![9; 1_000], vec![8; 65_000]]);
        let fit = BUFFER_BYTES / (RECORD + SNAP_BYTES_MAX as usize);
        for _ in 0..fit + 40 {
            tap.frame(at(1), IfIndex(1), Direction::In, &frame);
        }
        let mut got = 0;
        loop {
            let (frames, dropped) = tap.captures.page(at(2), 1, 0).unwrap();
            assert!((1..=40).contains(&dropped), "{dropped}");
            let bytes: usize = frames.iter().map(|frame| frame.bytes.len() + RECORD).sum();
            assert!(bytes < crate::introspect::ANSWER_BYTES_MAX - 1_024, "{bytes}");
            got += frames.len() as u64;
            if frames.is_empty() {
                assert_eq!(got + dropped, fit as u64 + 40);
                return;
            }
        }
    }

    #[test]
    fn captures_are_bounded_and_one_that_nobody_asks_for_ends() {
        let mut tap = tap();
        for token in 0..CAPTURES_MAX as u64 {
            assert!(tap.captures.start(at(0), token, &all(9), None));
        }
        assert!(!tap.captures.start(at(2_999), 99, &all(9), None));
        assert!(tap.captures.page(at(2_999), 1, 0).is_some());
        assert!(tap.captures.start(at(3_000), 99, &all(9), None), "the others are forgotten");
        assert!(tap.captures.page(at(3_000), 0, 0).is_none());
        let frame = Pieces([vec![1], vec![2]]);
        tap.frame(at(7_000), IfIndex(1), Direction::In, &frame);
        assert!(tap.captures.is_empty());
    }
}
