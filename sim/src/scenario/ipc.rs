//! What goes wrong between programs and the engine of hosts with channels: the part of `[fault]` that is about it.

use causeway_core::time::Duration;

use crate::fault::{AttachFault, Event};

/// How often what goes wrong: parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpcFaults {
    /// Rings of doorbells that are heard late.
    pub late_bell_ppm: u32,
    /// By how much at most.
    pub late_bell_max: Duration,
    /// Rings that are never heard.
    pub lost_bell_ppm: u32,
    /// Attempts of programs to get a channel that fail.
    pub no_channel_ppm: u32,
    /// Turns of programs in which they die.
    pub dies_ppm: u32,
    /// Turns of programs after which they do nothing.
    pub hangs_ppm: u32,
    /// Turns of programs in which they write into their channel what they like.
    pub scribbles_ppm: u32,
}

impl IpcFaults {
    /// Getter: something may go wrong.
    pub const fn is_any(&self) -> bool {
        let Self {
            late_bell_ppm,
            late_bell_max: _,
            lost_bell_ppm,
            no_channel_ppm,
            dies_ppm,
            hangs_ppm,
            scribbles_ppm,
        } = *self;
        let bells = late_bell_ppm > 0 || lost_bell_ppm > 0;
        bells || no_channel_ppm > 0 || dies_ppm > 0 || hangs_ppm > 0 || scribbles_ppm > 0
    }

    /// Getter: how often an event happens, and how many values it has; `None` for an event of another kind.
    pub(crate) const fn of(&self, event: Event) -> Option<(u32, u64)> {
        /// Values that others are drawn from.
        const SEEDS: u64 = 1 << 32;
        match event {
            Event::LateBell => Some((self.late_bell_ppm, self.late_bell_max.as_nanos())),
            Event::LostBell => Some((self.lost_bell_ppm, 1)),
            Event::NoChannel => Some((self.no_channel_ppm, AttachFault::COUNT << 8)),
            Event::Dies => Some((self.dies_ppm, SEEDS)),
            Event::Hangs => Some((self.hangs_ppm, 1)),
            Event::Scribbles => Some((self.scribbles_ppm, SEEDS)),
            Event::Late
            | Event::ShortBurst
            | Event::NoBuffer
            | Event::NoRings
            | Event::NoMemory
            | Event::SumUnknown
            | Event::SumBad
            | Event::SumGood
            | Event::OddCut
            | Event::GreedyJoin => None,
        }
    }
}
