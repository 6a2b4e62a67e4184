//! Which of the usable targets comes next: one algorithm, one file.
//!
//! All are pure and without locks. What workers share (the turn of [`RoundRobin`]) is an atomic number; what changes
//! with every request (how much is under way, how long answers take) is asked of [`Targets`].

mod bound;
mod groups;
mod least_requests;
mod maglev;
mod newcomers;
mod peak_ewma;
mod picker;
mod ring_hash;
mod round_robin;
mod split;
mod two_choices;
mod weighted;

pub use bound::Bound;
pub use groups::{Groups, Placed};
pub use least_requests::{Requests, least_requests};
pub use maglev::Maglev;
pub use newcomers::part_of_share;
pub use peak_ewma::{PeakEwma, Time};
pub use picker::{Algorithm, Chance, Picker};
pub use ring_hash::RingHash;
pub use round_robin::RoundRobin;
pub use split::Split;
pub use two_choices::{Cost, two_choices};
pub use weighted::Weighted;

/// The targets of an upstream, by their number: what a choice needs to know of them.
pub trait Targets {
    /// How many there are.
    fn count(&self) -> usize;
    /// Whether this one may be chosen now. One whose weight is 0 never may.
    fn is_usable(&self, target: usize) -> bool;
    /// Its share, compared with those of the others.
    fn weight(&self, target: usize) -> u32;
    /// Requests that it has now, of all workers.
    fn active(&self, target: usize) -> u32;
    /// How long its answers take by now, ns; 0 where that is not known yet.
    fn latency_ns(&self, target: usize) -> u64;
    /// Whether any of them is new, or back, and does not have its whole share yet.
    fn has_newcomers(&self) -> bool {
        false
    }
    /// The part of its share that it has; 1 for all but newcomers.
    fn part(&self, _target: usize) -> f64 {
        1.0
    }
}

/// Some of the targets of an upstream, in an order of their own.
#[derive(Clone, Copy)]
struct Among<'t, T> {
    targets: &'t T,
    members: &'t [u32],
}

impl<T: Targets> Targets for Among<'_, T> {
    fn count(&self) -> usize {
        self.members.len()
    }
    fn is_usable(&self, target: usize) -> bool {
        self.targets.is_usable(self.members[target] as usize)
    }
    fn weight(&self, target: usize) -> u32 {
        self.targets.weight(self.members[target] as usize)
    }
    fn active(&self, target: usize) -> u32 {
        self.targets.active(self.members[target] as usize)
    }
    fn latency_ns(&self, target: usize) -> u64 {
        self.targets.latency_ns(self.members[target] as usize)
    }
    fn has_newcomers(&self) -> bool {
        self.targets.has_newcomers()
    }
    fn part(&self, target: usize) -> f64 {
        self.targets.part(self.members[target] as usize)
    }
}

/// The same targets, but for some.
struct But<'t, T, F> {
    targets: &'t T,
    passes: F,
}

impl<T: Targets, F: Fn(usize) -> bool> Targets for But<'_, T, F> {
    fn count(&self) -> usize {
        self.targets.count()
    }
    fn is_usable(&self, target: usize) -> bool {
        self.targets.is_usable(target) && (self.passes)(target)
    }
    fn weight(&self, target: usize) -> u32 {
        self.targets.weight(target)
    }
    fn active(&self, target: usize) -> u32 {
        self.targets.active(target)
    }
    fn latency_ns(&self, target: usize) -> u64 {
        self.targets.latency_ns(target)
    }
    fn part(&self, target: usize) -> f64 {
        self.targets.part(target)
    }
}

/// The first one that is usable, in the order of the list: the others stand by.
pub fn first(targets: &impl Targets) -> Option<usize> {
    (0..targets.count()).find(|&target| targets.is_usable(target))
}

/// The first one on the way of a key that is usable and `wanted`; where none is wanted, the first usable one.
fn along<W: Iterator<Item = usize>>(
    targets: &impl Targets, way: impl Fn() -> W, wanted: impl Fn(usize) -> bool,
) -> Option<usize> {
    let fits = |target: &usize| targets.is_usable(*target) && wanted(*target);
    let owner = way().next()?;
    if fits(&owner) {
        return Some(owner);
    }
    // A way is long: it is worth while only if somebody stands on it.
    first(targets)?;
    way().find(fits).or_else(|| way().find(|&target| targets.is_usable(target)))
}

/// A number from 0 up to but not including `below`, by chance: `random` has 64 random bits.
fn scaled(random: u64, below: usize) -> usize {
    ((u128::from(random) * below as u128) >> 64) as usize
}

/// A number from 0 up to but not including 1, by chance: `random` has 64 random bits.
fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// Spreads the bits of a number: what differs in one bit is far apart. (The finalizer of SplitMix64.)
fn mixed(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
