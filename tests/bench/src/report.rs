//! What was measured, as a table, as JSON and as a gate.

use std::fmt::Write as _;

use crate::{Case, Peer};

/// Beside 10,000 idle connections a segment may cost this much more than alone.
const IDLE_RATIO_MAX: f64 = 1.10;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What was done.
    pub case: Case,
    /// By whom.
    pub peer: Peer,
    /// Nanoseconds for each unit, median of three.
    pub nanos: f64,
    /// Instructions for each unit.
    pub instructions: f64,
}

/// Prints a row as soon as it is there.
pub fn progress(row: Option<&Row>) {
    let Some(row) = row else { return };
    println!(
        "{:<15} {:<9} {:>10.1} ns {:>10.0} instructions a {}",
        row.case.name(),
        peer_name(row.peer),
        row.nanos,
        row.instructions,
        row.case.unit()
    );
}

const fn peer_name(peer: Peer) -> &'static str {
    match peer {
        Peer::Causeway => "causeway",
        Peer::Smoltcp => "smoltcp",
    }
}

fn find(rows: &[Row], case: Case, peer: Peer) -> Option<&Row> {
    rows.iter().find(|r| r.case == case && r.peer == peer)
}

/// Goals by their number, where both sides were measured: speed ratio and instruction ratio against smoltcp.
pub fn ratios(rows: &[Row]) -> String {
    let mut text = String::from("\n                 speed x smoltcp   instructions x smoltcp\n");
    for case in Case::ALL {
        if let (Some(ours), Some(theirs)) =
            (find(rows, case, Peer::Causeway), find(rows, case, Peer::Smoltcp))
        {
            let _ = writeln!(
                text,
                "{:<15} {:>16.2} {:>24.3}",
                case.name(),
                theirs.nanos / ours.nanos,
                ours.instructions / theirs.instructions
            );
        }
    }
    for (case, count) in [(Case::BulkIdle10k, "10,000"), (Case::BulkIdle100k, "100,000")] {
        if let Some(ratio) = idle_ratio(rows, case) {
            let _ = writeln!(
                text,
                "a segment beside {count} idle connections: {ratio:.4} x its own instructions alone"
            );
        }
    }
    text
}

fn idle_ratio(rows: &[Row], beside: Case) -> Option<f64> {
    let beside = find(rows, beside, Peer::Causeway)?;
    let alone = find(rows, Case::Bulk1500, Peer::Causeway)?;
    Some(beside.instructions / alone.instructions)
}

/// The ratios that gate.
///
/// # Errors
/// Names the ratio that is exceeded, or was not measured.
pub fn gate(rows: &[Row]) -> Result<(), String> {
    match idle_ratio(rows, Case::BulkIdle10k) {
        None => Err("the cost beside idle connections was not measured".to_owned()),
        Some(ratio) if ratio > IDLE_RATIO_MAX => Err(format!(
            "a segment beside 10,000 idle connections costs {ratio:.3} x, at most {IDLE_RATIO_MAX}"
        )),
        Some(_) => Ok(()),
    }
}

/// Every measurement as one JSON document.
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                r#"{{"case":"{}","stack":"{}","unit":"{}","ns":{:.1},"instructions":{:.1}}}"#,
                r.case.name(),
                peer_name(r.peer),
                r.case.unit(),
                r.nanos,
                r.instructions
            )
        })
        .collect();
    format!(r#"{{"bench":"core","rows":[{}]}}"#, rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(alone: f64, beside: f64) -> Vec<Row> {
        let row = |case, instructions| Row { case, peer: Peer::Causeway, nanos: 1.0, instructions };
        vec![row(Case::Bulk1500, alone), row(Case::BulkIdle10k, beside)]
    }

    #[test]
    fn the_gate_refuses_a_cost_that_grows_with_connections() {
        assert_eq!(gate(&rows(1_000.0, 1_090.0)), Ok(()));
        assert!(gate(&rows(1_000.0, 1_110.0)).is_err());
        assert!(gate(&[]).is_err());
    }
}
