//! Cases of long transfers over a clean bottleneck, which oracle O9 judges.

use std::fmt::Write as _;

use super::draw::Draw;
use crate::fault::FaultPlan;
use crate::trial::Case;

/// Bytes of a full frame on the wire, with what is around it.
const FRAME_BYTES: u64 = 1_538;

/// Output: the case of a seed. `draw` is its own stream.
pub(super) fn draw_long(seed: u64, draw: &mut Draw) -> Case {
    let algorithm = draw.of(&["cubic", "cubic", "reno", "bbr", "dctcp"]);
    // An epoch of CUBIC takes seconds, whatever the round trip (K of RFC 9438 4.2), and BBR measures for ten: shares of theirs are equal
    // in the long run only. DCTCP without marks is Reno.
    let shares = algorithm == "reno" && draw.chance(60);
    let flows = if shares { 2 } else { 1 };
    let delay_us = draw.between(2_000, 15_000);
    // Frames of the path, and of the queue. Who shares has some hundred epochs, of half a window of round trips each.
    let path = draw.between(16, if shares { 24 } else { 40 });
    let rate = path * FRAME_BYTES * 8 * 1_000 / (2 * delay_us);
    // A queue that drops what comes when it is full strikes, of two flows of one rhythm, the same one again and again (phase effects: Floyd and
    // Jacobson, On Traffic Phase Effects in Packet-Switched Gateways, 1992). One that drops early and at random does not.
    let queue = if shares {
        let (least, most) = (path / 2, 2 * path);
        format!(
            "queue = \"red\", queue_frames = {}, red = {{ min_frames = {least}, max_frames = {most}, \
             max_ppm = 20000, weight_shift = 6 }}",
            3 * path
        )
    } else {
        format!("queue = \"drop-tail\", queue_frames = {path}")
    };
    let each = if shares { 14_000_000 } else { 3_500_000 };
    let mut tcp = format!("congestion = \"{algorithm}\"");
    for (percent, setting) in [(20, "timestamps = false"), (20, "pacing = true")] {
        if draw.chance(percent) {
            let _ = write!(tcp, ", {setting}");
        }
    }
    let mut text = String::from("host = [\n");
    for (name, octet) in [("a", 1), ("b", 2)] {
        let _ = writeln!(
            text,
            "  {{ name = \"{name}\", interface = [{{ name = \"eth0\", \
             addresses = [\"10.0.0.{octet}/24\"] }}], tcp = {{ {tcp} }} }},"
        );
    }
    let _ = writeln!(
        text,
        "]\nlink = [\n  {{ between = [\"a\", \"b\"], rate_kbit_s = {rate}, delay_us = {delay_us}, \
         {queue} }},\n]\nflow = ["
    );
    for flow in 0..flows {
        let start = 2 + 7 * flow;
        let _ = writeln!(
            text,
            "  {{ kind = \"stream\", from = \"a\", to = \"b\", bytes = {each}, start_ms = {start} }},"
        );
    }
    let settle = 40 * delay_us / 1_000 * flows;
    let fairness = if shares { 95 } else { 0 };
    let _ = writeln!(
        text,
        "]\noracle = {{ bottleneck = \"a->b\", settle_ms = {settle}, fairness_percent = {fairness} }}"
    );
    Case { seed, failed: None, scenario: text, plan: FaultPlan::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Trial;

    #[test]
    fn long_transfers_reach_what_they_have_to() {
        let mut wrong = Vec::new();
        // `CAUSEWAY_LONG_SEEDS` asks for more.
        let more = std::env::var("CAUSEWAY_LONG_SEEDS").ok().and_then(|text| text.parse().ok());
        for seed in 0..more.unwrap_or(12) {
            let case = draw_long(seed, &mut Draw::new(seed, 10));
            let trial = Trial::new("case", &case).expect("what is drawn is right");
            let outcome = trial.run(Vec::new()).expect("the plan is empty");
            if let Some(violation) = outcome.violation {
                wrong.push(format!("{violation:?}\n{case}"));
            }
        }
        assert!(wrong.is_empty(), "{} of them\n{}", wrong.len(), wrong.join("\n"));
    }
}
