//! What was found.

use std::fmt;
use std::net::SocketAddr;

use causeway_core::time::Instant;

use super::registry::{Rule, RuleId};

/// Most violations that are kept.
const KEPT_MAX: usize = 16;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: &'static Rule,
    /// By whom.
    pub host: usize,
    /// When.
    pub at: Instant,
    /// The connection's local and remote ends; `None` where there is no connection.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// How.
    pub words: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, host, at, ends, words } = self;
        write!(f, "{} at {at} s by host {host}", rule.id)?;
        if let Some((local, remote)) = ends {
            write!(f, " ({local} to {remote})")?;
        }
        write!(f, ": {words} [{}: {}]", rule.clause, rule.words)
    }
}

/// Who and when, of the frame that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) host: usize,
    pub(super) at: Instant,
    pub(super) ends: Option<(SocketAddr, SocketAddr)>,
}

/// The violations so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) violations: Vec<Violation>,
    pub(super) count: u64,
    /// Rules that are not judged in this run, by id.
    pub(super) disabled: Vec<&'static str>,
}

impl Report {
    #[cold]
    #[inline(never)]
    pub(super) fn broken(&mut self, rule: RuleId, scene: &Scene, words: String) {
        let rule = rule.rule();
        if self.disabled.contains(&rule.id) {
            return;
        }
        self.count += 1;
        if self.violations.len() < KEPT_MAX {
            let Scene { host, at, ends } = *scene;
            self.violations.push(Violation { rule, host, at, ends, words });
        }
    }
}
