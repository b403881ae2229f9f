//! A watch on the windows that both sides advertise.

use causeway_core::tcp::SeqNumber;
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};

/// What each side has advertised.
#[derive(Clone, Debug, Default)]
pub(crate) struct WindowWatch {
    edges: [Option<SeqNumber>; 2],
    scales: [u8; 2],
}

impl WindowWatch {
    /// Command: `side` sends this. The right edge of its window never goes back (RFC 9293 §3.8.6), but for what the scale
    /// cuts off (RFC 7323 §2.4).
    ///
    /// # Panics
    /// When it does.
    pub(crate) fn look(&mut self, side: usize, header: &TcpHeader) {
        let has = |flag| header.flags.contains(flag);
        if has(TcpFlags::SYN) {
            // Both offer it, or none.
            self.scales[side] = header.options.window_scale.unwrap_or(0);
        }
        if has(TcpFlags::RST) || !has(TcpFlags::ACK) {
            return;
        }
        let scale = if has(TcpFlags::SYN) { 0 } else { self.scales[side] };
        let edge = header.ack + (u32::from(header.window) << scale);
        if let Some(before) = self.edges[side] {
            let back = before.distance_from(edge);
            assert!(back < 1 << scale, "the window of side {side} was retracted by {back}");
        }
        self.edges[side] = Some(self.edges[side].map_or(edge, |before| before.max(edge)));
    }
}
