//! Frames that come in one burst.

use core::mem::take;

use std::vec::Vec;

use crate::port::{Op, Transport};
use crate::testing::Duo;

/// Writes `bytes` at `a` and hands out the frames that they leave in; `b` has not seen them.
fn sent(duo: &mut Duo, at_a: crate::testing::Handle, bytes: &[u8]) -> Vec<Vec<u8>> {
    let now = duo.now;
    assert_eq!(duo.a.engine.port_mut().write(at_a.stream, bytes), bytes.len());
    duo.a.ask(Op::Kick { socket: at_a.socket });
    duo.a.engine.step(now);
    take(&mut duo.a.nic().outbound).iter().map(|frame| frame.bytes().to_vec()).collect()
}

#[test]
fn a_frame_that_is_damaged_in_the_midst_of_a_burst_is_dropped_and_its_bytes_are_never_seen() {
    let mut duo = Duo::new(64 << 10);
    let (at_a, at_b) = duo.connect(Transport::Tcp, 80);
    let bytes: Vec<u8> = (0..9_000_u32).map(|i| (i / 7) as u8).collect();
    let mut frames = sent(&mut duo, at_a, &bytes);
    assert!(frames.len() > 4, "{} frames", frames.len());
    frames[2][700] ^= 0x10;
    for frame in &frames {
        duo.b.nic().inject(frame);
    }
    let now = duo.now;
    duo.b.engine.step(now);
    let whole = frames[..2].iter().map(|frame| frame.len() - 66).sum::<usize>();
    assert_eq!(duo.b.engine.port().readable(at_b.stream), whole, "what lies in front of it");
    assert_eq!(duo.b.engine.stack().stats().drops.checksum, 1);
    let mut read = std::vec![0; bytes.len()];
    let all = |duo: &mut Duo| duo.b.engine.port().readable(at_b.stream) == bytes.len();
    assert!(duo.run(10_000, all), "it is sent again");
    assert_eq!(duo.b.engine.port_mut().read(at_b.stream, &mut read), bytes.len());
    assert!(read == bytes);
}
