//! A flow's state as bytes, and back: for hot restart, recording and replay.

use alloc::vec::Vec;

use super::IN_FLIGHT_MAX;
use super::config::Config;
use super::flow::Flow;
use super::packet::{FlowState, StateError};
use super::rx_window::RxLimits;
use crate::wire::machnet::PAYLOAD_MAX;

/// First byte of a written state. A change of any field of [`Flow`] is a new version.
const VERSION: u8 = 4;

impl Flow {
    /// Output: the complete state, packets that wait for a hole included; the config and the rings are not part of it.
    ///
    /// # Errors
    /// [`StateError::Malformed`] if the serialiser fails, which memory exhaustion alone can cause.
    pub fn write_state(&self) -> Result<Vec<u8>, StateError> {
        postcard::to_extend(self, Vec::from([VERSION])).map_err(|_| StateError::Malformed)
    }

    /// Command: a flow from what [`Flow::write_state`] wrote, under `config`. The bytes are not trusted.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn read_state(bytes: &[u8], config: &Config) -> Result<Self, StateError> {
        let Some((version, body)) = bytes.split_first() else {
            return Err(StateError::Malformed);
        };
        if *version != VERSION {
            return Err(StateError::Version);
        }
        let (mut flow, rest) =
            postcard::take_from_bytes::<Self>(body).map_err(|_| StateError::Malformed)?;
        if !rest.is_empty() {
            return Err(StateError::Malformed);
        }
        flow.config = *config;
        if flow.is_valid() { Ok(flow) } else { Err(StateError::Invalid) }
    }

    fn is_valid(&self) -> bool {
        let parts = self.window.is_valid()
            && self.rto.is_valid()
            && self.rx.is_valid(&self.config)
            && match &self.extended {
                Some(extended) => self.is_valid_extended(extended),
                None => self.is_valid_upstream(),
            };
        let bounded = self.attempts <= 64
            && self.retries <= 64
            && self.events.len() <= 1_024
            && self.rsts_due <= 1 + IN_FLIGHT_MAX;
        let early = matches!(self.state, FlowState::SynSent | FlowState::SynReceived);
        parts
            && bounded
            && (!early || self.tx.is_empty())
            && self.active | (self.state != FlowState::SynSent)
            && (self.state != FlowState::SynSent || self.extended.is_none())
    }

    fn is_valid_upstream(&self) -> bool {
        self.tx.limit() == u16::from(IN_FLIGHT_MAX)
            && self.tx.is_sound(self.queue.next_offset(), (1, PAYLOAD_MAX))
            && self.queue.is_valid(&self.config)
            && self.rx.limits() == RxLimits::UPSTREAM
            && self.ack.is_valid(self.rx.rcv_nxt())
    }
}
