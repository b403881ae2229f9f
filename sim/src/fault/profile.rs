//! How often what goes wrong on a direction of a link.

use causeway_backends::adapt::fault::FaultProfile;

use super::path::PathProfile;

/// Two states (Gilbert and Elliott): a good one without loss and a bad one with much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bursts {
    /// From good to bad, per frame.
    pub enter_ppm: u32,
    /// From bad to good, per frame.
    pub leave_ppm: u32,
    /// Frames lost in the bad state.
    pub loss_ppm: u32,
}

/// Kinds of segments that can be lost more often than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SYN, with or without ACK.
    Syn,
    /// A FIN.
    Fin,
    /// An acknowledgement without data.
    PureAck,
    /// Data that was seen before.
    Retransmission,
}

/// How often what happens to the frames of one direction: parts per million of frames. The default does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkProfile {
    /// Loss, duplicates, reordering and damage, as the fault decorator of real interfaces knows them.
    pub base: FaultProfile,
    /// Loss in bursts.
    pub bursts: Bursts,
    /// Each n-th frame is lost; 0 for none.
    pub nth: u64,
    /// Loss by [`Kind`], in its order, on top.
    pub kinds_ppm: [u32; 4],
    /// Damage under checksums that fit.
    pub repaired_ppm: u32,
    /// Frames cut short.
    pub truncate_ppm: u32,
    /// Frames with zeros behind them.
    pub pad_ppm: u32,
    /// Frames marked by a router.
    pub mark_ppm: u32,
    /// Frames whose ECN field is cleared.
    pub bleach_ppm: u32,
    /// Segments that lose an option.
    pub strip_ppm: u32,
    /// Segments that become two.
    pub split_ppm: u32,
    /// Frames that a forged one follows.
    pub forge_ppm: u32,
    /// Frames behind which somebody claims that their sender is at another station.
    pub neighbor_ppm: u32,
    /// Holding, damage to headers, and what middleboxes do to flows.
    pub path: PathProfile,
}

impl From<FaultProfile> for LinkProfile {
    fn from(base: FaultProfile) -> Self {
        Self { base, ..Self::default() }
    }
}
