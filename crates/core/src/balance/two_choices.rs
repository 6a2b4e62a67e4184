//! Of two by chance the one that has less to do (the power of two choices, Mitzenmacher 1996): nearly as good as to
//! look at all, and without the herd that runs to the one that all think is idle.

use super::weighted::among;
use super::{Targets, Weighted};

/// What one more request would cost at a target, in no unit: less is better.
pub trait Cost {
    fn cost(&self, targets: &impl Targets, target: usize) -> f64;
}

/// One that is usable. Both are drawn in proportion to their weights, so that where nobody has anything to do each gets
/// its share.
pub fn two_choices(
    targets: &impl Targets, weighted: &Weighted, cost: &impl Cost, mut random: impl FnMut() -> u64,
) -> Option<usize> {
    let one = weighted.pick(targets, &mut random)?;
    let Some(other) = another(targets, weighted, one, random) else { return Some(one) };
    Some(if cost.cost(targets, other) < cost.cost(targets, one) { other } else { one })
}

/// A second one. With few targets the same one is drawn often: then all are looked at.
fn another(
    targets: &impl Targets, weighted: &Weighted, one: usize, mut random: impl FnMut() -> u64,
) -> Option<usize> {
    if targets.count() > 4
        && let Some(other) = weighted.pick(targets, &mut random).filter(|&other| other != one)
    {
        return Some(other);
    }
    among(targets, |target| target != one, random())
}
