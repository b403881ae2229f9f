//! Ephemeral ports against a set: one that is taken is never handed out, and one that is free is found.

use std::collections::BTreeSet;

use causeway_core::rng::Stream;
use causeway_core::socket::EphemeralPorts;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// How many are taken of which range; which they are the model cannot know.
#[derive(Clone, Debug)]
struct Taken {
    first: u16,
    size: u16,
    count: usize,
}

#[derive(Clone, Debug)]
enum Transition {
    Open,
    /// The one at this place among those that are taken.
    Close(prop::sample::Index),
}

struct Ports;

/// The allocator with the ports that it handed out.
#[derive(Debug)]
struct Allocator {
    ports: EphemeralPorts,
    random: Stream,
    taken: Vec<u16>,
}

impl ReferenceStateMachine for Ports {
    type State = Taken;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Taken> {
        (1u16..60_000, 1u16..40).prop_map(|(first, size)| Taken { first, size, count: 0 }).boxed()
    }

    fn transitions(state: &Taken) -> BoxedStrategy<Transition> {
        let close = any::<prop::sample::Index>().prop_map(Transition::Close);
        match state.count {
            0 => Just(Transition::Open).boxed(),
            _ => prop_oneof![3 => Just(Transition::Open), 1 => close].boxed(),
        }
    }

    fn apply(mut state: Taken, transition: &Transition) -> Taken {
        state.count = match transition {
            Transition::Open => (state.count + 1).min(state.size.into()),
            Transition::Close(_) => state.count.saturating_sub(1),
        };
        state
    }

    fn preconditions(state: &Taken, transition: &Transition) -> bool {
        matches!(transition, Transition::Open) || state.count > 0
    }
}

impl StateMachineTest for Ports {
    type SystemUnderTest = Allocator;
    type Reference = Self;

    fn init_test(state: &Taken) -> Allocator {
        let range = state.first..=state.first + (state.size - 1);
        let ports = EphemeralPorts::new(range).expect("a range");
        let random = Stream::new(state.first.into(), state.size.into());
        Allocator { ports, random, taken: Vec::new() }
    }

    fn apply(mut allocator: Allocator, state: &Taken, transition: Transition) -> Allocator {
        let Allocator { ports, random, taken } = &mut allocator;
        match transition {
            Transition::Open => {
                let port = ports.choose(random, |port| !taken.contains(&port));
                let range = state.first..=state.first + (state.size - 1);
                match port {
                    Some(port) => {
                        assert!(range.contains(&port), "{port} is not in {range:?}");
                        assert!(!taken.contains(&port), "{port} is taken");
                        taken.push(port);
                    }
                    None => assert_eq!(taken.len(), usize::from(state.size), "one was free"),
                }
            }
            Transition::Close(which) => {
                taken.swap_remove(which.index(taken.len()));
            }
        }
        allocator
    }

    fn check_invariants(allocator: &Allocator, state: &Taken) {
        assert_eq!(allocator.taken.len(), state.count);
        let distinct: BTreeSet<u16> = allocator.taken.iter().copied().collect();
        assert_eq!(distinct.len(), state.count, "two have the same");
    }
}

prop_state_machine! {
    #[test]
    fn a_taken_port_is_never_handed_out(sequential 1..150 => Ports);
}
