//! O11: whoever has not proved its address is sent little.

use super::host::HostRules;
use super::registry::AMPLIFICATION;
use super::report::{Report, Scene};

/// Answers may be so many times as long as what asks for them.
const TIMES: u64 = 3;

/// What passed between a host and somebody who has not proved to be where it says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stranger {
    sent: u64,
    received: u64,
    proved: bool,
}

impl Stranger {
    pub(super) const fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// The address is proved: something came back that only who is there can know, or the host itself began.
    pub(super) const fn prove(&mut self) {
        self.proved = true;
    }
}

/// Input: the host sends `bytes` of a packet.
#[inline]
pub(super) fn sent(
    stranger: &mut Stranger,
    bytes: usize,
    host: &HostRules,
    scene: &Scene,
    out: &mut Report,
) {
    if stranger.proved {
        return;
    }
    stranger.sent += bytes as u64;
    let Stranger { sent, received, .. } = *stranger;
    if sent > TIMES * received + host.stranger_bytes {
        let words = format!("{sent} bytes for {received}");
        out.broken(AMPLIFICATION, scene, words);
    }
}
