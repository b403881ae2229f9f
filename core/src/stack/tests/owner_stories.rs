//! A socket is one channel's: what another one says of it changes nothing.

use core::net::SocketAddr;

use crate::port::{ChannelId, Completion, Op, SocketId, SocketOption, Transport};
use crate::testing::{Duo, Host};

const STRANGER: ChannelId = ChannelId { index: 7, generation: 0 };

/// A new listener or UDP socket of `b`.
fn open(duo: &mut Duo, op: Op) -> SocketId {
    duo.b.ask(op);
    duo.settle();
    let made = duo.b.take(|news| match news {
        Completion::Listening { socket, .. } | Completion::Bound { socket, .. } => Some(*socket),
        _ => None,
    });
    made.unwrap()
}

/// Everything that can be said of a socket.
fn commands(socket: SocketId) -> [Op; 14] {
    let remote = Some(SocketAddr::new(Host::address(1), 9));
    [
        Op::Backlog { listener: socket, backlog: 9 },
        Op::Accepted { listener: socket, count: 1 },
        Op::Kick { socket },
        Op::SendMessage { socket, offset: 0, len: 1, message: 1 },
        Op::ConnectUdp { socket, remote },
        Op::SendDatagram { socket, offset: 0, len: 1, remote },
        Op::MarkUrgent { socket, offset: 1 },
        Op::EndRecord { socket, offset: 1 },
        Op::ShutdownWrite { socket },
        Op::ShutdownRead { socket },
        Op::SetOption { socket: Some(socket), option: SocketOption::NoDelay(true) },
        Op::Info { socket },
        Op::Close { socket },
        Op::Abort { socket },
    ]
}

#[test]
fn what_a_channel_says_of_a_socket_of_another_one_changes_nothing() {
    for transport in [Transport::Tcp, Transport::Machnet] {
        let mut duo = Duo::new(1 << 16);
        let (_, b) = duo.connect(transport, 80);
        let local = SocketAddr::new(Host::address(2), 81);
        let listener = open(&mut duo, Op::Listen { transport, local, backlog: 1 });
        let local = SocketAddr::new(Host::address(2), 82);
        let bound = open(&mut duo, Op::BindUdp { local });
        // It has written something, which its owner can have sent.
        assert_eq!(duo.b.engine.port_mut().write(b.stream, b"written"), 7);
        while duo.b.take(|_| Some(())).is_some() {}
        for op in [b.socket, listener, bound].into_iter().flat_map(commands) {
            let before = duo.b.engine.stack().state_hash();
            duo.b.engine.port_mut().command(STRANGER, 5, op.clone());
            duo.settle();
            assert_eq!(duo.b.engine.stack().state_hash(), before, "{op:?}");
            let told = duo.b.take(|news| match news {
                Completion::Failed { .. } => None,
                other => Some(other.clone()),
            });
            assert_eq!(told, None, "{op:?}");
        }
        duo.b.ask(match transport {
            Transport::Machnet => {
                Op::SendMessage { socket: b.socket, offset: 0, len: 7, message: 1 }
            }
            _ => Op::Kick { socket: b.socket },
        });
        let before = duo.b.engine.stack().state_hash();
        duo.settle();
        assert_ne!(duo.b.engine.stack().state_hash(), before, "its owner is heard");
    }
}
