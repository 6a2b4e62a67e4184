//! One after the other.

use std::cell::Cell;

/// Belongs to one worker. The turn of a target that is out is shared out evenly among the others, so that its
/// neighbour does not get two turns.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: Cell<usize>,
    stand_in: Cell<usize>,
}

impl RoundRobin {
    /// Workers that begin at different places do not all send their first requests to the same target.
    pub fn starting_at(next: usize) -> Self {
        RoundRobin { next: Cell::new(next), stand_in: Cell::new(next) }
    }

    /// One of `0..n` for which `usable` holds.
    pub fn pick(&self, n: usize, usable: impl Fn(usize) -> bool) -> Option<usize> {
        if n == 0 {
            return None;
        }
        // The list may have become shorter since the last call.
        let turn = self.next.get() % n;
        self.next.set((turn + 1) % n);
        if usable(turn) {
            return Some(turn);
        }
        let count = (0..n).filter(|&index| usable(index)).count();
        let stand_in = self.stand_in.get().checked_rem(count)?;
        self.stand_in.set((stand_in + 1) % count);
        (0..n).filter(|&index| usable(index)).nth(stand_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_turns() {
        let balance = RoundRobin::default();
        let picks: Vec<_> = (0..7).map(|_| balance.pick(3, |_| true)).collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2, 0].map(Some));
    }

    #[test]
    fn starts_where_told() {
        assert_eq!(RoundRobin::starting_at(4).pick(3, |_| true), Some(1));
    }

    #[test]
    fn nobody_is_left() {
        assert_eq!(RoundRobin::default().pick(0, |_| true), None);
        assert_eq!(RoundRobin::default().pick(3, |_| false), None);
    }

    #[test]
    fn survives_a_shorter_list() {
        let balance = RoundRobin::starting_at(9);
        assert_eq!(balance.pick(10, |_| true), Some(9));
        assert_eq!(balance.pick(2, |index| index == 1), Some(1));
    }

    proptest! {
        /// Every usable target gets its share, to within one turn of each kind.
        #[test]
        fn shares_are_even(n in 1usize..9, out: u8, rounds in 1usize..20) {
            let usable = |index: usize| out >> index & 1 == 0;
            let live = (0..n).filter(|&index| usable(index)).count();
            let balance = RoundRobin::default();
            let mut counts = vec![0usize; n];
            for _ in 0..rounds * n {
                match balance.pick(n, usable) {
                    Some(index) => counts[index] += 1,
                    None => prop_assert_eq!(live, 0),
                }
            }
            for (index, &count) in counts.iter().enumerate() {
                let fair = if usable(index) { rounds + rounds * (n - live) / live } else { 0 };
                prop_assert!(count.abs_diff(fair) <= 1, "{:?}", counts);
            }
        }
    }
}
