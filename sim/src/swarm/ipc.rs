//! Hosts whose programs reach the engine over channels, as processes do.

use super::draw::Draw;

/// One case in so many has them.
const ONE_IN: u64 = 10;

/// What is drawn about channels. Streams 40 to 49 are its.
#[derive(Debug)]
pub(super) struct Ipc {
    has_channels: bool,
    draw: Draw,
}

impl Ipc {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 40);
        Self { has_channels: draw.stream.below(ONE_IN) == 0, draw }
    }

    /// Output: the settings of the next host, without `machnet`, and whether its programs have channels.
    pub(super) fn host(&mut self) -> (String, bool) {
        let draw = &mut self.draw;
        if !self.has_channels || draw.chance(20) {
            return (String::new(), false);
        }
        // Pools of four chunks and more: lanes that are full now and then.
        let chunk = 1 << draw.between(12, 14);
        let entries = 1 << draw.between(4, 9);
        let (tx, rx) = (draw.magnitude(64 << 10, 1 << 20), draw.magnitude(64 << 10, 2 << 20));
        let window = draw.magnitude(64 << 10, 1 << 20);
        let commands = draw.of(&[1, 2, 8, 64, 64]);
        let text = format!(
            ", port = \"channel\", channel = {{ streams_max = {}, ring_entries = {entries}, \
             chunk_bytes = {chunk}, tx_bytes = {tx}, rx_bytes = {rx}, rx_window_bytes = {window}, \
             commands_per_step = {commands} }}",
            draw.between(8, 32)
        );
        (text, true)
    }
}
