//! Socket options, from the command to the connection.

use crate::error::CommandError;
use crate::port::{Completion, Op, SocketId, SocketInfo, SocketOption, Transport};
use crate::testing::Duo;

const PORT: u16 = 80;

fn info(duo: &mut Duo, a: bool, socket: SocketId) -> SocketInfo {
    let host = if a { &mut duo.a } else { &mut duo.b };
    host.ask(Op::Info { socket });
    duo.settle();
    let host = if a { &mut duo.a } else { &mut duo.b };
    host.take(|news| match news {
        Completion::Info { info, .. } => Some(**info),
        _ => None,
    })
    .expect("figures")
}

fn set(option: SocketOption, socket: Option<SocketId>) -> Op {
    Op::SetOption { socket, option }
}

#[test]
fn options_set_before_a_listener_or_a_connection_hold_for_it_and_for_what_it_accepts_only() {
    let mut duo = Duo::new(65_536);
    duo.b.ask(set(SocketOption::MaxPacingRate(7), None));
    duo.a.ask(set(SocketOption::MaxPacingRate(9), None));
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    assert_eq!(info(&mut duo, true, a.socket).max_pacing_rate, 9);
    assert_eq!(info(&mut duo, false, b.socket).max_pacing_rate, 7, "inherited");
    let (second, _) = duo.reconnect(Transport::Tcp, PORT);
    assert_eq!(info(&mut duo, true, second.socket).max_pacing_rate, u64::MAX, "used up");
    duo.a.ask(set(SocketOption::MaxPacingRate(11), Some(second.socket)));
    assert_eq!(info(&mut duo, true, second.socket).max_pacing_rate, 11);
    assert_eq!(info(&mut duo, true, a.socket).max_pacing_rate, 9, "nobody else's");
}

#[test]
fn an_option_out_of_range_or_for_no_socket_is_refused() {
    let mut duo = Duo::new(65_536);
    let (a, _) = duo.connect(Transport::Tcp, PORT);
    duo.a.ask(set(SocketOption::KeepCount(0), Some(a.socket)));
    duo.a.ask(set(SocketOption::NoDelay(true), Some(SocketId { index: 9_999, generation: 0 })));
    duo.a.ask(set(SocketOption::KeepCount(0), None));
    duo.settle();
    let refused = |news: &Completion| match news {
        Completion::Failed { error, .. } => Some(*error),
        _ => None,
    };
    assert_eq!(duo.a.take(refused), Some(CommandError::InvalidArgument));
    assert_eq!(duo.a.take(refused), Some(CommandError::UnknownSocket));
    assert_eq!(duo.a.take(refused), Some(CommandError::InvalidArgument));
    assert_eq!(duo.a.take(refused), None);
}
