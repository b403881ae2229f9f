//! Thinning: a page has few thousand pixels, a run has hundreds of thousands of segments.

use causeway_core::time::Instant;

use super::flow::Sent;

/// Everything sent within one slice of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Time of its first segment.
    pub at: Instant,
    /// Lowest number.
    pub from: u64,
    /// One past the highest.
    pub to: u64,
}

/// Getter: at most `bars_max` bars that cover every first transmission, one a slice of time.
pub fn bars(sent: &[Sent], bars_max: usize) -> Vec<Bar> {
    let fresh = || sent.iter().filter(|sent| !sent.again);
    let (Some(first), Some(last)) = (fresh().next(), fresh().next_back()) else {
        return Vec::new();
    };
    let span = last.at.as_nanos() - first.at.as_nanos();
    let slice = (span / bars_max.max(1) as u64).max(1) + 1;
    let mut bars: Vec<Bar> = Vec::new();
    let mut current = u64::MAX;
    for one in fresh() {
        let index = (one.at.as_nanos() - first.at.as_nanos()) / slice;
        match bars.last_mut() {
            Some(bar) if index == current => {
                bar.from = bar.from.min(one.from);
                bar.to = bar.to.max(one.to);
            }
            _ => bars.push(Bar { at: one.at, from: one.from, to: one.to }),
        }
        current = index;
    }
    bars
}

/// Getter: at most `max` items, evenly picked, the first and the last among them.
pub fn pick<T>(items: &[T], max: usize) -> impl Iterator<Item = &T> {
    let count = items.len().min(max);
    (0..count).map(move |index| {
        let last = (items.len() - 1) as u128;
        &items[(index as u128 * last / (count.max(2) - 1) as u128) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: u64, from: u64) -> Sent {
        Sent {
            at: Instant::from_nanos(at),
            from,
            to: from + 10,
            again: false,
            lost: false,
            frame: None,
        }
    }

    #[test]
    fn bars_are_bounded_and_cover_everything() {
        let all: Vec<Sent> = (0..10_000).map(|n| sent(n * 7, n * 10)).collect();
        let bars = bars(&all, 100);
        assert!(bars.len() <= 100, "{}", bars.len());
        assert_eq!((bars[0].from, bars[bars.len() - 1].to), (0, 100_000));
        assert!(bars.windows(2).all(|pair| pair[0].to == pair[1].from), "no gap");
    }

    #[test]
    fn few_samples_stay_as_they_are() {
        let all = [sent(5, 0), sent(50_000, 10)];
        assert_eq!(bars(&all, 100).len(), 2);
        assert!(bars(&[], 100).is_empty());
        assert_eq!(pick(&[1, 2, 3], 10).copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(pick(&[0; 0], 10).count(), 0);
    }

    #[test]
    fn picking_keeps_both_ends() {
        let all: Vec<u32> = (0..1_001).collect();
        let few: Vec<u32> = pick(&all, 11).copied().collect();
        assert_eq!(few, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
        assert_eq!(pick(&all, 1).count(), 1);
    }
}
