//! The work for a segment does not depend on how many sockets there are; the same inputs have the same results; a
//! connection survives being written out.

use crate::port::{Op, Transport};
use crate::stack::{RestoreError, StackConfigBuilder};
use crate::testing::{CHANNEL, Duo, Handle, transfer};

/// Slots looked at during a transfer of 256 KiB beside `idle` other connections, and segments sent.
fn visits_beside(idle: usize) -> (u64, u64) {
    let mut duo = Duo::new(16_384);
    let (a, b) = duo.connect(Transport::Tcp, 80);
    for _ in 0..idle {
        duo.reconnect(Transport::Tcp, 80);
    }
    let count = |duo: &Duo| {
        let stats = [duo.a.engine.stack().stats(), duo.b.engine.stack().stats()];
        (
            stats.iter().map(|s| s.socket_visits).sum::<u64>(),
            stats.iter().map(|s| s.tcp_segments_out).sum::<u64>(),
        )
    };
    let before = count(&duo);
    transfer(&mut duo, a, b, true, &[5; 256 << 10]);
    let after = count(&duo);
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn ten_thousand_idle_connections_do_not_change_the_work_per_segment() {
    let alone = visits_beside(0);
    let crowded = visits_beside(10_000);
    assert_eq!(alone, crowded);
    let (visits, segments) = alone;
    assert!(visits <= 3 * segments, "{visits} visits for {segments} segments");
}

fn noisy(config: StackConfigBuilder) -> StackConfigBuilder {
    config.events_max(1_000)
}

fn run_hash(len: usize) -> (u64, usize) {
    let mut duo = Duo::with(16_384, &|_| {}, &noisy);
    let (a, b) = duo.connect(Transport::Tcp, 80);
    transfer(&mut duo, a, b, true, &std::vec![5; len]);
    let events = core::iter::from_fn(|| duo.a.engine.stack_mut().poll_event()).count();
    (duo.a.engine.stack().state_hash(), events)
}

#[test]
fn equal_inputs_have_equal_hashes_and_different_ones_do_not() {
    let (hash, events) = run_hash(50_000);
    assert_eq!(run_hash(50_000), (hash, events));
    assert_ne!(run_hash(50_001).0, hash);
    assert!(events > 3, "{events} events");
}

#[test]
fn a_connection_goes_on_after_it_was_written_out_and_read_back() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, 80);
    let half = [7; 30_000];
    assert_eq!(transfer(&mut duo, a, b, true, &half), half);
    duo.settle();
    let state = duo.a.engine.stack().write_connection(a.socket).unwrap();
    let hash = duo.a.engine.stack().state_hash();

    let now = duo.now;
    let (stack, port) = duo.a.engine.parts_mut();
    let taken = stack.read_connection(now, CHANNEL, None, &state, port);
    assert_eq!(taken, Err(RestoreError::Taken));
    assert_eq!(stack.state_hash(), hash, "a refusal changes nothing");
    assert_eq!(stack.take_connection(a.socket).as_ref(), Some(&state));
    for cut in [0, 1, 20, state.len() - 1] {
        assert!(stack.read_connection(now, CHANNEL, None, &state[..cut], port).is_err());
    }
    let socket = stack.read_connection(now, CHANNEL, Some(a.stream), &state, port).unwrap();
    assert_eq!(stack.write_connection(socket).unwrap(), state);

    let restored = Handle { socket, ..a };
    assert_eq!(transfer(&mut duo, restored, b, true, &half), half);
    duo.a.ask(Op::Close { socket });
    duo.settle();
    assert_eq!(duo.b.engine.stack().stats().retransmits, 0);
}
