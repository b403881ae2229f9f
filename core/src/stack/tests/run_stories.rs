//! Frames that come in one burst.

use core::mem::take;
use core::net::SocketAddr;

use std::vec::Vec;

use crate::nic::{Frame, GsoType, Offload, RxChecksum};
use crate::port::{Completion, Op, Transport};
use crate::testing::{Duo, Host};

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

#[test]
fn the_length_of_segments_that_a_nic_joined_is_known_on_the_short_way_and_on_the_long_one() {
    // IPv6 keeps a frame off the short way, and two pieces of memory do.
    for (host, pieces, rx_checksum) in [
        (Host::address(2), 1, RxChecksum::Verified),
        (Host::address(2), 1, RxChecksum::Unknown),
        (Host::address(2), 2, RxChecksum::Verified),
        (Host::address_v6(2), 1, RxChecksum::Verified),
    ] {
        let mut duo = Duo::over_ipv6(64 << 10, &|_| {}, &|config| config);
        let (at_a, at_b) = duo.connect_to(Transport::Tcp, SocketAddr::new(host, 80));
        for (gso_type, gso_size, rcv_mss) in
            [(GsoType::None, 900, 600), (GsoType::TcpV4, 700, 700), (GsoType::TcpV4, 0, 1_400)]
        {
            let len = if gso_type == GsoType::None { 600 } else { 1_400 };
            for bytes in sent(&mut duo, at_a, &std::vec![5; len]) {
                let mut frame = duo.b.nic().pool.frame(&bytes);
                frame.chain(bytes.len().div_ceil(pieces), bytes.len());
                assert_eq!(frame.segment_count(), pieces);
                frame.meta_mut().rx_checksum = rx_checksum;
                frame.meta_mut().offload = Offload { gso_type, gso_size, ..Offload::default() };
                duo.b.nic().inbound.push_back(frame);
            }
            duo.settle();
            duo.b.ask(Op::Info { socket: at_b.socket });
            duo.settle();
            let info = duo.b.take(|news| match news {
                Completion::Info { info, .. } => Some(info.rcv_mss),
                _ => None,
            });
            assert_eq!(info, Some(rcv_mss), "{host} {pieces} {rx_checksum:?} {gso_size}");
        }
    }
}
