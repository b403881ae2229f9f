//! The file itself: what is read as a configuration, and how much of it.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::error::ConfigError;

/// The longest file, in bytes: some hundred times what a large configuration takes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The text of the file at `path`, which errors call `name`. A device, a pipe or a socket is not read: it may have no end,
/// or keep its reader waiting for ever.
pub(super) fn read(path: &Path, name: &str) -> Result<String, ConfigError> {
    let unreadable = |e| ConfigError::unreadable(name, &e);
    // A FIFO that nobody writes to would block here; a regular file does not care.
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ConfigError::unsuitable(name, "not a regular file"));
    }
    // Files below /proc say a length of 0.
    let mut bytes = Vec::new();
    if metadata.len() <= FILE_BYTES_MAX {
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let len = metadata.len().max(bytes.len() as u64);
    if len > FILE_BYTES_MAX {
        let problem = format!("longer than a configuration may be, {FILE_BYTES_MAX} bytes");
        return Err(ConfigError::unsuitable(name, problem));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        ConfigError::not_text(name, &error.as_bytes()[..good])
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn complaint(path: &str) -> String {
        read(Path::new(path), "c.toml").expect_err("it is not to be read").to_string()
    }

    /// A file that goes away.
    struct Scratch(PathBuf);

    impl Scratch {
        fn with(name: &str, bytes: &[u8]) -> Self {
            let path =
                std::env::temp_dir().join(format!("causeway-config-{}-{name}", std::process::id()));
            std::fs::write(&path, bytes).unwrap();
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn only_a_regular_file_is_read() {
        let said =
            "c.toml: not a regular file; give the path of a TOML file as in docs/configuration.md";
        for path in ["/dev/zero", "/dev/null", "/tmp"] {
            assert_eq!(complaint(path), said, "{path}");
        }
        // A pipe whose other end stays open and silent.
        let (reader, _writer) = std::io::pipe().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        assert_eq!(complaint(&format!("/proc/self/fd/{fd}")), said);
    }

    #[test]
    fn a_file_is_read_up_to_a_mebibyte() {
        let mut bytes = vec![b'#'; 1 << 20];
        let file = Scratch::with("long", &bytes);
        assert_eq!(read(&file.0, "c.toml").map(|text| text.len()), Ok(1 << 20));
        bytes.push(b'\n');
        std::fs::write(&file.0, &bytes).unwrap();
        assert_eq!(
            complaint(file.path()),
            "c.toml: longer than a configuration may be, 1048576 bytes; give the path of a TOML file as in \
             docs/configuration.md"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_named_by_their_line() {
        let file = Scratch::with("latin1", b"# one\n[daemon]\nlog = \"caf\xe9\"\n");
        assert_eq!(complaint(file.path()), "c.toml:3: not valid UTF-8; save the file as UTF-8");
    }
}
