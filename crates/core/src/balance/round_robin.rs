//! One after the other, as often as the weights say and well mixed (smooth weighted round robin, as in nginx): 5, 1, 1
//! is not `a a a a a b c`, but `a a b a c a a`.

use super::Targets;
use super::weighted::among;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The longest order that is written down. Weights that need a longer one are rounded to shares of it.
const LONGEST: u64 = 8192;

/// The order is written down once for a list of weights; the turn is shared by all workers.
#[derive(Debug, Default)]
pub struct RoundRobin {
    order: Box<[u32]>,
}

impl RoundRobin {
    /// For targets of these weights, in their order. Where all are 0 nothing is ever chosen.
    pub fn new(weights: &[u32]) -> Self {
        let mut shares: Vec<u64> = weights.iter().map(|&weight| u64::from(weight)).collect();
        let divisor = shares.iter().copied().fold(0, greatest_common_divisor).max(1);
        shares.iter_mut().for_each(|share| *share /= divisor);
        let total: u64 = shares.iter().sum();
        if total > LONGEST {
            let rounded = |share: u64| (share * LONGEST).div_ceil(total);
            shares.iter_mut().for_each(|share| *share = rounded(*share));
        }
        RoundRobin { order: smooth(&shares).into() }
    }

    /// The one whose turn it is; in the place of one that is not usable one of the others by chance, in proportion to
    /// their weights: so its turns are shared out, and its neighbour does not get two.
    pub fn pick(&self, targets: &impl Targets, turn: &AtomicUsize, random: u64) -> Option<usize> {
        let turn = turn.fetch_add(1, Relaxed).checked_rem(self.order.len())?;
        let target = self.order[turn] as usize;
        if targets.is_usable(target) { Some(target) } else { among(targets, |_| true, random) }
    }
}

/// Each round all get what they are due; who is due most has the turn and pays for it.
fn smooth(shares: &[u64]) -> Vec<u32> {
    let total: i64 = shares.iter().sum::<u64>() as i64;
    let mut due = vec![0i64; shares.len()];
    (0..total)
        .map(|_| {
            due.iter_mut().zip(shares).for_each(|(due, &share)| *due += share as i64);
            // Of several that are due as much, the first.
            let most = due.iter().copied().max().unwrap_or_default();
            let target = due.iter().position(|&due| due == most).unwrap_or_default();
            due[target] -= total;
            target as u32
        })
        .collect()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
