use std::vec::Vec;

use super::pair::{CLIENT, Pair, SERVER};
use crate::rng::Stream;
use crate::tcp::Config;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Stream::new(seed, 99);
    (0..len).map(|_| rng.next_u64() as u8).collect()
}

#[test]
fn a_megabyte_arrives_whole_over_a_clean_link() {
    let mut pair = Pair::established(Config::default());
    let data = noise(1, 1_000_000);
    pair.write(CLIENT, &data);
    pair.run_until(|p| p.ends[SERVER].io.committed == 1_000_000);
    assert_eq!(pair.ends[SERVER].io.rx, data);
    assert_eq!(pair.ends[CLIENT].tcp().info().retransmits, 0);
}
