//! The contract of [`Nic`] as tests, to be run against every backend, here and elsewhere.
//!
//! Give [`check`] a way to make a fresh [`Rig`]: a NIC and somebody at the far end of its wire.

use std::collections::VecDeque;

use causeway_core::nic::{BURST_MAX, Frame, FrameMeta, Medium, Nic, SEGMENTS_MAX, WaitSource};

/// A NIC under test with the far end of its wire.
pub trait Rig {
    /// The backend.
    type Nic: Nic;
    /// Getter: the NIC.
    fn nic(&mut self) -> &mut Self::Nic;
    /// Command: the far end sends a frame.
    fn peer_send(&mut self, frame: &[u8]);
    /// Output: what the far end has received since the last call.
    fn peer_received(&mut self) -> Vec<Vec<u8>>;
}

/// Runs every test of the contract, each against a fresh rig. Panics at the first breach.
pub fn check<R: Rig>(mut make: impl FnMut() -> R) {
    capabilities_are_possible(&mut make());
    allocation_gives_the_length_asked_for_or_nothing(&mut make());
    exhausted_memory_comes_back(&mut make());
    truncation_only_shortens(&mut make());
    sent_frames_arrive_whole_and_in_order(&mut make());
    accepted_frames_are_a_prefix(&mut make());
    received_frames_are_whole_in_order_and_appended(&mut make());
    a_burst_respects_its_limit(&mut make());
    an_idle_nic_returns_at_once(&mut make());
    reception_survives_exhausted_memory(&mut make());
    a_waiting_descriptor_wakes(&mut make());
}

/// A frame that no host answers: the local experimental Ethertype (IEEE 802), told apart by `number`.
pub fn test_frame(number: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 0xfe, 0x02, 0, 0, 0, 0, 0xfd, 0x88, 0xb5, number];
    frame.extend((frame.len()..len).map(|i| (i as u8).wrapping_mul(31) ^ number));
    frame.truncate(len);
    frame
}

fn write<N: Nic>(nic: &mut N, bytes: &[u8]) -> N::Frame {
    let mut frame = nic.alloc(bytes.len()).expect("contract: memory for a frame");
    let mut rest = bytes;
    for index in 0..frame.segment_count() {
        let segment = frame.segment_mut(index);
        let (now, later) = rest.split_at(segment.len());
        segment.copy_from_slice(now);
        rest = later;
    }
    frame
}

fn bytes<F: Frame>(frame: &F) -> Vec<u8> {
    (0..frame.segment_count()).flat_map(|i| frame.segment(i).to_vec()).collect()
}

/// Receives until `count` frames are there; gives up after many empty polls.
fn receive<N: Nic>(nic: &mut N, count: usize) -> Vec<N::Frame> {
    let mut frames = Vec::new();
    for _ in 0..10_000 {
        nic.rx_burst(&mut frames, BURST_MAX);
        if frames.len() >= count {
            break;
        }
        std::thread::yield_now();
    }
    frames
}

fn frame_bytes_max(nic: &impl Nic) -> usize {
    let header = if nic.caps().medium == Medium::Ethernet { 14 } else { 0 };
    usize::from(nic.caps().mtu) + header
}

fn capabilities_are_possible<R: Rig>(rig: &mut R) {
    let caps = rig.nic().caps();
    assert!((1..=BURST_MAX).contains(&usize::from(caps.burst)), "burst {}", caps.burst);
    assert!((1..=SEGMENTS_MAX).contains(&usize::from(caps.tx_segments)), "segments of a chain");
    assert!(caps.mtu >= 68, "RFC 791 allows no smaller MTU than 68, not {}", caps.mtu);
    match caps.medium {
        Medium::Ethernet => assert!(!caps.mac.is_multicast() && caps.mac.0 != [0; 6]),
        Medium::Ip => assert_eq!(caps.mac.0, [0; 6]),
    }
    assert!(rig.nic().link_up(), "a fresh rig has carrier");
}

fn allocation_gives_the_length_asked_for_or_nothing<R: Rig>(rig: &mut R) {
    let nic = rig.nic();
    let longest = frame_bytes_max(nic);
    for len in [1, 60, longest] {
        let frame = nic.alloc(len).expect("contract: a frame of a length that the NIC sends");
        assert_eq!(frame.len(), len);
        assert!((1..=SEGMENTS_MAX).contains(&frame.segment_count()));
        assert_eq!(*frame.meta(), FrameMeta::default());
    }
    let too_long = longest.max(nic.caps().tso_bytes_max as usize) + 64;
    assert!(nic.alloc(too_long).is_none(), "{too_long} bytes are more than it sends");
}

fn exhausted_memory_comes_back<R: Rig>(rig: &mut R) {
    let nic = rig.nic();
    let all: Vec<_> = std::iter::from_fn(|| nic.alloc(60)).take(1 << 20).collect();
    assert!(all.len() >= 4 * BURST_MAX, "memory for {} frames only", all.len());
    assert!(all.len() < 1 << 20, "frame memory is bounded");
    assert!(nic.alloc(60).is_none());
    let count = all.len();
    drop(all);
    assert_eq!(std::iter::from_fn(|| nic.alloc(60)).take(count).count(), count);
}

fn truncation_only_shortens<R: Rig>(rig: &mut R) {
    let mut frame = write(rig.nic(), &test_frame(1, 100));
    frame.truncate(200);
    assert_eq!(frame.len(), 100);
    frame.truncate(40);
    assert_eq!(bytes(&frame), test_frame(1, 100)[..40]);
}

fn sent_frames_arrive_whole_and_in_order<R: Rig>(rig: &mut R) {
    let longest = frame_bytes_max(rig.nic());
    let sent: Vec<_> = [60, 61, 590, longest].iter().map(|&len| test_frame(2, len)).collect();
    let mut frames: VecDeque<_> = sent.iter().map(|f| write(rig.nic(), f)).collect();
    assert_eq!(rig.nic().tx_burst(&mut frames), 4);
    assert!(frames.is_empty(), "accepted frames are removed");
    assert_eq!(rig.peer_received(), sent);
    assert_eq!(rig.nic().tx_burst(&mut frames), 0, "nothing to send");
}

fn accepted_frames_are_a_prefix<R: Rig>(rig: &mut R) {
    let total = 2 * BURST_MAX;
    let mut frames: VecDeque<_> =
        (0..total).map(|n| write(rig.nic(), &test_frame(n as u8, 60))).collect();
    let mut accepted = 0;
    for _ in 0..1_000 {
        accepted += rig.nic().tx_burst(&mut frames);
        assert_eq!(accepted + frames.len(), total, "no frame vanishes");
        if let Some(next) = frames.front() {
            assert_eq!(bytes(next)[14], accepted as u8, "the rest begins where it stopped");
        }
    }
    assert!(accepted > 0);
    let arrived: Vec<_> = rig.peer_received().iter().map(|f| f[14]).collect();
    assert_eq!(arrived, (0..accepted as u8).collect::<Vec<_>>());
}

fn received_frames_are_whole_in_order_and_appended<R: Rig>(rig: &mut R) {
    let longest = frame_bytes_max(rig.nic());
    let sent: Vec<_> = [60, 61, 590, longest].iter().map(|&len| test_frame(3, len)).collect();
    let before = rig.nic().alloc(17).expect("contract: memory for a frame");
    for frame in &sent {
        rig.peer_send(frame);
    }
    let mut out = vec![before];
    out.extend(receive(rig.nic(), 4));
    assert_eq!(out[0].len(), 17, "what was in `out` stays there");
    assert_eq!(out[1..].iter().map(bytes).collect::<Vec<_>>(), sent);
    assert!(out[1..].iter().all(|f| f.meta().offload == FrameMeta::default().offload));
}

fn a_burst_respects_its_limit<R: Rig>(rig: &mut R) {
    for n in 0..5 {
        rig.peer_send(&test_frame(n, 60));
    }
    let mut out = Vec::new();
    for limit in [0, 2] {
        out.clear();
        let count = rig.nic().rx_burst(&mut out, limit);
        assert_eq!(count, out.len(), "it says how many it appended");
        assert!(count <= limit);
    }
    let seen = out.len();
    assert_eq!(receive(rig.nic(), 5 - seen).len(), 5 - seen);
}

fn an_idle_nic_returns_at_once<R: Rig>(rig: &mut R) {
    let mut out = Vec::new();
    for _ in 0..100 {
        assert_eq!(rig.nic().rx_burst(&mut out, BURST_MAX), 0);
    }
    assert!(out.is_empty());
}

fn reception_survives_exhausted_memory<R: Rig>(rig: &mut R) {
    let nic = rig.nic();
    let all: Vec<_> = std::iter::from_fn(|| nic.alloc(60)).take(1 << 20).collect();
    rig.peer_send(&test_frame(4, 60));
    let mut early = Vec::new();
    rig.nic().rx_burst(&mut early, BURST_MAX);
    drop(all);
    let count = 1 - early.len();
    early.extend(receive(rig.nic(), count));
    assert_eq!(early.iter().map(bytes).collect::<Vec<_>>(), [test_frame(4, 60)]);
}

fn a_waiting_descriptor_wakes<R: Rig>(rig: &mut R) {
    let WaitSource::Fd(fd) = rig.nic().wait_source() else { return };
    assert!(!is_readable(fd), "nothing has arrived");
    rig.peer_send(&test_frame(5, 60));
    assert!(is_readable(fd), "a frame has arrived");
    assert_eq!(receive(rig.nic(), 1).len(), 1);
    assert!(!is_readable(fd), "it was taken");
}

fn is_readable(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd that lives across the call; the NIC keeps the descriptor open.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 1 && poll.revents & libc::POLLIN != 0
}
