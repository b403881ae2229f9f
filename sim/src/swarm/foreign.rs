//! Hosts that are not Causeway.

use super::draw::Draw;

/// A host, by its place, and its stack, by its word.
pub(super) type Foreign = (usize, &'static str);

/// Output: the stack that the last host of a seed has, where that is not Causeway: one seed in ten the textbook's, one in twenty smoltcp.
pub(super) fn foreign_stack(seed: u64) -> Option<&'static str> {
    if Draw::new(seed, 8).chance(10) {
        return Some("textbook");
    }
    // Of those that are left: 1/18 of 9/10.
    (Draw::new(seed, 60).stream.below(18) == 0).then_some("smoltcp")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::draw;

    #[test]
    fn each_stack_is_drawn_as_often_as_was_asked() {
        let count = |stack| (0..20_000).filter(|seed| foreign_stack(*seed) == Some(stack)).count();
        assert!((1_800..2_200).contains(&count("textbook")), "{}", count("textbook"));
        assert!((900..1_100).contains(&count("smoltcp")), "{}", count("smoltcp"));
        let written = (0..200).filter(|seed| draw(*seed).scenario.contains("stack = \"smoltcp\""));
        assert!(written.count() > 3);
    }
}
