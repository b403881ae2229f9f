//! Socket options and the timers at the application's edge.

use super::pair::{CLIENT, Pair, SERVER};
use crate::error::EndReason;
use crate::port::SocketOption;
use crate::tcp::{Config, State};
use crate::time::Duration;
use crate::wire::tcp::TcpFlags;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn set(pair: &mut Pair, who: usize, option: SocketOption) {
    let now = pair.now;
    pair.ends[who].tcp().set_option(now, option).unwrap();
    pair.flush();
}

fn resets(pair: &Pair, who: usize) -> usize {
    pair.ends[who].sent.iter().filter(|h| h.flags.contains(TcpFlags::RST)).count()
}

#[test]
fn linger_of_zero_makes_close_a_reset_and_discards_what_is_queued() {
    let mut pair = Pair::established(Config::default());
    set(&mut pair, CLIENT, SocketOption::Linger(Some(0)));
    pair.close(CLIENT);
    assert_eq!(resets(&pair, CLIENT), 1);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::Aborted));
    pair.run_for(ms(100));
    assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Reset));
}

#[test]
fn linger_of_zero_ends_it_when_both_sides_have_closed_and_fin_waits_for_its_acknowledgement() {
    let mut pair = Pair::established(Config::default());
    pair.shutdown(SERVER);
    pair.run_until(|p| p.states()[CLIENT] == State::CloseWait);
    pair.link.loss_ppm = 1_000_000;
    pair.shutdown(CLIENT);
    pair.run_for(ms(10));
    assert_eq!((pair.states()[CLIENT], pair.ends[CLIENT].ended()), (State::LastAck, None));
    set(&mut pair, CLIENT, SocketOption::Linger(Some(0)));
    pair.close(CLIENT);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::Aborted));
    assert_eq!(resets(&pair, CLIENT), 0, "all that it has sent is the peer's");
}

#[test]
fn the_user_timeout_ends_a_connection_whose_data_is_not_acknowledged() {
    for (timeout_ms, limit_ms) in [(3_000, 3_100), (700, 800)] {
        let mut pair = Pair::established(Config::default());
        set(&mut pair, CLIENT, SocketOption::UserTimeout(timeout_ms));
        pair.link.loss_ppm = 1_000_000;
        pair.write(CLIENT, b"nobody hears this");
        pair.run_for(ms(u64::from(timeout_ms) - 100));
        assert_eq!(pair.ends[CLIENT].ended(), None);
        pair.run_for(ms(limit_ms - u64::from(timeout_ms) + 100));
        assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
    }
}

/// A server whose application does not read.
fn nobody_reads() -> Pair {
    let mut pair = Pair::new(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 20_000;
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    pair
}

#[test]
fn the_user_timeout_counts_while_the_window_is_closed_even_if_probes_are_answered() {
    let mut pair = nobody_reads();
    set(&mut pair, CLIENT, SocketOption::UserTimeout(10_000));
    pair.write(CLIENT, &[1; 1 << 20]);
    pair.run_for(ms(9_000));
    assert_eq!(pair.ends[CLIENT].ended(), None);
    pair.run_for(ms(4_000));
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
    // Without it, never: the peer lives (RFC 9293 §3.8.6.1).
    let mut pair = nobody_reads();
    pair.write(CLIENT, &[1; 1 << 20]);
    pair.run_for(ms(10_000_000));
    assert_eq!(pair.ends[CLIENT].ended(), None);
}

#[test]
fn the_user_timeout_overrides_the_number_of_keepalive_probes() {
    let mut pair = Pair::established(Config::default());
    for option in [
        SocketOption::KeepIdle(10),
        SocketOption::KeepInterval(1),
        SocketOption::KeepCount(100),
        SocketOption::KeepAlive(true),
        SocketOption::UserTimeout(13_500),
    ] {
        set(&mut pair, CLIENT, option);
    }
    pair.link.loss_ppm = 1_000_000;
    pair.run_for(ms(13_000));
    assert_eq!(pair.ends[CLIENT].ended(), None);
    pair.run_for(ms(2_000));
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
    assert_eq!(resets(&pair, CLIENT), 1);
}

#[test]
fn a_cork_holds_a_small_segment_until_it_is_taken_off_or_for_200_ms() {
    let mut pair = Pair::established(Config::default());
    set(&mut pair, CLIENT, SocketOption::Cork(true));
    pair.write(CLIENT, &[1; 100]);
    pair.run_for(ms(150));
    assert_eq!(pair.ends[SERVER].io.committed, 0);
    set(&mut pair, CLIENT, SocketOption::Cork(false));
    pair.run_for(ms(30));
    assert_eq!(pair.ends[SERVER].io.committed, 100);
    set(&mut pair, CLIENT, SocketOption::Cork(true));
    pair.write(CLIENT, &[1; 2 * 1_448 + 5]);
    pair.run_for(ms(190));
    assert_eq!(pair.ends[SERVER].io.committed, 100 + 2 * 1_448);
    pair.run_for(ms(150));
    assert_eq!(pair.ends[SERVER].io.committed, 105 + 2 * 1_448, "the ceiling");
}

#[test]
fn a_small_segment_that_was_pushed_is_acknowledged_when_it_is_read() {
    let mut pair = Pair::established(Config::default());
    for _ in 0..16 {
        pair.write(CLIENT, &[1; 10]);
        pair.run_for(ms(100));
    }
    let acks = |pair: &Pair| pair.ends[SERVER].sent.len();
    let before = acks(&pair);
    pair.ends[SERVER].reads = false;
    pair.write(CLIENT, &[1; 10]);
    pair.run_for(ms(12));
    assert_eq!(acks(&pair), before, "the quick acknowledgements are used up");
    pair.read(SERVER);
    assert_eq!(acks(&pair), before + 1);
}

#[test]
fn the_segment_size_and_the_window_of_an_application_are_what_the_syn_says() {
    let mut pair = Pair::new(Config::default());
    let mut config: crate::tcp::SharedConfig = (&Config::default()).into();
    config.set(SocketOption::MaxSegment(500)).unwrap();
    config.set(SocketOption::ReceiveBuffer(40_000)).unwrap();
    pair.ends[CLIENT].config = *config;
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    let syn = pair.ends[CLIENT].sent[0];
    assert_eq!((syn.options.mss, syn.options.window_scale), (Some(500), Some(0)));
    assert!((30_000..=40_000).contains(&syn.window), "{}", syn.window);
    pair.write(CLIENT, &[1; 4_000]);
    pair.write(SERVER, &[1; 4_000]);
    for who in [CLIENT, SERVER] {
        assert_eq!(pair.ends[who].tcp().mss(), 488);
    }
}

#[test]
fn a_half_open_connection_is_given_up_after_five_retransmissions() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.run_until(|p| p.states()[SERVER] == State::SynReceived);
    pair.link.loss_ppm = 1_000_000;
    pair.run_for(ms(1_000 * (1 + 2 + 4 + 8 + 16 + 32) - 1_000));
    assert_eq!(pair.states()[SERVER], State::SynReceived);
    pair.run_for(ms(2_000));
    assert_eq!(pair.states()[SERVER], State::Closed);
    let syn_acks = pair.ends[SERVER].sent.iter().filter(|h| h.flags.contains(TcpFlags::SYN));
    assert_eq!(syn_acks.count(), 6);
}

#[test]
fn the_figures_count_what_went_over_the_wire() {
    let mut pair = Pair::established(Config::default());
    pair.write(CLIENT, &[1; 3 * 1_448 + 10]);
    pair.run_for(ms(500));
    let client = pair.ends[CLIENT].tcp().info();
    let server = pair.ends[SERVER].tcp().info();
    assert_eq!((client.state, server.state), (1, 1));
    assert_eq!((client.data_segs_out, server.data_segs_in), (4, 4));
    let sent = |who: usize| pair.ends[who].sent.len() as u32;
    // The SYN,ACK of a passive open is its request's.
    assert_eq!((client.segs_out, server.segs_out), (sent(CLIENT), sent(SERVER) - 1));
    assert_eq!((client.segs_in, server.segs_in), (sent(SERVER), sent(CLIENT)));
    assert_eq!((client.advmss, client.snd_mss, client.rcv_mss), (1_448, 1_448, 536));
    assert_eq!((server.rcv_mss, server.rcv_ooopack), (1_448, 0));
    assert_eq!(client.snd_ssthresh, 0x7fff_ffff, "never set");
    assert_eq!(client.bytes_acked, 1 + 3 * 1_448 + 10, "and the SYN");
}
