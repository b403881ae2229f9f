//! Timestamps (RFC 7323).

use super::connection::{End, Segment, Tri};
use super::registry::{TCP_STAMPED, TCP_TSECR, TCP_TSVAL};
use super::report::{Report, Scene};
use crate::packet::{Flags, Tcp};

/// Different TSvals that are remembered.
const HEARD_MAX: usize = 32;

/// What a SYN cookie's low bits, which tell options, may take a TSval back by.
const COOKIE_BITS: i32 = 0x3f;

/// A TSval that reached the host, and the least sequence number that it came with.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    value: u32,
    seq: i64,
}

/// What is known of both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stamps {
    /// The last TSval that was sent, and whether it was a SYN's: that of a SYN cookie tells options, too.
    sent: Option<(u32, bool)>,
    /// The last TSecr that was sent.
    echoed: Option<u32>,
    heard: [Heard; HEARD_MAX],
    heard_count: usize,
    /// The newest TSval that reached the host.
    pub(super) newest: Option<u32>,
    /// Of a connection in TIME-WAIT: a SYN came with a newer TSval.
    pub(super) is_newer_syn: bool,
}

/// How much `value` is later than `than`.
const fn later(value: u32, than: u32) -> i32 {
    value.wrapping_sub(than).cast_signed()
}

impl Stamps {
    /// Input: a segment reached the host.
    #[inline]
    pub(super) fn received(&mut self, tcp: &Tcp, seq: i64) {
        let Some((value, _)) = tcp.options.timestamps else { return };
        if self.newest.is_none_or(|newest| later(value, newest) > 0) {
            self.newest = Some(value);
        }
        let last = self.heard_count.wrapping_sub(1) % HEARD_MAX;
        if self.heard_count > 0 && self.heard[last].value == value {
            self.heard[last].seq = self.heard[last].seq.min(seq);
            return;
        }
        let known = self.heard.iter_mut().take(self.heard_count);
        match known.into_iter().find(|heard| heard.value == value) {
            Some(heard) => heard.seq = heard.seq.min(seq),
            None => {
                self.heard[self.heard_count % HEARD_MAX] = Heard { value, seq };
                self.heard_count += 1;
            }
        }
    }

    /// The connection begins with a SYN that came with the TSvals of `heard`.
    pub(super) fn begin(&mut self, heard: &Self) {
        let Self { sent, echoed, .. } = *self;
        *self = Self { sent, echoed, ..*heard };
    }

    /// Input: a SYN reached the host while it is in TIME-WAIT.
    pub(super) fn syn_in_time_wait(&mut self, tcp: &Tcp) {
        self.is_newer_syn |= match (tcp.options.timestamps, self.newest) {
            (Some((value, _)), Some(newest)) => later(value, newest) > 0,
            (_, _) => false,
        };
    }

    /// Whether TSecr may be `echo`, with `ack` acknowledged.
    pub(super) fn echo_is_known(&self, echo: u32, ack: i64) -> Result<(), &'static str> {
        if self.echoed == Some(echo) {
            return Ok(());
        }
        let known = self.heard.iter().take(self.heard_count.min(HEARD_MAX));
        match known.into_iter().find(|heard| heard.value == echo) {
            Some(heard) if heard.seq <= ack => Ok(()),
            Some(_) => Err("came with data beyond what is acknowledged only"),
            None if self.heard_count > HEARD_MAX => Ok(()),
            None => Err("did not come"),
        }
    }
}

/// Input: the host sends `segment`, which is no RST.
#[inline]
pub(super) fn sent(end: &mut End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    let tcp = segment.tcp;
    let opens = segment.has(Flags::SYN);
    let stamps = tcp.options.timestamps;
    if !opens && end.irs.is_some() {
        let wrong = match end.agreed.timestamps {
            Tri::Yes => stamps.is_none(),
            Tri::No => stamps.is_some(),
            Tri::Maybe => false,
        };
        if wrong {
            let words = format!("{stamps:?}, agreed: {:?}", end.agreed.timestamps);
            out.broken(TCP_STAMPED, scene, words);
        }
    }
    let Some((value, echo)) = stamps else { return };
    if let Some((before, of_syn)) = end.stamps.sent
        && later(value, before) < 0
        && (!of_syn || opens || end.active)
        // Two answers that were not written down, to SYNs of which one offered more.
        && !(of_syn && opens && end.syns_differ() && later(value, before) >= -COOKIE_BITS)
    {
        out.broken(TCP_TSVAL, scene, format!("TSval {value} after {before}"));
    }
    end.stamps.sent = Some((value, opens && !end.active));
    let Some(ack) = segment.ack else {
        if !segment.has(Flags::ACK) && echo != 0 {
            out.broken(TCP_TSECR, scene, format!("TSecr {echo} without ACK"));
        }
        return;
    };
    if end.agreed.timestamps == Tri::Yes && !end.blind {
        if let Err(why) = end.stamps.echo_is_known(echo, ack) {
            out.broken(TCP_TSECR, scene, format!("TSecr {echo} {why}"));
        }
        end.stamps.echoed = Some(echo);
    }
}
