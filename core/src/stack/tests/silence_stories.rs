//! Neighbours that answer no question: whoever waits for one does not wait for ever.

use crate::port::{Op, Transport};
use crate::testing::{Duo, Host};
use crate::time::Duration;
use std::vec::Vec;

const PORT: u16 = 80;

/// The sockets of host 1 after `time` without host 2: what is sent reaches nobody.
fn sockets_left_alone(duo: &mut Duo, time: Duration) -> usize {
    let end = duo.now + time;
    let mut now = duo.now;
    while now < end && duo.a.engine.stack().socket_count() > 0 {
        let progress = duo.a.engine.step(now);
        duo.a.nic().outbound.clear();
        now = progress.next.map_or(end, |(at, _)| at);
    }
    duo.a.engine.stack().socket_count()
}

#[test]
fn a_connection_that_is_closed_after_its_neighbour_went_away_comes_to_its_end() {
    for transport in [Transport::Tcp, Transport::Machnet] {
        let mut duo = Duo::new(4_096);
        let (ours, _) = duo.connect(transport, PORT);
        // Until nobody knows the other's station any more.
        duo.pass(Duration::from_secs(700));
        duo.a.engine.port_mut().write(ours.stream, &[7; 100]);
        let socket = ours.socket;
        match transport {
            Transport::Machnet => {
                duo.a.ask(Op::SendMessage { socket, offset: 0, len: 100, message: 1 })
            }
            Transport::Tcp | Transport::Udp => duo.a.ask(Op::Kick { socket }),
        }
        duo.a.ask(Op::Close { socket });
        assert_eq!(sockets_left_alone(&mut duo, Duration::from_secs(1_200)), 0, "{transport:?}");
    }
}

fn sent(host: &mut Host) -> Vec<Vec<u8>> {
    host.nic().outbound.drain(..).map(|frame| frame.bytes().to_vec()).collect()
}

/// Host 1 sends for ten seconds, and the answers to what it asks of its neighbour are lost, as its peer's acknowledgements are unless
/// `acknowledged`. True when it has asked everybody in the end.
fn is_looked_for(acknowledged: bool) -> bool {
    let mut duo = Duo::new(65_536);
    let (ours, theirs) = duo.connect(Transport::Tcp, PORT);
    // What is known of the neighbour is old.
    duo.now += Duration::from_secs(31);
    let mut asks_all = false;
    for round in 0..2_000 {
        if round % 20 == 0 {
            duo.a.engine.port_mut().write(ours.stream, &[7; 100]);
            duo.a.ask(Op::Kick { socket: ours.socket });
        }
        duo.a.engine.step(duo.now);
        for frame in sent(&mut duo.a) {
            let is_arp = frame[12..14] == [0x08, 0x06];
            asks_all |= is_arp && frame[0] == 0xff;
            if !is_arp {
                duo.b.nic().inject(&frame);
            }
        }
        duo.b.engine.step(duo.now);
        duo.b.engine.port_mut().read(theirs.stream, &mut [0; 1_000]);
        for frame in sent(&mut duo.b) {
            if acknowledged && frame[12..14] == [0x08, 0x00] {
                duo.a.nic().inject(&frame);
            }
        }
        duo.now += Duration::from_millis(5);
    }
    asks_all
}

#[test]
fn a_neighbour_whose_acknowledgements_come_is_not_looked_for() {
    assert!(!is_looked_for(true));
    assert!(is_looked_for(false));
}

#[test]
fn a_reset_that_reaches_nobody_is_lost_and_keeps_no_socket() {
    for transport in [Transport::Tcp, Transport::Machnet] {
        let mut duo = Duo::new(4_096);
        let (ours, _) = duo.connect(transport, PORT);
        duo.pass(Duration::from_secs(700));
        duo.a.ask(Op::Abort { socket: ours.socket });
        assert_eq!(sockets_left_alone(&mut duo, Duration::from_secs(30)), 0, "{transport:?}");
    }
}
