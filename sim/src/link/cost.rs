//! What a frame costs on the wire. Every figure that the simulator prints counts frames by this one function.

/// Preamble and start delimiter 8, frame check sequence 4, inter-frame gap 12 (IEEE 802.3 §4.2.3.2, §3.1.1).
pub const ETHERNET_OVERHEAD_BYTES: u64 = 8 + 4 + 12;

/// Shorter frames are padded to this length, the frame check sequence not counted (IEEE 802.3 §4.4.2).
pub const FRAME_BYTES_MIN: u64 = 60;

/// The bytes of link time that a frame of `frame_len` bytes (Ethernet header first, no FCS) takes:
///
/// `8 (preamble) + max(frame, 60) + 4 (FCS) + 12 (inter-frame gap)`
pub const fn wire_bytes(frame_len: usize) -> u64 {
    let frame =
        if (frame_len as u64) < FRAME_BYTES_MIN { FRAME_BYTES_MIN } else { frame_len as u64 };
    frame + ETHERNET_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_frame_costs_1538_bytes_and_an_ack_84() {
        assert_eq!(wire_bytes(1_514), 1_538);
        assert_eq!(wire_bytes(54), 84);
        assert_eq!(wire_bytes(60), 84);
        assert_eq!(wire_bytes(61), 85);
    }
}
