//! Both directions between the sides, by the machine's clock.

use std::io::stdin;
use std::os::fd::AsFd;
use std::rc::Rc;

use anyhow::Result;
use causeway_core::time::Instant;
use causeway_sim::fault::FaultSource;
use causeway_sim::hash::RollingHash;
use causeway_sim::link::{Decider, Flight, Lane, LinkConfig, Observers, Sink, Stragglers};
use causeway_sim::queue::{Due, EventQueue};
use causeway_sim::tap::DirectionId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

use crate::closings::Closings;
use crate::side::Side;

const NAMES: [&str; 2] = ["left->right", "right->left"];

/// The link in operation.
#[derive(Debug)]
pub struct Wire {
    sides: [Side; 2],
    /// By the side that sends.
    lanes: [Lane; 2],
    /// Held-back frames and second copies, with the direction.
    late: EventQueue<(usize, Flight)>,
    stragglers: Stragglers,
    closings: Option<Closings>,
    /// The lanes want one; nobody reads it here.
    hash: RollingHash,
}

impl Wire {
    /// An idle link.
    pub fn new(sides: [Side; 2], physics: LinkConfig, faults: &FaultSource, seed: u64) -> Self {
        let lane = |from: usize| {
            let decider = Decider::new(faults, NAMES[from], seed, from as u64);
            let (tx, rx) = (Rc::clone(sides[from].port()), Rc::clone(sides[1 - from].port()));
            let (name, to) = (NAMES[from].to_owned(), Sink::Nic(rx));
            Lane::new(DirectionId(from), name, physics, decider, Some(tx), to)
        };
        Self {
            lanes: [lane(0), lane(1)],
            sides,
            late: EventQueue::default(),
            stragglers: Stragglers::new(),
            closings: None,
            hash: RollingHash::new(seed),
        }
    }

    /// Command: the ends of connections are looked at.
    pub fn watch_closings(&mut self) {
        self.closings = Some(Closings::default());
    }

    /// Command: carries frames until standard input ends.
    pub fn run(&mut self) -> Result<()> {
        loop {
            let mut busy = false;
            for from in 0..2 {
                let closings = &mut self.closings;
                busy |= self.sides[from].read(|frame| {
                    closings.iter_mut().for_each(|closings| closings.leaves(from, frame));
                });
                self.collect(from);
            }
            self.deliver();
            for (to, side) in self.sides.iter_mut().enumerate() {
                let closings = &mut self.closings;
                side.write(|frame| {
                    closings.iter_mut().for_each(|closings| closings.arrives(to, frame));
                });
            }
            if !busy && self.sleep()? {
                return Ok(());
            }
        }
    }

    fn collect(&mut self, from: usize) {
        let mut observers = Observers { hash: &mut self.hash, taps: &mut [] };
        self.lanes[from].collect(now(), &mut observers, &mut self.stragglers);
        for flight in self.stragglers.drain(..) {
            self.late.push(flight.at, (from, flight));
        }
    }

    fn deliver(&mut self) {
        let now = now();
        let mut observers = Observers { hash: &mut self.hash, taps: &mut [] };
        while self.late.next_at().is_some_and(|at| at <= now) {
            if let Some((_, Due::Event((from, flight)))) = self.late.pop() {
                self.lanes[from].deliver(now, flight, &mut observers);
            }
        }
        for lane in &mut self.lanes {
            while let Some(flight) = lane.poll_arrival(now) {
                lane.deliver(now, flight, &mut observers);
            }
        }
    }

    /// Until a frame is sent or arrives. True when standard input has ended.
    fn sleep(&self) -> Result<bool> {
        let arrivals = self.lanes.iter().filter_map(Lane::next_arrival).chain(self.late.next_at());
        let timeout = arrivals.min().map(|at| span(at.saturating_since(now()).as_nanos()));
        let stdin = stdin();
        let mut fds = vec![PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        for fd in self.sides.iter().filter_map(Side::fd) {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        match poll(&mut fds, timeout.as_ref()) {
            // Nobody writes to it: whatever it has to say is its end.
            Ok(_) => Ok(!fds[0].revents().is_empty()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Getter: what happened, a line a direction, and one about the ends of connections if they were looked at.
    pub fn summary(&self) -> String {
        let line = |from: usize| {
            let (physics, faults) = (self.lanes[from].physics(), self.lanes[from].fault_counters());
            format!(
                "{}: {} frames, {} lost in the queue, {} dropped, {} duplicated, {} delayed, \
                 {} corrupted, {} without room at the end",
                NAMES[from],
                physics.counters().offered_frames,
                physics.counters().queue_drops,
                faults.dropped,
                faults.duplicated,
                faults.delayed,
                faults.corrupted,
                faults.ring_full + self.sides[1 - from].lost(),
            )
        };
        let closings = self.closings.iter().map(|closings| format!("\n{closings}"));
        format!("{}\n{}{}", line(0), line(1), closings.collect::<String>())
    }
}

fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    // It counts from the machine's start: neither part is negative.
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Instant::from_nanos(seconds * 1_000_000_000 + nanos)
}

fn span(nanos: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (nanos % 1_000_000_000) as i64,
    }
}
