//! A tap that keeps what the page draws.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

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
}

impl Recorder {
    /// Output: what was recorded; the recorder is empty afterwards.
    pub fn take(&self) -> Recording {
        self.recording.take()
    }
}

impl Tap for Recorder {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        let mut recording = self.recording.borrow_mut();
        match fate {
            Fate::QueueFull => recording.mark(at, direction, None),
            Fate::Swallowed { .. } => recording.mark(at, direction, Some(Fault::Drop)),
            Fate::OnWire { faults, .. } => {
                for &fault in faults {
                    recording.mark(at, direction, Some(fault));
                }
            }
        }
        if let Some(Segment { transport, from, to, seq, len, .. }) = parse(frame)
            && len > 0
            && let Some(flow) = recording.flow(transport, from, to)
        {
            recording.flows[flow].on_sent(at, seq, len, fate.is_lost() || fate.is_damaged());
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
        if let Some(Segment { transport, from, to, ack: Some(ack), .. }) = parse(frame)
            && let Some(&flow) = recording.by_ends.get(&(transport, to, from))
        {
            recording.flows[flow].on_acked(at, ack);
        }
    }

    fn event(&mut self, host: HostId, stamped: &Stamped) {
        let mut recording = self.recording.borrow_mut();
        let at = stamped.at;
        match &stamped.event {
            Event::Opened { socket, transport, local, remote } => {
                if let Some(flow) = recording.flow(*transport, *local, *remote) {
                    recording.by_socket.insert((host, *socket), flow);
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
            Event::TcpState { .. }
            | Event::Ended { .. }
            | Event::Address { .. }
            | Event::Resolver { .. }
            | Event::Dropped { .. } => {}
        }
    }
}
