//! How far a swarm is, on a terminal.

use std::io::IsTerminal;

use causeway_sim::plant::reached;
use causeway_sim::swarm::Standing;
use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on a terminal; nothing anywhere else.
pub struct Bar {
    bar: Option<ProgressBar>,
    /// Seeds that were done when it began.
    before: Option<u64>,
}

impl Bar {
    /// A bar that shows nothing yet.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("[{bar:40}] {pos} of {len} seeds, {msg}");
            let bar = ProgressBar::new(0);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, before: None }
    }

    /// Input: how far it is.
    pub fn show(&mut self, standing: &Standing) {
        let before = *self.before.get_or_insert(standing.seeds);
        let Some(bar) = &self.bar else { return };
        bar.set_length(standing.all);
        bar.set_position(standing.seeds);
        let rate = (standing.seeds - before) as f64 / standing.elapsed.as_secs_f64().max(0.001);
        let marks = reached();
        let marks = match marks.len() {
            0 => String::new(),
            all => {
                let seen = marks.iter().filter(|(_, count)| *count > 0).count();
                format!(", {seen} of {all} marks")
            }
        };
        bar.set_message(format!("{rate:.0}/s, {} failed{marks}", standing.failures));
    }

    /// Command: does `body` while the bar is out of the way of what it prints.
    pub fn suspend<T>(&self, body: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(body),
            None => body(),
        }
    }

    /// Command: takes it away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
