//! The one that has the fewest requests under way, for its weight.

use super::weighted::among;
use super::{Cost, Targets};

/// The requests that a target has, for its weight: what `p2c` and `least_requests` compare. Where nobody has any, all
/// are alike, whatever their weight.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requests;

impl Cost for Requests {
    fn cost(&self, targets: &impl Targets, target: usize) -> f64 {
        f64::from(targets.active(target)) / f64::from(targets.weight(target).max(1))
    }
}

/// The usable one with the fewest. Of several alike one is taken by chance, in proportion to their weights: that keeps
/// workers, and gateways, from all running to the first.
pub fn least_requests(targets: &impl Targets, random: u64) -> Option<usize> {
    let cost = |target| Requests.cost(targets, target);
    let usable = (0..targets.count()).filter(|&target| targets.is_usable(target));
    let least = usable.map(cost).min_by(f64::total_cmp)?;
    among(targets, |target| cost(target) <= least, random)
}
