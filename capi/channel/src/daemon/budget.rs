//! Which RX chunks of a lane are promised to whom: counts, not memory.
//!
//! A TCP stream's window is a promise that the peer may use at any time, so a chunk stands behind each part of it, and
//! what was promised is never taken back. Three parts, which together are the lane's pool:
//!
//! * **floors**: [`FLOOR_CHUNKS`] for each TCP stream, taken when it is opened and kept until its slot is free again. Without one
//!   a stream is not opened at all.
//! * **elastic**: what windows grow by. One stream gets at most as much as then stays free (dynamic thresholds, Choudhury and Hahne
//!   1998, with alpha 1): however many streams stand still with full windows, the next one still finds some.
//! * **message**: as many as one longest message may touch, lent to one message flow at a time. Flows promise nothing to their
//!   peers, which send again what was refused; but half a message in each of many flows must not fill the pool for ever. The one that has
//!   the loan can always complete its message; the application reads it, and the next one borrows.

/// Chunks that every TCP stream has: one that is being read and one to be filled.
pub(crate) const FLOOR_CHUNKS: u32 = 2;

/// What is left of the three parts.
#[derive(Debug)]
pub(super) struct RxBudget {
    floors: u32,
    elastic: u32,
    message: u32,
    borrower: Option<u32>,
}

/// What one stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RxShare {
    /// A TCP stream: its floor, and `elastic` chunks; all of it backs the bytes up to `limit`.
    Stream {
        /// One past the last byte that the peer may send. Never decreases while the stream is open.
        limit: u64,
        /// Chunks beyond the floor.
        elastic: u32,
    },
    /// A UDP socket: the chunks that its datagrams are in. Nothing is lent to it: what finds no room is lost, as datagrams may be,
    /// and who does not read would keep the loan for ever.
    Datagrams {
        /// From the part that all grow by.
        elastic: u32,
    },
    /// A message flow: the chunks that its bytes are in.
    Flow {
        /// From the part that all grow by.
        elastic: u32,
        /// From the part that is lent.
        lent: u32,
    },
}

impl RxBudget {
    /// `chunks` of a lane of `streams`, of which `message` are for a longest message. The geometry has left a floor beside them.
    pub(super) fn new(streams: u32, chunks: u32, message: u32) -> Self {
        let rest = chunks - message;
        // With few chunks for many streams, not all of these can be open, and those that are can grow.
        let floors = streams.min(rest * 5 / 8 / FLOOR_CHUNKS).max(1) * FLOOR_CHUNKS;
        Self { floors, elastic: rest - floors, message, borrower: None }
    }

    /// Getter: chunks that are promised to nobody.
    pub(super) fn left(&self) -> u32 {
        self.floors + self.elastic + self.message
    }

    /// Command: a floor for a new TCP stream. False: there is none.
    pub(super) fn take_floor(&mut self) -> bool {
        let left = self.floors.checked_sub(FLOOR_CHUNKS);
        self.floors = left.unwrap_or(self.floors);
        left.is_some()
    }

    /// Command: a TCP stream is over.
    pub(super) fn give_floor(&mut self) {
        self.floors += FLOOR_CHUNKS;
    }

    /// What a stream may hold of the elastic part: as much as it leaves.
    fn elastic_max(&self, held: u32) -> u32 {
        ((self.elastic + held) / 2).max(held)
    }

    /// Command: makes `held` elastic chunks of a stream up to `wanted`, at least as many as before. Returns how many.
    pub(super) fn grow(&mut self, held: u32, wanted: u32) -> u32 {
        let granted = wanted.min(self.elastic_max(held)).max(held);
        self.elastic -= granted - held;
        granted
    }

    /// Command: elastic chunks come back.
    pub(super) fn shrink(&mut self, chunks: u32) {
        self.elastic += chunks;
    }

    /// Command: `count` chunks for bytes of a flow, all or none.
    pub(super) fn draw(&mut self, slot: u32, share: &mut RxShare, count: u32) -> bool {
        let (elastic, lent) = match share {
            RxShare::Flow { elastic, lent } => (elastic, lent),
            RxShare::Datagrams { elastic } => {
                let fits = count <= self.elastic_max(*elastic) - *elastic;
                if fits {
                    self.elastic -= count;
                    *elastic += count;
                }
                return fits;
            }
            RxShare::Stream { .. } => return false,
        };
        let own = count.min(self.elastic_max(*elastic) - *elastic);
        let loan = count - own;
        if loan > 0 && (self.borrower.is_some_and(|b| b != slot) || loan > self.message) {
            return false;
        }
        if loan > 0 {
            self.borrower = Some(slot);
        }
        self.elastic -= own;
        self.message -= loan;
        *elastic += own;
        *lent += loan;
        true
    }

    /// Command: `count` chunks of a flow are free again. The loan is paid back first.
    pub(super) fn give(&mut self, slot: u32, share: &mut RxShare, count: u32) {
        if let RxShare::Datagrams { elastic } = share {
            *elastic -= count;
            self.elastic += count;
        }
        let RxShare::Flow { elastic, lent } = share else { return };
        let loan = count.min(*lent);
        let own = count - loan;
        *lent -= loan;
        *elastic -= own;
        self.message += loan;
        self.elastic += own;
        if self.borrower == Some(slot) && *lent == 0 {
            self.borrower = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: RxShare = RxShare::Flow { elastic: 0, lent: 0 };

    #[test]
    fn the_parts_are_the_whole_and_every_pool_has_a_floor() {
        for (streams, chunks, message) in [(1024, 4096, 513), (4, 6, 4), (1, 4, 2), (9, 99, 7)] {
            let budget = RxBudget::new(streams, chunks, message);
            assert_eq!(budget.floors + budget.elastic + budget.message, chunks);
            assert!(budget.floors >= FLOOR_CHUNKS && budget.floors <= streams * FLOOR_CHUNKS);
        }
        assert_eq!(RxBudget::new(1024, 4096, 513).floors, 2048, "the defaults floor every stream");
    }

    #[test]
    fn each_greedy_stream_gets_at_most_half_of_what_is_left() {
        let mut budget = RxBudget { floors: 0, elastic: 100, message: 0, borrower: None };
        let shares: Vec<u32> = (0..5).map(|_| budget.grow(0, 1000)).collect();
        assert_eq!(shares, [50, 25, 12, 6, 3]);
        assert_eq!(budget.grow(50, 1000), 50, "nothing is taken back");
        budget.shrink(50);
        assert_eq!(budget.grow(3, 1000), 28);
    }

    #[test]
    fn datagrams_share_what_is_elastic_and_borrow_nothing() {
        let mut budget = RxBudget { floors: 0, elastic: 4, message: 5, borrower: None };
        let mut share = RxShare::Datagrams { elastic: 0 };
        assert!(budget.draw(1, &mut share, 2));
        assert!(!budget.draw(1, &mut share, 1), "half is the others'");
        assert_eq!((budget.elastic, budget.message, budget.borrower), (2, 5, None));
        budget.give(1, &mut share, 2);
        assert_eq!((share, budget.elastic), (RxShare::Datagrams { elastic: 0 }, 4));
    }

    #[test]
    fn one_flow_at_a_time_borrows_and_can_complete_its_message() {
        let mut budget = RxBudget { floors: 0, elastic: 4, message: 5, borrower: None };
        let (mut first, mut second) = (NOTHING, NOTHING);
        assert!(budget.draw(1, &mut first, 2));
        assert!(budget.draw(2, &mut second, 1));
        assert!(budget.draw(1, &mut first, 1));
        assert_eq!(first, RxShare::Flow { elastic: 2, lent: 1 });
        assert!(!budget.draw(2, &mut second, 1), "lent to the other");
        assert!(budget.draw(1, &mut first, 4));
        assert!(!budget.draw(1, &mut first, 1), "more than a message");
        budget.give(1, &mut first, 4);
        assert!(!budget.draw(2, &mut second, 1));
        budget.give(1, &mut first, 3);
        assert_eq!(first, NOTHING);
        assert!(budget.draw(2, &mut second, 5));
        budget.give(2, &mut second, 6);
        assert_eq!((budget.elastic, budget.message, budget.borrower), (4, 5, None));
        assert_eq!(budget.left(), 9);
    }
}
