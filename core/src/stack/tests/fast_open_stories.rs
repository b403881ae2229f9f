//! Connections that are opened with data on the SYN.

use core::net::SocketAddr;

use crate::port::{Completion, Op, SocketId, SocketOption, StreamId, Transport};
use crate::stack::StackConfigBuilder;
use crate::tcp::{Config, fast_open_setting as setting};
use crate::testing::{Duo, Host};
use crate::time::Duration;

const PORT: u16 = 80;

fn both_sides(config: StackConfigBuilder) -> StackConfigBuilder {
    let tcp = Config::builder().fast_open(setting::CLIENT | setting::SERVER).build();
    config.tcp(tcp.expect("the settings are right"))
}

fn listening(backlog: u32, queue: u32) -> Duo {
    let mut duo = Duo::with(65_536, &|_| (), &both_sides);
    let local = SocketAddr::new(Host::address(2), PORT);
    duo.b.ask(Op::SetOption { socket: None, option: SocketOption::FastOpen(queue) });
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local, backlog });
    duo.settle();
    duo
}

/// `a` connects with Fast Open and writes `bytes`.
fn open(duo: &mut Duo, bytes: &[u8]) -> (SocketId, StreamId) {
    let remote = SocketAddr::new(Host::address(2), PORT);
    duo.a.ask(Op::SetOption { socket: None, option: SocketOption::FastOpenConnect(true) });
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    duo.step();
    let connecting = |news: &Completion| match news {
        Completion::Connecting { socket, stream, .. } => Some((*socket, *stream)),
        _ => None,
    };
    let (socket, stream) = duo.a.take(connecting).expect("a connects");
    duo.a.engine.port_mut().write(stream, bytes);
    duo.a.ask(Op::Kick { socket });
    (socket, stream)
}

fn incoming(duo: &mut Duo) -> Option<(SocketId, SocketId, StreamId)> {
    duo.b.take(|news| match news {
        Completion::Incoming { listener, socket, stream, .. } => {
            Some((*listener, *socket, *stream))
        }
        _ => None,
    })
}

/// What `b` can read from the next connection that it is told of.
fn read(duo: &mut Duo) -> std::vec::Vec<u8> {
    let (listener, _, stream) = incoming(duo).expect("b is told");
    duo.b.ask(Op::Accepted { listener, count: 1 });
    let mut bytes = std::vec![0; 65_536];
    let len = duo.b.engine.port_mut().read(stream, &mut bytes);
    bytes.truncate(len);
    bytes
}

#[test]
fn the_first_connection_asks_for_a_cookie_and_the_second_is_read_before_it_is_established() {
    let mut duo = listening(8, 8);
    open(&mut duo, b"first");
    duo.settle();
    assert_eq!((read(&mut duo), duo.b.engine.stack().stats().fast_opens), (b"first".to_vec(), 0));
    let (second, _) = open(&mut duo, &[7; 2_000]);
    // Until the SYN has arrived, and no longer.
    assert!(duo.run(100, |duo| duo.b.engine.stack().stats().fast_opens == 1));
    let connected = |news: &Completion| {
        matches!(news, Completion::Connected { socket } if *socket == second).then_some(())
    };
    assert!(duo.a.take(connected).is_none(), "the SYN,ACK is still under way");
    let first = read(&mut duo);
    assert!((1_000..=1_420).contains(&first.len()), "{} bytes on the SYN", first.len());
    duo.settle();
    assert!(duo.a.take(connected).is_some());
}

#[test]
fn what_a_listener_answers_before_the_handshake_is_done_arrives() {
    let mut duo = listening(8, 8);
    open(&mut duo, b"first");
    duo.settle();
    incoming(&mut duo);
    let (_, ours) = open(&mut duo, b"request");
    assert!(duo.run(100, |duo| duo.b.engine.stack().stats().fast_opens == 1));
    let (_, socket, stream) = incoming(&mut duo).expect("b is told");
    duo.b.engine.port_mut().write(stream, &[9; 5_000]);
    duo.b.ask(Op::Kick { socket });
    duo.b.ask(Op::ShutdownWrite { socket });
    duo.settle();
    let mut bytes = std::vec![0; 10_000];
    assert_eq!(duo.a.engine.port_mut().read(ours, &mut bytes), 5_000);
    assert!(bytes[..5_000].iter().all(|byte| *byte == 9));
}

#[test]
fn beyond_the_queue_the_data_comes_after_the_handshake() {
    let mut duo = listening(8, 1);
    open(&mut duo, b"first");
    duo.settle();
    read(&mut duo);
    open(&mut duo, b"second");
    open(&mut duo, b"third");
    duo.settle();
    assert_eq!((read(&mut duo), read(&mut duo)), (b"second".to_vec(), b"third".to_vec()));
    let taken = duo.b.engine.stack().stats().fast_opens;
    assert!((1..=2).contains(&taken), "{taken}: the second's handshake may be over by then");
}

#[test]
fn under_a_flood_a_syn_with_data_gets_a_syn_cookie_and_its_data_is_read_once() {
    let mut duo = listening(1, 8);
    open(&mut duo, b"first");
    duo.settle();
    read(&mut duo);
    for text in [b"one", b"two", b"six"] {
        open(&mut duo, text);
    }
    duo.pass(Duration::from_secs(2));
    let mut all = std::vec::Vec::new();
    while let Some((listener, _, stream)) = incoming(&mut duo) {
        let mut bytes = [0; 10];
        let len = duo.b.engine.port_mut().read(stream, &mut bytes);
        all.push(bytes[..len].to_vec());
        duo.b.ask(Op::Accepted { listener, count: 1 });
        duo.pass(Duration::from_secs(4));
    }
    all.sort();
    assert_eq!(all, [b"one", b"six", b"two"]);
}
