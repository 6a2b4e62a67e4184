//! The most that a target gets before the next one is asked (consistent hashing with bounded loads, Mirrokni, Thorup
//! and Zadimoghaddam 2018): a key that everybody wants does not sink its target.

use super::Targets;

/// How much one target may have at most.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Requests per unit of weight.
    most: f64,
}

impl Bound {
    /// `factor` times the mean of the usable ones, with the request that is to be placed; at least 1.
    pub fn new(targets: &impl Targets, factor: f64) -> Self {
        let usable = (0..targets.count()).filter(|&target| targets.is_usable(target));
        let (active, weight) = usable.fold((1.0, 0.0), |(active, weight), target| {
            (active + f64::from(targets.active(target)), weight + f64::from(targets.weight(target)))
        });
        Bound { most: factor.max(1.0) * active / f64::max(weight, 1.0) }
    }

    /// Whether it may have one more. Of all usable ones at least one always may.
    pub fn has_room(&self, targets: &impl Targets, target: usize) -> bool {
        // Rounded up, so that one which should have two and a half may have three.
        f64::from(targets.active(target)) + 1.0 <= (self.most * f64::from(targets.weight(target))).ceil()
    }
}
