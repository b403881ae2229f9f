//! Hot restart at any point: a connection that is written out and read back does, says and sends what it would have done.

use causeway_core::tcp::Config;
use causeway_core::tcp::congestion::Algorithm;
use causeway_properties::{Input, Plan, SIDES, Weather, World, cases};
use proptest::prelude::*;

const STEPS_MAX: usize = 400;

fn weather() -> impl Strategy<Value = Weather> {
    (any::<u64>(), 0u32..150_000, 0u32..100_000, 0u32..400_000).prop_map(
        |(seed, loss_ppm, duplicate_ppm, reorder_ppm)| Weather {
            seed,
            loss_ppm,
            duplicate_ppm,
            reorder_ppm,
            ..Weather::default()
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    let algorithm = proptest::sample::select(Algorithm::ALL.to_vec());
    (any::<[bool; 3]>(), algorithm).prop_map(|([timestamps, sack, pacing], algorithm)| {
        let builder = Config::builder().timestamps(timestamps).sack(sack).pacing(pacing);
        // Nobody gives up: what is written is to arrive.
        let builder = builder.retries_max(100).syn_retries_max(50).syn_ack_retries_max(50);
        builder.congestion(algorithm).build().expect("a right configuration")
    })
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn a_connection_that_is_restarted_anywhere_does_what_its_twin_does(
        weather in weather(),
        config in config(),
        gso in any::<bool>(),
        writes in proptest::collection::vec((0usize..2, 1u64..8_000), 1..12),
        pauses in proptest::collection::vec(0usize..20, 1..30),
    ) {
        let mut plan = Plan::new(&config, weather);
        plan.limits.gso_bytes_max = if gso { 20_000 } else { 0 };
        let mut world = World::new(plan);
        let mut writes = writes.into_iter();
        for (turn, pause) in pauses.iter().cycle().take(STEPS_MAX / 4).enumerate() {
            for _ in 0..*pause {
                world.step();
            }
            world.restart();
            match writes.next() {
                Some((side, len)) => world.give(side, Input::Write(len)),
                None if turn > 30 => SIDES.iter().for_each(|side| world.give(*side, Input::Shutdown)),
                None => {}
            }
        }
        world.finish();
    }
}
