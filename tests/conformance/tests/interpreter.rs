//! The interpreter notices what is wrong, and says where.

use causeway_conformance::run::{Failure, run_script};

const OPEN: &str = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 32792 <mss 1460,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>
+.01 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
";

fn failure(rest: &str) -> Failure {
    *run_script("x.pkt", &format!("{OPEN}{rest}")).expect_err(rest)
}

#[test]
fn a_script_that_is_right_passes() {
    let outcome = run_script("x.pkt", OPEN).expect("the handshake of every stack");
    assert_eq!(outcome.events, 7);
}

#[test]
fn a_wrong_packet_is_shown_beside_the_right_one() {
    let failure = failure("+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1\n");
    assert_eq!((failure.line, failure.what.as_str()), (9, "the packet differs: flags"));
    let text = failure.to_string();
    assert!(text.starts_with("x.pkt:9: the packet differs: flags\n"), "{text}");
    let row = text.lines().find(|line| line.starts_with('!')).expect("the line is marked");
    assert!(row.contains("> . 1:11(10) ack 1") && row.contains("P. 1:11(10) ack 1 win"), "{row}");
}

#[test]
fn each_field_of_a_segment_is_compared() {
    let what = |packet: &str| failure(&format!("+0 write(4, ..., 10) = 10\n+0 > {packet}\n")).what;
    assert_eq!(what("P. 2:12(10) ack 1"), "the packet differs: sequence number");
    assert_eq!(what("P. 1:11(10) ack 2"), "the packet differs: acknowledgement number");
    assert_eq!(what("P. 1:10(9) ack 1"), "the packet differs: payload length");
    assert_eq!(what("P. 1:11(10) ack 1 win 1"), "the packet differs: window");
    assert_eq!(what("P. 1:11(10) ack 1 <nop,nop,nop,nop>"), "the packet differs: TCP options");
    assert_eq!(what("[ect0] P. 1:11(10) ack 1"), "the packet differs: ECN bits");
    assert_eq!(what("[ttl 5] P. 1:11(10) ack 1"), "the packet differs: time to live");
}

#[test]
fn a_packet_at_the_wrong_time_or_none_at_all_is_noticed() {
    let late = failure("+0 write(4, ..., 10) = 10\n+.1 > P. 1:11(10) ack 1\n");
    assert!(late.what.contains("instead of"), "{}", late.what);
    let missing = failure("+0 > P. 1:11(10) ack 1\n");
    assert_eq!(missing.what, "the stack did not send this packet");
}

#[test]
fn a_call_s_result_errno_and_end_are_compared() {
    let line = |rest: &str| failure(rest).line;
    assert_eq!(line("+0 read(4, ..., 10) = 10\n"), 8);
    assert_eq!(line("+0 close(4) = -1\n"), 8);
    assert_eq!(line("+0 connect(3, ..., ...) = -1 EALREADY (x)\n"), 8);
    assert_eq!(
        line("+0...0.2 read(4, ..., 10) = 10\n+.3 < P. 1:11(10) ack 1 win 257\n+1 close(4) = 0\n"),
        8
    );
    assert_eq!(line("+0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0\n"), 8);
    assert_eq!(line("+0 frobnicate(4) = 0\n"), 8);
    assert_eq!(line("+0 close(9) = 0\n"), 8);
}

#[test]
fn a_blocking_call_ends_when_its_data_comes() {
    let script = format!(
        "{OPEN}+0...0.3 read(4, ..., 10) = 10\n+.3 < P. 1:11(10) ack 1 win 257\n+0 > . 11:11(0) ack 11\n"
    );
    let failure = run_script("x.pkt", &script).expect_err("the acknowledgement has another number");
    assert_eq!(failure.line, 10);
    run_script("x.pkt", &script.replace("11:11(0)", "1:1(0)")).expect("the right number");
}

#[test]
fn code_and_commands_are_carried_out_or_refused() {
    let line = |rest: &str| failure(rest).line;
    assert_eq!(line("+0 %{ assert tcpi_state == TCP_LISTEN }%\n"), 8);
    assert_eq!(line("+0 `ip route`\n"), 8);
    assert_eq!(line("+0 `sysctl -q net.ipv4.tcp_frob=1`\n"), 8);
    assert_eq!(line("+0 < . 1:1(0) ack 1 win 257 <nop,nop,TS val 1 ecr 5>\n"), 8);
}
