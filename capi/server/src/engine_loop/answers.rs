//! What the engine answers to an operator: pages, so that one answer is a bounded part of a step.

use std::borrow::Cow;
use std::collections::BTreeMap;

use causeway_core::machnet::{FlowState, Profile};
use causeway_core::nic::{IfIndex, Nic};
use causeway_core::port::Transport;
use causeway_core::stack::{SocketRole, Surveyed};
use causeway_core::tcp::State;

use super::EngineLoop;
use crate::introspect::{
    Answer, Ask, Kind, ListenerRow, Metric, Owner, Question, SocketRow, Viewer, stack_metrics,
};
use crate::links::clock;
use crate::port::{Peer, SeenChannel};

/// Most rows of one page.
pub const ROWS_MAX: usize = 64;
/// Most slots that are looked at for one page.
const SLOTS_MAX: u32 = 4_096;
/// What interface 0 is called.
const LOOPBACK: &str = "loopback";

impl EngineLoop {
    /// Answers one question.
    pub(super) fn answer(&mut self, ask: Ask) {
        let answer = match &ask.question {
            Question::Sockets { from } => self.sockets(*from, ask.viewer),
            Question::Metrics { from } => self.metrics(*from, ask.viewer),
            Question::Capture(_) | Question::Captured if ask.viewer != Viewer::Operator => {
                Answer::Refused(Cow::Borrowed("frames are for root and the user of the daemon"))
            }
            Question::Capture(start) => self.capture(ask.token, start),
            Question::Captured => self.captured(ask.token),
        };
        ask.answer(answer);
    }

    fn sockets(&mut self, from: u32, viewer: Viewer) -> Answer {
        let now = clock::now();
        let (stack, port) = self.engine.parts_mut();
        let end = stack.socket_slots();
        let until = end.min(from.saturating_add(SLOTS_MAX));
        let (mut rows, mut index) = (Vec::new(), from);
        while index < until && rows.len() < ROWS_MAX {
            let place = index;
            index += 1;
            let Some(channel) = stack.channel_at(place) else { continue };
            let peer = port.peer(channel);
            if !viewer.sees(peer.map(|peer| peer.uid)) {
                continue;
            }
            let Some(seen) = stack.survey(now, place, port) else { continue };
            rows.push((seen, peer));
        }
        let next = (index < end).then_some(index);
        let rows = rows.into_iter().map(|(seen, peer)| self.row(&seen, peer)).collect();
        Answer::Sockets { rows, next }
    }

    fn row(&self, seen: &Surveyed, peer: Option<Peer>) -> SocketRow {
        let (state, profile, listener) = words(seen);
        let owner = peer.filter(|_| !seen.orphan).map(|peer| self.owner(peer));
        SocketRow {
            id: seen.id.to_bits(),
            channel: seen.channel.index,
            owner,
            transport: Cow::Borrowed(transport(seen.transport)),
            state: Cow::Borrowed(state),
            profile: profile.map(Cow::Borrowed),
            local: seen.local.into(),
            remote: seen.remote.map(Into::into),
            interface: seen.interface.map(|interface| self.interface(interface).to_owned()),
            listener,
            figures: seen.info.as_deref().map(|info| info.to_words().to_vec()),
        }
    }

    fn owner(&self, peer: Peer) -> Owner {
        let tenant = self.tenants.name(peer.tenant).map(str::to_owned);
        Owner { pid: peer.pid, uid: peer.uid, tenant }
    }

    pub(super) fn interface(&self, index: IfIndex) -> &str {
        match index.index().checked_sub(1) {
            Some(place) => self.observer.names().get(place).map_or("", String::as_str),
            None => LOOPBACK,
        }
    }

    fn metrics(&mut self, from: u32, viewer: Viewer) -> Answer {
        let mut metrics = match from {
            0 => self.of_the_daemon(),
            _ => Vec::new(),
        };
        let port = self.engine.port();
        let (mut place, mut seen) = (from, 0);
        while place < port.places() && seen < ROWS_MAX {
            let channel = port.seen_at(place);
            place += 1;
            let Some(channel) = channel.filter(|c| viewer.sees(Some(c.peer.uid))) else { continue };
            seen += 1;
            metrics.extend(self.of_channel(&channel));
        }
        let next = (place < port.places()).then_some(place);
        Answer::Metrics { metrics, next }
    }

    fn of_the_daemon(&self) -> Vec<Metric> {
        let stack = self.engine.stack();
        let gauge = |name, help, value| Metric::new(name, Kind::Gauge, help, value);
        let uptime = clock::now().saturating_since(self.started).as_nanos() / 1_000_000_000;
        let mut metrics = stack_metrics(stack.stats());
        metrics.extend([
            gauge("causeway_uptime_seconds", "Since the engine was started.", uptime),
            gauge("causeway_sockets", "Sockets that exist.", stack.socket_count() as u64),
            gauge(
                "causeway_neighbors",
                "Neighbours that something is known of.",
                stack.neighbor_count() as u64,
            ),
            gauge(
                "causeway_path_mtus",
                "Destinations whose path MTU is known.",
                stack.path_mtu_count() as u64,
            ),
            gauge(
                "causeway_reassembly_bytes",
                "Charged for datagrams whose other fragments are missing.",
                stack.reassembly_bytes() as u64,
            ),
            gauge(
                "causeway_receive_memory_bytes",
                "Held by the receive buffers of connections.",
                stack.receive_memory().held(),
            ),
            gauge(
                "causeway_channels",
                "Channels whose memory is still there.",
                self.engine.port().channels() as u64,
            ),
        ]);
        metrics.extend(self.of_interfaces());
        metrics.extend(self.of_each_tenant());
        metrics
    }

    fn of_interfaces(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        let indexes = (0..)
            .map(IfIndex)
            .map_while(|index| self.engine.traffic(index).map(|traffic| (index, traffic)));
        for (index, traffic) in indexes {
            let name = self.interface(index);
            let counter = |metric, help, value| {
                Metric::new(metric, Kind::Counter, help, value).with("interface", name)
            };
            let [frames, bytes] =
                ["Frames received by the interface.", "Bytes received by the interface."];
            metrics.push(counter("causeway_interface_rx_frames_total", frames, traffic.rx_frames));
            metrics.push(counter("causeway_interface_rx_bytes_total", bytes, traffic.rx_bytes));
            let [frames, bytes] = ["Frames sent by the interface.", "Bytes sent by the interface."];
            metrics.push(counter("causeway_interface_tx_frames_total", frames, traffic.tx_frames));
            metrics.push(counter("causeway_interface_tx_bytes_total", bytes, traffic.tx_bytes));
            let Some(nic) = self.engine.nic(index) else { continue };
            let losses = nic.losses();
            let help = "Frames that came and that the device or its backend lost.";
            metrics.push(counter("causeway_interface_rx_lost_frames_total", help, losses.rx));
            let help = "Frames that were accepted and did not leave.";
            metrics.push(counter("causeway_interface_tx_lost_frames_total", help, losses.tx));
            let (up, help) = (u64::from(nic.link_up()), "1 while the link has carrier.");
            let up = Metric::new("causeway_interface_up", Kind::Gauge, help, up);
            metrics.push(up.with("interface", name));
        }
        metrics
    }

    /// What each has. The places are counted once: there are a few thousand at most.
    fn of_each_tenant(&self) -> Vec<Metric> {
        let port = self.engine.port();
        let mut counts: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        for seen in (0..port.places()).filter_map(|place| port.seen_at(place)) {
            let (channels, sockets) = counts.entry(seen.peer.tenant.0).or_default();
            *channels += 1;
            *sockets += u64::from(self.engine.stack().sockets_of(seen.id));
        }
        let mut metrics = Vec::new();
        for (tenant, name, most) in self.tenants.iter() {
            let gauge = |metric, help, value| {
                Metric::new(metric, Kind::Gauge, help, value).with("tenant", name)
            };
            let (channels, sockets) = counts.get(&tenant.0).copied().unwrap_or_default();
            let help = "Channels that the tenant has.";
            metrics.push(gauge("causeway_tenant_channels", help, channels));
            let help = "Channels that the tenant may have.";
            metrics.push(gauge("causeway_tenant_channels_max", help, most.into()));
            let help = "Sockets of all channels of the tenant.";
            metrics.push(gauge("causeway_tenant_sockets", help, sockets));
        }
        metrics
    }

    fn of_channel(&self, seen: &SeenChannel) -> [Metric; 3] {
        let sockets = self.engine.stack().sockets_of(seen.id);
        let owner = self.owner(seen.peer);
        let gauge = |name, help, value: u32| {
            let metric = Metric::new(name, Kind::Gauge, help, value.into());
            let metric = metric.with("channel", seen.id.index).with("pid", owner.pid);
            let metric = metric.with("uid", owner.uid);
            match &owner.tenant {
                Some(tenant) => metric.with("tenant", tenant),
                None => metric,
            }
        };
        let held = seen.held;
        [
            gauge("causeway_channel_sockets", "Sockets of the channel.", sockets),
            gauge("causeway_channel_streams", "Streams of the channel in use.", held.streams),
            gauge(
                "causeway_channel_rx_chunks_promised",
                "Receive chunks of the channel that are promised to its streams.",
                held.rx_promised,
            ),
        ]
    }
}

const fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Machnet => "machnet",
        Transport::Udp => "udp",
    }
}

/// State, profile, queues.
fn words(seen: &Surveyed) -> (&'static str, Option<&'static str>, Option<ListenerRow>) {
    match seen.role {
        SocketRole::Listener { half_open, waiting, backlog } => {
            ("LISTEN", None, Some(ListenerRow { half_open, waiting, backlog }))
        }
        SocketRole::Connection(state) => (tcp_state(state), None, None),
        SocketRole::Datagrams if seen.remote.is_some() => ("ESTAB", None, None),
        SocketRole::Datagrams => ("UNCONN", None, None),
        SocketRole::Flow(state, profile) => {
            let profile = match profile {
                Profile::Upstream => "upstream",
                Profile::Extended => "extended",
            };
            (flow_state(state), Some(profile), None)
        }
    }
}

const fn tcp_state(state: State) -> &'static str {
    match state {
        State::Closed => "CLOSED",
        State::SynSent => "SYN-SENT",
        State::SynReceived => "SYN-RECV",
        State::Established => "ESTAB",
        State::FinWait1 => "FIN-WAIT-1",
        State::FinWait2 => "FIN-WAIT-2",
        State::CloseWait => "CLOSE-WAIT",
        State::Closing => "CLOSING",
        State::LastAck => "LAST-ACK",
        State::TimeWait => "TIME-WAIT",
    }
}

const fn flow_state(state: FlowState) -> &'static str {
    match state {
        FlowState::SynSent => "SYN-SENT",
        FlowState::SynReceived => "SYN-RECV",
        FlowState::Established => "ESTAB",
        FlowState::Closing => "CLOSING",
        FlowState::Closed => "CLOSED",
    }
}
