//! Machnet between two engines.

use core::net::{IpAddr, SocketAddr};
use std::vec::Vec;

use crate::error::{CommandError, EndReason};
use crate::nic::{Frame, RxChecksum};
use crate::port::{ChannelId, Completion, Op, Transport};
use crate::testing::{CHANNEL, Duo, Handle, Host};
use crate::time::Duration;

const PORT: u16 = 888;

fn message(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + salt) as u8).collect()
}

/// `a` writes one message and asks for it to be sent.
fn send(duo: &mut Duo, from: Handle, bytes: &[u8], id: u64) {
    let port = duo.a.engine.port_mut();
    let offset = port.written(from.stream);
    assert_eq!(port.write(from.stream, bytes), bytes.len());
    let len = bytes.len() as u32;
    duo.a.ask(Op::SendMessage { socket: from.socket, offset, len, message: id });
}

fn take_message(duo: &mut Duo, to: Handle) -> Option<Vec<u8>> {
    let len = duo.b.take(|news| match news {
        Completion::Message { socket, len, .. } if *socket == to.socket => Some(*len),
        _ => None,
    })?;
    let mut bytes = std::vec![0; len as usize];
    assert_eq!(duo.b.engine.port_mut().read(to.stream, &mut bytes), bytes.len());
    duo.b.ask(Op::Kick { socket: to.socket });
    Some(bytes)
}

#[test]
fn messages_of_every_length_arrive_whole_once_and_in_order() {
    let mut duo = Duo::new(1 << 18);
    let (a, b) = duo.connect(Transport::Machnet, PORT);
    for (id, len) in [1, 2, 1_417, 1_418, 1_419, 2_836, 65_536, 200_000].into_iter().enumerate() {
        let bytes = message(len, id);
        send(&mut duo, a, &bytes, id as u64);
        let mut arrived = None;
        assert!(duo.run(10_000, |duo| {
            arrived = take_message(duo, b);
            arrived.is_some()
        }));
        assert!(arrived.as_ref() == Some(&bytes), "{len} bytes");
    }
    assert!(take_message(&mut duo, b).is_none());
    let stats = duo.b.engine.stack().stats();
    assert_eq!(stats.drops.total(), 0, "{stats:?}");
}

#[test]
fn the_end_of_a_flow_reaches_the_peer() {
    let mut duo = Duo::new(1 << 16);
    let (a, b) = duo.connect(Transport::Machnet, PORT);
    duo.a.ask(Op::Close { socket: a.socket });
    duo.settle();
    assert_eq!(duo.a.take_ended(a.socket), Some(EndReason::Closed));
    assert!(duo.b.take_ended(b.socket).is_some());
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
}

#[test]
fn the_death_of_a_channel_resets_its_flows() {
    let mut duo = Duo::new(1 << 16);
    let (_, b) = duo.connect(Transport::Machnet, PORT);
    duo.a.engine.port_mut().kill(CHANNEL);
    duo.settle();
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    assert!(duo.b.take_ended(b.socket).is_some());
}

#[test]
fn an_address_is_listened_on_once_and_only_ones_own() {
    let mut duo = Duo::new(1 << 16);
    let at = |host, port| SocketAddr::new(Host::address(host), port);
    let transport = Transport::Machnet;
    let mut refusal = |local| {
        duo.b.ask(Op::Listen { transport, local, backlog: 1 });
        duo.settle();
        duo.b.take(|news| match news {
            Completion::Failed { error, .. } => Some(*error),
            _ => None,
        })
    };
    assert_eq!(refusal(at(2, PORT)), None);
    assert_eq!(refusal(at(2, PORT)), Some(CommandError::AddressInUse));
    assert_eq!(refusal(at(2, 0)), None);
    assert_eq!(refusal(at(1, PORT)), Some(CommandError::AddressNotAvailable));
}

#[test]
fn channels_of_one_process_share_an_address_for_messages_and_its_flows() {
    let mut duo = Duo::new(1 << 16);
    let local = SocketAddr::new(Host::address(2), PORT);
    let mut refusal = |index, transport| {
        let channel = ChannelId { index, generation: 0 };
        duo.b.engine.port_mut().command(channel, 0, Op::Listen { transport, local, backlog: 16 });
        duo.settle();
        duo.b.take(|news| match news {
            Completion::Failed { error, .. } => Some(*error),
            _ => None,
        })
    };
    assert_eq!(refusal(0, Transport::Machnet), None);
    assert_eq!(refusal(1, Transport::Machnet), None);
    assert_eq!(refusal(2, Transport::Machnet), Some(CommandError::AddressInUse), "another process");
    assert_eq!(refusal(0, Transport::Tcp), None);
    assert_eq!(
        refusal(1, Transport::Tcp),
        Some(CommandError::AddressInUse),
        "connections are not shared"
    );
    for _ in 0..16 {
        duo.a.ask(Op::Connect { transport: Transport::Machnet, local: None, remote: local });
    }
    duo.settle();
    let took = |index| {
        let incoming = |(channel, news): &&(ChannelId, Completion)| {
            channel.index == index && matches!(news, Completion::Incoming { .. })
        };
        duo.b.news.iter().filter(incoming).count()
    };
    assert_eq!(took(0) + took(1), 16);
    assert!(took(0) > 0 && took(1) > 0, "{} and {}", took(0), took(1));
}

#[test]
fn a_channel_that_is_gone_holds_no_address() {
    let mut duo = Duo::new(1 << 16);
    let local = SocketAddr::new(Host::address(2), PORT);
    for transport in [Transport::Machnet, Transport::Tcp] {
        duo.b.ask(Op::Listen { transport, local, backlog: 16 });
    }
    duo.settle();
    // The port knows of the death before the stack does.
    let other = ChannelId { index: 9, generation: 0 };
    let port = duo.b.engine.port_mut();
    for transport in [Transport::Machnet, Transport::Tcp] {
        port.command(other, 0, Op::Listen { transport, local, backlog: 16 });
    }
    port.kill(CHANNEL);
    duo.settle();
    let refused = duo.b.take(|news| matches!(news, Completion::Failed { .. }).then_some(()));
    assert_eq!(refused, None);
    assert_eq!(duo.b.engine.stack().socket_count(), 2);
}

#[test]
fn nobody_can_take_traffic_from_under_a_listener_of_another_process() {
    let any = IpAddr::from([0, 0, 0, 0]);
    let one = Host::address(2);
    for transport in [Transport::Tcp, Transport::Machnet] {
        for (first, second) in [(any, one), (one, any)] {
            let mut duo = Duo::new(1 << 16);
            let mut refusal = |index, ip| {
                let channel = ChannelId { index, generation: 0 };
                let local = SocketAddr::new(ip, PORT);
                let op = Op::Listen { transport, local, backlog: 1 };
                duo.b.engine.port_mut().command(channel, 0, op);
                duo.settle();
                duo.b.take(|news| match news {
                    Completion::Failed { error, .. } => Some(*error),
                    _ => None,
                })
            };
            assert_eq!(refusal(0, first), None);
            assert_eq!(refusal(2, second), Some(CommandError::AddressInUse), "{second}");
            assert_eq!(refusal(1, second), None, "channels 0 and 1 are one process");
            assert_eq!(refusal(2, IpAddr::from([127, 0, 0, 1])), Some(CommandError::AddressInUse));
            duo.b.engine.port_mut().kill(ChannelId { index: 0, generation: 0 });
            duo.b.engine.port_mut().kill(ChannelId { index: 1, generation: 0 });
            duo.settle();
        }
    }
}

#[test]
fn one_channel_cannot_take_the_sockets_of_all() {
    let mut duo = Duo::with(1 << 16, &|_| {}, &|config| config.sockets_per_channel_max(3));
    let mut refusal = |index, port| {
        let channel = ChannelId { index, generation: 0 };
        let local = SocketAddr::new(Host::address(2), port);
        let op = Op::Listen { transport: Transport::Tcp, local, backlog: 1 };
        duo.b.engine.port_mut().command(channel, 0, op);
        duo.settle();
        match duo.b.take(|news| Some(news.clone())) {
            Some(Completion::Listening { socket, .. }) => Ok(socket),
            Some(Completion::Failed { error, .. }) => Err(Some(error)),
            _ => Err(None),
        }
    };
    let sockets = [1, 2, 3].map(|port| refusal(0, port).unwrap());
    assert_eq!(refusal(0, 4), Err(Some(CommandError::LimitReached)));
    assert!(refusal(2, 4).is_ok(), "others have their own");
    // One from the middle of the list, one from its front: what is given back can be had again.
    for (port, socket) in [(5, sockets[1]), (6, sockets[2])] {
        duo.b.ask(Op::Close { socket });
        duo.settle();
        for (port, expected) in [(port, None), (port + 10, Some(CommandError::LimitReached))] {
            let local = SocketAddr::new(Host::address(2), port);
            duo.b.ask(Op::Listen { transport: Transport::Machnet, local, backlog: 1 });
            duo.settle();
            let refused = duo.b.take(|news| match news {
                Completion::Failed { error, .. } => Some(*error),
                _ => None,
            });
            assert_eq!(refused, expected);
        }
    }
}

/// `a` connects to `b`, and everything that it sends arrives with a wrong UDP checksum. Whether `b` is told of a flow.
fn connects_with_wrong_checksums(duo: &mut Duo, verdict: RxChecksum) -> bool {
    let remote = SocketAddr::new(Host::address(2), PORT);
    let transport = Transport::Machnet;
    duo.b.ask(Op::Listen { transport, local: remote, backlog: 1 });
    duo.settle();
    duo.a.ask(Op::Connect { transport, local: None, remote });
    for _ in 0..50 {
        duo.step();
        for frame in &mut duo.b.nic().inbound {
            let bytes = frame.segment_mut(0);
            if bytes[12..14] == [8, 0] {
                bytes[14 + 20 + 6] ^= 0x40;
                frame.meta_mut().rx_checksum = verdict;
            }
        }
    }
    let incoming = |news: &Completion| matches!(news, Completion::Incoming { .. }).then_some(());
    duo.b.take(incoming).is_some()
}

#[test]
fn a_wrong_udp_checksum_is_overlooked_and_counted_only_from_the_configured_peers() {
    let IpAddr::V4(peer) = Host::address(1) else { unreachable!("hosts are IPv4") };
    let IpAddr::V4(other) = Host::address(3) else { unreachable!("hosts are IPv4") };
    for verdict in [RxChecksum::Unknown, RxChecksum::Bad] {
        for listed in [peer, other] {
            let mut duo =
                Duo::with(1 << 16, &|_| {}, &|config| config.accept_bad_udp_checksum(&[listed]));
            assert_eq!(connects_with_wrong_checksums(&mut duo, verdict), listed == peer);
            let stats = duo.b.engine.stack().stats();
            assert_eq!(stats.udp_checksums_overlooked > 0, listed == peer, "{stats:?}");
            assert_eq!(stats.drops.checksum > 0, listed != peer, "{stats:?}");
        }
    }
}

#[test]
fn machnet_is_refused_on_a_link_that_its_packets_do_not_fit_and_goes_over_one_that_they_just_fit() {
    for (mtu, expected) in [(1_499, Some(CommandError::MtuTooSmall)), (1_500, None)] {
        let mut duo = Duo::with(1 << 16, &|caps| caps.mtu = mtu, &|config| config);
        let remote = SocketAddr::new(Host::address(2), PORT);
        let transport = Transport::Machnet;
        let any = SocketAddr::from(([0, 0, 0, 0], PORT + 1));
        for op in [
            Op::Listen { transport, local: remote, backlog: 1 },
            Op::Listen { transport, local: any, backlog: 1 },
            Op::Connect { transport, local: None, remote: SocketAddr::new(Host::address(1), PORT) },
        ] {
            duo.b.ask(op.clone());
            let now = duo.now;
            duo.b.engine.step(now);
            let refused =
                duo.b.engine.port_mut().poll_completion().and_then(|(_, news)| match news {
                    Completion::Failed { error, .. } => Some(error),
                    _ => None,
                });
            assert_eq!(refused, expected, "{mtu}: {op:?}");
        }
    }
}

#[test]
fn of_a_flow_whose_listener_was_closed_in_mid_handshake_nobody_is_told_anything() {
    let mut duo = Duo::new(4_096);
    let remote = SocketAddr::new(Host::address(2), PORT);
    duo.b.ask(Op::Listen { transport: Transport::Machnet, local: remote, backlog: 4 });
    duo.settle();
    let listener = duo.b.take(|news| match news {
        Completion::Listening { socket, .. } => Some(*socket),
        _ => None,
    });
    duo.a.ask(Op::Connect { transport: Transport::Machnet, local: None, remote });
    assert!(duo.run(1_000, |duo| duo.b.engine.stack().socket_count() == 2));
    duo.b.ask(Op::Close { socket: listener.unwrap() });
    duo.pass(Duration::from_secs(3));
    let ended = |news: &Completion| match news {
        Completion::Ended { socket, reason } => Some((*socket, *reason)),
        _ => None,
    };
    assert_eq!(duo.b.take(ended), Some((listener.unwrap(), EndReason::Closed)));
    assert_eq!(duo.b.take(ended), None);
    assert_eq!(duo.b.engine.stack().socket_count(), 0);
    assert_eq!(duo.a.take(ended).map(|(_, reason)| reason), Some(EndReason::Reset));
}
