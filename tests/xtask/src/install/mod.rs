//! `cargo xtask install` and `uninstall`: the files of a release where a distribution would put them.

mod files;
mod place;

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};

use files::Entry;

/// Where to install.
#[derive(clap::Args)]
pub struct Where {
    /// What everything goes below, as it is called when it runs: /usr/local, /usr
    #[arg(long, value_name = "DIR")]
    prefix: PathBuf,
    /// Write below this directory instead, for a package; the files say the prefix alone
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
}

/// What `install` takes.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: Where,
    /// The directory of the libraries below the prefix
    #[arg(long, value_name = "DIR", default_value = "lib")]
    libdir: PathBuf,
    /// The cargo profile that is built
    #[arg(long, default_value = "release")]
    profile: String,
}

/// The file that says what was installed, below the prefix.
const RECORD: &str = "share/causeway/installed";

/// What a prefix is made of: the rest means something else in a unit, in a pkg-config file or in a shell.
fn is_plain(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._+-".contains(&b))
}

impl Where {
    /// The prefix as text, checked.
    fn prefix(&self) -> Result<&str> {
        let text = self.prefix.to_str().context("--prefix is no text")?;
        let absolute = self.prefix.is_absolute()
            && self.prefix.components().all(|part| part != Component::ParentDir);
        ensure!(
            absolute && is_plain(text),
            "--prefix {text:?}: give an absolute path of the characters a-z A-Z 0-9 / . _ + -"
        );
        Ok(text)
    }

    /// The directory that is written to.
    fn root(&self) -> Result<PathBuf> {
        let prefix = self.prefix()?;
        let Some(destdir) = &self.destdir else { return Ok(self.prefix.clone()) };
        let destdir = std::path::absolute(destdir).context("--destdir")?;
        Ok(destdir.join(prefix.trim_start_matches('/')))
    }
}

/// Builds everything, then puts it in its place.
///
/// # Errors
/// One message; nothing is left of what was begun.
pub fn install(args: &Args) -> Result<()> {
    let prefix = args.to.prefix()?;
    let root = args.to.root()?;
    let libdir = args.libdir.to_str().context("--libdir is no text")?;
    ensure!(
        is_plain(libdir) && is_below(&args.libdir),
        "--libdir {libdir:?}: give a path below the prefix, of the characters a-z A-Z 0-9 / . _ + -"
    );
    place::check(&root)?;
    let built = files::build(&args.profile)?;
    let mut entries = files::list(&built, prefix, libdir)?;
    let mut names: Vec<String> = entries.iter().map(|entry| entry.path.clone()).collect();
    names.push(RECORD.to_owned());
    names.sort();
    entries.push(Entry::text(RECORD, names.join("\n") + "\n"));
    place::put(&root, &entries)?;
    println!("installed {} files below {}", entries.len(), root.display());
    Ok(())
}

/// Removes what [`install`] has put there, and the directories that are empty then.
///
/// # Errors
/// Nothing was installed there, or a file cannot be removed.
pub fn uninstall(to: &Where) -> Result<()> {
    let root = to.root()?;
    let record = root.join(RECORD);
    let text = std::fs::read_to_string(&record)
        .with_context(|| format!("nothing is installed there: cannot read {}", record.display()))?;
    let names: Vec<&str> = text.lines().collect();
    for name in &names {
        ensure!(
            is_below(Path::new(name)),
            "{} names {name:?}, which is not below it",
            record.display()
        );
    }
    place::remove(&root, &names)?;
    println!("removed {} files below {}", names.len(), root.display());
    Ok(())
}

/// A path that leads down and nowhere else.
fn is_below(path: &Path) -> bool {
    path.components().next().is_some()
        && path.components().all(|part| matches!(part, Component::Normal(_)))
}
