//! Settings of the neighbour table.

use crate::time::Duration;

/// Why settings were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NeighborConfigError {
    /// `entries_max` outside 1 to 65,536.
    EntriesMax,
    /// `reachable_time` outside 1 s to 1 h.
    ReachableTime,
    /// `stale_time` outside 1 s to 24 h.
    StaleTime,
    /// `waiters_max` outside 1 to 65,536.
    WaitersMax,
}

/// Validated settings of the neighbour table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighborConfig {
    pub(super) entries_max: u32,
    pub(super) reachable_time: Duration,
    pub(super) stale_time: Duration,
    pub(super) waiters_max: u32,
}

/// Settings on their way to be validated.
#[derive(Clone, Debug)]
pub struct NeighborConfigBuilder(NeighborConfig);

impl Default for NeighborConfig {
    fn default() -> Self {
        Self {
            entries_max: 1_024,
            reachable_time: Duration::from_secs(30),
            stale_time: Duration::from_secs(600),
            waiters_max: 1_024,
        }
    }
}

impl NeighborConfig {
    /// The default settings, to be changed.
    pub fn builder() -> NeighborConfigBuilder {
        NeighborConfigBuilder(Self::default())
    }
}

impl NeighborConfigBuilder {
    /// Most entries. 1 to 65,536, default 1,024. More serve larger links, at about 100 bytes each.
    #[must_use]
    pub const fn entries_max(mut self, entries: u32) -> Self {
        self.0.entries_max = entries;
        self
    }

    /// How long an answer is trusted. 1 s to 1 h, default 30 s (RFC 4861 REACHABLE_TIME). Shorter notices a
    /// moved neighbour earlier, and asks more often.
    #[must_use]
    pub const fn reachable_time(mut self, time: Duration) -> Self {
        self.0.reachable_time = time;
        self
    }

    /// How long an entry that nobody uses is kept beyond. 1 s to 24 h, default 600 s.
    #[must_use]
    pub const fn stale_time(mut self, time: Duration) -> Self {
        self.0.stale_time = time;
        self
    }

    /// Most sockets parked on one entry. 1 to 65,536, default 1,024. Those beyond try again by their own
    /// timers.
    #[must_use]
    pub const fn waiters_max(mut self, waiters: u32) -> Self {
        self.0.waiters_max = waiters;
        self
    }

    /// The settings, if each is in its range.
    pub fn build(self) -> Result<NeighborConfig, NeighborConfigError> {
        let NeighborConfig { entries_max, reachable_time, stale_time, waiters_max } = self.0;
        let within = |time: Duration, max_secs| {
            (Duration::from_secs(1)..=Duration::from_secs(max_secs)).contains(&time)
        };
        if !(1..=65_536).contains(&entries_max) {
            return Err(NeighborConfigError::EntriesMax);
        }
        if !within(reachable_time, 3_600) {
            return Err(NeighborConfigError::ReachableTime);
        }
        if !within(stale_time, 86_400) {
            return Err(NeighborConfigError::StaleTime);
        }
        if !(1..=65_536).contains(&waiters_max) {
            return Err(NeighborConfigError::WaitersMax);
        }
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_outside_their_range_are_refused_by_name() {
        let build = NeighborConfig::builder;
        assert_eq!(build().build(), Ok(NeighborConfig::default()));
        assert_eq!(build().entries_max(0).build(), Err(NeighborConfigError::EntriesMax));
        let short = Duration::from_millis(999);
        assert_eq!(build().reachable_time(short).build(), Err(NeighborConfigError::ReachableTime));
        assert_eq!(build().stale_time(short).build(), Err(NeighborConfigError::StaleTime));
        assert_eq!(build().waiters_max(65_537).build(), Err(NeighborConfigError::WaitersMax));
    }
}
