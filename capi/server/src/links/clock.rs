//! The daemon's clock.

use causeway_core::time::Instant;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Getter: `CLOCK_MONOTONIC`.
pub(crate) fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    // It counts from the machine's start: neither part is negative, and 64 bits last 584 years.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// A span for a system call; none when `until` has passed.
pub(crate) fn span_until(now: Instant, until: Instant) -> Timespec {
    let nanos = until.saturating_since(now).as_nanos();
    Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (nanos % 1_000_000_000) as i64,
    }
}
