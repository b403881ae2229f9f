//! What a drawn host's NICs are like, and in which VLAN the hosts are.

use super::draw::Draw;

/// Capabilities have a stream of their own.
const PART_OFFLOADS: u64 = 30;

/// Draws NICs, host by host.
pub(super) struct Nics(Draw);

impl Nics {
    /// Those of a seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(Draw::new(seed, PART_OFFLOADS))
    }

    /// Output: the VLAN in which all interfaces are. Routers know of none.
    pub(super) const fn vlan(&mut self) -> Option<u64> {
        if self.0.chance(6) { Some(self.0.between(1, 4_094)) } else { None }
    }

    /// Output: what the next host's NIC does for its stack, as keys of `host.nic`. Each capability comes alone or with others; only what
    /// needs another one does not.
    pub(super) fn offloads(&mut self) -> Vec<String> {
        let draw = &mut self.0;
        let mut keys = Vec::new();
        if !draw.chance(40) {
            return keys;
        }
        let sums = draw.chance(60);
        if sums {
            keys.push("tx_checksum = true".to_owned());
        }
        if sums && draw.chance(60) {
            keys.push(format!("tso_bytes_max = {}", draw.magnitude(2_000, 65_549)));
        }
        let judges = draw.chance(60);
        if judges {
            keys.push("rx_checksum = true".to_owned());
        }
        if judges && draw.chance(60) {
            keys.push("lro = true".to_owned());
        }
        if draw.chance(30) {
            keys.push(format!("tx_segments = {}", draw.between(2, 20)));
        }
        if draw.chance(30) {
            keys.push(format!("rx_buffer = {}", draw.magnitude(128, 16_384)));
        }
        if draw.chance(30) {
            keys.push("vlan = true".to_owned());
        }
        keys
    }
}
