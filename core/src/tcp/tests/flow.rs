use super::pair::{CLIENT, Pair, SERVER};
use crate::error::EndReason;
use crate::tcp::{Config, State, TxLimits};
use crate::time::Duration;
use crate::wire::tcp::TcpFlags;

fn payload_segments(pair: &Pair, from: usize) -> usize {
    let text = ["client", "server"][from];
    pair.log.iter().filter(|l| l.contains(text) && !l.contains("len 0")).count()
}

#[test]
fn a_window_that_was_rounded_down_stands_when_the_rings_go_in_time_wait() {
    let mut pair = Pair::new(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 8_192;
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    let told = |pair: &mut Pair| {
        let scale = pair.ends[SERVER].tcp().options.rcv_wscale;
        u32::from(pair.ends[SERVER].sent.last().map_or(0, |header| header.window)) << scale
    };
    let mut writes = 0;
    // Behind a FIN there is one byte less.
    while told(&mut pair) + 1 >= pair.ends[SERVER].tcp().rcv.rcv_wnd() {
        pair.write(CLIENT, &[1; 7]);
        pair.run_for(Duration::from_millis(500));
        writes += 1;
        assert!(writes < 500, "the edge never stops");
    }
    pair.shutdown(CLIENT);
    pair.shutdown(SERVER);
    pair.run_until(|p| p.ends[SERVER].state() == State::Closing);
    let before = told(&mut pair);
    assert!(before < pair.ends[SERVER].tcp().rcv.rcv_wnd());
    pair.run_until(|p| p.ends[SERVER].state() == State::TimeWait);
    pair.ends[SERVER].io.gone = true;
    let fin = *pair.ends[CLIENT].sent.iter().rfind(|h| h.flags.contains(TcpFlags::FIN)).unwrap();
    let answers = pair.ends[SERVER].sent.len();
    pair.deliver(SERVER, &fin, &[]);
    pair.flush();
    assert_eq!(pair.ends[SERVER].sent.len(), answers + 1);
    assert_eq!(told(&mut pair), before);
}

#[test]
fn a_reader_that_stops_closes_the_window_and_probes_find_it_open_again() {
    let mut pair = Pair::established(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 200_000;
    pair.write(CLIENT, &[3; 400_000]);
    pair.run_for(Duration::from_secs(30));
    let stuck = pair.ends[SERVER].io.committed;
    assert!((150_000..=200_000).contains(&stuck), "{stuck}");
    assert_eq!(pair.ends[CLIENT].tcp().snd.snd_wnd, 0);
    let probes = pair.ends[CLIENT].sent.len();
    pair.run_for(Duration::from_secs(600));
    let more = pair.ends[CLIENT].sent.len() - probes;
    assert!((3..40).contains(&more), "{more} probes, backed off");
    assert_eq!(pair.states(), [State::Established; 2], "answered probes are no reason to give up");
    // The window update is lost; the next probe finds out.
    pair.ends[SERVER].reads = true;
    pair.read(SERVER);
    pair.link.queue.clear();
    pair.run_until(|p| p.ends[SERVER].io.committed == 400_000);
}

#[test]
fn what_is_lost_after_a_long_closed_window_is_sent_again_as_soon_as_ever() {
    let mut pair = Pair::established(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 200_000;
    pair.write(CLIENT, &[3; 400_000]);
    pair.run_for(Duration::from_secs(600));
    assert_eq!(pair.ends[CLIENT].tcp().snd.snd_wnd, 0);
    pair.ends[SERVER].reads = true;
    pair.read(SERVER);
    pair.run_until(|p| p.ends[CLIENT].tcp.as_ref().is_some_and(|tcp| tcp.snd.snd_wnd > 0));
    assert_eq!(pair.ends[CLIENT].tcp().rtt.backoff(), 0);
    assert!(pair.ends[CLIENT].tcp().rto() <= Duration::from_secs(1));
}

#[test]
fn a_window_that_opens_is_told_at_once() {
    let mut pair = Pair::established(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 100_000;
    pair.write(CLIENT, &[3; 200_000]);
    pair.run_for(Duration::from_secs(2));
    let before = pair.ends[SERVER].sent.len();
    pair.read(SERVER);
    assert_eq!(pair.ends[SERVER].sent.len(), before + 1);
    assert!(pair.ends[SERVER].sent.last().unwrap().window > 300);
}

#[test]
fn probes_that_nobody_answers_end_the_connection() {
    let config = Config::builder().retries_max(4).build().unwrap();
    let mut pair = Pair::established(config);
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 70_000;
    pair.write(CLIENT, &[3; 200_000]);
    pair.run_for(Duration::from_secs(10));
    pair.link.loss_ppm = 1_000_000;
    pair.run_until(|p| p.ends[CLIENT].state() == State::Closed);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
}

#[test]
fn a_closed_connection_does_not_probe_a_shut_window_for_ever() {
    let mut pair = Pair::established(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 70_000;
    pair.write(CLIENT, &[3; 200_000]);
    pair.close(CLIENT);
    pair.run_for(Duration::from_secs(100));
    assert_eq!(pair.ends[CLIENT].state(), State::FinWait1, "a while it waits");
    pair.run_for(Duration::from_secs(900));
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
    assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Reset), "the peer is told");
}

#[test]
fn a_closed_connection_sends_again_eight_times() {
    let mut pair = Pair::established(Config::default());
    pair.link.loss_ppm = 1_000_000;
    let before = pair.ends[CLIENT].sent.len();
    pair.write(CLIENT, b"nobody hears this");
    pair.close(CLIENT);
    pair.run_until(|p| p.ends[CLIENT].state() == State::Closed);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
    let sent = pair.ends[CLIENT].sent.len() - before;
    assert!((9..=20).contains(&sent), "{sent}: data and FIN, and a probe of the tail");
}

#[test]
fn keepalive_leaves_a_shut_window_to_the_probes_of_that() {
    let config = Config::builder()
        .keepalive(true)
        .keepalive_idle(Duration::from_secs(5))
        .keepalive_probes(2)
        .keepalive_interval(Duration::from_secs(1));
    let mut pair = Pair::established(config.build().unwrap());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 70_000;
    pair.write(CLIENT, &[3; 200_000]);
    pair.run_for(Duration::from_secs(60));
    pair.link.loss_ppm = 1_000_000;
    pair.run_for(Duration::from_secs(60));
    assert_eq!(
        pair.ends[CLIENT].ended(),
        None,
        "two probes of the window are not two of keepalive"
    );
}

#[test]
fn a_byte_at_a_time_reader_causes_no_silly_windows() {
    let mut pair = Pair::established(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 66_000;
    pair.write(CLIENT, &[3; 200_000]);
    pair.run_for(Duration::from_secs(2));
    let sent = pair.ends[SERVER].sent.len();
    for _ in 0..1_000 {
        pair.ends[SERVER].io.consumed += 1;
        let now = pair.now;
        let end = &mut pair.ends[SERVER];
        end.tcp.as_mut().unwrap().handle_app(now, &end.io);
        pair.flush();
    }
    assert_eq!(pair.ends[SERVER].sent.len(), sent, "1,000 bytes are less than a segment");
}

#[test]
fn nagle_holds_a_small_segment_while_another_is_under_way_and_nodelay_does_not() {
    for nodelay in [false, true] {
        let mut pair = Pair::established(Config::builder().nodelay(nodelay).build().unwrap());
        for _ in 0..10 {
            pair.write(CLIENT, b"x");
        }
        assert_eq!(payload_segments(&pair, CLIENT), if nodelay { 10 } else { 1 });
        pair.run_until(|p| p.ends[SERVER].io.committed == 10);
        assert_eq!(payload_segments(&pair, CLIENT), if nodelay { 10 } else { 2 });
    }
}

#[test]
fn the_initial_flight_is_ten_segments_and_its_last_one_is_pushed_and_the_last_of_each_burst() {
    let mut pair = Pair::established(Config::default());
    pair.run_until(|p| p.link.queue.is_empty());
    pair.write(CLIENT, &[1; 1_448 * 5]);
    assert_eq!(payload_segments(&pair, CLIENT), 5);
    assert!(pair.ends[CLIENT].sent.last().unwrap().flags.contains(TcpFlags::PSH));
    let pushed = pair.ends[CLIENT].sent.iter().filter(|h| h.flags.contains(TcpFlags::PSH)).count();
    assert_eq!(pushed, 3, "two bursts of two, and the end");
    pair.write(CLIENT, &[1; 1_448 * 50]);
    assert_eq!(payload_segments(&pair, CLIENT), 10);
}

#[test]
fn super_segments_carry_whole_segments_and_the_stream_arrives() {
    let mut pair = Pair::established(Config::default());
    pair.limits = TxLimits { mss_ip: 1460, mss_link: 1460, gso_bytes_max: 64_000 };
    let data: std::vec::Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
    pair.write(CLIENT, &data);
    pair.run_until(|p| p.ends[SERVER].io.committed == 300_000);
    assert_eq!(pair.ends[SERVER].io.rx, data);
    assert!(pair.log.iter().any(|l| l.contains("gso 1448")));
    assert!(payload_segments(&pair, CLIENT) < 100);
}

#[test]
fn acknowledgements_are_prompt_at_first_then_every_second_segment_or_40_ms() {
    let mut pair = Pair::established(Config::default());
    let acks = |p: &Pair| p.ends[SERVER].sent.len();
    // Use up the quick ones.
    for i in 1..=16 {
        pair.write(CLIENT, &[1; 1_448]);
        let before = acks(&pair);
        pair.run_until(|p| p.ends[SERVER].io.committed == i * 1_448);
        assert_eq!(acks(&pair), before + 1);
    }
    pair.run_until(|p| p.link.queue.is_empty());
    let before = acks(&pair);
    pair.write(CLIENT, &[1; 1_448]);
    pair.run_for(Duration::from_millis(11));
    assert_eq!(acks(&pair), before, "one segment waits");
    pair.run_for(Duration::from_millis(38));
    assert_eq!(acks(&pair), before, "39 ms");
    pair.run_for(Duration::from_millis(2));
    assert_eq!(acks(&pair), before + 1);
    pair.write(CLIENT, &[1; 2 * 1_448]);
    pair.run_for(Duration::from_millis(11));
    assert_eq!(acks(&pair), before + 2, "the second segment is acknowledged at once");
}

#[test]
fn a_fin_after_data_is_acknowledged_at_once_or_as_linux_does_with_the_delayed_acknowledgement() {
    for delayed in [false, true] {
        let config = Config::builder().fin_ack_delayed(delayed).build().unwrap();
        let mut pair = Pair::established(config);
        pair.write(CLIENT, &[1; 1_448]);
        pair.run_until(|p| p.ends[SERVER].io.committed == 1_448 && p.link.queue.is_empty());
        let before = pair.ends[SERVER].sent.len();
        pair.shutdown(CLIENT);
        pair.run_for(Duration::from_millis(45));
        assert_eq!(pair.ends[SERVER].tcp().state(), State::CloseWait);
        assert_eq!(pair.ends[SERVER].sent.len() - before, usize::from(!delayed));
        pair.run_for(Duration::from_millis(10));
        assert_eq!(pair.ends[SERVER].sent.len() - before, 1);
    }
}

#[test]
fn keepalive_is_off_by_default_and_ends_a_connection_whose_peer_is_gone() {
    let mut pair = Pair::established(Config::default());
    pair.run_for(Duration::from_secs(100_000));
    assert_eq!(pair.states(), [State::Established; 2]);
    assert_eq!(pair.ends[CLIENT].sent.len(), 2);

    let second = Duration::from_secs(1);
    let config = Config::builder().keepalive(true).keepalive_idle(Duration::from_secs(10));
    let config = config.keepalive_interval(second).keepalive_probes(3).build().unwrap();
    let mut pair = Pair::established(config);
    pair.run_for(Duration::from_secs(100));
    assert_eq!(pair.states(), [State::Established; 2]);
    pair.link.loss_ppm = 1_000_000;
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.states(), [State::Closed; 2]);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
}
