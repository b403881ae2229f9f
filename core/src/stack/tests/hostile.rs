//! Whatever arrives, nothing panics and nothing is kept.

use std::vec::Vec;

use proptest::prelude::*;

use crate::nic::{Frame, RxChecksum};
use crate::port::{Op, Transport};
use crate::testing::{Duo, MemFrame};

/// Frames of a whole conversation, as `b` received them.
fn conversation(transport: Transport) -> Vec<Vec<u8>> {
    let mut duo = Duo::new(4_096);
    let (a, _) = duo.connect(transport, 80);
    duo.a.engine.port_mut().write(a.stream, &[9; 3_000]);
    let _ = transport;
    duo.a.ask(Op::Kick { socket: a.socket });
    if transport == Transport::Machnet {
        duo.a.ask(Op::SendMessage { socket: a.socket, offset: 0, len: 3_000, message: 1 });
    }
    duo.a.ask(Op::Close { socket: a.socket });
    let mut frames = Vec::new();
    for _ in 0..20 {
        let now = duo.now;
        duo.a.engine.step(now);
        frames.extend(duo.a.nic().outbound.iter().map(|frame| frame.bytes().to_vec()));
        duo.step();
    }
    assert!(frames.len() >= 2);
    frames
}

fn deliver(duo: &mut Duo, mut frame: MemFrame, first: usize, verified: bool) {
    frame.chain(first, 64);
    if verified {
        frame.meta_mut().rx_checksum = RxChecksum::Verified;
    }
    duo.b.nic().inbound.push_back(frame);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn arbitrary_and_mutated_frames_do_no_harm(
        machnet in any::<bool>(),
        frames in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
             any::<bool>(), 20_usize..200, prop::collection::vec(any::<u8>(), 0..100)),
            1..40,
        ),
    ) {
        let transport = if machnet { Transport::Machnet } else { Transport::Tcp };
        let valid = conversation(transport);
        let mut duo = Duo::new(4_096);
        let _ = duo.connect(transport, 80);
        for (which, changes, verified, first, garbage) in &frames {
            let mut bytes = which.get(&valid).clone();
            for (at, value) in changes {
                let index = at.index(bytes.len());
                bytes[index] = *value;
            }
            let pool = duo.b.nic().pool.clone();
            deliver(&mut duo, pool.frame(&bytes), *first, *verified);
            if !garbage.is_empty() {
                deliver(&mut duo, pool.frame(garbage), *first, *verified);
            }
            duo.step();
        }
        for _ in 0..50 {
            duo.step();
        }
        let held = duo.b.nic().inbound.len() + duo.b.nic().outbound.len();
        prop_assert!(duo.b.nic().pool.outstanding() <= held + 1, "one spare frame at most");
    }
}
