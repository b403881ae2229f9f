//! Settings that scripts make by running `sysctl`: a stub in front of it in PATH appends `name=value` to a file.

use std::path::PathBuf;

/// The variable that names the file.
const VARIABLE: &str = "CAUSEWAY_SYSCTL_FILE";

/// The file, and how much of it was read.
#[derive(Debug, Default)]
pub(crate) struct SysctlFile {
    path: Option<PathBuf>,
    read: usize,
}

impl SysctlFile {
    pub(crate) fn from_environment() -> Self {
        Self { path: std::env::var_os(VARIABLE).map(PathBuf::from), read: 0 }
    }

    /// What whole lines were appended since the last call.
    pub(crate) fn poll(&mut self) -> Vec<(String, String)> {
        let Some(path) = &self.path else { return Vec::new() };
        let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
        let Some(new) = text.get(self.read..) else {
            self.read = 0;
            return Vec::new();
        };
        let whole = new.rfind('\n').map_or(0, |end| end + 1);
        self.read += whole;
        let pair = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        };
        new[..whole].lines().filter_map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_whole_lines_are_taken() {
        let path = std::env::temp_dir().join(format!("causeway-sysctl-{}", std::process::id()));
        let mut file = SysctlFile { path: Some(path.clone()), read: 0 };
        std::fs::write(&path, "a=1\nb=").unwrap();
        assert_eq!(file.poll(), [("a".to_owned(), "1".to_owned())]);
        assert_eq!(file.poll(), []);
        std::fs::write(&path, "a=1\nb=\"2 3\"\n").unwrap();
        assert_eq!(file.poll(), [("b".to_owned(), "2 3".to_owned())]);
        std::fs::remove_file(&path).unwrap();
    }
}
