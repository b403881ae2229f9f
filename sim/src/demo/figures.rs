//! What is computed from a finished leg.

use std::sync::PoisonError;

use anyhow::{Context as _, ensure};
use causeway_core::port::Transport;
use causeway_core::time::{Duration, Instant};
use hdrhistogram::Histogram;

use super::leg::{Leg, LegSpec, server};
use super::programs;
use crate::link::wire_bytes;
use crate::report::{Flow, Recording};
use crate::tap::DirectionId;

/// Named values, in the order in which they are shown.
pub type Figures = Vec<(String, String)>;

/// One leg's outcome.
#[derive(Clone, Debug)]
pub struct LegReport {
    /// A few words.
    pub name: String,
    /// A sentence.
    pub about: String,
    /// For the table and the page.
    pub figures: Figures,
    /// The world's rolling hash at the end.
    pub state_hash: u64,
    /// Frames that were serialised, both directions.
    pub frames: u64,
    /// Wall-clock time.
    pub wall: std::time::Duration,
    /// Simulated time.
    pub simulated: Duration,
    /// Goodput in steady state over what the link can carry, of the first stream.
    pub steady_ratio: Option<f64>,
    /// How that was computed.
    pub formula: Option<String>,
}

/// Payload bytes of a full segment: MTU less IPv4 and TCP headers with the timestamps option (RFC 7323 appendix A).
const SEGMENT_PAYLOAD: u64 = 1_500 - 20 - 20 - 12;
/// The same segment as a frame.
const SEGMENT_FRAME: usize = 1_514;

/// Bits a second over a span.
fn rate(bytes: u64, span: Duration) -> f64 {
    bytes as f64 * 8e9 / span.as_nanos().max(1) as f64
}

fn rate_text(bits_per_second: f64) -> String {
    if bits_per_second >= 1e9 {
        format!("{:.3} Gbit/s", bits_per_second / 1e9)
    } else {
        format!("{:.1} Mbit/s", bits_per_second / 1e6)
    }
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn bytes_text(bytes: u64) -> String {
    if bytes >= 1 << 20 {
        format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
    } else {
        format!("{} B", grouped(bytes))
    }
}

/// The part of a stream after slow start: from a quarter of its bytes to fifteen sixteenths.
fn steady(samples: &[(Instant, u64)]) -> Option<(u64, Duration)> {
    let total = samples.last()?.1;
    let &(from, low) = samples.iter().find(|(_, bytes)| *bytes >= total / 4)?;
    let &(to, high) = samples.iter().find(|(_, bytes)| *bytes >= total / 16 * 15)?;
    (to > from).then(|| (high - low, to.saturating_since(from)))
}

/// Command: checks the oracle, and computes everything that is shown.
///
/// # Errors
/// The oracle saw a wrong byte, or not everything.
pub fn evaluate(
    spec: &LegSpec,
    leg: &Leg,
    recording: &Recording,
    wall: std::time::Duration,
) -> anyhow::Result<LegReport> {
    let simulated = leg.world.now().saturating_since(Instant::ZERO);
    let mut figures: Figures = vec![("simulated time".to_owned(), simulated.to_string())];
    let mut push = |name: &str, value: String| figures.push((name.to_owned(), value));
    let mut steady_of_first = None;
    for (stream, received) in spec.streams.iter().zip(&leg.received) {
        let seen = leg.oracle.verified(Transport::Tcp, server(stream.port));
        ensure!(seen.wrong.is_none(), "oracle O1: {}", seen.wrong.unwrap_or_default());
        ensure!(seen.reached == stream.bytes, "oracle O1: the stream ended at {}", seen.reached);
        let samples = received.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = samples.first().zip(samples.last());
        let (&(begin, _), &(end, total)) = ends.context("the stream carried nothing")?;
        push("TCP stream, every byte verified", bytes_text(total));
        push("TCP goodput", rate_text(rate(total, end.saturating_since(begin))));
        steady_of_first = steady_of_first.or(steady(&samples));
    }
    let ceiling =
        spec.link.rate_bps as f64 * SEGMENT_PAYLOAD as f64 / wire_bytes(SEGMENT_FRAME) as f64;
    let steady_ratio = steady_of_first.map(|(bytes, span)| rate(bytes, span) / ceiling);
    if let (Some(ratio), Some((bytes, span))) = (steady_ratio, steady_of_first) {
        push("TCP goodput, steady state", rate_text(rate(bytes, span)));
        push("... of what the link can carry", format!("{:.2} %", ratio * 100.0));
    }
    push_messages(spec, leg, &mut push)?;
    push_flows(&recording.flows, &mut push);
    let frames = push_link(leg, &mut push);
    push("frames per wall second", grouped((frames as f64 / wall.as_secs_f64()) as u64));
    let formula = steady_of_first.map(|_| {
        format!(
            "link can carry = payload / frame bytes on the link x rate = {SEGMENT_PAYLOAD} / (8 preamble + {SEGMENT_FRAME} frame + 4 FCS + 12 gap = {}) x {} = {}",
            wire_bytes(SEGMENT_FRAME),
            rate_text(spec.link.rate_bps as f64),
            rate_text(ceiling)
        )
    });
    Ok(LegReport {
        name: spec.name.clone(),
        about: spec.about.clone(),
        state_hash: leg.world.state_hash(),
        figures,
        frames,
        wall,
        simulated,
        steady_ratio,
        formula,
    })
}

fn push_messages(
    spec: &LegSpec,
    leg: &Leg,
    push: &mut impl FnMut(&str, String),
) -> anyhow::Result<()> {
    if spec.messages.is_empty() {
        return Ok(());
    }
    let (mut count, mut bytes) = (0, 0);
    for message in &spec.messages {
        let seen = leg.oracle.verified(Transport::Machnet, server(message.port));
        ensure!(seen.wrong.is_none(), "oracle O2: {}", seen.wrong.unwrap_or_default());
        let expected = 2 * programs::MESSAGES;
        ensure!(seen.reached == expected, "oracle O2: {} of {expected} messages", seen.reached);
        count += 2 * programs::MESSAGES;
        bytes += (0..programs::MESSAGES)
            .map(|index| programs::request_size(index) + programs::reply_size(index))
            .sum::<u64>();
    }
    push("messages of C programs, verified", format!("{count} of 1 B to 1 MiB"));
    push("... their bytes", bytes_text(bytes));
    Ok(())
}

fn push_flows(flows: &[Flow], push: &mut impl FnMut(&str, String)) {
    for (transport, name) in [(Transport::Tcp, "TCP"), (Transport::Machnet, "Machnet")] {
        let mut rtt: Option<Histogram<u64>> = None;
        let (mut again, mut lost, mut needless) = (0, 0, 0);
        for flow in flows.iter().filter(|flow| flow.transport == transport) {
            again += flow.sent_again();
            lost += flow.lost();
            needless += flow.needless();
            match (&mut rtt, flow.rtt()) {
                (Some(sum), Some(one)) => {
                    // Same bounds everywhere.
                    let _ = sum.add(one);
                }
                (rtt @ None, Some(one)) => *rtt = Some(one.clone()),
                (_, None) => {}
            }
        }
        let Some(rtt) = rtt else { continue };
        let at = |quantile: f64| Duration::from_nanos(rtt.value_at_quantile(quantile)).to_string();
        push(&format!("{name} round trip, p50"), at(0.5));
        push(&format!("{name} round trip, p90 / p99"), format!("{} / {}", at(0.9), at(0.99)));
        push(&format!("{name} retransmissions"), grouped(again));
        if transport == Transport::Machnet {
            push("... of packets that had arrived", grouped(needless));
            push("Machnet packets lost or damaged", grouped(lost));
        }
    }
}

fn push_link(leg: &Leg, push: &mut impl FnMut(&str, String)) -> u64 {
    let mut sum = [0_u64; 6];
    for DirectionId(id) in leg.directions {
        let lane = &leg.world.lanes()[id];
        let (faults, link) = (lane.fault_counters(), lane.physics().counters());
        let counters = [
            link.sent_frames,
            faults.dropped,
            faults.delayed,
            faults.duplicated,
            faults.corrupted,
            link.queue_drops + faults.ring_full,
        ];
        for (total, counter) in sum.iter_mut().zip(counters) {
            *total += counter;
        }
    }
    let [frames, dropped, delayed, duplicated, corrupted, full] = sum;
    push("frames on the link", grouped(frames));
    push("... dropped by faults", grouped(dropped));
    push("... held back (reordered)", grouped(delayed));
    push("... duplicated / corrupted", format!("{} / {}", grouped(duplicated), grouped(corrupted)));
    push("... lost to full queues", grouped(full));
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let texts: Vec<String> = [0, 999, 1_000, 1_234_567].map(grouped).to_vec();
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn steady_state_leaves_both_ends_out() {
        let samples: Vec<(Instant, u64)> =
            (1..=16).map(|n| (Instant::from_nanos(n * 1_000), n * 100)).collect();
        assert_eq!(steady(&samples), Some((1_100, Duration::from_micros(11))));
        assert_eq!(steady(&[]), None);
    }
}
