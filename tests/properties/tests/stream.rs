//! Two whole stacks, and a wire on which anything may happen to any packet: what one application reads is what the other has
//! written, and the window's right edge never goes back.

use causeway_properties::{Action, SIDES, TwoStacks, Wrap, cases};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// What the model knows: which family, and where numbers begin. The streams themselves follow from their offsets.
#[derive(Clone, Debug)]
struct Beginning {
    v6: bool,
    wrap: Option<Wrap>,
}

struct Wire;

impl ReferenceStateMachine for Wire {
    type State = Beginning;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<Beginning> {
        let near = prop_oneof![Just(u32::MAX), Just(1 << 31), any::<u32>()];
        let wrap = (0usize..2, near, 0u32..3_000)
            .prop_map(|(side, near, before)| Wrap { side, iss: near.wrapping_sub(before) });
        (any::<bool>(), proptest::option::weighted(0.8, wrap))
            .prop_map(|(v6, wrap)| Beginning { v6, wrap })
            .boxed()
    }

    fn transitions(_: &Beginning) -> BoxedStrategy<Action> {
        let (side, which) = (0usize..2, 0usize..8);
        let first = prop_oneof![3 => Just(0usize), 1 => which.clone()];
        prop_oneof![
            4 => (side.clone(), 1usize..6_000).prop_map(|(side, len)| Action::Write(side, len)),
            3 => (side.clone(), 1usize..8_000).prop_map(|(side, len)| Action::Read(side, len)),
            12 => (side.clone(), first).prop_map(|(side, which)| Action::Deliver(side, which)),
            1 => (side.clone(), which.clone()).prop_map(|(side, which)| Action::Duplicate(side, which)),
            2 => (side, which).prop_map(|(side, which)| Action::Lose(side, which)),
            3 => (0u64..30_000).prop_map(Action::Pass),
            1 => Just(Action::Jump),
        ]
        .boxed()
    }

    fn apply(state: Beginning, _: &Action) -> Beginning {
        state
    }
}

impl StateMachineTest for Wire {
    type SystemUnderTest = TwoStacks;
    type Reference = Self;

    fn init_test(beginning: &Beginning) -> TwoStacks {
        TwoStacks::new(beginning.v6, beginning.wrap)
    }

    fn apply(mut world: TwoStacks, _: &Beginning, action: Action) -> TwoStacks {
        world.act(&action);
        world
    }

    fn check_invariants(world: &TwoStacks, _: &Beginning) {
        for side in SIDES {
            assert!(world.read(1 - side) <= world.written(side));
        }
    }

    fn teardown(world: TwoStacks, _: Beginning) {
        world.finish();
    }
}

prop_state_machine! {
    #![proptest_config(cases(512))]

    #[test]
    fn both_streams_arrive_whole_whatever_happens_on_the_wire(sequential 1..120 => Wire);
}

/// Each place of a short conversation once: SYN, every byte, FIN.
#[test]
fn numbers_wrap_at_every_boundary_of_a_conversation() {
    const BYTES: u32 = 12;
    for turn in [0u32, 1 << 31] {
        for (side, before) in SIDES.into_iter().flat_map(|s| (0..BYTES + 4).map(move |b| (s, b))) {
            let wrap = Wrap { side, iss: turn.wrapping_sub(before) };
            let mut world = TwoStacks::new(false, Some(wrap));
            if side == 0 {
                assert_eq!(world.iss_on_wire(0), Some(wrap.iss), "the wanted beginning");
            }
            world.act(&Action::Deliver(1, 0));
            if side == 1 {
                assert_eq!(world.iss_on_wire(1), Some(wrap.iss), "the wanted beginning");
            }
            world.act(&Action::Deliver(0, 0));
            world.act(&Action::Deliver(1, 0));
            for round in 0..BYTES as usize / 3 {
                for writer in SIDES {
                    world.act(&Action::Write(writer, 3));
                    // Every other one is lost, so that retransmissions cross the boundary as well.
                    if round % 2 == 0 {
                        world.act(&Action::Lose(1 - writer, 0));
                    }
                }
            }
            world.finish();
        }
    }
}
