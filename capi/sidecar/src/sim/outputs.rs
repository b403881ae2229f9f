//! What a run is explained with: the files of `causeway sim run`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use causeway_sim::explain::Outputs;

/// What is written of the run.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// Write a capture: opens in Wireshark, and is itself a CASE that can be run
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,
    /// Write what happened as JSON, an event a line
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write a page for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print a line for each packet
    #[arg(long)]
    timeline: bool,
    /// Characters of a line of the timeline, at most; "$(tput cols)" is what a terminal shows
    #[arg(long, value_name = "N", default_value_t = 160, requires = "timeline",
          value_parser = clap::value_parser!(u16).range(60..))]
    columns: u16,
}

/// Files that get their names once everything is in them.
#[derive(Debug, Default)]
pub struct Files {
    files: Vec<(PathBuf, PathBuf)>,
}

impl Wanted {
    /// Getter: something is asked for.
    pub const fn any(&self) -> bool {
        self.timeline || self.pcapng.is_some() || self.events.is_some() || self.html.is_some()
    }

    /// Command: makes the files.
    ///
    /// # Errors
    /// One of them cannot be made; none is left behind.
    pub fn create(&self) -> anyhow::Result<(Outputs, Files)> {
        let mut files = Files::default();
        let outputs = Outputs {
            pcapng: files.create(self.pcapng.as_deref())?,
            json: files.create(self.events.as_deref())?,
            html: files.create(self.html.as_deref())?,
            timeline: self.timeline.then(|| Box::new(io::stdout()) as Box<dyn Write>),
            columns: Some(self.columns.into()),
        };
        Ok((outputs, files))
    }
}

impl Files {
    fn create(&mut self, path: Option<&Path>) -> anyhow::Result<Option<Box<dyn Write>>> {
        let Some(path) = path else { return Ok(None) };
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let file = File::create(&new);
        let file = file.with_context(|| format!("{}: cannot be written", path.display()))?;
        self.files.push((new, path.to_owned()));
        Ok(Some(Box::new(file)))
    }

    /// Command: gives them their names.
    ///
    /// # Errors
    /// One cannot have its own.
    pub fn finish(mut self) -> anyhow::Result<()> {
        for (new, path) in std::mem::take(&mut self.files) {
            fs::rename(&new, &path)
                .with_context(|| format!("{}: cannot be written", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for (new, _) in &self.files {
            let _ = fs::remove_file(new);
        }
    }
}
