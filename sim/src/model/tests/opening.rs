//! How sockets come to be.

use causeway_core::error::{CommandError, EndReason};

use super::Tale;
use super::story::{A, B, CALLER, CHILD, LATER, LISTENER, Story};
use crate::model::Weather;
use crate::polled::NetError;

pub(super) const STORIES: &[(&str, Tale, Tale)] = &[
    (
        "O3.socket.handle",
        |story| {
            story.pair();
            story.close(A, CALLER, false, true);
            story.close(A, CALLER, false, true);
        },
        |story| {
            story.pair();
            story.close(A, CALLER, false, true);
            story.close(A, CALLER, false, false);
        },
    ),
    (
        "O3.socket.handle",
        |story| {
            story.pair();
            story.send_fails(A, CALLER, NetError::BadSocket);
        },
        |story| {
            story.pair();
            story.send_fails(A, 9, NetError::BadSocket);
        },
    ),
    (
        "O3.socket.kind",
        |story| {
            story.listen(4);
            story.send(B, LISTENER, 10, 10);
        },
        |story| {
            story.listen(4);
            story.send_fails(B, LISTENER, NetError::BadSocket);
        },
    ),
    (
        "O3.socket.state",
        |story| {
            story.ask_connect(CALLER, 7);
            story.send(A, CALLER, 10, 10);
        },
        |story| {
            story.ask_connect(CALLER, 7);
            story.send_fails(A, CALLER, LATER);
        },
    ),
    (
        "O3.socket.state",
        |story| {
            story.ask_connect(CALLER, 7);
            story.failed(A, CALLER, CommandError::NoRoute);
            story.recv(A, CALLER, Err(LATER));
        },
        |story| {
            story.ask_connect(CALLER, 7);
            story.failed(A, CALLER, CommandError::NoRoute);
            story.recv(A, CALLER, Err(NetError::Refused(CommandError::NoRoute)));
        },
    ),
    (
        "O3.socket.order",
        |story| {
            story.pair();
            story.connected(CALLER);
        },
        |story| {
            story.pair();
            story.ready(A, CALLER);
        },
    ),
    (
        "O3.socket.order",
        |story| {
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.ended(A, CALLER, EndReason::Refused);
            story.connected(CALLER);
        },
        |story| {
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.ended(A, CALLER, EndReason::Refused);
        },
    ),
    (
        "O3.socket.local",
        |story| {
            story.ask_listen(LISTENER, 7, 4);
            story.listening(LISTENER, 8);
        },
        |story| {
            story.ask_listen(LISTENER, 0, 4);
            story.listening(LISTENER, 40_001);
        },
    ),
    (
        "O3.socket.in-use",
        |story| {
            story.listen(4);
            story.ask_listen(5, 7, 4);
            story.listening(5, 7);
        },
        |story| {
            story.listen(4);
            story.ask_listen(5, 7, 4);
            story.failed(B, 5, CommandError::AddressInUse);
        },
    ),
    (
        "O3.socket.in-use",
        |story| {
            story.listen(4);
            story.close(B, LISTENER, false, true);
            story.ask_listen(5, 7, 4);
            story.failed(B, 5, CommandError::AddressInUse);
        },
        |story| {
            story.listen(4);
            story.close(B, LISTENER, false, true);
            story.ask_listen(5, 7, 4);
            story.listening(5, 7);
        },
    ),
    (
        "O3.socket.tuple",
        |story| {
            story.pair();
            story.ask_connect(5, 7);
            story.connecting(5, 40_000);
        },
        |story| {
            story.pair();
            story.close(A, CALLER, false, true);
            story.ask_connect(5, 7);
            story.connecting(5, 40_000);
        },
    ),
    (
        "O3.socket.limit",
        |story| {
            story.listen(4);
            story.connect(0);
            story.ask_connect(1, 7);
            story.failed(A, 1, CommandError::PortsExhausted);
        },
        |story| {
            story.listen(4);
            story.connect(0);
            story.connect(1);
            story.ask_connect(2, 7);
            story.failed(A, 2, CommandError::PortsExhausted);
        },
    ),
    (
        "O3.socket.limit",
        |story| {
            story.ask_connect(0, 7);
            story.failed(A, 0, CommandError::LimitReached);
        },
        |story| {
            *story = Story::under(Weather { no_rings: true, ..Weather::default() });
            story.ask_connect(0, 7);
            story.failed(A, 0, CommandError::LimitReached);
        },
    ),
    (
        "O3.socket.connected",
        |story| {
            story.listen(4);
            story.close(B, LISTENER, false, true);
            story.connect(CALLER);
        },
        |story| {
            story.listen(4);
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.close(B, LISTENER, false, true);
            story.connected(CALLER);
        },
    ),
    (
        "O3.socket.refused",
        |story| {
            story.listen(4);
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.ended(A, CALLER, EndReason::Refused);
        },
        |story| {
            story.listen(4);
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.close(B, LISTENER, false, true);
            story.ask_listen(5, 7, 4);
            story.listening(5, 7);
            story.ended(A, CALLER, EndReason::Refused);
        },
    ),
    (
        "O3.socket.refused",
        |story| {
            story.listen(4);
            story.ask_connect(1, 7);
            story.connecting(1, 40_001);
            story.close(A, 1, true, true);
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.ended(A, CALLER, EndReason::Refused);
        },
        |story| {
            story.listen(4);
            story.ask_connect(1, 7);
            story.connecting(1, 40_000);
            // Its SYN may be answered still.
            story.close(A, 1, true, true);
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.ended(A, CALLER, EndReason::Refused);
        },
    ),
    (
        "O3.socket.unreachable",
        |story| {
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.ended(A, CALLER, EndReason::HostUnreachable);
        },
        |story| {
            *story = Story::under(Weather { is_rough: true, ..Weather::default() });
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.ended(A, CALLER, EndReason::HostUnreachable);
        },
    ),
    (
        "O3.socket.timed-out",
        |story| {
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.wait(2_900);
            story.ended(A, CALLER, EndReason::TimedOut);
        },
        |story| {
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.wait(3_000);
            story.ended(A, CALLER, EndReason::TimedOut);
        },
    ),
    (
        "O3.socket.timed-out",
        |story| {
            story.pair();
            story.wait(2_000);
            story.ready(A, CALLER);
            story.wait(900);
            story.ended(A, CALLER, EndReason::TimedOut);
        },
        |story| {
            story.pair();
            story.wait(2_000);
            // What is over has room for what nobody will send.
            story.ended_with_news(A, CALLER, EndReason::TimedOut);
        },
    ),
    (
        "O3.socket.incoming",
        |story| {
            story.listen(4);
            story.ask_connect(CALLER, 7);
            story.connecting(CALLER, 40_000);
            story.incoming(CHILD, 40_000);
        },
        |story| {
            story.listen(4);
            story.connect(CALLER);
            story.close(A, CALLER, true, true);
            story.incoming(CHILD, 40_000);
        },
    ),
    (
        "O3.socket.backlog",
        |story| {
            story.listen(0);
            story.connect(0);
            story.connect(1);
            story.incoming(1, 40_000);
            story.incoming(2, 40_001);
        },
        |story| {
            story.listen(0);
            story.connect(0);
            story.connect(1);
            story.incoming(1, 40_000);
            story.accept(Ok(1));
            story.incoming(2, 40_001);
        },
    ),
    (
        "O3.socket.accept",
        |story| {
            story.listen(4);
            story.connect(0);
            story.connect(1);
            story.incoming(1, 40_000);
            story.incoming(2, 40_001);
            story.accept(Ok(2));
        },
        |story| {
            story.listen(4);
            story.connect(0);
            story.connect(1);
            story.incoming(1, 40_000);
            story.incoming(2, 40_001);
            story.accept(Ok(1));
            story.accept(Ok(2));
            story.accept(Err(LATER));
        },
    ),
    (
        "O3.socket.accept",
        |story| {
            story.listen(4);
            story.connect(CALLER);
            story.incoming(CHILD, 40_000);
            story.accept(Err(LATER));
        },
        |story| {
            story.listen(4);
            story.accept(Err(LATER));
        },
    ),
];
