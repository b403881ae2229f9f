//! What `machnet.h` promises, from C, through the shared library and a daemon: the cases of `c/behaviour.c`,
//! each in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use causeway_interop::daemon::Daemon;
use causeway_interop::lab::Lab;
use causeway_interop::process::{Running, finish, wait_for};

/// A daemon without a network: its applications talk to each other.
fn daemon(lab: &Lab) -> Result<Daemon> {
    let config = "[[interface]]\nname = \"local\"\nbackend = \"loopback\"\n\
        addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n";
    Daemon::start(lab, "daemon", config)?.ready()
}

/// One case of the C program.
fn holds(case: &str) {
    Lab::run(|lab| {
        let daemon = daemon(lab)?;
        let mut program = daemon.application(lab.artifacts.programs.join("behaviour"));
        finish(program.arg(case)).with_context(|| daemon.log())?;
        Ok(())
    });
}

#[test]
fn attaching_before_initialising_is_refused() {
    holds("attach_before_init");
}

/// Contract: machnet_init.once, machnet_init.success
#[test]
fn initialising_twice_does_no_harm() {
    holds("init_twice");
}

/// Contract: machnet_attach.failure
#[test]
fn attaching_without_a_daemon_fails_and_says_so() {
    Lab::run(|lab| {
        let mut daemon = daemon(lab)?;
        daemon.running().child().kill()?;
        let mut program = daemon.application(lab.artifacts.programs.join("behaviour"));
        program.arg("attach_without_daemon").env("CAUSEWAY_SOCKET", lab.path("nothing"));
        finish(&mut program)?;
        Ok(())
    });
}

/// Contract: machnet_attach.new-channel, machnet_attach.per-thread, machnet_attach.success
#[test]
fn each_attach_gives_a_channel_of_its_own() {
    holds("channels_are_separate");
}

#[test]
fn a_detached_context_is_dead_and_its_address_free() {
    holds("detached_context");
}

#[test]
fn a_context_that_another_thread_detached_is_dead_and_its_address_free() {
    holds("detached_by_another_thread");
}

/// Contract: machnet_listen.ctx, machnet_connect.ctx, machnet_send.ctx, machnet_recv.ctx
/// Contract: machnet_listen.failure, machnet_connect.failure, machnet_send.failure, machnet_recv.failure
#[test]
fn a_context_that_was_never_attached_is_refused_by_every_function() {
    holds("foreign_contexts");
}

/// Contract: machnet_listen.local_ip, machnet_listen.success
#[test]
fn listen_refuses_wrong_addresses_and_takes_a_right_one() {
    holds("listen_arguments");
}

/// Contract: machnet_connect.local_ip, machnet_connect.remote_ip, machnet_connect.flow, machnet_connect.success
#[test]
fn connect_refuses_wrong_arguments_and_takes_right_ones() {
    holds("connect_arguments");
}

/// Contract: machnet_listen.port, machnet_connect.remote_port
#[test]
fn a_flow_reaches_the_listener_of_its_port() {
    holds("ports_tell_listeners_apart");
}

#[test]
fn connecting_where_nobody_listens_fails() {
    holds("connect_to_nobody");
}

#[test]
fn an_address_belongs_to_one_process_and_all_its_channels() {
    holds("address_in_use");
}

/// Contract: machnet_connect.establishes, machnet_send.flow, machnet_send.buf, machnet_send.len, machnet_send.msg_id
/// Contract: machnet_send.success, machnet_recv.buf, machnet_recv.flow, machnet_recv.success
#[test]
fn messages_of_all_sizes_go_there_and_back() {
    holds("messages_of_all_sizes");
}

/// Contract: machnet_recv.any-peer
#[test]
fn messages_come_from_any_peer_and_in_order_from_each() {
    holds("messages_of_any_peer_in_order");
}

#[test]
fn a_flow_tells_its_figures() {
    holds("figures_of_a_flow");
}

#[test]
fn detaching_delivers_what_was_sent() {
    holds("detach_delivers_what_was_sent");
}

#[test]
fn send_refuses_wrong_arguments() {
    holds("send_arguments");
}

/// Contract: machnet_recv.buf_size
#[test]
fn a_message_longer_than_the_buffer_stays_queued_and_tells_its_size() {
    holds("recv_arguments");
}

#[test]
fn a_non_blocking_channel_never_waits_and_loses_nothing() {
    holds("nonblocking");
}

#[test]
fn a_blocking_send_waits_for_room() {
    holds("blocking_send_waits_for_room");
}

#[test]
fn a_closed_flow_delivers_what_was_sent_and_then_says_once_that_it_ended() {
    holds("closed_flow");
}

#[test]
fn a_killed_client_is_reported_to_its_peer() {
    holds("peer_dies");
}

#[test]
fn a_channel_of_the_parent_is_refused_in_the_child() {
    holds("after_fork");
}

#[test]
fn a_signal_interrupts_a_wait() {
    holds("interrupted");
}

#[test]
fn a_signal_with_sa_restart_does_not() {
    holds("restarted");
}

#[test]
fn errors_have_words() {
    holds("error_texts");
}

#[test]
fn a_waiting_application_learns_that_the_daemon_died() {
    Lab::run(|lab| {
        let mut daemon = daemon(lab)?;
        let mut program = daemon.application(lab.artifacts.programs.join("behaviour"));
        program.arg("daemon_dies").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Running::start(&mut program)?;
        let stdout = program.child().stdout.take().context("a pipe")?;
        let said = BufReader::new(stdout).lines().next().context("a line")??;
        ensure!(said == "waiting", "{said}");
        // Asleep by now, or about to be: both must end.
        daemon.running().child().kill()?;
        wait_for("the end of the application", || (!program.is_running()).then_some(()))?;
        let output = program.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    });
}

#[test]
fn a_message_may_lie_in_pieces() {
    holds("pieces_of_a_message");
}

#[test]
fn batches_send_and_receive_what_there_is_and_tell_a_failure_when_it_is_the_first() {
    holds("batches");
}

#[test]
fn a_message_may_be_written_where_it_is_sent_from() {
    holds("written_where_it_is_sent");
}

#[test]
fn a_message_may_be_read_where_it_arrived_and_given_back_in_any_order() {
    holds("read_where_it_arrived");
}

#[test]
fn a_descriptor_is_readable_while_there_is_something_to_receive_or_room_again() {
    holds("descriptor_to_poll");
}

#[test]
fn a_program_of_the_upstream_project_runs_as_it_is() {
    Lab::run(|lab| {
        let daemon = daemon(lab)?;
        let mut program = daemon.application(lab.artifacts.programs.join("upstream"));
        finish(&mut program).with_context(|| daemon.log())?;
        Ok(())
    });
}
