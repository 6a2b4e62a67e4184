//! One by chance, in proportion to the weights: in constant time, by the alias method (Walker 1974, Vose 1991).

use super::{Targets, scaled};

/// So often a place that is not usable is passed over before all are looked at.
const TRIES: u64 = 4;

/// Made once for a list of weights.
#[derive(Debug, Default)]
pub struct Weighted {
    /// For each place: below this share of it the target itself, of 2^32; above, `alias`.
    places: Box<[Place]>,
    /// The mean of those weights that are not 0.
    mean: f64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    own: u32,
    alias: u32,
}

impl Weighted {
    /// For targets of these weights, in their order. Where all are 0 nothing is ever chosen.
    pub fn new(weights: &[u32]) -> Self {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        if total == 0 {
            return Weighted::default();
        }
        // In units in which a place has room for `total`, and all weights together fill all places.
        let mut rest: Vec<u64> =
            weights.iter().map(|&weight| u64::from(weight) * weights.len() as u64).collect();
        let mut places = vec![Place { own: u32::MAX, alias: 0 }; weights.len()];
        let (mut small, mut large): (Vec<_>, Vec<_>) =
            (0..weights.len()).partition(|&place| rest[place] < total);
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            let own = (u128::from(rest[low]) << 32) / u128::from(total);
            places[low] = Place { own: own as u32, alias: high as u32 };
            rest[high] -= total - rest[low];
            if rest[high] < total {
                large.pop();
                small.push(high);
            }
        }
        let some = weights.iter().filter(|&&weight| weight > 0).count();
        Weighted { places: places.into(), mean: total as f64 / some as f64 }
    }

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// One that is usable. `random` gives 64 random bits with each call.
    pub fn pick(&self, targets: &impl Targets, mut random: impl FnMut() -> u64) -> Option<usize> {
        for _ in 0..TRIES {
            let target = self.draw(random())?;
            if targets.is_usable(target) {
                return Some(target);
            }
        }
        among(targets, |_| true, random())
    }

    fn draw(&self, random: u64) -> Option<usize> {
        let place = scaled(random, self.places.len());
        let Place { own, alias } = *self.places.get(place)?;
        // The low bits say nothing about the place, which the high ones have chosen.
        let is_own = (super::mixed(random) as u32) < own || own == u32::MAX;
        Some(if is_own { place } else { alias as usize })
    }
}

/// One of the usable targets of which `is_meant` holds, in proportion to their weights. Looks at each of them once: what
/// another thread changes meanwhile makes none of them disappear.
pub(super) fn among(targets: &impl Targets, is_meant: impl Fn(usize) -> bool, random: u64) -> Option<usize> {
    let mut drawn = Drawn::new(random);
    let meant = (0..targets.count()).filter(|&target| targets.is_usable(target) && is_meant(target));
    meant.for_each(|target| drawn.add(target, targets.weight(target)));
    drawn.target
}

/// One of several that come one after the other, in proportion to their weights.
pub(super) struct Drawn {
    pub(super) target: Option<usize>,
    total: u64,
    random: u64,
}

impl Drawn {
    pub(super) fn new(random: u64) -> Self {
        Drawn { target: None, total: 0, random }
    }

    /// It takes the place of the one before with the probability that its weight has among all so far.
    pub(super) fn add(&mut self, target: usize, weight: u32) {
        self.total += u64::from(weight);
        self.random = super::mixed(self.random);
        if self.target.is_none() || scaled(self.random, self.total as usize) < weight as usize {
            self.target = Some(target);
        }
    }
}
