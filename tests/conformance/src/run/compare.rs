//! Packets as a script writes them, and where two of them differ.

use super::wire::{Body, Packet, Tcp};
use crate::script::{
    Echoed, EcnCheck, IpSpec, PacketSpec, TcpOption, TcpSpec, TransportSpec, symbols,
};

/// What a script says of a packet, as it may be written.
pub(super) fn shown_spec(spec: &PacketSpec, v6: bool) -> String {
    let ip = shown_ip(&spec.ip);
    match &spec.transport {
        TransportSpec::Tcp(tcp) => {
            let options = match &tcp.options {
                None => " <...>".to_owned(),
                Some(options) => shown_options(options),
            };
            let window = tcp.window.map_or(String::new(), |window| format!(" win {window}"));
            format!("{ip}{}{window}{}{options}", shown_head(tcp), shown_urgent(tcp.urgent))
        }
        TransportSpec::Udp(udp) => format!("{ip}udp ({})", udp.len),
        TransportSpec::Icmp(icmp) => {
            let mtu = icmp.mtu.map_or(String::new(), |mtu| format!(" mtu {mtu}"));
            let echoed = match icmp.echoed {
                Echoed::Tcp(seq, len) => {
                    format!(" [{seq}:{}({len})]", seq.wrapping_add(len.into()))
                }
                Echoed::Udp(len) => format!(" [udp ({len})]"),
                Echoed::Raw(len) => format!(" [raw ({len})]"),
            };
            format!("{ip}icmp {}{mtu}{echoed}", symbols::icmp_name(v6, icmp.kind, icmp.code))
        }
    }
}

fn shown_head(tcp: &TcpSpec) -> String {
    let end = tcp.seq.wrapping_add(tcp.len.into());
    let ack = if tcp.flags.has(0x10) { format!(" ack {}", tcp.ack) } else { String::new() };
    format!("{} {}:{end}({}){ack}", tcp.flags, tcp.seq, tcp.len)
}

fn shown_urgent(urgent: u16) -> String {
    if urgent == 0 { String::new() } else { format!(" urg {urgent}") }
}

fn shown_ip(ip: &IpSpec) -> String {
    let mut parts = Vec::new();
    match ip.ecn {
        EcnCheck::Nothing => {}
        EcnCheck::Ect01 => parts.push("ect01".to_owned()),
        EcnCheck::Ecn(bits) => parts.push(ecn_name(bits).to_owned()),
        EcnCheck::Tos(tos) => parts.push(format!("tos {tos:#x}")),
    }
    parts.extend(ip.ttl.map(|ttl| format!("ttl {ttl}")));
    parts.extend(ip.flow_label.map(|label| format!("flowlabel {label:#x}")));
    if parts.is_empty() { String::new() } else { format!("[{}] ", parts.join(", ")) }
}

const fn ecn_name(bits: u8) -> &'static str {
    match bits & 3 {
        0 => "noecn",
        1 => "ect1",
        2 => "ect0",
        _ => "ce",
    }
}

/// A packet of the stack in the script's numbers, with what `spec` speaks of.
pub(super) fn shown_packet(packet: &Packet, spec: Option<&PacketSpec>) -> String {
    let ip = spec.map_or_else(IpSpec::default, |spec| spec.ip);
    let actual = IpSpec {
        ecn: match ip.ecn {
            EcnCheck::Nothing => EcnCheck::Nothing,
            EcnCheck::Ect01 | EcnCheck::Ecn(_) => EcnCheck::Ecn(packet.tos & 3),
            EcnCheck::Tos(_) => EcnCheck::Tos(packet.tos),
        },
        ttl: ip.ttl.map(|_| packet.ttl),
        flow_label: ip.flow_label.map(|_| packet.flow_label),
    };
    let ip = shown_ip(&actual);
    match &packet.body {
        Body::Tcp(tcp) => format!(
            "{ip}{} win {}{}{}",
            shown_head(&spec_of(tcp)),
            tcp.window,
            shown_urgent(tcp.urgent),
            shown_options(&tcp.options)
        ),
        Body::Udp { payload, .. } => format!("{ip}udp ({})", payload.len()),
        Body::Icmp { kind, code, .. } => {
            format!("{ip}icmp {}", symbols::icmp_name(packet.src.is_ipv6(), *kind, *code))
        }
        Body::Other(protocol) => format!("{ip}protocol {protocol}"),
    }
}

fn spec_of(tcp: &Tcp) -> TcpSpec {
    TcpSpec {
        flags: tcp.flags,
        seq: tcp.seq,
        len: u16::try_from(tcp.payload.len()).unwrap_or(u16::MAX),
        ack: tcp.ack,
        window: Some(tcp.window),
        urgent: tcp.urgent,
        options: Some(tcp.options.clone()),
    }
}

fn shown_options(options: &[TcpOption]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let shown = |option: &TcpOption| match option {
        TcpOption::Nop => "nop".to_owned(),
        TcpOption::Eol => "eol".to_owned(),
        TcpOption::Mss(mss) => format!("mss {mss}"),
        TcpOption::WindowScale(shift) => format!("wscale {shift}"),
        TcpOption::SackOk => "sackOK".to_owned(),
        TcpOption::Sack(blocks) => {
            let blocks: Vec<String> = blocks.iter().map(|(l, r)| format!("{l}:{r}")).collect();
            format!("sack {}", blocks.join(" "))
        }
        TcpOption::Timestamps(value, echo) => format!("TS val {value} ecr {echo}"),
        TcpOption::FastOpen(cookie) => format!("FO {}", hex(cookie)).trim_end().to_owned(),
        TcpOption::FastOpenExperimental(cookie) => {
            format!("FOEXP {}", hex(cookie)).trim_end().to_owned()
        }
        TcpOption::Other(kind, body) => format!("option {kind} {}", hex(body)),
    };
    let options: Vec<String> = options.iter().map(shown).collect();
    format!(" <{}>", options.join(","))
}

/// What is different, by name; empty when nothing is. `packet` is in the script's numbers.
pub(super) fn differences(
    spec: &PacketSpec,
    packet: &Packet,
    ts_tick_us: i64,
    tolerance_us: i64,
) -> Vec<String> {
    let mut out = Vec::new();
    match spec.ip.ecn {
        EcnCheck::Ecn(bits) if packet.tos & 3 != bits => out.push("ECN bits".to_owned()),
        EcnCheck::Ect01 if !matches!(packet.tos & 3, 1 | 2) => out.push("ECN bits".to_owned()),
        EcnCheck::Tos(tos) if packet.tos != tos => out.push("type of service".to_owned()),
        EcnCheck::Nothing | EcnCheck::Ecn(_) | EcnCheck::Ect01 | EcnCheck::Tos(_) => {}
    }
    if spec.ip.ttl.is_some_and(|ttl| ttl != packet.ttl) {
        out.push("time to live".to_owned());
    }
    match (&spec.transport, &packet.body) {
        (TransportSpec::Tcp(expected), Body::Tcp(actual)) => {
            tcp_differences(expected, actual, ts_tick_us, tolerance_us, &mut out);
        }
        (TransportSpec::Udp(expected), Body::Udp { payload, .. }) => {
            if usize::from(expected.len) != payload.len() {
                out.push("payload length".to_owned());
            }
        }
        (TransportSpec::Icmp(expected), Body::Icmp { kind, code, rest }) => {
            if (expected.kind, expected.code) != (*kind, *code) {
                out.push("ICMP type or code".to_owned());
            }
            let id = rest.first_chunk::<2>().map(|b| u16::from_be_bytes(*b));
            if expected.echo_id.is_some() && expected.echo_id != id {
                out.push("echo id".to_owned());
            }
        }
        _ => out.push("protocol".to_owned()),
    }
    out
}

fn tcp_differences(
    expected: &TcpSpec,
    actual: &Tcp,
    ts_tick_us: i64,
    tolerance_us: i64,
    out: &mut Vec<String>,
) {
    let mut check = |name: &str, same: bool| {
        if !same {
            out.push(name.to_owned());
        }
    };
    check("flags", expected.flags == actual.flags);
    check("reserved bits", actual.reserved == 0);
    check("sequence number", expected.seq == actual.seq);
    check("payload length", usize::from(expected.len) == actual.payload.len());
    check("acknowledgement number", expected.ack == actual.ack);
    check("window", expected.window.is_none_or(|window| window == actual.window));
    check("urgent pointer", expected.urgent == actual.urgent);
    let Some(options) = &expected.options else { return };
    let same = options.len() == actual.options.len()
        && options.iter().zip(&actual.options).all(|pair| match pair {
            (TcpOption::Timestamps(value, echo), TcpOption::Timestamps(other, other_echo)) => {
                let off = i64::from(value.wrapping_sub(*other).cast_signed()).abs() * ts_tick_us;
                off <= tolerance_us.max(0) && echo == other_echo
            }
            (a, b) => a == b,
        });
    check("TCP options", same);
}
