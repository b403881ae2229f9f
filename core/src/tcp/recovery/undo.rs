//! Whether the last reduction of the window answered a loss that was none: by DSACK (RFC 3708), and by timestamps (Eifel, RFC 3522).

use crate::planted::{self, Bug};
use serde::{Deserialize, Serialize};

/// What is remembered of a reduction, until it is undone or others come, and of the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Undo {
    /// `snd_una` when the window was reduced.
    marker: Option<u64>,
    /// Segments sent again since then and not reported as duplicates.
    unproven: u32,
    /// Something was sent again.
    any: bool,
    /// Our timestamp when the first one was sent again.
    stamp: u32,
    stamped: bool,
    /// It was the retransmission timer that reduced it.
    timeout: bool,
    /// The peer echoed congestion meanwhile: the window would have been reduced in any case.
    congested: bool,
    /// The reduction before, of which it is not known yet.
    earlier: Option<Earlier>,
}

/// A reduction that another one followed before the duplicates can have been reported: recoveries that follow each other at once,
/// on a path that reorders. What was sent again in it lies below where the next one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Earlier {
    marker: u64,
    unproven: u32,
    congested: bool,
}

impl Undo {
    /// Command: the window is about to be reduced; `out` segments sent again are still under way.
    pub(in crate::tcp) fn begin(&mut self, una: u64, timeout: bool, out: u32) {
        let Self { marker, unproven, any, congested, .. } = *self;
        let pending = any && unproven > 0 && !timeout && !self.timeout;
        let pending = pending && !planted::is(Bug::EarlierForgotten);
        let pending = pending && (out == 0 || !planted::is(Bug::EarlierForgottenUnderWay));
        let earlier = marker.filter(|marker| pending && *marker < una);
        // What is still under way was sent again for both: this reduction waits for it, and the one before for this one.
        let unproven = unproven.saturating_sub(out);
        *self = Self {
            earlier: earlier.map(|marker| Earlier { marker, unproven, congested }),
            marker: Some(una),
            unproven: out,
            any: out > 0,
            stamp: 0,
            stamped: false,
            timeout,
            congested: false,
        };
    }

    /// Command: there is nothing to undo any more.
    pub(in crate::tcp) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Command: the last reduction is undone, and the one before it is the last. Where congestion keeps the window of the one, that
    /// of the other is no better.
    pub(in crate::tcp) fn undone(&mut self) {
        *self = match self.earlier {
            None => Self::default(),
            Some(Earlier { marker, unproven, congested }) => Self {
                marker: Some(marker),
                unproven,
                any: true,
                congested: congested || self.congested,
                ..Self::default()
            },
        };
    }

    /// Output: everything that was sent again in the reduction before the last arrived twice: told once. Whether its window may
    /// come back.
    pub(in crate::tcp) fn take_earlier(&mut self) -> bool {
        let proven = self.earlier.take_if(|earlier| earlier.unproven == 0);
        proven.is_some_and(|earlier| !earlier.congested)
    }

    pub(in crate::tcp) fn is_of_timeout(&self) -> bool {
        self.timeout
    }

    /// Input: the peer echoes congestion (RFC 4015 §3.2: then nothing is taken back).
    pub(in crate::tcp) fn congested(&mut self) {
        self.congested = true;
    }

    /// Getter: nothing but the loss has reduced the window.
    pub(in crate::tcp) fn may_restore(&self) -> bool {
        !self.congested || planted::is(Bug::EchoUndone)
    }

    /// Input: `segments` are sent again at `timestamp`.
    pub(in crate::tcp) fn retransmitted(&mut self, segments: u32, timestamp: u32) {
        if !self.stamped {
            self.stamp = timestamp;
            self.stamped = true;
        }
        self.any = true;
        self.unproven = self.unproven.saturating_add(segments);
    }

    /// Input: the peer reports `segments` ending at `end` as duplicates.
    pub(in crate::tcp) fn duplicate(&mut self, end: u64, segments: u32) {
        if self.marker.is_some_and(|marker| end > marker) {
            self.unproven = self.unproven.saturating_sub(segments);
        } else if let Some(earlier) = self.earlier.as_mut().filter(|it| end > it.marker) {
            earlier.unproven = earlier.unproven.saturating_sub(segments);
        }
    }

    /// Getter: everything that was sent again arrived twice: none of it was lost.
    pub(in crate::tcp) fn all_duplicates(&self) -> bool {
        let proven = self.any && self.unproven == 0 && !planted::is(Bug::NoDsackUndo);
        self.marker.is_some() && proven
    }

    /// Getter: an acknowledgement that echoes `echo` was sent before the first retransmission can have arrived (RFC 3522 §3.2).
    pub(in crate::tcp) fn is_older(&self, echo: Option<u32>) -> bool {
        let older = |echo: u32| echo.wrapping_sub(self.stamp).cast_signed() < 0;
        let told = self.stamped && !planted::is(Bug::NoEifel);
        self.marker.is_some() && told && echo.is_some_and(older)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduction_is_undone_when_every_retransmission_is_reported_twice_and_not_before() {
        let mut undo = Undo::default();
        undo.retransmitted(1, 5);
        undo.duplicate(100, 1);
        assert!(!undo.all_duplicates(), "nothing was reduced");
        undo.begin(100, false, 0);
        assert!(!undo.all_duplicates(), "nothing was sent again");
        undo.retransmitted(2, 7);
        undo.duplicate(100, 1);
        undo.duplicate(90, 1);
        undo.duplicate(200, 1);
        assert!(!undo.all_duplicates(), "old duplicates prove nothing");
        undo.duplicate(300, 1);
        assert!(undo.all_duplicates());
    }

    #[test]
    fn a_reduction_that_another_follows_is_still_proven_spurious_and_told_once() {
        let mut undo = Undo::default();
        undo.begin(100, false, 0);
        undo.retransmitted(2, 7);
        undo.duplicate(150, 1);
        undo.begin(300, false, 0);
        undo.retransmitted(1, 8);
        assert!(!undo.take_earlier());
        undo.duplicate(250, 1);
        assert!(undo.take_earlier() && !undo.take_earlier());
        assert!(!undo.all_duplicates(), "that was the one before");
        undo.duplicate(350, 1);
        assert!(undo.all_duplicates());
        undo.undone();
        assert!(!undo.all_duplicates(), "both are undone");
    }

    #[test]
    fn what_is_under_way_when_another_reduction_begins_is_that_ones_to_prove() {
        let mut undo = Undo::default();
        undo.begin(100, false, 0);
        undo.retransmitted(2, 7);
        undo.duplicate(150, 1);
        undo.begin(300, false, 1);
        assert!(undo.take_earlier(), "nothing of it is below");
        assert!(!undo.all_duplicates());
        undo.duplicate(350, 1);
        assert!(undo.all_duplicates());
        undo.undone();
        assert!(!undo.all_duplicates(), "both are undone");
        undo.begin(400, false, 0);
        undo.retransmitted(2, 7);
        undo.begin(500, false, 1);
        assert!(!undo.take_earlier());
        undo.duplicate(550, 1);
        assert!(!undo.take_earlier(), "that was what was under way");
        undo.duplicate(450, 1);
        assert!(undo.take_earlier());
    }

    #[test]
    fn what_is_undone_uncovers_the_reduction_before_it() {
        let mut undo = Undo::default();
        undo.begin(100, false, 0);
        undo.retransmitted(1, 7);
        undo.begin(300, false, 0);
        undo.retransmitted(1, 8);
        undo.duplicate(350, 1);
        assert!(undo.all_duplicates());
        undo.undone();
        assert!(!undo.all_duplicates());
        undo.duplicate(200, 1);
        assert!(undo.all_duplicates() && undo.may_restore());
    }

    #[test]
    fn an_echo_of_congestion_keeps_the_windows_of_both_reductions() {
        let mut undo = Undo::default();
        undo.begin(100, false, 0);
        undo.retransmitted(1, 7);
        undo.begin(300, false, 0);
        undo.congested();
        undo.retransmitted(1, 8);
        undo.duplicate(350, 1);
        undo.undone();
        undo.duplicate(200, 1);
        assert!(undo.all_duplicates() && !undo.may_restore());
    }

    #[test]
    fn an_echo_from_before_the_first_retransmission_is_the_originals() {
        let mut undo = Undo::default();
        undo.begin(0, false, 0);
        undo.retransmitted(1, 3);
        undo.retransmitted(1, 9);
        assert!(undo.is_older(Some(2)) && undo.is_older(Some(u32::MAX)));
        assert!(!undo.is_older(Some(3)) && !undo.is_older(None));
    }
}
