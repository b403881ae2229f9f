//! Neighbours that answer no question: whoever waits for one does not wait for ever.

use crate::port::{Op, Transport};
use crate::testing::Duo;
use crate::time::Duration;

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
