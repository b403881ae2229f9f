//! Flows of datagrams and messages, from the conversations of a capture.

use std::net::IpAddr;

use super::super::Role;
use super::super::exchange::{Exchange, Voice};
use super::names::Side;
use super::scenario::{Flow, HOSTS, starts_at};

/// The longest datagram or message of a flow.
const PARCEL_BYTES_MAX: u64 = 16 << 10;

/// The flows of a conversation: of Machnet one, with the messages of both; of anything else one for each end that sends, which hears nothing.
pub(super) struct Parcels {
    pub(super) flows: Vec<Flow>,
    /// Bytes of all of them.
    pub(super) bytes: u64,
    /// By role in the capture: which flow what it sent belongs to, and as whose.
    sides: [Option<Side>; 2],
}

impl Parcels {
    /// Of `exchange`, which began at `begins_at`; its flows are numbered from `first` on. `None` where there is nothing to be sent, or
    /// an end is at neither host. `hosts`: their addresses.
    pub(super) fn of(
        exchange: &Exchange,
        (begins_at, start_ms): (i64, u64),
        hosts: &[Vec<IpAddr>; 2],
        first: usize,
    ) -> Option<Self> {
        let host = |ip: IpAddr| hosts.iter().position(|own| own.contains(&ip));
        let (client, server) = (host(exchange.client.ip())?, host(exchange.server.ip())?);
        let [asked, told] = &exchange.voices;
        let start = starts_at(begins_at, start_ms);
        let ipv6 = if exchange.client.is_ipv6() { ", ipv6 = true" } else { "" };
        let write = |from: usize, what: String, words: String| {
            let (a, b) = (HOSTS[from], HOSTS[1 - from]);
            let toml =
                format!("{{ from = \"{a}\", to = \"{b}\", {what}, start_ms = {start}{ipv6} }}");
            Flow { toml, words }
        };
        let mut parcels =
            Self { flows: Vec::new(), bytes: asked.bytes + told.bytes, sides: [None; 2] };
        let Exchange { client: caller, server: called, .. } = exchange;
        if exchange.is_machnet {
            // Who calls asks; messages that only the other one sends are answered to nobody.
            let count = Some(asked.messages).filter(|count| *count > 0)?;
            let mean = |voice: &Voice| voice.bytes.div_ceil(count).min(PARCEL_BYTES_MAX);
            let (bytes, reply) = (mean(asked).max(1), mean(told));
            let what = format!(
                "kind = \"message\", bytes = {bytes}, reply_bytes = {reply}, count = {count}"
            );
            let words = format!(
                "{caller} to {called}: {count} messages there and {} back over Machnet, these are the means",
                told.messages
            );
            parcels.flows.push(write(client, what, words));
            parcels.sides = [Some((first, Role::Client)), Some((first, Role::Server))];
            return Some(parcels);
        }
        for (role, from, (a, b)) in
            [(Role::Client, client, (caller, called)), (Role::Server, server, (called, caller))]
        {
            let voice = exchange.voice(role);
            if voice.count == 0 {
                continue;
            }
            let bytes = voice.bytes.div_ceil(voice.count).clamp(1, PARCEL_BYTES_MAX);
            let count = voice.count;
            let what = format!("kind = \"datagram\", bytes = {bytes}, count = {count}");
            parcels.sides[role as usize] = Some((first + parcels.flows.len(), Role::Client));
            let words = format!("{a} to {b}: {count} datagrams of {bytes} bytes on average");
            parcels.flows.push(write(from, what, words));
        }
        Some(parcels).filter(|parcels| !parcels.flows.is_empty())
    }

    /// Getter: by role in the capture, which flow what it sent belongs to, and as whose.
    pub(super) const fn sides(&self) -> [Option<Side>; 2] {
        self.sides
    }
}
