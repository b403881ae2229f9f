//! The run as JSON: an object a line, named as qlog names events (draft-ietf-quic-qlog-main-schema) where it has a name.

use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

use causeway_core::event::Event;
use causeway_core::time::Instant;

use super::describe::flags;
use super::fate::Told;
use super::sink::Sink;
use super::topology::Topology;
use crate::packet::{Flags, Network, Packet, Transport};
use crate::report::push_text;
use crate::tap::DirectionId;
use crate::trial::{Case, Outcome};
use crate::world::HostId;

/// The version of the lines.
const VERSION: u64 = 1;

pub(super) struct Events {
    sink: Sink,
    topology: Rc<Topology>,
}

/// An object that is being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    /// One that is about a moment.
    fn at(at: Instant, name: &str) -> Self {
        let mut object = Self::new();
        object.number("time_ns", at.as_nanos());
        object.text("name", name);
        object
    }

    fn key(&mut self, key: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        let _ = write!(self.0, "\"{key}\":");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        push_text(&mut self.0, value);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        let _ = write!(self.0, "{value}");
    }

    fn texts<'a>(&mut self, key: &str, values: impl IntoIterator<Item = &'a String>) {
        self.key(key);
        self.0.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            push_text(&mut self.0, value);
        }
        self.0.push(']');
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.0.push('{');
        fill(self);
        self.0.push('}');
    }
}

impl Events {
    pub(super) fn new(sink: Sink, topology: Rc<Topology>, case: &Case) -> Self {
        let mut header = Object::new();
        header.text("format", "causeway events");
        header.number("version", VERSION);
        // Texts: readers that know only floating-point numbers would round them.
        header.text("seed", &case.seed.to_string());
        header.texts("hosts", &topology.nodes[..topology.hosts]);
        header.texts("switches", &topology.nodes[topology.hosts..]);
        header.texts("directions", topology.directions.iter().map(|direction| &direction.name));
        header.text("case", &case.to_string());
        let mut events = Self { sink, topology };
        events.push(header);
        events
    }

    fn push(&mut self, mut object: Object) {
        object.0.push('}');
        self.sink.line(&object.0);
    }

    /// Input: a frame goes onto a link; `injected`: a router on the way sends it.
    pub(super) fn sent(
        &mut self,
        at: Instant,
        direction: DirectionId,
        frame: &[u8],
        told: &Told,
        injected: bool,
    ) {
        let name = if injected { "packet_injected" } else { "packet_sent" };
        let mut object = self.packet(at, name, direction, 0, told.number, frame);
        if !told.faults.is_empty() {
            object.texts("faults", &told.faults);
        }
        self.push(object);
        if let Some(loss) = &told.loss {
            let mut object = self.about(at, "packet_lost", direction, 0, told.number);
            object.text("reason", loss.name());
            object.text("details", loss.words());
            self.push(object);
        }
    }

    /// Input: a frame is at the end of a link; `ring_full`: and is lost there.
    pub(super) fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        number: u64,
        frame: &[u8],
        ring_full: bool,
    ) {
        let object = if ring_full {
            let mut object = self.about(at, "packet_lost", direction, 1, Some(number));
            object.text("reason", "ring_full");
            object
        } else {
            self.packet(at, "packet_received", direction, 1, Some(number), frame)
        };
        self.push(object);
    }

    /// `end`: at the begin (0) or the end (1) of the direction.
    fn about(
        &self,
        at: Instant,
        name: &str,
        direction: DirectionId,
        end: usize,
        number: Option<u64>,
    ) -> Object {
        let mut object = Object::at(at, name);
        object.text("host", self.topology.end(direction, end));
        object.text("direction", &self.topology.direction(direction).name);
        if let Some(number) = number {
            object.number("number", number);
        }
        object
    }

    fn packet(
        &self,
        at: Instant,
        name: &str,
        direction: DirectionId,
        end: usize,
        number: Option<u64>,
        frame: &[u8],
    ) -> Object {
        let mut object = self.about(at, name, direction, end, number);
        object.number("length", frame.len() as u64);
        object.object("packet", |object| packet(object, frame));
        object
    }

    /// Input: something happened inside of a host.
    pub(super) fn event(&mut self, at: Instant, host: HostId, event: &Event) {
        let (name, socket) = match event {
            Event::Opened { socket, .. } => ("connection_started", Some(socket)),
            Event::TcpState { socket, .. } => ("connection_state_updated", Some(socket)),
            Event::Congestion { socket, .. } => ("metrics_updated", Some(socket)),
            Event::Retransmit { socket, .. } => ("packet_retransmitted", Some(socket)),
            Event::Ended { socket, .. } => ("connection_closed", Some(socket)),
            Event::Address { .. } => ("address_updated", None),
            Event::Resolver { .. } => ("resolver_updated", None),
            Event::Dropped { .. } => ("packet_dropped", None),
        };
        let mut object = Object::at(at, name);
        object.text("host", self.topology.host(host));
        if let Some(socket) = socket {
            object.text("socket", &format!("{}.{}", socket.index, socket.generation));
        }
        details(&mut object, event);
        self.push(object);
    }

    /// Input: a host has lost its state.
    pub(super) fn restarted(&mut self, at: Instant, host: HostId) {
        let mut object = Object::at(at, "host_restarted");
        object.text("host", self.topology.host(host));
        self.push(object);
    }

    /// Input: a program has ended.
    pub(super) fn program_ended(&mut self, at: Instant, host: HostId, name: &str, end: &str) {
        let mut object = Object::at(at, "program_ended");
        object.text("host", self.topology.host(host));
        object.text("program", name);
        object.text("how", end);
        self.push(object);
    }

    /// Command: the last lines.
    pub(super) fn finish(&mut self, outcome: &Outcome) -> io::Result<()> {
        if let Some(violation) = &outcome.violation {
            let mut object = Object::at(violation.at, "violation");
            object.text("signature", &violation.signature);
            object.text("words", &violation.words);
            self.push(object);
        }
        let mut object = Object::at(outcome.ended_at, "end");
        object.number("frames", outcome.frames);
        object.number("events", outcome.events);
        object.text("executed", &outcome.executed.to_string());
        object.text("hash", &format!("{:016x}", outcome.hash));
        self.push(object);
        self.sink.finish()
    }
}

/// What an event says beside its socket.
fn details(object: &mut Object, event: &Event) {
    match event {
        Event::Opened { socket: _, transport, local, remote } => {
            object.text("transport", &format!("{transport:?}").to_lowercase());
            object.text("local", &local.to_string());
            object.text("remote", &remote.to_string());
        }
        Event::TcpState { socket: _, from, to } => {
            object.text("old", &format!("{from:?}"));
            object.text("new", &format!("{to:?}"));
        }
        Event::Congestion { socket: _, cwnd_bytes, ssthresh_bytes, flight_bytes, srtt } => {
            object.number("congestion_window", u64::from(*cwnd_bytes));
            object.number("ssthresh", u64::from(*ssthresh_bytes));
            object.number("bytes_in_flight", u64::from(*flight_bytes));
            object.number("smoothed_rtt_ns", srtt.as_nanos());
        }
        Event::Retransmit { socket: _, seq, len, cause } => {
            object.number("seq", u64::from(*seq));
            object.number("length", u64::from(*len));
            object.text("cause", &format!("{cause:?}").to_lowercase());
        }
        Event::Ended { socket: _, reason } => object.text("reason", &format!("{reason:?}")),
        Event::Address { interface, address, state } => {
            object.number("interface", u64::from(interface.0));
            object.text("address", &address.to_string());
            let state = state.map_or_else(|| "Gone".to_owned(), |state| format!("{state:?}"));
            object.text("state", &state);
        }
        Event::Resolver { interface, server, lifetime_s } => {
            object.number("interface", u64::from(interface.0));
            object.text("server", &server.to_string());
            object.number("lifetime_s", u64::from(*lifetime_s));
        }
        Event::Dropped { interface, reason } => {
            object.number("interface", u64::from(interface.0));
            object.text("reason", &format!("{reason:?}"));
        }
    }
}

/// The headers, with the numbers that are on the wire.
fn packet(object: &mut Object, frame: &[u8]) {
    let packet = match Packet::parse(frame) {
        Ok(packet) => packet,
        Err(error) => {
            object.text("malformed", &error.to_string());
            return;
        }
    };
    let (ip, transport) = match &packet.network {
        Network::Ip(ip, transport) => (ip, transport),
        Network::Arp(arp) => {
            object.text("protocol", "arp");
            object.number("operation", u64::from(arp.operation));
            object.text("sender", &arp.sender.to_string());
            object.text("target", &arp.target.to_string());
            return;
        }
        Network::Other(kind) => {
            object.number("ethertype", u64::from(*kind));
            return;
        }
    };
    let mut head = |protocol: &str| {
        object.text("protocol", protocol);
        object.text("source", &ip.source.to_string());
        object.text("destination", &ip.destination.to_string());
    };
    match transport {
        Transport::Tcp(tcp) => {
            head("tcp");
            object.number("source_port", u64::from(tcp.source_port));
            object.number("destination_port", u64::from(tcp.destination_port));
            object.text("flags", &flags(tcp.flags));
            object.number("seq", u64::from(tcp.seq));
            if tcp.flags.has(Flags::ACK) {
                object.number("ack", u64::from(tcp.ack));
            }
            object.number("window", u64::from(tcp.window));
        }
        Transport::Udp(udp) => {
            head(if udp.machnet.is_some() { "machnet" } else { "udp" });
            object.number("source_port", u64::from(udp.source_port));
            object.number("destination_port", u64::from(udp.destination_port));
            if let Some(machnet) = &udp.machnet {
                object.text("kind", &format!("{:?}", machnet.kind));
                object.number("seq", u64::from(machnet.seq));
                object.number("ack", u64::from(machnet.ack));
            }
        }
        Transport::Icmp(icmp) => {
            head(if icmp.v4 { "icmp" } else { "icmpv6" });
            object.number("type", u64::from(icmp.kind));
            object.number("code", u64::from(icmp.code));
        }
        Transport::LaterFragment => head("fragment"),
        Transport::Other => {
            head("ip");
            object.number("number", u64::from(ip.protocol));
        }
    }
    if let Some(fragment) = ip.fragment {
        object.number("identification", u64::from(ip.identification));
        object.number("fragment_offset", u64::from(fragment.offset));
    }
    object.number("payload_length", packet.payload().len() as u64);
}
