//! How the ends of a connection took turns: one asks and the other answers, or both send when they like.

use super::super::{Role, Spot};

/// What was said in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) asked: u64,
    pub(super) answered: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    /// When the connection began, by the common clock.
    pub(super) begins_at: i64,
    pub(super) rounds: Vec<Round>,
    /// Somebody spoke before it had heard all that the other one said, or the server spoke first.
    pub(super) is_mixed: bool,
    speaker: Option<Role>,
    said: [u64; 2],
}

impl Talk {
    pub(super) const fn begin(begins_at: i64) -> Self {
        Self { begins_at, rounds: Vec::new(), is_mixed: false, speaker: None, said: [0; 2] }
    }

    /// Input: a segment, in order of time.
    pub(super) fn take(&mut self, spot: &Spot, len: u32) {
        let end = u64::try_from(spot.offset + i64::from(len)).unwrap_or(0);
        let own = spot.from as usize;
        let other = spot.from.other() as usize;
        if len == 0 || !spot.is_new || end <= self.said[own] {
            return;
        }
        let bytes = (end - self.said[own]).min(len.into());
        self.said[own] = end;
        if self.speaker != Some(spot.from) {
            let heard = spot.ack.and_then(|ack| u64::try_from(ack).ok());
            self.is_mixed |= self.said[other] > 0 && heard.is_none_or(|ack| ack < self.said[other]);
            self.is_mixed |= self.speaker.is_none() && spot.from == Role::Server;
            if spot.from == Role::Client {
                self.rounds.push(Round::default());
            }
            self.speaker = Some(spot.from);
        }
        if let Some(round) = self.rounds.last_mut() {
            match spot.from {
                Role::Client => round.asked += bytes,
                Role::Server => round.answered += bytes,
            }
        }
    }

    /// Getter: requests and answers, each of the same length where `true`: how many, of how many bytes; `None` where it is none.
    pub(super) fn requests(&self) -> Option<(u64, Round, bool)> {
        let first = *self.rounds.first()?;
        let complete = self.rounds.iter().all(|round| round.asked > 0 && round.answered > 0);
        if self.is_mixed || !complete {
            return None;
        }
        if self.rounds.iter().all(|round| *round == first) {
            return Some((self.rounds.len() as u64, first, true));
        }
        let count = self.rounds.len() as u64;
        let mean = |of: fn(&Round) -> u64| {
            let sum: u64 = self.rounds.iter().map(of).sum();
            sum.div_ceil(count)
        };
        let round =
            Round { asked: mean(|round| round.asked), answered: mean(|round| round.answered) };
        Some((count, round, false))
    }
}
