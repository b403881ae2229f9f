//! How much has gone by, for a person who waits: a line on the terminal while files and pipes are at work.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Before that nobody waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// The bytes of this process's conversations.
pub static TRAFFIC: LazyLock<Traffic> = LazyLock::new(|| Traffic {
    began: Instant::now(),
    // Where what is typed or received is on the terminal itself, a line that moves would be in its way.
    wanted: std::io::stderr().is_terminal()
        && !std::io::stdin().is_terminal()
        && !std::io::stdout().is_terminal(),
    sent: AtomicU64::new(0),
    received: AtomicU64::new(0),
    line: OnceLock::new(),
});

/// See the module.
pub struct Traffic {
    began: Instant,
    wanted: bool,
    sent: AtomicU64,
    received: AtomicU64,
    line: OnceLock<ProgressBar>,
}

impl Traffic {
    /// Input: bytes of stdin were handed over.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.show();
    }

    /// Input: bytes were received.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.show();
    }

    fn show(&self) {
        if !self.wanted || self.began.elapsed() < PATIENCE {
            return;
        }
        let line = self.line.get_or_init(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} in {elapsed}");
            ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
                .with_elapsed(self.began.elapsed())
        });
        line.set_message(self.text());
        line.tick();
    }

    fn text(&self) -> String {
        let count = |bytes: &AtomicU64| HumanBytes(bytes.load(Ordering::Relaxed));
        format!("{} sent, {} received", count(&self.sent), count(&self.received))
    }

    /// Command: the line goes.
    pub fn clear(&self) {
        if let Some(line) = self.line.get() {
            line.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_by_is_counted_and_nothing_is_shown_where_nobody_looks() {
        let traffic = Traffic {
            began: Instant::now(),
            wanted: false,
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            line: OnceLock::new(),
        };
        traffic.sent(1 << 20);
        traffic.sent(1 << 20);
        traffic.received(10);
        assert_eq!(traffic.text(), "2.00 MiB sent, 10 B received");
        assert!(traffic.line.get().is_none());
        traffic.clear();
    }
}
