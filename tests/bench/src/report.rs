//! What was measured, line by line and as JSON.

use crate::{Case, Peer};

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

/// Getter: one of the rows.
pub fn find(rows: &[Row], case: Case, peer: Peer) -> Option<&Row> {
    rows.iter().find(|r| r.case == case && r.peer == peer)
}

/// Every measurement as one JSON document.
pub fn json(rows: &[Row], idle_bytes: f64) -> String {
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
    format!(
        r#"{{"bench":"core","idle_connection_bytes":{idle_bytes:.1},"rows":[{}]}}"#,
        rows.join(",")
    )
}
