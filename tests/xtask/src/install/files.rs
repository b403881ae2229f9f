//! What is installed: where it comes from and where it goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{command, root, run, target_dir};

/// What an entry is made of.
pub(super) enum Content {
    /// Bytes, and the mode of the file.
    File(Vec<u8>, u32),
    /// A symbolic link to this name.
    Link(&'static str),
}

/// One file below the prefix.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) content: Content,
}

impl Entry {
    pub(super) fn text(path: &str, text: String) -> Self {
        Self { path: path.to_owned(), content: Content::File(text.into_bytes(), 0o644) }
    }

    fn copy(path: impl Into<String>, from: &Path, mode: u32) -> Result<Self> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        Ok(Self { path: path.into(), content: Content::File(bytes, mode) })
    }
}

/// What was built.
pub(super) struct Built {
    binary: PathBuf,
    archive: PathBuf,
    shared: PathBuf,
    /// Man pages and completions.
    pages: PathBuf,
    _staging: Staging,
}

/// A directory of this process alone: another may install at the same time. It goes with this.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed is in the target directory, and another process's number.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Builds it all, in the target directory.
pub(super) fn build(profile: &str) -> Result<Built> {
    let target = std::path::absolute(target_dir())?;
    let staging = Staging(target.join("install").join(std::process::id().to_string()));
    let mut cargo = command(&["cargo", "build", "--package", "causeway", "--bin", "causeway"]);
    cargo.args(["--profile", profile]);
    run(cargo)?;
    let mut shim = command(&["capi/build_shim.sh"]);
    shim.arg(staging.0.join("shim")).env("PROFILE", profile).env("CARGO_TARGET_DIR", &target);
    run(shim)?;
    // Cargo calls the directory of its `dev` profile `debug`.
    let built = target.join(if profile == "dev" { "debug" } else { profile });
    let (binary, pages) = (built.join("causeway"), staging.0.join("pages"));
    let mut generate = Command::new(&binary);
    generate.arg("generate").arg(&pages);
    run(generate)?;
    let shared = staging.0.join("shim/libmachnet.so.0");
    Ok(Built { binary, archive: built.join("libmachnet.a"), shared, pages, _staging: staging })
}

/// Every file, and in some of them the prefix.
pub(super) fn list(built: &Built, prefix: &str, libdir: &str) -> Result<Vec<Entry>> {
    let tree = root();
    let filled = |template: &str| -> Result<String> {
        let path = tree.join(template);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let prefix = if prefix == "/" { "" } else { prefix.trim_end_matches('/') };
        Ok(text
            .replace("@PREFIX@", if prefix.is_empty() { "/" } else { prefix })
            .replace("@BINDIR@", &format!("{prefix}/bin"))
            .replace("@LIBDIR@", &format!("{prefix}/{libdir}"))
            .replace("@VERSION@", env!("CARGO_PKG_VERSION")))
    };
    let mut entries = vec![
        Entry::copy("bin/causeway", &built.binary, 0o755)?,
        Entry::copy(format!("{libdir}/libmachnet.so.0"), &built.shared, 0o755)?,
        Entry {
            path: format!("{libdir}/libmachnet.so"),
            content: Content::Link("libmachnet.so.0"),
        },
        Entry::copy(format!("{libdir}/libmachnet.a"), &built.archive, 0o644)?,
        Entry::copy("include/machnet.h", &tree.join("capi/include/machnet.h"), 0o644)?,
        Entry::copy(
            "include/machnet/upstream/machnet.h",
            &tree.join("capi/include/upstream/machnet.h"),
            0o644,
        )?,
        // A unit is no library: systemd looks below lib, whatever the libraries' directory is.
        Entry::text(
            "lib/systemd/system/causeway.service",
            filled("capi/sidecar/dist/causeway.service.in")?,
        ),
    ];
    for name in ["machnet.pc", "machnet-upstream.pc"] {
        let text = filled(&format!("capi/machnet/dist/{name}.in"))?;
        entries.push(Entry::text(&format!("{libdir}/pkgconfig/{name}"), text));
    }
    for (name, from) in [
        ("causeway.toml", "capi/sidecar/dist/causeway.toml"),
        ("CHANGELOG.md", "CHANGELOG.md"),
        ("LICENSE", "LICENSE"),
    ] {
        entries.push(Entry::copy(format!("share/doc/causeway/{name}"), &tree.join(from), 0o644)?);
    }
    for (name, from) in [
        ("bash-completion/completions/causeway", "causeway.bash"),
        ("zsh/site-functions/_causeway", "_causeway"),
        ("fish/vendor_completions.d/causeway.fish", "causeway.fish"),
    ] {
        let from = built.pages.join("completions").join(from);
        entries.push(Entry::copy(format!("share/{name}"), &from, 0o644)?);
    }
    for section in ["man1", "man5"] {
        for page in fs::read_dir(built.pages.join(section))? {
            let page = page?;
            let name = page.file_name().into_string().ok().context("a page's name is text")?;
            entries.push(Entry::copy(format!("share/man/{section}/{name}"), &page.path(), 0o644)?);
        }
    }
    Ok(entries)
}
