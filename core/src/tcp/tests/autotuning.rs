//! Windows that grow with what is read, and with what all connections together hold.

use super::pair::{CLIENT, Pair, SERVER};
use crate::port::SocketOption;
use crate::tcp::{Config, ReceiveMemory};
use crate::time::Duration;
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// Half of the first buffer of Linux, and the four units of the scale that are held back.
const FIRST: u32 = 65_536 + 1_024;
const MOST: u32 = 3 << 20;

fn long_path(config: Config) -> Pair {
    let mut pair = Pair::established(config);
    pair.link.delay = Duration::from_millis(50);
    pair.ends[SERVER].io.rx_capacity = 16 << 20;
    pair
}

fn tuned() -> Config {
    Config::builder().tcp_rmem(4_096, 131_072, 2 * MOST).build().unwrap()
}

#[test]
fn the_window_grows_for_a_fast_reader_on_a_long_path_as_far_as_it_may() {
    let mut pair = long_path(tuned());
    pair.write(CLIENT, &[7; 12 << 20]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 12 << 20);
    let tcp = pair.ends[SERVER].tcp();
    assert_eq!(tcp.rcv.buffer_max, MOST);
    let info = tcp.info();
    let rtt = info.rcv_rtt.as_millis();
    assert!((95..=110).contains(&rtt), "the path takes 100 ms, the estimate is {rtt}");
    assert!(info.rcv_space > 1 << 20, "{} bytes in the best round trip", info.rcv_space);
    assert!(info.rcv_ssthresh <= MOST, "the rounding of the scale is left out");
}

#[test]
fn without_timestamps_whole_windows_tell_the_round_trip() {
    let config = Config::builder().tcp_rmem(4_096, 131_072, 2 * MOST).timestamps(false);
    let mut pair = long_path(config.build().unwrap());
    pair.write(CLIENT, &[7; 8 << 20]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 8 << 20);
    assert!(pair.ends[SERVER].tcp().rcv.buffer_max > 1 << 20);
}

#[test]
fn the_window_does_not_grow_for_a_reader_that_takes_little_in_a_round_trip() {
    let mut pair = long_path(tuned());
    pair.ends[SERVER].reads = false;
    pair.write(CLIENT, &[7; 1 << 20]);
    for _ in 0..60 {
        pair.run_for(Duration::from_millis(100));
        let end = &mut pair.ends[SERVER];
        end.io.consumed = end.io.committed.min(end.io.consumed + 8_000);
        let (now, io) = (pair.now, &end.io);
        end.tcp.as_mut().unwrap().handle_app(now, io);
    }
    assert_eq!(pair.ends[SERVER].tcp().rcv.buffer_max, FIRST);
    assert!(pair.ends[SERVER].io.committed <= 60 * 8_000 + u64::from(FIRST));
}

#[test]
fn a_receive_buffer_of_the_applications_choice_stays() {
    let mut pair = long_path(tuned());
    let now = pair.now;
    pair.ends[SERVER].tcp().set_option(now, SocketOption::ReceiveBuffer(100_000)).unwrap();
    pair.write(CLIENT, &[7; 4 << 20]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 4 << 20);
    assert_eq!(pair.ends[SERVER].tcp().rcv.buffer_max, 100_000);
}

#[test]
fn where_it_is_switched_off_the_first_buffer_is_the_last() {
    let config = Config::builder().tcp_rmem(4_096, 131_072, 2 * MOST).moderate_rcvbuf(false);
    let mut pair = long_path(config.build().unwrap());
    pair.write(CLIENT, &[7; 1 << 20]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 1 << 20);
    assert_eq!(pair.ends[SERVER].tcp().rcv.buffer_max, FIRST);
}

#[test]
fn who_holds_more_than_is_free_for_all_is_choked_and_goes_on_once_it_has_read() {
    let mut pair = long_path(Config::default());
    pair.memory = ReceiveMemory::new(400_000);
    pair.ends[SERVER].reads = false;
    pair.write(CLIENT, &[7; 2 << 20]);
    pair.run_for(Duration::from_secs(3));
    // Half of it is this connection's; between two looks 16 KiB and a segment may come.
    let held = pair.ends[SERVER].io.committed;
    assert!((190_000..=225_000).contains(&held), "{held}");
    assert!(pair.memory.held() <= 220_000, "{}", pair.memory.held());
    assert!(pair.ends[SERVER].tcp().rcv.choked);
    // It takes nothing, and answers all the same: the peer knows that somebody is there.
    let before = pair.ends[SERVER].sent.len();
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.ends[SERVER].io.committed, held);
    assert!(pair.ends[SERVER].sent.len() > before + 1);
    pair.ends[SERVER].reads = true;
    pair.read(SERVER);
    pair.run_until(|p| p.ends[SERVER].io.committed == 2 << 20);
    assert!(!pair.ends[SERVER].tcp().rcv.choked);
    assert_eq!(pair.memory.held(), 0);
}

#[test]
fn what_lies_beyond_a_gap_is_given_up_first_and_comes_again() {
    let mut pair = long_path(Config::default());
    pair.memory = ReceiveMemory::new(200_000);
    pair.link.drop_data = std::vec![20];
    pair.ends[SERVER].reads = false;
    pair.write(CLIENT, &[7; 1 << 20]);
    pair.run_for(Duration::from_millis(450));
    assert!(pair.memory.held() <= 120_000, "{}", pair.memory.held());
    pair.ends[SERVER].reads = true;
    pair.read(SERVER);
    pair.run_until(|p| p.ends[SERVER].io.committed == 1 << 20);
    assert_eq!(pair.ends[SERVER].io.rx, pair.ends[CLIENT].io.tx);
}

#[test]
fn a_choked_connection_still_has_its_floor() {
    let mut pair = long_path(Config::default());
    // Others hold everything.
    pair.memory = ReceiveMemory::new(0);
    pair.ends[SERVER].reads = false;
    pair.write(CLIENT, &[7; 100_000]);
    pair.run_for(Duration::from_secs(10));
    assert!(pair.ends[SERVER].tcp().rcv.choked);
    // All is read, and nobody looks: the next bytes fit the floor, and what comes behind them does not.
    let held = pair.ends[SERVER].io.committed;
    pair.ends[SERVER].io.consumed = held;
    let floor = pair.ends[SERVER].config.tcp_rmem[0] as usize;
    for (len, taken) in [(floor + 1, 0), (1_000, 1_000), (floor - 999, 1_000), (500, 1_500)] {
        let server = pair.ends[SERVER].tcp();
        let header = TcpHeader {
            seq: server.rcv.rcv_nxt,
            ack: server.snd.snd_una,
            flags: TcpFlags::ACK,
            window: 500,
            ..TcpHeader::default()
        };
        server.rcv.rcv_adv = header.seq + 2 * floor as u32;
        pair.deliver(SERVER, &header, &std::vec![7; len]);
        assert!(pair.ends[SERVER].tcp().rcv.choked);
        assert_eq!(pair.ends[SERVER].io.committed - held, taken, "{len}");
    }
}

#[test]
fn where_others_hold_everything_all_arrives_all_the_same() {
    let mut pair = long_path(Config::default());
    pair.memory = ReceiveMemory::new(0);
    pair.write(CLIENT, &[7; 100_000]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 100_000);
}
