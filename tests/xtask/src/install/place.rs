//! Files put in their places: all of them or none.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::files::{Content, Entry};

/// What is begun beside a file that it will replace.
fn unready(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).context("a file has a name")?;
    Ok(path.with_file_name(format!(".{name}.causeway-install")))
}

/// Fails where nothing can be put below `root`, before anything is built.
pub(super) fn check(root: &Path) -> Result<()> {
    let there = root.ancestors().find(|path| path.exists()).context("no directory leads there")?;
    ensure!(there.is_dir(), "{} is no directory", there.display());
    let probe = there.join(format!(".causeway-install-{}", std::process::id()));
    File::create_new(&probe).with_context(|| {
        format!(
            "cannot write to {}: another user may, or another --prefix or --destdir",
            there.display()
        )
    })?;
    fs::remove_file(&probe)?;
    Ok(())
}

/// What was made so far, and goes again unless all of it is done.
#[derive(Default)]
struct Begun {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        // The last one made is the innermost.
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}

impl Begun {
    fn directory(&mut self, path: &Path) -> Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(path).with_context(|| format!("cannot make {}", path.display()))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
            self.directories.push(path.to_owned());
        }
        ensure!(path.is_dir(), "{} is no directory", path.display());
        Ok(())
    }

    /// The file, beside its place.
    fn file(&mut self, place: &Path, content: &Content) -> Result<PathBuf> {
        let path = unready(place)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                bail!("{}: {error}", path.display())
            }
            _ => {}
        }
        self.files.push(path.clone());
        match content {
            Content::Link(to) => symlink(to, &path)?,
            Content::File(bytes, mode) => {
                let mut file = File::create_new(&path)?;
                file.write_all(bytes)?;
                // Whatever the umask is.
                file.set_permissions(fs::Permissions::from_mode(*mode))?;
            }
        }
        Ok(path)
    }
}

/// Writes every file beside its place, then gives each its name. A file that was there is replaced; who has it open keeps it.
pub(super) fn put(root: &Path, entries: &[Entry]) -> Result<()> {
    let mut begun = Begun::default();
    let mut ready = Vec::new();
    for entry in entries {
        let place = root.join(&entry.path);
        begun.directory(place.parent().context("a file is in a directory")?)?;
        let is_directory = fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_dir());
        ensure!(!is_directory, "{} is a directory, and a file is to be there", place.display());
        let from = begun
            .file(&place, &entry.content)
            .with_context(|| format!("cannot write {}", place.display()))?;
        ready.push((from, place));
    }
    for (from, place) in &ready {
        fs::rename(from, place).with_context(|| format!("cannot write {}", place.display()))?;
    }
    // Nothing of it goes again.
    begun.directories.clear();
    begun.files.clear();
    Ok(())
}

/// Removes the files `names` below `root`, the record of them last, then the directories that are empty.
pub(super) fn remove(root: &Path, names: &[&str]) -> Result<()> {
    let (record, others): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| **name == super::RECORD);
    for name in others.into_iter().chain(record) {
        let path = root.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                bail!("cannot remove {}: {error}", path.display())
            }
            _ => {}
        }
    }
    for name in names {
        for directory in Path::new(name).ancestors().skip(1) {
            // It fails where somebody else has something, which stays.
            if directory.as_os_str().is_empty() || fs::remove_dir(root.join(directory)).is_err() {
                break;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        Entry::text(path, path.to_owned())
    }

    fn below(path: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for inner in fs::read_dir(path).unwrap() {
            let inner = inner.unwrap().path();
            found.push(inner.display().to_string());
            if inner.is_dir() {
                found.extend(below(&inner));
            }
        }
        found
    }

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("causeway-place-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_cannot_be_finished_leaves_nothing_and_what_was_there_as_it_was() {
        let root = Scratch::new("half");
        fs::create_dir_all(root.0.join("c/d")).unwrap();
        fs::create_dir(root.0.join("a")).unwrap();
        fs::write(root.0.join("a/1"), "before").unwrap();
        let before = below(&root.0);
        let entries = [entry("a/1"), entry("a/b/2"), entry("c/d")];
        let error = put(&root.0, &entries).expect_err("c/d is a directory").to_string();
        assert!(error.ends_with("c/d is a directory, and a file is to be there"), "{error}");
        assert_eq!(below(&root.0), before);
        assert_eq!(fs::read_to_string(root.0.join("a/1")).unwrap(), "before");
    }

    #[test]
    fn what_is_removed_takes_its_empty_directories_along_and_nothing_else() {
        let root = Scratch::new("remove");
        fs::create_dir_all(root.0.join("share")).unwrap();
        fs::write(root.0.join("share/theirs"), "").unwrap();
        put(&root.0, &[entry("a/b/1"), entry("share/x/2"), entry(super::super::RECORD)]).unwrap();
        remove(&root.0, &["a/b/1", "share/x/2", "gone/3", super::super::RECORD]).unwrap();
        let theirs = [root.0.join("share"), root.0.join("share/theirs")];
        assert_eq!(below(&root.0), theirs.map(|path| path.display().to_string()));
    }
}
