//! `causeway sim` as its users call it: in a directory with files of theirs.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A directory of its own for each test.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        let directory = format!("causeway-sim-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap()
    }

    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
        command.arg("sim").args(args.split_whitespace()).current_dir(&self.0);
        command.env_remove("CAUSEWAY_LOG");
        command
    }

    pub fn sim(&self, args: &str) -> Told {
        Told::new(&self.command(args).output().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Exit status, stdout, stderr.
#[derive(Debug)]
pub struct Told(pub i32, pub String, pub String);

impl Told {
    pub fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self(output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// What it printed; it must have succeeded, and have nothing to complain about.
    pub fn good(self) -> String {
        assert_eq!((self.0, self.2.as_str()), (0, ""), "{}", self.1);
        self.1
    }

    /// The one line that it complained with.
    pub fn failed(self) -> String {
        assert_eq!((self.0, self.1.as_str(), self.2.lines().count()), (1, "", 1), "{}", self.2);
        self.2
    }
}
