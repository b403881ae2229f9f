//! Packets of a script: those that go to the stack, and those that must come from it.

use std::net::{IpAddr, SocketAddr};

use causeway_core::time::{Duration, Instant};

use super::arguments::Refused;
use super::compare::{differences, shown_packet, shown_spec};
use super::connection::{Connection, Phase, patterned};
use super::interpreter::{Mismatch, Player, Slot};
use super::wire::{self, Body, IpFields, Packet, Tcp};
use crate::host::{Datagram, START};
use crate::script::{
    Direction, Echoed, EcnCheck, Flags, IcmpSpec, PacketSpec, TcpOption, TcpSpec, TransportSpec,
};

/// Hops of what a script sends.
const TTL: u8 = 255;
/// How long after its time a packet is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a packet is waited for that may come at any time.
const PATIENCE_ANY: Duration = Duration::from_secs(7_300);

impl Player<'_> {
    /// Where a packet of the script belongs: a listener's new connection, a connection that is being opened, or the one
    /// under test.
    fn connection_for(&mut self, spec: &PacketSpec) -> Result<usize, Refused> {
        let tcp = match &spec.transport {
            TransportSpec::Tcp(tcp) => Some(tcp),
            TransportSpec::Udp(_) | TransportSpec::Icmp(_) => None,
        };
        if let (Some(tcp), Some(ports)) = (tcp, spec.ports) {
            return Ok(self.connection_by_port(spec.direction, tcp, ports));
        }
        let phase = self.under_test.map(|index| self.connections[index].phase);
        if let Some(tcp) = tcp
            && spec.direction == Direction::Inbound
            && matches!(phase, None | Some(Phase::Listening))
        {
            self.next_port += 1;
            self.new_peer(self.next_port, tcp.seq);
        }
        let Some(index) = self.under_test else {
            return Err("no socket for this packet".to_owned());
        };
        if let Some(tcp) = tcp
            && spec.direction == Direction::Outbound
            && tcp.flags.has(Flags::SYN)
            && !tcp.flags.has(Flags::ACK)
            && phase == Some(Phase::Connecting)
        {
            self.connections[index].phase = Phase::SynSent;
            self.connections[index].script_isn = tcp.seq;
        }
        Ok(index)
    }

    /// A packet that names its ports belongs to the newest connection with that port of the peer. One that comes from
    /// another port makes a new connection, and so does a SYN after the old one's descriptor is closed.
    fn connection_by_port(
        &mut self,
        direction: Direction,
        tcp: &TcpSpec,
        (src, dst): (u16, u16),
    ) -> usize {
        let inbound = direction == Direction::Inbound;
        let port = if inbound { src } else { dst };
        let opens = inbound && tcp.flags.has(Flags::SYN) && !tcp.flags.has(Flags::ACK);
        let of_port = |c: &Connection| c.remote.port() == port && c.phase != Phase::Listening;
        let over = |c: &Connection| c.phase == Phase::Closed && opens;
        let found = self.connections.iter().rposition(|c| of_port(c) && !over(c));
        found.unwrap_or_else(|| self.new_peer(port, tcp.seq))
    }

    fn new_peer(&mut self, port: u16, remote_isn: u32) -> usize {
        let remote = SocketAddr::new(self.connect_address().ip(), port);
        let mut new = Connection::new(Phase::PacketReceived, false, self.bind_address(), remote);
        new.remote_isn = remote_isn;
        self.connections.push(new);
        let index = self.connections.len() - 1;
        self.under_test = Some(index);
        index
    }

    /// Sends a packet of the script to the stack.
    pub(super) fn inject(&mut self, spec: &PacketSpec) -> Result<(), Refused> {
        let index = self.connection_for(spec)?;
        let scaled = self.options.ts_ecr_scaled;
        let connection = &mut self.connections[index];
        let (src_port, dst_port) =
            spec.ports.unwrap_or((connection.remote.port(), connection.local.port()));
        let ip = IpFields {
            src: connection.remote.ip(),
            dst: connection.local.ip(),
            tos: match spec.ip.ecn {
                EcnCheck::Ecn(bits) => bits,
                EcnCheck::Tos(tos) => tos,
                EcnCheck::Nothing | EcnCheck::Ect01 => 0,
            },
            ttl: spec.ip.ttl.unwrap_or(TTL),
            flow_label: spec.ip.flow_label.unwrap_or(0),
        };
        let v6 = ip.src.is_ipv6();
        let (protocol, body) = match &spec.transport {
            TransportSpec::Tcp(tcp) => {
                let mut tcp = inbound_tcp(connection, tcp, scaled)?;
                (tcp.src_port, tcp.dst_port) = (src_port, dst_port);
                (libc::IPPROTO_TCP, wire::tcp_bytes(&tcp))
            }
            TransportSpec::Udp(udp) => {
                let len = udp.len.saturating_add(8);
                let mut body = [src_port, dst_port, len, 0].map(u16::to_be_bytes).concat();
                body.extend(patterned(0, usize::from(udp.len)));
                (libc::IPPROTO_UDP, body)
            }
            TransportSpec::Icmp(icmp) => {
                let protocol = if v6 { libc::IPPROTO_ICMPV6 } else { libc::IPPROTO_ICMP };
                (protocol, icmp_bytes(connection, icmp, v6))
            }
        };
        let bytes = wire::datagram(&ip, protocol as u8, body);
        self.host.inject(&bytes);
        Ok(())
    }

    /// Waits for the packet that `spec` describes and compares it. The text is what came.
    pub(super) fn expect(&mut self, spec: &PacketSpec, slot: &Slot) -> Result<String, Mismatch> {
        let index = self.connection_for(spec).map_err(|refused| Mismatch::new("", refused))?;
        let wanted = match &spec.transport {
            TransportSpec::Tcp(tcp) => usize::from(tcp.len),
            TransportSpec::Udp(_) | TransportSpec::Icmp(_) => 0,
        };
        let Some((at, mut live)) = self.next_packet(spec, index, slot)? else {
            let rest = self.unread_text();
            let what = if rest.is_empty() { "(no packet)".to_owned() } else { rest };
            return Err(Mismatch::new(what, "the stack did not send this packet"));
        };
        self.learn(spec, &live, index);
        self.translate(&mut live, spec, index);
        while payload_len(&live) < wanted && payload_len(&live) > 0 && !self.options.strict_segments
        {
            let Some((then, mut more)) = self.next_packet(spec, index, slot)? else { break };
            self.translate(&mut more, spec, index);
            if !join(&mut live, more) {
                break;
            }
            // One segment, cut in pieces, leaves at the time that the line says, if it says one.
            self.check_time(slot, then, "the rest of the packet")
                .map_err(|refused| Mismatch::new(shown_packet(&live, Some(spec)), refused))?;
        }
        let actual = shown_packet(&live, Some(spec));
        let mut wrong =
            differences(spec, &live, self.options.ts_tick_us, self.options.tolerance_us);
        wrong.extend(self.flow_label_difference(spec, &live, index));
        wrong.extend(self.payload_difference(&live, index));
        if !wrong.is_empty() {
            let what = format!("the packet differs: {}", wrong.join(", "));
            return Err(Mismatch::new(actual, what));
        }
        self.check_time(slot, at, "the packet")
            .map_err(|refused| Mismatch::new(&actual, refused))?;
        Ok(actual)
    }

    /// The next packet of the stack that belongs to the connection.
    fn next_packet(
        &mut self,
        spec: &PacketSpec,
        index: usize,
        slot: &Slot,
    ) -> Result<Option<(Instant, Packet)>, Mismatch> {
        let limit = match slot.latest {
            Some(latest) => START + Duration::from_micros(latest.unsigned_abs()) + PATIENCE,
            None => self.host.now() + PATIENCE_ANY,
        };
        let limit = limit.max(self.host.now() + PATIENCE);
        loop {
            let Some(Datagram { at, bytes }) = self.host.poll_sent() else {
                if self.host.now() >= limit {
                    return Ok(None);
                }
                self.host.advance(limit, true);
                self.finish_call().map_err(|(line, refused)| Mismatch {
                    of_call: Some(line),
                    ..Mismatch::new("", refused)
                })?;
                continue;
            };
            let packet = wire::parse(&bytes)
                .map_err(|wrong| Mismatch::new(format!("{bytes:02x?}"), wrong))?;
            if self.belongs(&packet, spec, index) {
                return Ok(Some((at, packet)));
            }
            self.aside(at, &packet);
        }
    }

    fn belongs(&self, packet: &Packet, spec: &PacketSpec, index: usize) -> bool {
        let connection = &self.connections[index];
        let icmp = matches!(spec.transport, TransportSpec::Icmp(_));
        let (local, remote) = (connection.local, connection.remote);
        let ips = packet.src == local.ip() && packet.dst == remote.ip();
        match &packet.body {
            Body::Tcp(tcp)
                if connection.phase == Phase::SynSent
                    && tcp.flags.0 & !Flags::ECN == Flags::SYN =>
            {
                packet.dst == remote.ip() && tcp.dst_port == remote.port()
            }
            Body::Tcp(tcp) => {
                let (src, dst) = spec.ports.unwrap_or((local.port(), remote.port()));
                ips && (tcp.src_port, tcp.dst_port) == (src, dst)
            }
            Body::Udp { dst_port, .. } => packet.dst == remote.ip() && *dst_port == remote.port(),
            Body::Icmp { .. } => icmp && packet.dst == remote.ip(),
            Body::Other(_) => ips,
        }
    }

    /// What the first packets of a connection say about it.
    fn learn(&mut self, spec: &PacketSpec, live: &Packet, index: usize) {
        let connection = &mut self.connections[index];
        match (&spec.transport, &live.body) {
            (TransportSpec::Tcp(expected), Body::Tcp(tcp)) => {
                let both = Flags::SYN | Flags::ACK;
                if connection.phase == Phase::PacketReceived && expected.flags.has(both) {
                    connection.phase = Phase::SynAckSent;
                    (connection.script_isn, connection.live_isn) = (expected.seq, tcp.seq);
                }
                if connection.phase == Phase::SynSent && tcp.flags.has(Flags::SYN) {
                    connection.local = SocketAddr::new(live.src, tcp.src_port);
                    connection.live_isn = tcp.seq;
                }
            }
            (_, Body::Udp { src_port, .. }) => {
                connection.local = SocketAddr::new(live.src, *src_port)
            }
            _ => {}
        }
    }

    /// Turns the numbers of a packet into the script's.
    fn translate(&mut self, live: &mut Packet, spec: &PacketSpec, index: usize) {
        let Body::Tcp(tcp) = &mut live.body else { return };
        let connection = &mut self.connections[index];
        let syn = tcp.flags.has(Flags::SYN);
        tcp.seq = tcp.seq.wrapping_sub(connection.local_offset(syn));
        let ack_offset = connection.remote_offset(syn);
        if tcp.flags.has(Flags::ACK) {
            tcp.ack = tcp.ack.wrapping_sub(ack_offset);
        }
        let expected = match &spec.transport {
            TransportSpec::Tcp(tcp) => tcp.options.iter().flatten().find_map(|o| match o {
                TcpOption::Timestamps(value, _) => Some(*value),
                _ => None,
            }),
            TransportSpec::Udp(_) | TransportSpec::Icmp(_) => None,
        };
        for option in &mut tcp.options {
            match option {
                TcpOption::Sack(blocks) => shift(blocks, ack_offset.wrapping_neg()),
                TcpOption::Timestamps(value, _) => {
                    if let Some(script) = expected {
                        *value = connection.learn_timestamp(script, *value);
                    }
                }
                _ => {}
            }
        }
    }

    /// A flow label of the script stands for one of the wire; another one must be another.
    fn flow_label_difference(
        &mut self,
        spec: &PacketSpec,
        live: &Packet,
        index: usize,
    ) -> Option<String> {
        let script = spec.ip.flow_label.filter(|label| *label != 0)?;
        let connection = &mut self.connections[index];
        let known = connection.flow_label.replace((script, live.flow_label));
        let wrong = match known {
            _ if live.flow_label == 0 => true,
            None => false,
            Some((before, label)) => (before == script) != (label == live.flow_label),
        };
        wrong.then(|| "flow label".to_owned())
    }

    /// Every byte that is sent is the one that was written at that place of the stream.
    fn payload_difference(&self, packet: &Packet, index: usize) -> Option<String> {
        let connection = &self.connections[index];
        let (from, payload) = match &packet.body {
            Body::Tcp(tcp) => {
                let syn = tcp.flags.has(Flags::SYN);
                let first = if syn { 0 } else { tcp.seq.wrapping_sub(1) };
                (u64::from(first), &tcp.payload)
            }
            Body::Udp { payload, .. } => (0, payload),
            Body::Icmp { .. } | Body::Other(_) => return None,
        };
        // A keepalive probe may carry any byte that was acknowledged already.
        let probe = from == u64::from(u32::MAX);
        let wrong = !connection.free_form && !probe && *payload != patterned(from, payload.len());
        wrong.then(|| "payload bytes".to_owned())
    }

    /// What the stack sent and nobody compared, as one line.
    fn unread_text(&self) -> String {
        let parse = |d: &Datagram| wire::parse(&d.bytes).map(|p| shown_packet(&p, None)).ok();
        self.host.sent().filter_map(parse).collect::<Vec<_>>().join("; ")
    }

    /// The text of what a script says of a packet.
    pub(super) fn packet_text(&self, spec: &PacketSpec) -> String {
        let sign = if spec.direction == Direction::Inbound { '<' } else { '>' };
        format!("{sign} {}", shown_spec(spec, self.bind_address().is_ipv6()))
    }

    /// What was sent and not compared, in the numbers of the connection under test.
    pub(super) fn unread(&mut self) -> Vec<(i64, String)> {
        let datagrams: Vec<Datagram> = self.host.sent().cloned().collect();
        let mut out = Vec::new();
        for Datagram { at, bytes } in datagrams {
            let Ok(mut packet) = wire::parse(&bytes) else { continue };
            if let (Some(index), Body::Tcp(tcp)) = (self.under_test, &mut packet.body) {
                let connection = &self.connections[index];
                let syn = tcp.flags.has(Flags::SYN);
                tcp.seq = tcp.seq.wrapping_sub(connection.local_offset(syn));
                tcp.ack = tcp.ack.wrapping_sub(connection.remote_offset(syn));
            }
            out.push((
                super::interpreter::micros(at),
                format!("> {}", shown_packet(&packet, None)),
            ));
        }
        out
    }
}

fn payload_len(packet: &Packet) -> usize {
    match &packet.body {
        Body::Tcp(tcp) => tcp.payload.len(),
        Body::Udp { .. } | Body::Icmp { .. } | Body::Other(_) => 0,
    }
}

/// Joins `more` to `live`, which it follows directly: as a device would have cut one long segment, with the same headers. As
/// packetdrill does it, CWR is the first one's, each other flag the last one's.
fn join(live: &mut Packet, more: Packet) -> bool {
    if (live.tos, live.ttl, live.flow_label) != (more.tos, more.ttl, more.flow_label) {
        return false;
    }
    let (Body::Tcp(first), Body::Tcp(next)) = (&mut live.body, more.body) else { return false };
    let follows = first.seq.wrapping_add(first.payload.len() as u32) == next.seq;
    if !follows || (first.ack, first.window) != (next.ack, next.window) {
        return false;
    }
    first.flags = Flags((first.flags.0 & Flags::CWR) | (next.flags.0 & !Flags::CWR));
    first.payload.extend(next.payload);
    true
}

fn shift(blocks: &mut [(u32, u32)], by: u32) {
    for (left, right) in blocks {
        *left = left.wrapping_add(by);
        *right = right.wrapping_add(by);
    }
}

/// An inbound segment in the numbers of the wire.
fn inbound_tcp(connection: &mut Connection, spec: &TcpSpec, scaled: bool) -> Result<Tcp, Refused> {
    let (syn, acks) = (spec.flags.has(Flags::SYN), spec.flags.has(Flags::ACK));
    match connection.phase {
        // The listener is back where it was: another SYN begins another connection, with numbers of its own.
        Phase::SynAckSent if spec.flags.has(Flags::RST) => {
            connection.phase = Phase::PacketReceived;
        }
        Phase::PacketReceived if syn && !acks => connection.remote_isn = spec.seq,
        Phase::SynAckSent if acks => connection.phase = Phase::SynAckAcked,
        Phase::SynSent if syn && acks => {
            connection.phase = Phase::SynAcked;
            connection.remote_isn = spec.seq;
        }
        _ => {}
    }
    if syn && !acks && connection.phase == Phase::SynSent {
        // Simultaneous open: the peer's numbers begin here.
        connection.remote_isn = spec.seq;
    }
    let ack_offset = connection.local_offset(syn);
    let mut options = spec.options.clone().unwrap_or_default();
    for option in &mut options {
        match option {
            TcpOption::Sack(blocks) => shift(blocks, ack_offset),
            TcpOption::Timestamps(_, echo) if acks => {
                let live = connection.live_echo(*echo, scaled);
                *echo = live.ok_or_else(|| {
                    format!("no outbound segment of the script had the timestamp {echo}")
                })?;
            }
            _ => {}
        }
    }
    if spec.urgent > 0 {
        connection.free_form = true;
    }
    let seq = spec.seq.wrapping_add(connection.remote_offset(syn));
    let first =
        seq.wrapping_sub(connection.remote_isn).wrapping_add(u32::from(syn)).wrapping_sub(1);
    Ok(Tcp {
        seq,
        ack: if acks { spec.ack.wrapping_add(ack_offset) } else { spec.ack },
        flags: spec.flags,
        window: spec.window.unwrap_or(0),
        urgent: spec.urgent,
        options,
        payload: patterned(u64::from(first), usize::from(spec.len)),
        ..Tcp::default()
    })
}

/// An ICMP message about a packet of the connection.
fn icmp_bytes(connection: &Connection, spec: &IcmpSpec, v6: bool) -> Vec<u8> {
    let mut rest = [0; 4];
    if let Some(mtu) = spec.mtu {
        rest = mtu.to_be_bytes();
    }
    if let Some(id) = spec.echo_id {
        rest[..2].copy_from_slice(&id.to_be_bytes());
    }
    let mut out = vec![spec.kind, spec.code, 0, 0];
    out.extend(rest);
    let (protocol, first, len, header_len) = match spec.echoed {
        Echoed::Tcp(seq, len) => {
            let live = seq.wrapping_add(connection.local_offset(false));
            (libc::IPPROTO_TCP, live.to_be_bytes(), len, 20)
        }
        Echoed::Udp(len) => {
            let length = len.saturating_add(8).to_be_bytes();
            (libc::IPPROTO_UDP, [length[0], length[1], 0, 0], len, 8)
        }
        Echoed::Raw(len) => {
            out.resize(usize::from(len).max(8), 0);
            return out;
        }
    };
    let ip = IpFields {
        src: connection.local.ip(),
        dst: connection.remote.ip(),
        tos: 0,
        ttl: TTL,
        flow_label: 0,
    };
    debug_assert_eq!(v6, matches!(ip.src, IpAddr::V6(_)));
    out.extend(wire::header(&ip, protocol as u8, usize::from(len) + header_len));
    out.extend(connection.local.port().to_be_bytes());
    out.extend(connection.remote.port().to_be_bytes());
    out.extend(first);
    out.resize(out.len() + usize::from(len), 0);
    out
}
