//! The user timeout (RFC 5482, RFC 9293 §3.8.3; TCP_USER_TIMEOUT): how long the peer may acknowledge nothing.

use super::connection::{Connection, clock_ms, millis};
use super::recovery::Trouble;
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

impl Connection {
    /// Nothing has made progress for `span`, and that is the beginning of a stall.
    pub(in crate::tcp) fn begin_stall(&mut self, now: Instant, span: Duration) {
        let span_ms = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        Trouble::of(&mut self.recovery.trouble).stalled_ms = clock_ms(now).wrapping_sub(span_ms);
    }

    /// Getter: what is left of the user timeout in the present stall; `None` where none is set.
    pub(in crate::tcp) fn user_timeout_left(&self, now: Instant) -> Option<Duration> {
        if self.config.user_timeout_ms == 0 || planted::is(Bug::NoUserTimeout) {
            return None;
        }
        let trouble = self.recovery.trouble.as_deref();
        let since = trouble.map_or(clock_ms(now), |trouble| trouble.stalled_ms);
        let stalled = clock_ms(now).wrapping_sub(since);
        Some(millis(self.config.user_timeout_ms.saturating_sub(stalled)))
    }

    /// Getter: the connection is to be given up: the user timeout has passed, or without one, `tries` are `tries_max`.
    pub(in crate::tcp) fn is_given_up(&self, now: Instant, tries: u8, tries_max: u8) -> bool {
        match self.user_timeout_left(now) {
            Some(left) => left == Duration::ZERO,
            None => tries >= tries_max && !planted::is(Bug::NeverGivesUp),
        }
    }

    /// Getter: `span` from now, or the end of the user timeout if that comes first.
    pub(in crate::tcp) fn within_user_timeout(&self, now: Instant, span: Duration) -> Instant {
        now + self.user_timeout_left(now).map_or(span, |left| left.min(span))
    }
}
