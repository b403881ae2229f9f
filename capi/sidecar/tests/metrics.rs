//! The Prometheus endpoint as a scraper and as somebody worse sees it.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

mod daemon;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::Command;

use daemon::{LOOPBACK, PATIENCE, Served};

fn endpoint(served: &Served) -> UnixStream {
    let stream = UnixStream::connect(served.directory.join("m")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The daemon with its endpoint in its own directory, and at most `connections_max` connections.
fn serve(name: &str, connections_max: u32) -> Served {
    let directory = format!("causeway-served-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(directory).join("m");
    let config = format!(
        "{LOOPBACK}[[tenant]]\nname = \"ours\"\nusers = [\"*\"]\n\
         [metrics]\nlisten = {path:?}\nconnections_max = {connections_max}\n"
    );
    Served::new(name, &config)
}

/// All that comes until the other side closes.
fn rest(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn asked(served: &Served, request: &[u8]) -> String {
    let mut stream = endpoint(served);
    stream.write_all(request).unwrap();
    rest(stream)
}

#[test]
fn a_scrape_has_the_names_of_the_tool_with_help_and_type() {
    let served = serve("scrape", 16);
    let _nc = served.start("l", &["nc", "--listen", "10.0.1.5", "7000"]);
    served.wait_for("l", "listening on");
    let answer = asked(&served, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.contains("\n# TYPE causeway_tcp_segments_in_total counter\n"), "{body}");
    assert!(body.contains("\ncauseway_channels 1\n"), "{body}");
    assert!(body.contains("\ncauseway_tenant_sockets{tenant=\"ours\"} 1\n"), "{body}");
    assert!(!body.contains("pid="), "{body}");
    let names = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let names = lines.map(|line| line.split([' ', '{']).next().unwrap().to_owned());
        let mut names: Vec<String> =
            names.filter(|n| !n.starts_with("causeway_channel_")).collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names(body), names(&served.told(&["stats", "--all"])));
    let head = asked(&served, b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn what_is_no_scrape_is_refused_and_what_takes_long_is_cut() {
    let served = serve("worse", 2);
    let status = |request: &[u8]| {
        let answer = asked(&served, request);
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(status(b"PUT /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status(b"\x16\x03\x01\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    let long = vec![b'x'; 8 << 10];
    assert_eq!(status(&long), "HTTP/1.1 431 Request Header Fields Too Large");
    // Two that say nothing take all there is; whoever comes next waits until they are hung up on.
    let silent = [endpoint(&served), endpoint(&served)];
    assert_eq!(status(b"GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK");
    let [mut first, second] = silent;
    first.set_nonblocking(true).unwrap();
    assert_eq!(first.read(&mut [0; 8]).unwrap(), 0, "it made room");
    assert_eq!(rest(second), "");
}

#[test]
fn it_listens_on_tcp_as_well_and_a_port_that_is_taken_is_one_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let directory = std::env::temp_dir().join(format!("causeway-taken-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("c.toml");
    std::fs::write(&file, format!("{LOOPBACK}[metrics]\nlisten = \"{at}\"\n")).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_causeway"));
    serve.arg("serve").arg("--config").arg(&file).env("CAUSEWAY_SOCKET", directory.join("s"));
    let said = serve.output().unwrap();
    let expected =
        format!("causeway: {at} is in use; stop what listens there or set metrics.listen\n");
    assert_eq!(
        (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned()),
        (Some(1), expected)
    );
    std::fs::remove_dir_all(&directory).unwrap();
    // It was free a moment ago, and everybody else asks for any port.
    drop(taken);
    let served = Served::new("tcp", &format!("{LOOPBACK}[metrics]\nlisten = \"{at}\"\n"));
    let mut stream = std::net::TcpStream::connect(at).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("causeway_uptime_seconds"), "{text}");
    drop(served);
}
