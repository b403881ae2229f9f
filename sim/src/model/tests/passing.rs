//! What passes between two sockets, and how they end.

use causeway_core::error::EndReason;
use causeway_core::port::Transport;

use super::Tale;
use super::story::{A, B, CALLER, CHILD, LATER, LISTENER, RING, Story};
use crate::model::Weather;
use crate::polled::NetError;

pub(super) const STORIES: &[(&str, Tale, Tale)] = &[
    (
        "O3.socket.shut",
        |story| {
            story.pair();
            story.shut(A, CALLER);
            story.send(A, CALLER, 10, 10);
        },
        |story| {
            story.pair();
            story.shut(A, CALLER);
            story.send_fails(A, CALLER, NetError::Shut);
        },
    ),
    (
        "O3.socket.count",
        |story| {
            story.pair();
            story.send(A, CALLER, 10, 11);
        },
        |story| {
            story.pair();
            story.send(A, CALLER, 10, 9);
        },
    ),
    (
        "O3.socket.room",
        |story| {
            story.pair();
            story.send(A, CALLER, RING, RING - 1);
            story.send_fails(A, CALLER, LATER);
        },
        |story| {
            story.pair();
            story.send(A, CALLER, RING, RING);
            story.send_fails(A, CALLER, LATER);
        },
    ),
    (
        "O3.socket.room",
        |story| {
            story.pair();
            story.send(A, CALLER, RING, RING);
            story.send(A, CALLER, RING, RING);
            story.send(A, CALLER, 1, 1);
        },
        |story| {
            story.pair();
            story.send(A, CALLER, RING, RING);
            story.send(A, CALLER, RING, RING);
            story.recv(B, CHILD, Ok(1));
            story.send(A, CALLER, 1, 1);
        },
    ),
    (
        "O3.socket.bytes",
        |story| {
            story.pair();
            story.send(A, CALLER, 10, 10);
            story.recv(B, CHILD, Ok(11));
        },
        |story| {
            story.pair();
            story.send(A, CALLER, 10, 10);
            story.recv(B, CHILD, Ok(10));
        },
    ),
    (
        "O3.socket.fin",
        |story| {
            story.pair();
            story.peer_closed(B, CHILD);
        },
        |story| {
            story.pair();
            story.shut(A, CALLER);
            story.peer_closed(B, CHILD);
        },
    ),
    (
        "O3.socket.end-of-stream",
        |story| {
            story.pair();
            story.send(A, CALLER, 10, 10);
            story.close(A, CALLER, false, true);
            story.peer_closed(B, CHILD);
            story.recv(B, CHILD, Ok(9));
            story.recv(B, CHILD, Ok(0));
        },
        |story| {
            story.pair();
            story.send(A, CALLER, 10, 10);
            story.close(A, CALLER, false, true);
            story.peer_closed(B, CHILD);
            story.recv(B, CHILD, Ok(10));
            story.recv(B, CHILD, Ok(0));
            story.recv(B, CHILD, Ok(0));
        },
    ),
    (
        "O3.socket.end-of-stream",
        |story| {
            story.pair();
            story.shut(A, CALLER);
            story.peer_closed(B, CHILD);
            story.recv(B, CHILD, Err(LATER));
        },
        |story| {
            story.pair();
            story.shut(A, CALLER);
            story.recv(B, CHILD, Err(LATER));
        },
    ),
    (
        "O3.socket.message",
        |story| {
            story.flow();
            story.send_parcel(A, CALLER, 10, 0);
            story.parcel_told(B, CHILD);
            story.recv_parcel(B, CHILD, 11, 0);
        },
        |story| {
            story.flow();
            story.send_parcel(A, CALLER, 10, 0);
            story.parcel_told(B, CHILD);
            story.recv_parcel(B, CHILD, 10, 0);
        },
    ),
    (
        "O3.socket.datagram",
        |story| {
            story.bind(A, 3);
            story.bind(B, 3);
            story.send_parcel(A, 3, 10, 9);
            story.parcel_told(B, 3);
            story.recv_parcel(B, 3, 10, 8);
        },
        |story| {
            story.bind(A, 3);
            story.bind(B, 3);
            story.send_parcel(A, 3, 10, 9);
            story.parcel_told(B, 3);
            story.recv_parcel(B, 3, 10, 9);
        },
    ),
    (
        "O3.socket.datagram",
        |story| {
            story.bind(B, 3);
            story.transport = Transport::Machnet;
            story.ask_connect(CALLER, 9);
            story.connecting(CALLER, 40_000);
            story.parcel_told(B, 3);
            story.recv_parcel(B, 3, 54, 40_001);
        },
        |story| {
            story.bind(B, 3);
            story.transport = Transport::Machnet;
            story.ask_connect(CALLER, 9);
            // Its SYN leaves, whether its program waits for the answer or not.
            story.close(A, CALLER, false, true);
            story.connecting(CALLER, 40_001);
            story.parcel_told(B, 3);
            story.recv_parcel(B, 3, 54, 40_001);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.pair();
            story.ended(A, CALLER, EndReason::Reset);
        },
        |story| {
            story.pair();
            story.close(B, CHILD, true, true);
            story.ended(A, CALLER, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.pair();
            story.close(B, CHILD, false, true);
            story.ended(A, CALLER, EndReason::Reset);
        },
        |story| {
            story.pair();
            story.close(B, CHILD, false, true);
            story.send(A, CALLER, 10, 10);
            story.ended(A, CALLER, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.pair();
            story.ended(B, CHILD, EndReason::Reset);
        },
        |story| {
            *story = Story::under(Weather { is_forged: true, ..Weather::default() });
            story.pair();
            story.ended(B, CHILD, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.listen(4);
            story.connect(CALLER);
            story.incoming(CHILD, 40_000);
            story.ended(A, CALLER, EndReason::Reset);
        },
        |story| {
            story.listen(4);
            story.connect(CALLER);
            story.incoming(CHILD, 40_000);
            // Nobody will accept it.
            story.close(B, LISTENER, false, true);
            story.ended(A, CALLER, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.flow();
            story.send_parcel(B, CHILD, 10, 0);
            story.close(B, CHILD, false, true);
            story.ended(A, CALLER, EndReason::Reset);
        },
        |story| {
            story.flow();
            story.send_parcel(B, CHILD, 10, 0);
            story.parcel_told(A, CALLER);
            story.close(B, CHILD, false, true);
            story.ended(A, CALLER, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.pair();
            story.close(A, CALLER, false, true);
            story.ended(B, CHILD, EndReason::Reset);
        },
        |story| {
            story.listen(4);
            story.connect(CALLER);
            story.close(A, CALLER, false, true);
            // Its FIN was the first that found rings.
            story.incoming(CHILD, 40_000);
            story.accept(Ok(CHILD));
            story.ended(B, CHILD, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.pair();
            story.close(A, CALLER, false, true);
            story.ended(B, CHILD, EndReason::Reset);
        },
        |story| {
            story.listen(0);
            story.connect(CALLER);
            story.incoming(CHILD, 40_000);
            story.accept(Ok(CHILD));
            // What was refused at first has reset it, of which nobody tells who has closed it.
            story.close(A, CALLER, false, true);
            story.ended(B, CHILD, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.pair();
            story.ended(A, CALLER, EndReason::Reset);
        },
        |story| {
            // More may call than may wait: each gets a cookie.
            story.listen(0);
            story.connect(CALLER);
            story.incoming(CHILD, 40_000);
            story.ended(A, CALLER, EndReason::Reset);
        },
    ),
    (
        "O3.socket.reset",
        |story| {
            story.listen(4);
            story.close(B, LISTENER, false, true);
            // It was there before anybody called.
            story.ask_listen(5, 7, 4);
            story.listening(5, 7);
            story.connect(CALLER);
            story.incoming_at(5, CHILD, 40_000);
            story.ended(A, CALLER, EndReason::Reset);
        },
        |story| {
            story.listen(4);
            story.connect(CALLER);
            story.close(B, LISTENER, false, true);
            // What came back found nobody, and what followed the next listener.
            story.ask_listen(5, 7, 4);
            story.listening(5, 7);
            story.incoming_at(5, CHILD, 40_000);
            story.ended(A, CALLER, EndReason::Reset);
        },
    ),
    (
        "O3.socket.closed",
        |story| {
            story.pair();
            story.close(B, CHILD, false, true);
            story.peer_closed(A, CALLER);
            story.ended(A, CALLER, EndReason::Closed);
        },
        |story| {
            story.pair();
            story.close(B, CHILD, false, true);
            story.peer_closed(A, CALLER);
            story.shut(A, CALLER);
            story.ended(A, CALLER, EndReason::Closed);
        },
    ),
    (
        "O3.socket.closed",
        |story| {
            story.flow();
            story.send_parcel(B, CHILD, 10, 0);
            story.close(B, CHILD, false, true);
            story.ended(A, CALLER, EndReason::Closed);
        },
        |story| {
            story.flow();
            story.send_parcel(B, CHILD, 10, 0);
            story.parcel_told(A, CALLER);
            story.close(B, CHILD, false, true);
            story.ended(A, CALLER, EndReason::Closed);
        },
    ),
    (
        "O3.socket.aborted",
        |story| {
            story.pair();
            story.shut(A, CALLER);
            story.ended(A, CALLER, EndReason::Aborted);
        },
        |story| {
            story.pair();
            story.shut(A, CALLER);
            story.shut_read(A, CALLER);
            story.ended(A, CALLER, EndReason::Aborted);
        },
    ),
    (
        "O3.socket.news",
        |story| {
            story.pair();
            story.ready(A, CALLER);
            story.take_ready(A, None);
        },
        |story| {
            story.pair();
            story.ready(A, CALLER);
            story.take_ready(A, Some(CALLER));
            story.take_ready(A, None);
        },
    ),
];
