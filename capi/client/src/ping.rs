//! Echo requests.

use std::net::IpAddr;

use causeway_core::port::Op;
use causeway_core::time::Duration;

use crate::channel::{Channel, broken};
use crate::env::ApiCall;
use crate::error::PingError;
use crate::sleep::Wait;
use crate::state::{Answer, Asked};

/// A reply to an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Sequence number of the request.
    pub sequence: u16,
    /// Payload bytes.
    pub len: u16,
    /// From the request's departure to the reply's arrival.
    pub rtt: Duration,
    /// Time to live (hop limit) of the reply.
    pub ttl: u8,
}

impl Channel {
    /// Command: sends one ICMP echo request of `len` payload bytes and waits for the reply.
    pub fn ping(
        &self,
        remote: IpAddr,
        sequence: u16,
        len: u16,
        wait: Wait,
    ) -> Result<Pong, PingError> {
        let mut tag = None;
        let result = self.inner.wait_for(ApiCall::Ping, wait, |state| {
            let Some(tag) = tag else {
                let lane = state.pick_lane();
                let op = Op::Ping { remote, sequence, len };
                tag = Some(state.request(lane, Asked::Ping, &op, None)?);
                return Ok(None);
            };
            match state.answer(tag) {
                Some(Answer::Pong(pong)) => Ok(Some(pong)),
                Some(Answer::Failed(error)) => Err(PingError::Refused(error)),
                Some(_) => Err(broken().into()),
                None => Ok(None),
            }
        });
        if let (Err(_), Some(tag)) = (&result, tag) {
            self.inner.shared.lock().forget(tag);
        }
        result
    }
}
