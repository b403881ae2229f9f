use super::pair::{CLIENT, End, Pair, SERVER};
use crate::error::EndReason;
use crate::tcp::{Config, ConnectionEvent, Disposition, State};
use crate::time::Duration;
use crate::wire::tcp::TcpFlags;

#[test]
fn after_a_half_close_the_other_side_goes_on_sending() {
    let mut pair = Pair::established(Config::default());
    pair.shutdown(CLIENT);
    pair.run_until(|p| p.states() == [State::FinWait2, State::CloseWait]);
    assert_eq!(pair.ends[SERVER].count(ConnectionEvent::PeerClosed), 1);
    pair.write(SERVER, &[9; 10_000]);
    pair.run_until(|p| p.ends[CLIENT].io.committed == 10_000);
    pair.run_for(Duration::from_secs(300));
    assert_eq!(pair.states(), [State::FinWait2, State::CloseWait], "no orphan, no timeout");
    pair.shutdown(SERVER);
    pair.run_until(|p| p.states() == [State::TimeWait, State::Closed]);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::Closed));
    assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Closed));
}

#[test]
fn what_is_found_in_the_ring_behind_the_end_of_the_stream_is_not_sent() {
    // The end is said before there is a connection, while bytes wait for the window, and when all is under way.
    for (bytes, opens) in [(5_000, true), (300_000, false), (1_000, false)] {
        for closes in [false, true] {
            let mut pair = match opens {
                true => Pair::new(Config::default()),
                false => Pair::established(Config::default()),
            };
            if opens {
                pair.connect();
            }
            pair.write(CLIENT, &std::vec![1; bytes]);
            if closes && !opens {
                pair.close(CLIENT);
            } else {
                pair.shutdown(CLIENT);
            }
            pair.write(CLIENT, &[2; 5_000]);
            let End { tcp, io, .. } = &pair.ends[CLIENT];
            let tcp = tcp.as_ref().expect("a connection");
            assert!(tcp.unacknowledged(io) <= bytes as u64);
            pair.run_until(|p| p.ends[SERVER].state() == State::CloseWait);
            assert_eq!(pair.ends[SERVER].io.committed, bytes as u64);
            pair.shutdown(SERVER);
            pair.run_until(|p| p.states() == [State::TimeWait, State::Closed]);
            assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::Closed));
        }
    }
}

#[test]
fn two_fins_that_cross_lead_through_closing_to_time_wait_on_both_sides() {
    let mut pair = Pair::established(Config::default());
    pair.shutdown(CLIENT);
    pair.shutdown(SERVER);
    let mut seen = false;
    pair.run_until(|p| {
        seen |= p.states() == [State::Closing; 2];
        p.states() == [State::TimeWait; 2]
    });
    assert!(seen);
    let begin = pair.now;
    pair.run_until(|p| p.states() == [State::Closed; 2]);
    assert!(pair.now.saturating_since(begin) >= Duration::from_secs(59));
}

#[test]
fn every_fin_that_is_lost_is_sent_again() {
    for lost in 0..3 {
        let mut pair = Pair::established(Config::default());
        pair.shutdown(CLIENT);
        if lost == 0 {
            pair.link.queue.clear();
        }
        pair.run_until(|p| p.ends[SERVER].state() == State::CloseWait);
        pair.shutdown(SERVER);
        if lost == 1 {
            pair.link.queue.clear();
        }
        pair.run_until(|p| p.ends[CLIENT].state() == State::TimeWait);
        if lost == 2 {
            pair.link.queue.clear();
        }
        pair.run_until(|p| p.ends[SERVER].state() == State::Closed);
        assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Closed));
    }
}

#[test]
fn a_fin_again_in_time_wait_is_acknowledged_and_restarts_it() {
    let mut pair = Pair::established(Config::default());
    pair.shutdown(CLIENT);
    pair.run_until(|p| p.ends[SERVER].state() == State::CloseWait);
    pair.shutdown(SERVER);
    pair.run_until(|p| p.states() == [State::TimeWait, State::Closed]);
    let fin = *pair.ends[SERVER].sent.iter().find(|h| h.flags.contains(TcpFlags::FIN)).unwrap();
    pair.run_for(Duration::from_secs(50));
    assert_eq!(pair.deliver(CLIENT, &fin, &[]), Some(Disposition::SendAck));
    assert!(pair.poll(CLIENT).is_some());
    pair.run_for(Duration::from_secs(50));
    assert_eq!(pair.ends[CLIENT].state(), State::TimeWait);
    pair.run_for(Duration::from_secs(11));
    assert_eq!(pair.ends[CLIENT].state(), State::Closed);
}

#[test]
fn a_reset_does_not_end_time_wait_and_a_new_syn_may() {
    let mut pair = Pair::established(Config::default());
    pair.shutdown(CLIENT);
    pair.run_until(|p| p.ends[SERVER].state() == State::CloseWait);
    pair.shutdown(SERVER);
    pair.run_until(|p| p.states() == [State::TimeWait, State::Closed]);
    let last = *pair.ends[SERVER].sent.last().unwrap();
    let mut segment = last;
    segment.seq = last.seq + 1;
    segment.flags = TcpFlags::RST;
    assert_eq!(pair.deliver(CLIENT, &segment, &[]), Some(Disposition::Ignore));
    assert_eq!(pair.ends[CLIENT].state(), State::TimeWait);
    segment.flags = TcpFlags::SYN;
    if let Some(timestamps) = segment.options.timestamps.as_mut() {
        timestamps.value += 1;
    }
    assert_eq!(pair.deliver(CLIENT, &segment, &[]), Some(Disposition::Reopen));
    if let Some(timestamps) = segment.options.timestamps.as_mut() {
        timestamps.value -= 1_000;
    }
    assert_eq!(pair.deliver(CLIENT, &segment, &[]), Some(Disposition::SendAck));
}

#[test]
fn a_closed_connection_does_not_wait_for_the_peers_fin_for_ever() {
    let mut pair = Pair::established(Config::default());
    pair.close(CLIENT);
    pair.run_until(|p| p.states() == [State::FinWait2, State::CloseWait]);
    pair.run_for(Duration::from_secs(59));
    assert_eq!(pair.ends[CLIENT].state(), State::FinWait2);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.ends[CLIENT].state(), State::Closed);
    pair.write(SERVER, b"anybody?");
    pair.run_until(|p| p.ends[SERVER].state() == State::Closed);
    assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Reset));
}

#[test]
fn data_for_a_closed_connection_is_answered_with_a_reset() {
    let mut pair = Pair::established(Config::default());
    pair.close(CLIENT);
    pair.run_until(|p| p.states() == [State::FinWait2, State::CloseWait]);
    pair.write(SERVER, b"unwanted");
    pair.run_until(|p| p.states() == [State::Closed; 2]);
    assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Reset));
}

#[test]
fn closing_with_unread_bytes_and_aborting_reset_the_peer() {
    for unread in [true, false] {
        let mut pair = Pair::established(Config::default());
        let now = pair.now;
        let End { tcp, io, .. } = &mut pair.ends[CLIENT];
        let tcp = tcp.as_mut().expect("a connection");
        match unread {
            true => tcp.close(now, true, io),
            false => tcp.abort(now),
        }
        pair.run_until(|p| p.states() == [State::Closed; 2]);
        assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::Aborted));
        assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Reset));
    }
}

#[test]
fn the_end_is_told_once_and_last() {
    let mut pair = Pair::established(Config::default());
    pair.shutdown(CLIENT);
    pair.shutdown(SERVER);
    pair.run_until(|p| p.states() == [State::Closed; 2]);
    for end in &pair.ends {
        let ends = end.events.iter().filter(|e| matches!(e, ConnectionEvent::Ended(_))).count();
        assert_eq!(ends, 1);
        assert!(matches!(end.events.last(), Some(ConnectionEvent::Ended(EndReason::Closed))));
    }
}
