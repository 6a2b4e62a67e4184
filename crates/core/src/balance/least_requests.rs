//! The one that has the fewest requests under way, for its weight.

use super::weighted::Drawn;
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
    let (mut least, mut drawn) = (f64::INFINITY, Drawn::new(random));
    for target in (0..targets.count()).filter(|&target| targets.is_usable(target)) {
        // Once: other workers count at the same time.
        let cost = Requests.cost(targets, target);
        if cost < least {
            (least, drawn) = (cost, Drawn::new(random));
        }
        if cost <= least {
            drawn.add(target, targets.weight(target));
        }
    }
    drawn.target
}
