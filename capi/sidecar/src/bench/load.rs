//! The loop of a client: what it sends when, and what comes back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Bytes of a message.
    pub size: usize,
    pub flows: usize,
    pub pace: Pace,
    pub warm_up: Duration,
    /// What is measured.
    pub time: Duration,
    /// Never sleep.
    pub spin: bool,
}

/// When a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// When fewer than `window` of its flow are under way.
    Closed { window: usize },
    /// When it is due.
    Open { per_second: u32 },
}

/// Most messages of a flow that wait to come back, in an open loop: a server that answers nothing must not fill the memory.
const OPEN_WINDOW: usize = 65_536;
/// After so long a message that may be lost is.
const LOST: Duration = Duration::from_secs(1);
/// Nothing came back for so long: the loop looks at the clock.
const LOOK: Duration = Duration::from_millis(100);
/// The longest round trip that is told from longer ones, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

impl Load {
    /// Most messages of a flow under way.
    pub const fn window(&self) -> usize {
        match self.pace {
            Pace::Closed { window } => window,
            Pace::Open { .. } => OPEN_WINDOW,
        }
    }
}

/// What carries messages to an echo server.
pub trait Carrier {
    /// Command: sends message `number` of a flow, counted from 0. False: not now.
    fn send(&mut self, flow: usize, number: u64) -> anyhow::Result<bool>;
    /// Output: what came back next; waits until `until`, or not at all when it is `None`.
    fn recv(&mut self, until: Option<Instant>) -> anyhow::Result<Option<Echo>>;
    /// Getter: messages may be lost, so that later ones come back without them.
    fn loses(&self) -> bool {
        false
    }
}

/// A message that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    pub flow: usize,
    /// Its number, where the carrier loses messages; elsewhere they come in order.
    pub number: Option<u64>,
}

/// What was measured.
#[derive(Debug)]
pub struct Outcome {
    /// Messages that came back within the time.
    pub messages: u64,
    pub lost: u64,
    /// How long was measured.
    pub took: Duration,
    /// In nanoseconds.
    pub round_trips: Histogram<u64>,
    /// Why it ended before its time.
    pub ended: Option<String>,
}

/// Messages of a flow under way, the oldest first: number, and when it was sent or due.
#[derive(Debug, Default)]
struct Flow {
    sent: u64,
    under_way: VecDeque<(u64, Instant)>,
}

/// Runs `load` over `carrier`.
///
/// # Errors
/// The carrier cannot be used at all. What ends a flow is in the outcome.
pub fn run(load: &Load, carrier: &mut impl Carrier) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let mut client = Client {
        load: *load,
        flows: (0..load.flows).map(|_| Flow::default()).collect(),
        began,
        counts_from: began + load.warm_up,
        ends: began + load.warm_up + load.time,
        due: 0,
        outcome: Outcome {
            messages: 0,
            lost: 0,
            took: load.time,
            round_trips: Histogram::new_with_bounds(1, LONGEST_NS, 3)?,
            ended: None,
        },
    };
    let counts_from = client.counts_from;
    if let Err(error) = client.go(carrier) {
        client.outcome.ended = Some(format!("{error:#}"));
        client.outcome.took = Instant::now().saturating_duration_since(counts_from);
    }
    Ok(client.outcome)
}

struct Client {
    load: Load,
    flows: Vec<Flow>,
    began: Instant,
    counts_from: Instant,
    ends: Instant,
    /// Open loop: messages that were due so far.
    due: u64,
    outcome: Outcome,
}

impl Client {
    fn go(&mut self, carrier: &mut impl Carrier) -> anyhow::Result<()> {
        if let Pace::Closed { .. } = self.load.pace {
            for flow in 0..self.flows.len() {
                self.fill(flow, carrier)?;
            }
        }
        loop {
            let now = Instant::now();
            if now >= self.ends {
                return Ok(());
            }
            if carrier.loses() {
                self.give_up_lost(now, carrier)?;
            }
            let next = self.send_due(now, carrier)?;
            let until = (!self.load.spin).then(|| next.min(now + LOOK).min(self.ends));
            if let Some(echo) = carrier.recv(until)? {
                self.take(echo, carrier)?;
                // What came with it needs no look at the clock of its own.
                for _ in 0..self.load.window() {
                    let Some(echo) = carrier.recv(None)? else { break };
                    self.take(echo, carrier)?;
                }
            }
        }
    }

    /// Sends what is due (open loop), or what a flow could not send before; when the next one is.
    fn send_due(&mut self, now: Instant, carrier: &mut impl Carrier) -> anyhow::Result<Instant> {
        let Pace::Open { per_second } = self.load.pace else {
            for flow in 0..self.flows.len() {
                if self.flows[flow].under_way.is_empty() {
                    self.fill(flow, carrier)?;
                }
            }
            return Ok(self.ends);
        };
        loop {
            let nanos = u128::from(self.due) * 1_000_000_000 / u128::from(per_second);
            let at = self.began + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            if at > now {
                return Ok(at);
            }
            let flow = (self.due % self.flows.len() as u64) as usize;
            if self.flows[flow].under_way.len() >= self.load.window()
                || !self.send(flow, at, carrier)?
            {
                // It is late from here on, which its time will show.
                return Ok(now + Duration::from_micros(100));
            }
            self.due += 1;
        }
    }

    /// Closed loop: as much as the window allows.
    fn fill(&mut self, flow: usize, carrier: &mut impl Carrier) -> anyhow::Result<()> {
        let Pace::Closed { window } = self.load.pace else { return Ok(()) };
        while self.flows[flow].under_way.len() < window {
            if !self.send(flow, Instant::now(), carrier)? {
                break;
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        flow: usize,
        since: Instant,
        carrier: &mut impl Carrier,
    ) -> anyhow::Result<bool> {
        let one = &mut self.flows[flow];
        if !carrier.send(flow, one.sent)? {
            return Ok(false);
        }
        one.under_way.push_back((one.sent, since));
        one.sent += 1;
        Ok(true)
    }

    fn take(&mut self, echo: Echo, carrier: &mut impl Carrier) -> anyhow::Result<()> {
        let now = Instant::now();
        let under_way = &mut self.flows[echo.flow].under_way;
        let at = match echo.number {
            None => 0,
            Some(number) => match under_way.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(at) => at,
                // It was given up as lost, or came twice.
                Err(_) => return Ok(()),
            },
        };
        let Some((_, since)) = under_way.remove(at) else {
            anyhow::bail!("the server sent more than it got: it is no echo server");
        };
        if now >= self.counts_from && now < self.ends {
            self.outcome.messages += 1;
            let nanos = now.saturating_duration_since(since).as_nanos();
            let nanos = u64::try_from(nanos).unwrap_or(LONGEST_NS).clamp(1, LONGEST_NS);
            self.outcome.round_trips.saturating_record(nanos);
        }
        self.fill(echo.flow, carrier)
    }

    fn give_up_lost(&mut self, now: Instant, carrier: &mut impl Carrier) -> anyhow::Result<()> {
        for flow in 0..self.flows.len() {
            let mut lost = false;
            let under_way = &mut self.flows[flow].under_way;
            while under_way.front().is_some_and(|(_, since)| *since + LOST <= now) {
                under_way.pop_front();
                self.outcome.lost += u64::from(now >= self.counts_from);
                lost = true;
            }
            if lost {
                self.fill(flow, carrier)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comes back at once, but every `drops`-th message, and the window is `room`.
    #[derive(Default)]
    struct Mirror {
        waiting: VecDeque<Echo>,
        room: usize,
        most: usize,
        drops: Option<u64>,
        sends: u64,
        ends_after: Option<u64>,
    }

    impl Carrier for Mirror {
        fn send(&mut self, flow: usize, number: u64) -> anyhow::Result<bool> {
            if self.waiting.len() >= self.room {
                return Ok(false);
            }
            self.sends += 1;
            if self.ends_after.is_some_and(|most| self.sends > most) {
                anyhow::bail!("the flow is at its end");
            }
            if self.drops.is_none_or(|every| !self.sends.is_multiple_of(every)) {
                let number = self.drops.map(|_| number);
                self.waiting.push_back(Echo { flow, number });
            }
            self.most = self.most.max(self.waiting.len());
            Ok(true)
        }

        fn recv(&mut self, _: Option<Instant>) -> anyhow::Result<Option<Echo>> {
            Ok(self.waiting.pop_front())
        }

        fn loses(&self) -> bool {
            self.drops.is_some()
        }
    }

    fn load(pace: Pace, flows: usize, time_ms: u64) -> Load {
        let time = Duration::from_millis(time_ms);
        Load { size: 64, flows, pace, warm_up: Duration::ZERO, time, spin: true }
    }

    #[test]
    fn a_closed_loop_keeps_its_window_full_and_no_more() {
        let mut mirror = Mirror { room: 1_000, ..Mirror::default() };
        let outcome = run(&load(Pace::Closed { window: 8 }, 3, 30), &mut mirror).unwrap();
        assert_eq!(mirror.most, 24);
        assert!(outcome.messages > 100 && outcome.lost == 0 && outcome.ended.is_none());
        assert_eq!(outcome.round_trips.len(), outcome.messages);
        assert!(mirror.sends - outcome.messages <= 24 + 8, "{} {outcome:?}", mirror.sends);
    }

    #[test]
    fn an_open_loop_sends_when_a_message_is_due() {
        let mut mirror = Mirror { room: 1_000, ..Mirror::default() };
        let outcome = run(&load(Pace::Open { per_second: 2_000 }, 2, 100), &mut mirror).unwrap();
        assert!(mirror.sends <= 201, "{}", mirror.sends);
        assert!(outcome.messages > 0);
    }

    #[test]
    fn what_is_lost_is_told_from_what_came_late() {
        let mut mirror = Mirror { room: 1_000, drops: Some(5), ..Mirror::default() };
        let outcome = run(&load(Pace::Closed { window: 4 }, 1, 1_300), &mut mirror).unwrap();
        // Four are lost soon; after a second they are given up, and four more are.
        assert_eq!(outcome.lost, 4);
        assert!(outcome.messages >= 16, "{}", outcome.messages);
    }

    #[test]
    fn a_flow_that_ends_ends_the_measurement_and_says_why() {
        let mut mirror = Mirror { room: 1_000, ends_after: Some(50), ..Mirror::default() };
        let outcome = run(&load(Pace::Closed { window: 4 }, 1, 60_000), &mut mirror).unwrap();
        assert_eq!(outcome.ended.as_deref(), Some("the flow is at its end"));
        assert!(outcome.messages >= 40 && outcome.took < Duration::from_secs(60));
    }
}
