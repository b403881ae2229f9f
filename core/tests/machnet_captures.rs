//! Our flow in the place of each end of conversations between two upstream hosts, as captured.
//!
//! Each packet of the other end is given to the flow at its time; what the flow emits is compared, byte for byte, with what
//! the captured end sent, after the captured header was brought to what the format defines: stale bytes zero,
//! leaked message flags masked, and the selective acknowledgement in the layout of upstream's reader.

use std::collections::VecDeque;

use causeway_core::error::EndReason;
use causeway_core::machnet::{
    Config, Flow, FlowEvent, IN_FLIGHT_MAX, ListenDisposition, PacketIn, listen,
};
use causeway_core::port::{RingError, StreamIo};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::machnet::{HEADER_LEN, MachnetHeader, MsgFlags, NetFlags};

const CLIENT: [u8; 4] = [10, 9, 0, 2];
const SERVER: [u8; 4] = [10, 9, 0, 1];

/// One captured Machnet packet.
#[derive(Clone)]
struct Captured {
    at: Instant,
    from: [u8; 4],
    /// Taken off the wire by the experiment: its EtherType was changed on the way.
    lost: bool,
    raw: [u8; HEADER_LEN],
    header: MachnetHeader,
    payload: Vec<u8>,
}

/// Reads a little-endian microsecond pcap of Ethernet frames.
fn capture(file: &[u8]) -> Vec<Captured> {
    let u32_at = |at: usize| {
        u32::from_le_bytes(
            file[at..at + 4].try_into().expect("the captures and the story are complete"),
        )
    };
    assert_eq!((u32_at(0), u32_at(20)), (0xa1b2_c3d4, 1));
    let mut packets = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let nanos = u64::from(u32_at(at)) * 1_000_000_000 + u64::from(u32_at(at + 4)) * 1_000;
        let len = u32_at(at + 8) as usize;
        assert_eq!(len, u32_at(at + 12) as usize, "a frame was cut");
        let frame = &file[at + 16..at + 16 + len];
        at += 16 + len;
        let ether_type = u16::from_be_bytes([frame[12], frame[13]]);
        if ether_type == 0x0806 {
            continue;
        }
        let lost = ether_type == 0x88b5;
        assert!(lost || ether_type == 0x0800);
        let ip_len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        assert_eq!((frame[14], frame[23], len), (0x45, 17, 14 + ip_len));
        let udp = &frame[42..];
        let (header, payload) =
            MachnetHeader::parse(udp).expect("the captures and the story are complete");
        packets.push(Captured {
            at: Instant::from_nanos(nanos),
            from: frame[26..30].try_into().expect("the captures and the story are complete"),
            lost,
            raw: udp[..HEADER_LEN].try_into().expect("the captures and the story are complete"),
            header,
            payload: udp[payload..].to_vec(),
        });
    }
    packets
}

impl Captured {
    /// The header as the format defines it.
    fn defined(&self) -> [u8; HEADER_LEN] {
        let mut bytes = self.raw;
        bytes[3] &= 0x07;
        bytes[12..46].fill(0);
        let ack = self.header.net_flags == NetFlags::Ack;
        if ack && self.header.sack.count > 0 {
            // Word i of upstream's writer is word 3 - i of its reader, the low byte alone has a meaning.
            for word in 0..4 {
                bytes[12 + 8 * (3 - word) + 7] = self.raw[12 + 8 * word + 7];
            }
            bytes[44..46].copy_from_slice(&self.header.sack.count.to_be_bytes());
        }
        bytes
    }
}

#[derive(Default)]
struct Rings {
    tx: Vec<u8>,
    rx: Vec<u8>,
    committed: u64,
}

impl StreamIo for Rings {
    fn tx_end(&self) -> u64 {
        self.tx.len() as u64
    }
    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        dst.copy_from_slice(&self.tx[offset as usize..offset as usize + dst.len()]);
        0
    }
    fn tx_release(&mut self, _: u64) {}
    fn rx_limit(&self) -> u64 {
        1 << 20
    }
    fn rx_consumed(&self) -> u64 {
        self.committed
    }
    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let end = offset as usize + src.len();
        self.rx.resize(end.max(self.rx.len()), 0);
        self.rx[offset as usize..end].copy_from_slice(src);
        Ok(())
    }
    fn rx_commit(&mut self, offset: u64) {
        self.committed = offset;
    }
}

/// Our flow in the place of one captured host.
struct Replay {
    flow: Option<Flow>,
    io: Rings,
    emitted: VecDeque<([u8; HEADER_LEN], Vec<u8>)>,
    events: Vec<FlowEvent>,
    messages: u64,
}

impl Replay {
    fn new() -> Self {
        let io = Rings::default();
        Self { flow: None, io, emitted: VecDeque::new(), events: Vec::new(), messages: 0 }
    }

    fn connect(&mut self, now: Instant) {
        self.flow = Some(Flow::connect(now, &Config::default(), 0));
        self.collect(now);
    }

    fn collect(&mut self, now: Instant) {
        let Some(flow) = &mut self.flow else { return };
        while let Some(packet) = flow.poll_transmit(now) {
            let mut bytes = [0xaa; HEADER_LEN];
            packet.header.emit(&mut bytes).expect("the captures and the story are complete");
            let mut payload = vec![0; usize::from(packet.payload_len)];
            self.io.tx_copy_out_sum(packet.payload_offset, &mut payload);
            self.emitted.push_back((bytes, payload));
        }
        self.events.extend(std::iter::from_fn(|| flow.poll_event()));
    }

    fn hear(&mut self, packet: &Captured) {
        if self.flow.is_none() {
            assert_eq!(listen(&packet.header, 1), ListenDisposition::Accept);
            self.flow = Some(Flow::accept(packet.at, &Config::default(), 0, &packet.header));
        } else if let Some(flow) = &mut self.flow {
            let input = PacketIn { header: &packet.header, payload: &[&packet.payload] };
            flow.handle_packet(packet.at, &input, &mut self.io);
        }
        self.collect(packet.at);
    }

    fn send(&mut self, now: Instant, message: &[u8]) {
        let flow = self.flow.as_mut().expect("the captures and the story are complete");
        let offset = self.io.tx.len() as u64;
        self.io.tx.extend_from_slice(message);
        self.messages += 1;
        flow.send_message(offset, message.len() as u32, self.messages, &self.io)
            .expect("the captures and the story are complete");
        self.collect(now);
    }

    /// Lets time pass up to `now`.
    fn wait(&mut self, now: Instant) {
        while let Some((at, _)) = self.flow.as_ref().and_then(|f| f.poll_timeout()) {
            if at >= now {
                break;
            }
            self.flow
                .as_mut()
                .expect("the captures and the story are complete")
                .handle_timeout(at, &mut self.io);
            self.collect(at);
        }
    }
}

/// The messages that `from` sent, with the index of the packet that each began with.
fn messages(packets: &[Captured], from: [u8; 4]) -> Vec<(usize, Vec<u8>)> {
    let mut messages: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut next = 1;
    for (i, packet) in packets.iter().enumerate() {
        let new = packet.header.seqno == next;
        if packet.from != from || packet.header.net_flags != NetFlags::Data || !new {
            continue;
        }
        next += 1;
        if packet.header.msg_flags.contains(MsgFlags::FIRST) {
            messages.push((i, Vec::new()));
        }
        messages
            .last_mut()
            .expect("the captures and the story are complete")
            .1
            .extend_from_slice(&packet.payload);
    }
    messages
}

fn name(bytes: &[u8; HEADER_LEN]) -> String {
    format!("{:?}", MachnetHeader::parse(bytes))
}

/// Replays a conversation without loss in the place of `us` and compares each packet.
fn agrees_with_every_packet(file: &[u8], us: [u8; 4]) {
    let packets = capture(file);
    let messages = messages(&packets, us);
    let mut replay = Replay::new();
    let mut compared = 0;
    for (i, packet) in packets.iter().enumerate() {
        if packet.from != us {
            replay.hear(packet);
            continue;
        }
        match packet.header.net_flags {
            NetFlags::Syn => replay.connect(packet.at),
            NetFlags::Rst => {
                replay
                    .flow
                    .as_mut()
                    .expect("the captures and the story are complete")
                    .close(packet.at);
                replay.collect(packet.at);
            }
            NetFlags::Data | NetFlags::Ack | NetFlags::SynAck => {}
        }
        if let Some((_, message)) = messages.iter().find(|m| m.0 == i) {
            replay.send(packet.at, message);
        }
        let (header, payload) = replay.emitted.pop_front().expect("the captured end sent more");
        let (ours, theirs) = (name(&header), name(&packet.defined()));
        assert_eq!(header, packet.defined(), "packet {i}: {ours} for {theirs}");
        assert!(payload == packet.payload, "payload of packet {i}");
        compared += 1;
    }
    assert!(replay.emitted.is_empty(), "we sent more than the captured end");
    assert!(compared > 20);
    let end = if us == CLIENT { EndReason::Closed } else { EndReason::Reset };
    assert_eq!(replay.events.last(), Some(&FlowEvent::Ended(end)));
}

#[test]
fn in_the_clients_place_every_packet_agrees_with_upstreams() {
    agrees_with_every_packet(include_bytes!("data/machnet_upstream.pcap"), CLIENT);
}

#[test]
fn in_the_servers_place_every_packet_agrees_with_upstreams() {
    agrees_with_every_packet(include_bytes!("data/machnet_upstream.pcap"), SERVER);
}

/// Replays a conversation with a loss in the place of the receiver. Every acknowledgement agrees, up to where upstream
/// goes on to repeat its last number, which may crash the sender: there we stop after one.
fn receives_like_upstream(file: &[u8], repeats_upstream: usize) {
    let packets = capture(file);
    let mut replay = Replay::new();
    let mut theirs: Vec<_> =
        packets.iter().filter(|p| p.from == SERVER).map(Captured::defined).collect();
    for packet in packets.iter().filter(|p| p.from == CLIENT && !p.lost) {
        replay.hear(packet);
    }
    let ours: Vec<_> = replay.emitted.iter().map(|(header, _)| *header).collect();
    let last = *theirs.last().expect("the captures and the story are complete");
    let repeats = theirs.iter().rev().take_while(|header| **header == last).count() - 1;
    assert_eq!(repeats, repeats_upstream);
    theirs.truncate(theirs.len() - repeats + repeats.min(1));
    assert_eq!(ours.len(), theirs.len());
    for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours, theirs, "packet {i}: {} for {}", name(ours), name(theirs));
    }
    assert!(ours.len() > 40);
    let delivered = replay.events.iter().filter(|e| matches!(e, FlowEvent::Message { .. })).count();
    assert_eq!(delivered, 40, "each message once");
}

#[test]
fn behind_a_hole_the_receiver_acknowledges_like_upstream_and_then_stops_repeating() {
    receives_like_upstream(include_bytes!("data/machnet_upstream_loss_fastrexmit.pcap"), 14);
}

#[test]
fn a_lost_last_packet_is_received_like_upstream() {
    receives_like_upstream(include_bytes!("data/machnet_upstream_loss_rto.pcap"), 0);
}

/// Replays a conversation with a loss in the place of the sender. Returns how often the lost packet was sent.
fn sends_within_the_rules(file: &[u8]) -> usize {
    let packets = capture(file);
    let messages = messages(&packets, CLIENT);
    assert_eq!(messages.len(), 40);
    let (first_data, lost) = (
        messages[0].0,
        packets
            .iter()
            .find(|p| p.lost)
            .expect("the captures and the story are complete")
            .header
            .seqno,
    );
    let mut replay = Replay::new();
    let (mut acked, mut highest, mut lost_sent) = (1u32, 0u32, 0);
    for (i, packet) in packets.iter().enumerate() {
        replay.wait(packet.at);
        if packet.header.net_flags == NetFlags::Syn {
            replay.connect(packet.at);
        }
        if i == first_data {
            for (_, message) in &messages {
                replay.send(packet.at, message);
            }
        }
        if packet.from == SERVER {
            acked = acked.max(packet.header.ackno);
            replay.hear(packet);
        }
        for (bytes, payload) in replay.emitted.drain(..) {
            let (header, _) =
                MachnetHeader::parse(&bytes).expect("the captures and the story are complete");
            if header.net_flags != NetFlags::Data {
                continue;
            }
            lost_sent += usize::from(header.seqno == lost);
            highest = highest.max(header.seqno);
            assert!(highest - acked < u32::from(IN_FLIGHT_MAX), "more than 32 in flight");
            let like = |p: &&Captured| {
                p.from == CLIENT
                    && p.header.seqno == header.seqno
                    && p.header.net_flags == NetFlags::Data
            };
            let theirs =
                packets.iter().find(like).expect("the captures and the story are complete");
            assert_eq!(bytes, theirs.defined());
            assert!(payload == theirs.payload);
        }
    }
    let info = replay.flow.as_ref().expect("the captures and the story are complete").info();
    assert_eq!(info.message_acked, 40);
    assert!(!replay.events.iter().any(|e| matches!(e, FlowEvent::Ended(_))));
    lost_sent
}

#[test]
fn a_loss_is_repaired_by_one_retransmission_from_upstreams_acknowledgements() {
    let file = include_bytes!("data/machnet_upstream_loss_fastrexmit.pcap");
    assert_eq!(sends_within_the_rules(file), 2);
}

#[test]
fn a_lost_last_packet_is_sent_again_before_upstream_would() {
    assert!(sends_within_the_rules(include_bytes!("data/machnet_upstream_loss_rto.pcap")) >= 2);
}

#[test]
fn a_closed_port_is_asked_with_upstreams_bytes_and_then_given_up() {
    let packets = capture(include_bytes!("data/machnet_upstream_connect_closed_port.pcap"));
    assert_eq!(packets.len(), 4);
    let mut replay = Replay::new();
    replay.connect(packets[0].at);
    replay.wait(packets[0].at + Duration::from_secs(60));
    assert!(replay.emitted.len() >= packets.len());
    for (header, payload) in &replay.emitted {
        assert_eq!(*header, packets[0].defined());
        assert!(payload.is_empty());
    }
    assert_eq!(replay.events, [FlowEvent::Ended(EndReason::TimedOut)]);
}
