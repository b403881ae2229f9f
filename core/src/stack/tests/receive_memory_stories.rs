//! Many connections whose applications do not read.

use std::vec::Vec;

use crate::port::{Op, Transport};
use crate::testing::{Duo, Handle};
use crate::time::Duration;

const LIMIT: u64 = 1 << 20;
const BYTES: usize = 120_000;

fn standing_still(count: u16) -> (Duo, Vec<(Handle, Handle)>) {
    let mut duo = Duo::with(256 << 10, &|_| (), &|config| config.tcp_mem(LIMIT));
    let pairs: Vec<_> = (0..count).map(|n| duo.connect(Transport::Tcp, 1_000 + n)).collect();
    for (ours, _) in &pairs {
        assert_eq!(duo.a.engine.port_mut().write(ours.stream, &[5; BYTES]), BYTES);
        duo.a.ask(Op::Kick { socket: ours.socket });
    }
    duo.pass(Duration::from_secs(2));
    (duo, pairs)
}

#[test]
fn together_they_hold_no_more_than_the_limit_and_all_of_it_comes_once_it_is_read() {
    let (mut duo, pairs) = standing_still(40);
    let readable = |duo: &mut Duo, to: &Handle| duo.b.engine.port_mut().readable(to.stream);
    let held: Vec<_> = pairs.iter().map(|(_, to)| readable(&mut duo, to)).collect();
    let all: usize = held.iter().sum();
    // A floor each, and what came between two looks.
    let slack = pairs.len() * (4_096 + (18 << 10));
    assert!(all as u64 <= LIMIT + slack as u64, "{all} bytes in {held:?}");
    assert!(held.iter().all(|bytes| *bytes >= 4_096), "nobody starves: {held:?}");
    assert!(duo.b.engine.stack().receive_memory().held() <= LIMIT + slack as u64);
    let mut read = std::vec![0; pairs.len()];
    for _ in 0..400 {
        for (n, (_, to)) in pairs.iter().enumerate() {
            read[n] += duo.b.engine.port_mut().read(to.stream, &mut [0; BYTES]);
            duo.b.ask(Op::Kick { socket: to.socket });
        }
        duo.pass(Duration::from_millis(100));
    }
    assert_eq!(read, std::vec![BYTES; pairs.len()]);
    assert_eq!(duo.b.engine.stack().receive_memory().held(), 0);
}

#[test]
fn what_an_ended_connection_held_is_free_again() {
    let (mut duo, pairs) = standing_still(5);
    assert!(duo.b.engine.stack().receive_memory().held() > 0);
    for (_, to) in &pairs {
        duo.b.ask(Op::Abort { socket: to.socket });
    }
    duo.settle();
    assert_eq!(duo.b.engine.stack().receive_memory().held(), 0);
}
