//! Paths that swallow what is too big without a word.

use std::vec::Vec;

use super::pair::{CLIENT, Pair, SERVER};
use super::recovery::timeouts;
use crate::error::EndReason;
use crate::tcp::recovery::Phase;
use crate::tcp::{Config, ConfigError, Connection, MtuProbing};
use crate::time::Duration;
use crate::wire::tcp::SackBlocks;

/// A connection whose path carries `mss_ip` bytes behind a bare TCP header.
fn path(mode: MtuProbing, mss_ip: usize) -> Pair {
    let config = Config::builder().mtu_probing(mode).slow_start_after_idle(false);
    let mut pair = Pair::established(config.build().unwrap());
    pair.link.swallows_above = mss_ip;
    pair
}

fn size(pair: &mut Pair) -> u16 {
    let limits = pair.limits;
    let tcp = pair.ends[CLIENT].tcp();
    if tcp.seldom.mtu_search().is_some() {
        tcp.searched_mss_ip(limits.mss_ip)
    } else {
        tcp.options.mss_ip
    }
}

fn transfer(pair: &mut Pair, len: usize) {
    let before = pair.ends[SERVER].io.committed;
    let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 256) as u8).collect();
    pair.write(CLIENT, &bytes);
    pair.run_until(|p| p.ends[SERVER].io.committed == before + len as u64);
    let sent = &pair.ends[CLIENT].io.tx[before as usize..];
    assert!(pair.ends[SERVER].io.rx[before as usize..] == *sent, "every byte as it was");
    pair.run_for(Duration::from_secs(1));
}

/// Enough data, a second after the other, for a search to come to its end.
fn search(pair: &mut Pair) {
    for _ in 0..12 {
        transfer(pair, 100_000);
    }
}

#[test]
fn without_probing_a_black_hole_ends_the_connection() {
    let mut pair = path(MtuProbing::Off, 1_300);
    pair.write(CLIENT, &[1; 50_000]);
    pair.run_until(|p| p.ends[CLIENT].ended().is_some());
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
}

#[test]
fn a_black_hole_is_found_by_its_timeouts_and_the_transfer_completes() {
    let mut pair = path(MtuProbing::OnBlackHole, 1_300);
    transfer(&mut pair, 30_000);
    assert!(timeouts(&pair) >= 3, "{}", timeouts(&pair));
    assert!((1_036..=1_300).contains(&size(&mut pair)));
}

#[test]
fn after_a_black_hole_segments_grow_to_what_the_path_carries() {
    let mut pair = path(MtuProbing::OnBlackHole, 1_300);
    transfer(&mut pair, 30_000);
    transfer(&mut pair, 1_500_000);
    let found = size(&mut pair);
    assert!((1_292..=1_300).contains(&found), "{found}");
}

#[test]
fn a_path_narrower_than_the_base_size_is_halved_until_something_passes() {
    let mut pair = path(MtuProbing::OnBlackHole, 300);
    transfer(&mut pair, 3_000);
    assert!(size(&mut pair) <= 300);
}

#[test]
fn timeouts_of_segments_that_were_small_say_nothing_about_the_path() {
    let mut pair = path(MtuProbing::OnBlackHole, 0);
    pair.write(CLIENT, &[1; 500]);
    pair.run_for(Duration::from_secs(20));
    assert!(timeouts(&pair) >= 3);
    assert!(pair.ends[CLIENT].tcp().seldom.mtu_search().is_none());
}

#[test]
fn with_probing_always_on_segments_begin_small_and_grow_to_the_whole_without_a_loss() {
    let mut pair = path(MtuProbing::Always, usize::MAX);
    assert_eq!(size(&mut pair), 1_036, "1,024 bytes and timestamps");
    transfer(&mut pair, 1_500_000);
    let found = size(&mut pair);
    assert!((1_453..=1_460).contains(&found), "{found}");
    assert_eq!(pair.ends[CLIENT].tcp().info().retransmits, 0);
}

#[test]
fn the_loss_of_a_probe_is_repaired_at_once_and_cuts_no_window() {
    let mut pair = path(MtuProbing::Always, 1_300);
    transfer(&mut pair, 1_500_000);
    let found = size(&mut pair);
    assert!((1_292..=1_300).contains(&found), "{found}");
    let tcp = pair.ends[CLIENT].tcp();
    let info = tcp.info();
    assert!(info.retransmits > 0, "probes were lost");
    assert_eq!(info.snd_ssthresh, 0x7fff_ffff, "and no window was ever cut, by no timeout either");
}

#[test]
fn a_probe_that_is_lost_with_others_is_a_matter_of_congestion() {
    let mut pair = path(MtuProbing::Always, usize::MAX);
    transfer(&mut pair, 30_000);
    let before = size(&mut pair);
    let una = pair.ends[CLIENT].tcp().snd.snd_una;
    pair.write(CLIENT, &[3; 200_000]);
    let tcp = pair.ends[CLIENT].tcp();
    let probe = tcp.seldom.mtu_search().and_then(|search| search.probed()).expect("a probe");
    assert_eq!((tcp.snd.snd_una, probe.0), (una, 30_000), "it is what was sent first");
    let (len, mss) = ((probe.1 - probe.0) as u32, tcp.options.mss());
    pair.link.queue.clear();
    // The probe and two segments behind it are missing.
    let mut header = *pair.ends[SERVER].sent.last().unwrap();
    header.options.sack = SackBlocks::default();
    header.options.sack.push(una + (len + 2 * mss), una + (len + 8 * mss));
    pair.deliver(CLIENT, &header, &[]);
    // The stragglers have their time, and nothing of what follows is acknowledged yet.
    pair.run_for(Duration::from_millis(15));
    assert!(pair.ends[CLIENT].tcp().info().snd_ssthresh < 0x7fff_ffff, "the window was cut");
    assert_eq!(size(&mut pair), before);
}

#[test]
fn a_router_that_speaks_up_about_a_probe_is_believed_and_the_window_stays() {
    let mut pair = path(MtuProbing::Always, usize::MAX);
    transfer(&mut pair, 30_000);
    let seq = pair.ends[CLIENT].tcp().snd.snd_max;
    pair.write(CLIENT, &[3; 200_000]);
    let now = pair.now;
    let cwnd = pair.ends[CLIENT].tcp().info().cwnd_bytes;
    let before = size(&mut pair);
    assert!(pair.ends[CLIENT].tcp().handle_packet_too_big(now, seq, before));
    assert_eq!(pair.ends[CLIENT].tcp().info().cwnd_bytes, cwnd);
    assert_eq!(pair.ends[CLIENT].tcp().recovery.phase, Phase::Loss);
    pair.run_until(|p| p.ends[SERVER].io.committed == 230_000);
    assert_eq!(size(&mut pair), before, "the search is over");
}

#[test]
fn after_the_interval_a_path_that_became_wider_is_noticed() {
    let mut pair = path(MtuProbing::Always, 1_300);
    search(&mut pair);
    assert!(size(&mut pair) <= 1_300);
    pair.link.swallows_above = usize::MAX;
    search(&mut pair);
    assert!(size(&mut pair) <= 1_300, "not before");
    pair.run_for(Duration::from_secs(601));
    search(&mut pair);
    assert!(size(&mut pair) >= 1_453);
}

#[test]
fn a_way_out_that_becomes_narrower_bounds_the_search() {
    let mut pair = path(MtuProbing::Always, usize::MAX);
    transfer(&mut pair, 1_500_000);
    pair.limits.mss_ip = 1_100;
    transfer(&mut pair, 100_000);
    assert_eq!(size(&mut pair), 1_100);
}

#[test]
fn a_search_survives_the_state_file() {
    let mut pair = path(MtuProbing::Always, 1_300);
    pair.write(CLIENT, &[3; 100_000]);
    for _ in 0..40 {
        pair.step();
    }
    assert!(
        pair.ends[CLIENT].tcp().seldom.mtu_search().is_some(),
        "there is something to write out"
    );
    let mut bytes = Vec::new();
    pair.ends[CLIENT].tcp().write_state(&mut bytes);
    assert_eq!(Connection::read_state(&bytes).as_ref(), Ok(&*pair.ends[CLIENT].tcp()));
}

#[test]
fn a_base_size_below_the_least_segment_is_refused() {
    assert_eq!(Config::builder().base_mss(47).build(), Err(ConfigError::BaseMssRange));
    assert!(Config::builder().base_mss(48).build().is_ok());
}
