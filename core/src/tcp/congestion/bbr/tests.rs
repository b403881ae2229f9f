extern crate std;

use super::model::Model;
use super::probe_bw::Phase;
use super::rate::RateSample;
use super::{Bbr, State};
use crate::tcp::congestion::testing::{MSS, ack};
use crate::tcp::congestion::{AckSample, CongestionControl, Lost, Sent, Window, initial_window};
use crate::tcp::seq::SeqNumber;
use crate::time::{Duration, Instant};

/// A path of `rate` bytes a second and `rtt`, without a queue limit: what is sent beyond waits.
struct Path {
    bbr: Bbr,
    window: Window,
    rate: u64,
    rtt: Duration,
    now: Instant,
    una: u32,
    nxt: u32,
    /// When each segment in flight is acknowledged.
    arrivals: std::collections::VecDeque<Instant>,
    busy_until: Instant,
    release: Instant,
    states: std::vec::Vec<State>,
}

impl Path {
    fn new(rate: u64, rtt: Duration) -> Self {
        Self {
            bbr: Bbr::default(),
            window: Window::new(initial_window(MSS, false)),
            rate,
            rtt,
            now: Instant::from_nanos(1_000_000_000),
            una: 0,
            nxt: 0,
            arrivals: std::collections::VecDeque::new(),
            busy_until: Instant::ZERO,
            release: Instant::ZERO,
            states: std::vec::Vec::new(),
        }
    }

    fn in_flight(&self) -> u32 {
        self.nxt - self.una
    }

    fn send(&mut self) {
        let sent = Sent {
            now: self.now,
            seq: SeqNumber(self.nxt),
            next: SeqNumber(self.nxt + MSS),
            len: MSS,
            in_flight: self.in_flight(),
            cwnd: self.window.cwnd,
            mss: MSS,
            srtt: self.rtt,
            again: false,
            more_waits: true,
        };
        self.bbr.on_sent(&mut self.window, &sent);
        self.nxt += MSS;
        let span = |rate: u64| Duration::from_nanos(u64::from(MSS) * 1_000_000_000 / rate);
        self.release = self.release.max(self.now) + span(self.bbr.pacing_rate);
        self.busy_until = self.busy_until.max(self.now) + span(self.rate);
        self.arrivals.push_back(self.busy_until + self.rtt);
    }

    fn acknowledge(&mut self) {
        let before = self.in_flight();
        self.una += MSS;
        let sample = AckSample {
            now: self.now,
            srtt: self.rtt,
            in_flight_before: before,
            in_flight: self.in_flight(),
            snd_una: SeqNumber(self.una),
            snd_max: SeqNumber(self.nxt),
            delivered_seq: SeqNumber(self.una),
            cwnd_limited: self.in_flight() + MSS > self.window.cwnd,
            ..ack(MSS)
        };
        self.bbr.on_ack(&mut self.window, &sample);
        if self.states.last() != Some(&self.bbr.state()) {
            self.states.push(self.bbr.state());
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            let may_send = self.in_flight() + MSS <= self.window.cwnd;
            let arrival = self.arrivals.front().copied();
            match (arrival, may_send) {
                (Some(at), true) if at <= self.release => self.take(at),
                (_, true) => {
                    self.now = self.now.max(self.release);
                    self.send();
                }
                (Some(at), false) => self.take(at),
                (None, false) => panic!("nothing in flight and no window: {:?}", self.bbr),
            }
        }
    }

    fn take(&mut self, at: Instant) {
        self.arrivals.pop_front();
        self.now = self.now.max(at);
        self.acknowledge();
    }
}

const RATE: u64 = 2_500_000;
const RTT: Duration = Duration::from_millis(40);

#[test]
fn the_states_follow_each_other_as_the_draft_draws_them() {
    let mut path = Path::new(RATE, RTT);
    path.run(Duration::from_secs(12));
    assert_eq!(
        path.states[..6],
        [
            State::Startup,
            State::Drain,
            // The queue is gone: Down is passed through within the same acknowledgement.
            State::ProbeBw(Phase::Cruise),
            State::ProbeBw(Phase::Refill),
            State::ProbeBw(Phase::Up),
            State::ProbeBw(Phase::Down),
        ],
        "{:?}",
        path.states
    );
    assert!(path.states.contains(&State::ProbeRtt), "{:?}", path.states);
    let after = path.states.windows(2).filter(|pair| pair[0] == State::ProbeBw(Phase::Up));
    assert!(after.clone().count() > 1);
    for pair in after {
        assert!(matches!(pair[1], State::ProbeBw(Phase::Down) | State::ProbeRtt), "{pair:?}");
    }
}

#[test]
fn the_model_finds_the_rate_and_the_round_trip_of_the_path() {
    let mut path = Path::new(RATE, RTT);
    path.run(Duration::from_secs(5));
    let bw = path.bbr.model.max_bw();
    assert!((RATE * 95 / 100..=RATE * 105 / 100).contains(&bw), "{bw}");
    let rtt_us = path.bbr.model.min_rtt_us();
    assert!((40_000..=41_000).contains(&rtt_us), "{rtt_us}");
    let sent = u64::from(path.una);
    assert!(sent > RATE * 5 * 85 / 100, "{sent}");
}

#[test]
fn little_is_in_flight_while_the_round_trip_is_probed() {
    let mut path = Path::new(RATE, RTT);
    while path.bbr.state() != State::ProbeRtt {
        path.run(Duration::from_millis(1));
    }
    path.run(Duration::from_millis(100));
    assert_eq!(path.bbr.state(), State::ProbeRtt);
    let bdp = 100_000;
    assert!(path.in_flight() <= bdp * 55 / 100, "{}", path.in_flight());
    path.run(Duration::from_secs(1));
    assert!(path.window.cwnd > bdp, "the window is back: {}", path.window.cwnd);
}

#[test]
fn losses_outside_of_probing_lower_the_bounds_by_three_tenths_at_most_and_probing_forgets_them() {
    let mut path = Path::new(RATE, RTT);
    while path.bbr.state() != State::ProbeBw(Phase::Cruise) {
        path.run(Duration::from_millis(1));
    }
    assert_eq!(path.bbr.model.inflight_lo, super::model::INFINITE);
    let before = path.window.cwnd;
    path.bbr.model.note_loss(path.bbr.rate.delivered());
    path.run(Duration::from_millis(90));
    let bound = path.bbr.model.inflight_lo;
    assert!(bound >= u64::from(before) * 7 / 10 - 1 && bound <= u64::from(before), "{bound}");
    while path.bbr.state() != State::ProbeBw(Phase::Refill) {
        path.run(Duration::from_millis(1));
    }
    assert_eq!(path.bbr.model.inflight_lo, super::model::INFINITE);
}

#[test]
fn the_loss_that_makes_two_percent_ends_a_probe_at_once_with_what_was_in_flight_before_it() {
    let mut path = Path::new(RATE, RTT);
    while path.bbr.state() != State::ProbeBw(Phase::Up) {
        path.run(Duration::from_millis(1));
    }
    // A round later what was sent at the higher rate is under way.
    path.run(RTT + RTT);
    assert_eq!(path.bbr.state(), State::ProbeBw(Phase::Up));
    let sent = path.in_flight();
    let lost = |i: u32| Lost {
        now: path.now,
        end: SeqNumber(path.una + i * MSS),
        len: MSS,
        in_flight: sent - i * MSS,
        mss: MSS,
    };
    let mut bbr = path.bbr.clone();
    bbr.on_lost(&mut path.window, &lost(1));
    assert_eq!(bbr.state(), State::ProbeBw(Phase::Up), "one of {} segments", sent / MSS);
    assert_eq!(bbr.model.inflight_hi, super::model::INFINITE);
    let crossing = (2..).find(|i| {
        bbr.on_lost(&mut path.window, &lost(*i));
        bbr.state() != State::ProbeBw(Phase::Up)
    });
    assert_eq!(bbr.state(), State::ProbeBw(Phase::Down));
    let bound = bbr.model.inflight_hi;
    // Two are less than 2 % of what was in flight when these left, and three are more.
    assert_eq!(crossing, Some(3));
    assert!((100 * MSS..150 * MSS).contains(&sent), "{sent}");
    assert!(bound > u64::from(100 * MSS) && bound < u64::from(sent), "{bound} of {sent}");
}

#[test]
fn what_was_not_too_much_is_counted_to_the_byte_within_a_burst_that_is_lost() {
    let rs = |tx_in_flight, lost| RateSample { tx_in_flight, lost, ..RateSample::default() };
    // 2 % of 90,000 and of what of the burst may be lost: (0.02 * 90,000) / 0.98.
    assert_eq!(Model::inflight_at_loss(&rs(100_000, 10_000), 10_000), 90_000 + 1_836);
    // Enough was lost before it.
    assert_eq!(Model::inflight_at_loss(&rs(100_000, 3_000), 1_000), 99_000);
}
