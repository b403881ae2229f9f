//! `causeway pcap` beside programs that talk.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

mod daemon;

use std::fs::{self, File};
use std::io::Write;
use std::process::Output;
use std::time::{Duration, SystemTime};

use daemon::{LOOPBACK, Running, Served, wait};
use pcap_file::DataLink;
use pcap_file::pcapng::{Block, PcapNgReader};
use rustix::process::{Pid, Signal, kill_process};

/// What a capture has: names and link types of its interfaces, frames as interface, time, length and bytes.
#[derive(Default)]
struct Capture {
    interfaces: Vec<(String, DataLink)>,
    frames: Vec<(u32, Duration, u32, Vec<u8>)>,
}

fn read(served: &Served, name: &str) -> Capture {
    use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption::IfName;
    let mut reader = PcapNgReader::new(File::open(served.directory.join(name)).unwrap()).unwrap();
    let mut capture = Capture::default();
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(block) => {
                let name = block.options.iter().find_map(|option| match option {
                    IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                capture.interfaces.push((name.unwrap(), block.linktype));
            }
            Block::EnhancedPacket(block) => capture.frames.push((
                block.interface_id,
                block.timestamp,
                block.original_len,
                block.data.to_vec(),
            )),
            other => panic!("{other:?}"),
        }
    }
    capture
}

/// Begins a capture into `name`, and returns when it has begun.
fn begin(served: &Served, name: &str, args: &[&str]) -> Running {
    let log = format!("{name}.log");
    let running = served.start(&log, &[&["pcap", "--write", name], args].concat());
    served.wait_for(&log, "capturing");
    running
}

/// Ends a capture, and returns what it says of itself.
fn end(served: &Served, name: &str, mut capture: Running) -> String {
    let pid = Pid::from_raw(i32::try_from(capture.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert!(capture.0.wait().unwrap().success());
    let said = fs::read_to_string(served.directory.join(format!("{name}.log"))).unwrap();
    said.lines().last().unwrap().to_owned()
}

/// One connection to `port` that carries `text` and ends.
fn talk(served: &Served, port: &str, text: &[u8]) {
    let name = format!("listener-{port}");
    let mut listener = served.start(&name, &["nc", "--listen", "10.0.1.5", port]);
    served.wait_for(&name, "listening on");
    drop(listener.0.stdin.take());
    let mut call = served.start("call", &["nc", "10.0.1.5", port]);
    call.0.stdin.take().unwrap().write_all(text).unwrap();
    assert!(call.0.wait().unwrap().success() && listener.0.wait().unwrap().success());
}

fn failed(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_capture_has_what_its_filter_lets_through_and_nothing_else() {
    let served = Served::new("pcap", LOOPBACK);
    let one = begin(&served, "one.pcapng", &["--port", "7000", "--protocol", "tcp"]);
    let short = begin(&served, "short.pcapng", &["--host", "10.0.1.5", "--snap", "40"]);
    let none = begin(&served, "none.pcapng", &["--interface", "lo0", "--protocol", "udp"]);
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    talk(&served, "7001", b"of somebody else");
    talk(&served, "7000", b"what is captured");
    // The last acknowledgement is on its way when both programs have ended.
    std::thread::sleep(Duration::from_millis(100));
    let said = end(&served, "one.pcapng", one);
    let capture = read(&served, "one.pcapng");
    assert_eq!(
        said,
        format!("{} frames captured, 0 dropped because they came too fast", capture.frames.len())
    );
    let names: Vec<&str> = capture.interfaces.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loopback", "lo0"]);
    assert_eq!(capture.interfaces[0].1, DataLink::RAW);
    assert_eq!(capture.interfaces[1].1, DataLink::ETHERNET);
    // SYN, SYN,ACK, ACK, data, two FINs and what acknowledges them, each once.
    assert!((6..=12).contains(&capture.frames.len()), "{}", capture.frames.len());
    for (interface, at, len, bytes) in &capture.frames {
        assert_eq!((*interface, *len as usize), (0, bytes.len()));
        let header = usize::from(bytes[0] & 0xf) * 4;
        let ports =
            [0, 2].map(|at| u16::from_be_bytes([bytes[header + at], bytes[header + at + 1]]));
        assert!(bytes[9] == 6 && ports.contains(&7000), "{bytes:?}");
        assert!(*at + Duration::from_secs(1) > began && *at < began + daemon::PATIENCE);
    }
    let holds = |text: &[u8]| {
        let in_it = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        capture.frames.iter().filter(|(.., bytes)| in_it(bytes)).count()
    };
    assert_eq!((holds(b"what is captured"), holds(b"of somebody else")), (1, 0));
    end(&served, "short.pcapng", short);
    let capture = read(&served, "short.pcapng");
    assert!(capture.frames.len() >= 12 && capture.frames.iter().all(|frame| frame.3.len() == 40));
    assert!(capture.frames.iter().any(|frame| frame.2 > 40));
    assert!(end(&served, "none.pcapng", none).starts_with("0 frames captured"));
}

#[test]
fn a_capture_ends_by_itself_after_so_many_frames_and_they_are_bounded() {
    let served = Served::new("count", LOOPBACK);
    let mut counted = begin(&served, "c.pcapng", &["--count", "3"]);
    talk(&served, "7000", b"some text");
    assert!(counted.0.wait().unwrap().success());
    assert_eq!(read(&served, "c.pcapng").frames.len(), 3);
    let mut running = Vec::new();
    let more = ["pcap", "--write", "more.pcapng", "--seconds", "1"];
    // The one before may still count.
    wait(|| {
        let name = format!("{}.pcapng", running.len());
        if running.len() == 4 {
            return true;
        }
        let log = format!("{name}.log");
        let mut capture = served.start(&log, &["pcap", "--write", &name]);
        wait(|| {
            let said = fs::read_to_string(served.directory.join(&log)).unwrap_or_default();
            said.contains("capturing") || said.contains("too many")
        });
        match capture.0.try_wait() {
            Ok(Some(_)) => {}
            _ => running.push(capture),
        }
        false
    });
    let said = failed(&served.command(&more).output().unwrap());
    assert_eq!(said, "causeway: the daemon refuses: too many capture at the same time; end one\n");
    drop(running);
    wait(|| served.command(&more).output().unwrap().status.success());
}

#[test]
fn what_cannot_be_captured_is_said_in_one_line() {
    let served = Served::new("cannot", LOOPBACK);
    let other = ["pcap", "--write", "x.pcapng", "--interface", "eth7"];
    assert_eq!(
        failed(&served.command(&other).output().unwrap()),
        "causeway: the daemon refuses: there is no interface \"eth7\", but loopback, lo0\n"
    );
    let nowhere = ["pcap", "--write", "/nonexistent/x", "--seconds", "1"];
    let said = failed(&served.command(&nowhere).output().unwrap());
    assert!(said.starts_with("causeway: cannot write /nonexistent/x: "), "{said}");
}
