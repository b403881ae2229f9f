//! Lines into a file.

use std::io::{self, Write};

/// Takes lines. After an error nothing more is written; the first one is told at the end.
pub(super) struct Sink {
    out: Box<dyn Write>,
    error: Option<io::Error>,
}

impl Sink {
    pub(super) fn new(out: Box<dyn Write>) -> Self {
        Self { out, error: None }
    }

    /// Output: a line; its end is added.
    pub(super) fn line(&mut self, line: &str) {
        if self.error.is_none() {
            let written = self.out.write_all(line.as_bytes());
            self.error = written.and_then(|()| self.out.write_all(b"\n")).err();
        }
    }

    /// Command: flushes.
    ///
    /// # Errors
    /// The first one since the begin.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.error.take().map_or_else(|| self.out.flush(), Err)
    }
}
