//! Slow start: a target that is new, or back, has a part of its share at first, which grows to the whole.

use super::{Targets, fraction, mixed};

/// The part that it has at once: without any, nobody would know when it is well.
const FLOOR: f64 = 0.1;

/// The part of its share that a target has which began so long ago, where it has the whole after `whole_ms`.
pub fn part_of_share(since_ms: u64, whole_ms: u64) -> f64 {
    if since_ms >= whole_ms { 1.0 } else { (since_ms as f64 / whole_ms as f64).max(FLOOR) }
}

/// The largest part that a usable one has: where all are new they are compared with each other.
pub(super) fn largest(targets: &impl Targets) -> f64 {
    let usable = (0..targets.count()).filter(|&target| targets.is_usable(target));
    usable.map(|target| targets.part(target)).fold(0.0, f64::max)
}

/// The newcomer whose turn it is, if it is anyone's. By its share alone and not by its load: one that has nothing to do
/// yet would else be given everything.
pub(super) fn newcomer(targets: &impl Targets, largest: f64, random: u64) -> Option<usize> {
    let usable = || (0..targets.count()).filter(|&target| targets.is_usable(target));
    let weight = |target| f64::from(targets.weight(target));
    let mut left = fraction(random) * usable().map(weight).sum::<f64>();
    usable().filter(|&target| targets.part(target) < largest).find(|&target| {
        left -= targets.part(target) / largest * weight(target);
        left < 0.0
    })
}

/// Whether a key that a hash gives to this target is its own already: more and more keys are.
pub(super) fn owns(targets: &impl Targets, largest: f64, target: usize, key: u64) -> bool {
    let part = targets.part(target);
    part >= largest || fraction(mixed(key ^ 0x6a09_e667_f3bc_c908)) * largest < part
}
