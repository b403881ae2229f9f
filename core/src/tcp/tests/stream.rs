use std::vec::Vec;

use proptest::prelude::*;

use super::pair::{CLIENT, Pair, SERVER};
use crate::rng::Stream;
use crate::tcp::{Config, State, TxLimits};

pub fn noise(seed: u64, len: usize) -> Vec<u8> {
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

/// Settings of a link and of two ends.
#[derive(Clone, Debug)]
struct Weather {
    seed: u64,
    loss_ppm: u32,
    duplicate_ppm: u32,
    reorder_ppm: u32,
    iss: [u32; 2],
    len: [usize; 2],
    gso: bool,
    timestamps: bool,
    sack: bool,
    nodelay: bool,
    window_scale: u8,
    rx_capacity: u64,
}

fn weather() -> impl Strategy<Value = Weather> {
    let iss =
        || prop_oneof![Just(u32::MAX), Just(u32::MAX - 5_000), Just(0x7fff_ff00), any::<u32>()];
    let link = (any::<u64>(), 0u32..150_000, 0u32..100_000, 0u32..400_000, iss(), iss());
    let ends = (0usize..60_000, 0usize..20_000, any::<[bool; 4]>(), 0u8..=14, 2_000u64..200_000);
    (link, ends).prop_map(|(link, ends)| {
        let (seed, loss_ppm, duplicate_ppm, reorder_ppm, a, b) = link;
        let (there, back, [gso, timestamps, sack, nodelay], window_scale, rx_capacity) = ends;
        Weather {
            seed,
            loss_ppm,
            duplicate_ppm,
            reorder_ppm,
            iss: [a, b],
            len: [there, back],
            gso,
            timestamps,
            sack,
            nodelay,
            window_scale,
            rx_capacity,
        }
    })
}

fn pair_in(weather: &Weather) -> Pair {
    let config = Config::builder()
        .timestamps(weather.timestamps)
        .sack(weather.sack)
        .nodelay(weather.nodelay)
        .window_scale(weather.window_scale)
        .retries_max(100)
        .syn_retries_max(50)
        .build()
        .unwrap();
    let mut pair = Pair::new(config);
    pair.link = super::link::Link::new(weather.seed);
    pair.link.loss_ppm = weather.loss_ppm;
    pair.link.duplicate_ppm = weather.duplicate_ppm;
    pair.link.reorder_ppm = weather.reorder_ppm;
    for (end, iss) in pair.ends.iter_mut().zip(weather.iss) {
        end.iss = iss;
        end.io.rx_capacity = weather.rx_capacity;
    }
    if weather.gso {
        pair.limits = TxLimits { mss_ip: 1460, mss_link: 1460, gso_bytes_max: 20_000 };
    }
    pair
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// The window's right edge is watched by the harness at every segment.
    #[test]
    fn both_streams_arrive_whole_in_any_weather(weather in weather()) {
        let mut pair = pair_in(&weather);
        let data = weather.len.map(|len| noise(weather.seed, len));
        pair.connect();
        pair.write(CLIENT, &data[CLIENT]);
        pair.run_until(|p| p.ends[SERVER].state() != State::SynReceived && p.ends[SERVER].tcp.is_some());
        pair.write(SERVER, &data[SERVER]);
        pair.shutdown(CLIENT);
        pair.shutdown(SERVER);
        pair.run_until(|p| {
            let done = |s: State| matches!(s, State::TimeWait | State::Closed);
            p.states().into_iter().all(done)
        });
        prop_assert_eq!(pair.ends[SERVER].io.committed, data[CLIENT].len() as u64);
        prop_assert_eq!(pair.ends[CLIENT].io.committed, data[SERVER].len() as u64);
        prop_assert!(pair.ends[SERVER].io.rx == data[CLIENT]);
        prop_assert!(pair.ends[CLIENT].io.rx == data[SERVER]);
    }

    #[test]
    fn a_state_written_out_anywhere_and_read_back_goes_on_to_the_end(
        weather in weather(),
        points in proptest::collection::vec(1usize..200, 1..20),
    ) {
        let mut pair = pair_in(&weather);
        let data = noise(weather.seed, weather.len[0]);
        pair.connect();
        pair.write(CLIENT, &data);
        pair.shutdown(CLIENT);
        for steps in points {
            for _ in 0..steps {
                if pair.ends[SERVER].state() == State::CloseWait {
                    pair.shutdown(SERVER);
                }
                pair.step();
            }
            for end in &mut pair.ends {
                if let Some(tcp) = end.tcp.take() {
                    let mut bytes = Vec::new();
                    tcp.write_state(&mut bytes);
                    let back = crate::tcp::Connection::read_state(&bytes);
                    prop_assert_eq!(back.as_ref(), Ok(&tcp));
                    end.tcp = back.ok();
                }
            }
        }
        pair.run_until(|p| {
            p.ends[SERVER].io.committed == data.len() as u64
        });
        prop_assert!(pair.ends[SERVER].io.rx == data);
    }
}
