//! A covering array of strength two: few cells, and every two values of different dimensions meet in one of them.
//!
//! Most faults of software show with one value or with two that meet; all combinations take an hour, these minutes.
//! Greedy, as AETG (Cohen et al., 1997): of several candidates, each begun with a pair that is still missing and
//! filled up from the cells that have it, the one with the most missing pairs is taken.

use std::collections::BTreeSet;

use causeway_core::rng::Stream;

use super::cell::Cell;

/// Candidates for each cell that is chosen.
const CANDIDATES: u64 = 40;

type Pair = (&'static str, &'static str);

/// The pairs of values of different dimensions that meet in `cell`.
fn pairs(cell: &Cell) -> impl Iterator<Item = Pair> {
    let words = cell.words();
    (0..words.len()).flat_map(move |a| (a + 1..words.len()).map(move |b| (words[a], words[b])))
}

/// Cells out of `all` in which every pair meets that meets in any. Equal seeds choose the same.
pub fn pairwise(all: &[Cell], seed: u64) -> Vec<Cell> {
    let mut missing: BTreeSet<Pair> = all.iter().flat_map(pairs).collect();
    let mut random = Stream::new(seed, 0);
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let gain = |cell: &Cell| pairs(cell).filter(|pair| missing.contains(pair)).count();
        let mut best: Option<(usize, Cell)> = None;
        for _ in 0..CANDIDATES {
            let cell = all[random.below(all.len() as u64) as usize];
            let candidate = improved(cell, all, &mut random, &gain);
            if best.is_none_or(|(most, _)| gain(&candidate) > most) {
                best = Some((gain(&candidate), candidate));
            }
        }
        let Some((_, cell)) = best.filter(|(most, _)| *most > 0) else {
            // Chance missed the last pairs: take the first cell that has one.
            let rest = all.iter().find(|cell| gain(cell) > 0);
            let cell = *rest.expect("each missing pair is one of a cell");
            missing.retain(|pair| !pairs(&cell).any(|p| p == *pair));
            chosen.push(cell);
            continue;
        };
        missing.retain(|pair| !pairs(&cell).any(|p| p == *pair));
        chosen.push(cell);
    }
    chosen
}

/// `cell` with one dimension after the other, in random order, set to the value that gains most.
fn improved(
    mut cell: Cell,
    all: &[Cell],
    random: &mut Stream,
    gain: &impl Fn(&Cell) -> usize,
) -> Cell {
    let mut dimensions: Vec<usize> = (0..cell.words().len()).collect();
    for place in (1..dimensions.len()).rev() {
        dimensions.swap(place, random.below(place as u64 + 1) as usize);
    }
    for dimension in dimensions {
        let alike = |other: &&Cell| {
            let (a, b) = (cell.words(), other.words());
            (0..a.len()).all(|d| d == dimension || a[d] == b[d])
        };
        // Among equals chance decides, or the last values would meet again and again.
        let ranked = all.iter().filter(alike).map(|other| (gain(other), random.next_u64(), *other));
        if let Some((_, _, better)) = ranked.max() {
            cell = better;
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Congestion, Family};
    use super::*;

    #[test]
    fn every_pair_meets_in_few_cells_and_a_seed_chooses_the_same_again() {
        let all = Cell::all(Family::ALL, Congestion::ALL);
        let chosen = pairwise(&all, 1);
        let wanted: BTreeSet<Pair> = all.iter().flat_map(pairs).collect();
        let covered: BTreeSet<Pair> = chosen.iter().flat_map(pairs).collect();
        assert_eq!(covered, wanted);
        // The two largest dimensions have 7 and 6 values.
        assert!((42..=50).contains(&chosen.len()), "{}", chosen.len());
        assert_eq!(pairwise(&all, 1), chosen);
        assert_ne!(pairwise(&all, 2), chosen);
        assert!(chosen.iter().all(Cell::exists));
    }
}
