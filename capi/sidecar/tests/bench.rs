//! `causeway bench msg`, over the daemon and over the operating system's sockets.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

fn causeway(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    command.args(args).current_dir(directory).env("CAUSEWAY_SOCKET", directory.join("s"));
    command.env_remove("CAUSEWAY_LOG");
    command
}

/// Processes that end with the test, and a directory that goes with it.
struct Place {
    directory: PathBuf,
    children: Vec<Child>,
}

impl Place {
    fn new(name: &str) -> Self {
        let directory = format!("causeway-bench-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir(&directory).unwrap();
        Self { directory, children: Vec::new() }
    }

    /// Starts `args`, and waits until it says `text` on stderr; the line.
    fn start(&mut self, name: &str, args: &[&str], text: &str) -> String {
        let log = self.directory.join(name);
        let mut command = causeway(&self.directory, args);
        command.stdin(Stdio::null()).stderr(File::create(&log).unwrap());
        self.children.push(command.spawn().unwrap());
        let began = Instant::now();
        loop {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(line) = said.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "no {text:?} in:\n{said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn with_daemon(name: &str) -> Self {
        let mut place = Self::new(name);
        let config = "[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
                      addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n";
        std::fs::write(place.directory.join("c.toml"), config).unwrap();
        place.start("daemon", &["serve", "--config", "c.toml"], "serving");
        place
    }

    fn run(&self, args: &[&str]) -> Output {
        causeway(&self.directory, args).output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The one document on standard output.
fn document(output: &Output) -> serde_json::Value {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const SHORT: [&str; 4] = ["--time", "0.4", "--warm-up", "0.1"];

fn client(server: &str, more: &[&str]) -> Vec<String> {
    let words = ["bench", "msg", server].into_iter().chain(SHORT).chain(more.iter().copied());
    words.map(str::to_owned).collect()
}

fn figures(place: &Place, server: &str, more: &[&str]) -> serde_json::Value {
    let words = client(server, more);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--json"]).collect();
    let figures = document(&place.run(&words));
    let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("{key}: {figures}"));
    assert!(number("messages") > 0.0 && number("lost") == 0.0, "{figures}");
    assert!(number("min_us") > 0.0 && number("min_us") <= number("p50_us"), "{figures}");
    assert!(number("p50_us") <= number("p99_us") && number("p99_us") <= number("p999_us"));
    assert!(number("p999_us") <= number("max_us"), "{figures}");
    let rate = number("messages") / number("seconds");
    assert!((number("msgs_per_s") - rate).abs() < 1.0, "{figures}");
    figures
}

#[test]
fn messages_come_back_over_the_daemon_and_are_counted_once() {
    let mut place = Place::with_daemon("machnet");
    let listen = ["bench", "msg", "--listen", "10.0.1.5:7000"];
    place.start("server", &listen, "listening on 10.0.1.5:7000");
    let plain = figures(&place, "10.0.1.5:7000", &[]);
    assert_eq!((&plain["over"], &plain["size"]), (&"machnet".into(), &64.into()));
    let many = ["--flows", "5", "--window", "3", "--size", "5000", "--from", "10.0.1.6"];
    let many = figures(&place, "10.0.1.5:7000", &many);
    assert_eq!((&many["flows"], &many["window"]), (&5.into(), &3.into()));
    let open = figures(&place, "10.0.1.5:7000", &["--rate", "500", "--spin"]);
    let sent = open["messages"].as_f64().unwrap();
    // No more than were due, with those of the time before.
    assert!(sent <= 251.0 && open["window"].is_null(), "{open}");
}

#[test]
fn figures_in_words_and_as_a_picture() {
    let mut place = Place::with_daemon("words");
    place.start("server", &["bench", "msg", "--listen", "10.0.1.5:7000"], "listening");
    let words = client("10.0.1.5:7000", &["--plot", "p.svg"]);
    let output = place.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["64 bytes, window 32, 1 flow, 0.4 s over machnet", "messages/s", "p99.9", "###"] {
        assert!(said.contains(part), "{said}");
    }
    let picture = std::fs::read_to_string(place.directory.join("p.svg")).unwrap();
    assert!(picture.contains("<polyline points=\"") && picture.contains("window 32"));
}

#[test]
fn the_operating_systems_sockets_are_measured_by_the_same_loop() {
    for over in ["kernel-tcp", "kernel-udp"] {
        let mut place = Place::new(over);
        let listen = ["bench", "msg", "--listen", "127.0.0.1:0", "--over", over];
        let line = place.start("server", &listen, "listening on");
        let server = line.rsplit(' ').next().unwrap();
        let one = figures(&place, server, &["--over", over, "--window", "8"]);
        assert_eq!(one["over"], over);
        let many = ["--over", over, "--flows", "6", "--window", "4", "--size", "9000"];
        assert_eq!(figures(&place, server, &many)["flows"], 6);
        figures(&place, server, &["--over", over, "--rate", "300"]);
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let place = Place::with_daemon("errors");
    let said = |words: &[&str]| {
        let output = place.run(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text, output.stdout.len())
    };
    let cases: [(&[&str], i32, &str); 7] = [
        (&["bench", "msg"], 2, "give the server's address, or --listen"),
        (&["bench", "msg", "10.0.1.5:7000", "--size", "7"], 2, "7 is not in 8..=67108864"),
        (&["bench", "msg", "10.0.1.5:7000", "--time", "0"], 2, "measures nothing"),
        (&["bench", "msg", "10.0.1.5:7", "--rate", "5", "--window", "2"], 2, "cannot be used with"),
        (&["bench", "msg", "10.0.1.5:7", "--size", "60000000"], 1, "the daemon takes"),
        (&["bench", "msg", "10.0.1.5:7", "--plot", "no/p.svg"], 1, "cannot write no/p.svg"),
        (
            &["bench", "msg", "127.0.0.1:1", "--over", "kernel-tcp"],
            1,
            "cannot connect to 127.0.0.1:1",
        ),
    ];
    for (words, status, text) in cases {
        let (code, said, out) = said(words);
        assert_eq!((code, out), (Some(status), 0), "{words:?}: {said}");
        assert!(said.contains(text), "{words:?}: {said}");
    }
}

#[test]
fn a_server_that_goes_ends_the_measurement_with_what_was_measured() {
    let mut place = Place::with_daemon("gone");
    place.start("server", &["bench", "msg", "--listen", "10.0.1.5:7000"], "listening");
    let mut client = causeway(&place.directory, &["bench", "msg", "10.0.1.5:7000", "--time", "60"]);
    let client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    let mut server = place.children.pop().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a flow is at its end"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("messages/s"));
}
