//! A tap that keeps what the page draws.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use causeway_core::error::EndReason;
use causeway_core::event::{Event, Stamped};
use causeway_core::port::{SocketId, Transport};
use causeway_core::time::Instant;

use super::flow::{Flow, WindowSample};
use super::segment::{Segment, parse};
use crate::fault::Fault;
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::world::HostId;

/// A fault that struck a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultMark {
    /// When the frame was sent.
    pub at: Instant,
    /// Where.
    pub direction: DirectionId,
    /// What; `None` for a full queue or ring.
    pub fault: Option<Fault>,
}

/// What was recorded.
#[derive(Debug, Default)]
pub struct Recording {
    /// In the order of their first frames.
    pub flows: Vec<Flow>,
    /// In order of time, at most [`Recording::FAULTS_MAX`].
    pub faults: Vec<FaultMark>,
    by_ends: HashMap<(Transport, SocketAddr, SocketAddr), usize>,
    by_socket: HashMap<(HostId, SocketId), usize>,
}

impl Recording {
    /// The most flows; later ones are not recorded.
    pub const FLOWS_MAX: usize = 64;
    /// The most fault marks.
    pub const FAULTS_MAX: usize = 100_000;

    fn flow(&mut self, transport: Transport, from: SocketAddr, to: SocketAddr) -> Option<usize> {
        if let Some(&index) = self.by_ends.get(&(transport, from, to)) {
            return Some(index);
        }
        if self.flows.len() >= Self::FLOWS_MAX {
            return None;
        }
        let index = self.flows.len();
        self.flows.push(Flow::new(transport, from, to));
        self.by_ends.insert((transport, from, to), index);
        Some(index)
    }

    /// The flow that goes the other way.
    pub(super) fn reverse(&self, flow: &Flow) -> Option<&Flow> {
        let index = self.by_ends.get(&(flow.transport, flow.to, flow.from))?;
        self.flows.get(*index)
    }

    /// By how much the windows that `flow`'s receiver offers are shifted: what it said, if both ends said something (RFC 7323 §2.2).
    fn shift(&self, flow: &Flow) -> u8 {
        let theirs = self.reverse(flow).and_then(|reverse| reverse.window_scale);
        theirs.filter(|_| flow.window_scale.is_some()).map_or(0, |shift| shift.min(14))
    }

    fn mark(&mut self, at: Instant, direction: DirectionId, fault: Option<Fault>) {
        if self.faults.len() < Self::FAULTS_MAX {
            self.faults.push(FaultMark { at, direction, fault });
        }
    }
}

/// Records flows and faults. Clones share one recording: one goes to the world, the other is read.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    recording: Rc<RefCell<Recording>>,
    /// By direction: a host sends, a host receives. Others are taken to have hosts at both ends.
    hosts_at: Rc<[[bool; 2]]>,
}

impl Recorder {
    /// A recorder of a world with switches: `hosts_at` says for each direction whether a host sends, and whether one receives. What
    /// passes a switch is one segment, however many links it takes.
    pub fn between(hosts_at: Vec<[bool; 2]>) -> Self {
        Self { hosts_at: hosts_at.into(), ..Self::default() }
    }

    fn is_host(&self, direction: DirectionId, end: usize) -> bool {
        self.hosts_at.get(direction.0).is_none_or(|ends| ends[end])
    }

    /// Output: what was recorded; the recorder is empty afterwards.
    pub fn take(&self) -> Recording {
        self.recording.take()
    }
}

impl Tap for Recorder {
    fn wants_events(&self) -> bool {
        true
    }

    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        let mut recording = self.recording.borrow_mut();
        match fate {
            Fate::QueueFull | Fate::DroppedEarly => recording.mark(at, direction, None),
            Fate::Swallowed { .. } => recording.mark(at, direction, Some(Fault::Drop)),
            Fate::OnWire { faults, .. } => {
                for &fault in faults {
                    recording.mark(at, direction, Some(fault));
                }
            }
        }
        let lost = fate.is_lost() || fate.is_damaged();
        let is_first = self.is_host(direction, 0);
        let number = match fate {
            Fate::QueueFull | Fate::DroppedEarly => None,
            Fate::Swallowed { number, .. } | Fate::OnWire { number, .. } => Some(number),
        };
        if let Some(Segment { transport, from, to, seq, len, opens, window_scale, .. }) =
            parse(frame)
            && len > 0
            && (is_first || lost)
            && let Some(flow) = recording.flow(transport, from, to)
        {
            if is_first {
                let flow = &mut recording.flows[flow];
                flow.on_sent(at, seq, len, lost);
                if let Some(number) = number {
                    flow.on_frame((direction, number));
                }
                if opens {
                    flow.window_scale = window_scale;
                }
            } else {
                recording.flows[flow].on_lost(seq);
            }
        }
    }

    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        _number: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let mut recording = self.recording.borrow_mut();
        if delivery == Delivery::RingFull {
            recording.mark(at, direction, None);
        }
        // A corrupted frame may name any flow: only those that exist are touched.
        if !self.is_host(direction, 1) {
            return;
        }
        if let Some(Segment { transport, from, to, ack: Some(ack), opens, window, .. }) =
            parse(frame)
            && let Some(&index) = recording.by_ends.get(&(transport, to, from))
        {
            // The window of a SYN is never scaled.
            let shift = if opens { 0 } else { recording.shift(&recording.flows[index]) };
            let flow = &mut recording.flows[index];
            flow.on_acked(at, ack);
            if let Some(window) = window {
                flow.on_offer(at, ack, u32::from(window) << shift);
            }
        }
    }

    fn restarted(&mut self, at: Instant, host: HostId) {
        let Recording { flows, by_socket, .. } = &mut *self.recording.borrow_mut();
        by_socket.retain(|(owner, _), flow| {
            let stays = *owner != host;
            if !stays {
                flows[*flow].on_state(at, None, "Gone: the host began anew".to_owned());
            }
            stays
        });
    }

    fn event(&mut self, host: HostId, stamped: &Stamped) {
        let mut recording = self.recording.borrow_mut();
        let at = stamped.at;
        match &stamped.event {
            Event::Opened { socket, transport, local, remote } => {
                if let Some(flow) = recording.flow(*transport, *local, *remote) {
                    recording.by_socket.insert((host, *socket), flow);
                    recording.flows[flow].on_opened(at);
                }
            }
            Event::Congestion { socket, cwnd_bytes, ssthresh_bytes, flight_bytes, srtt } => {
                if let Some(&flow) = recording.by_socket.get(&(host, *socket)) {
                    recording.flows[flow].on_window(WindowSample {
                        at,
                        cwnd_bytes: *cwnd_bytes,
                        ssthresh_bytes: *ssthresh_bytes,
                        flight_bytes: *flight_bytes,
                        srtt_nanos: srtt.as_nanos(),
                    });
                }
            }
            Event::Retransmit { socket, cause, .. } => {
                if let Some(&flow) = recording.by_socket.get(&(host, *socket)) {
                    recording.flows[flow].on_retransmit(at, *cause);
                }
            }
            Event::TcpState { socket, from, to } => {
                if let Some(&flow) = recording.by_socket.get(&(host, *socket)) {
                    let from = Some(format!("{from:?}"));
                    recording.flows[flow].on_state(at, from, format!("{to:?}"));
                }
            }
            // Of TCP the states tell how it closed, and TIME-WAIT comes after this.
            Event::Ended { socket, reason } => {
                if let Some(&flow) = recording.by_socket.get(&(host, *socket)) {
                    let flow = &mut recording.flows[flow];
                    if *reason != EndReason::Closed || flow.transport != Transport::Tcp {
                        flow.on_state(at, None, format!("Over: {reason:?}"));
                    }
                }
            }
            Event::Address { .. } | Event::Resolver { .. } | Event::Dropped { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 bytes of TCP from 10.0.0.1:1 to 10.0.0.2:2.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 14];
        frame[12] = 8;
        frame.extend([0x45, 0, 0, 140, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
        frame.resize(14 + 140, 7);
        frame
    }

    #[test]
    fn what_crosses_a_switch_is_one_segment_and_lost_where_it_is_lost() {
        let recorder = Recorder::between(vec![[true, false], [false, true]]);
        let mut tap = recorder.clone();
        let fates = [Fate::OnWire { number: 1, faults: &[] }, Fate::QueueFull];
        for (direction, fate) in fates.into_iter().enumerate() {
            tap.sent(Instant::ZERO, DirectionId(direction), &frame(), fate);
        }
        let recording = recorder.take();
        let [flow] = recording.flows.as_slice() else { panic!("one flow") };
        let sent: Vec<_> = flow.sent.iter().map(|sent| (sent.from, sent.to, sent.lost)).collect();
        assert_eq!(sent, [(0, 100, true)]);
        assert_eq!(recording.faults[0].direction, DirectionId(1));
    }
}
