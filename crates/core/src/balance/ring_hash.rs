//! Consistent hashing (Karger et al. 1997): targets have many points on a ring, a key belongs to the next one. When a
//! target goes, its keys go to its neighbours and all others stay.

use super::{Targets, along, mixed};

/// Points for each unit of weight, where the ring has room for as many.
const POINTS: u64 = 512;
/// The largest ring: up to 2,048 units of weight have all their points.
const MOST: u64 = 1 << 20;

/// Made once for a list of targets.
#[derive(Debug, Default)]
pub struct RingHash {
    /// Where on the ring, and whose; in order.
    points: Box<[(u64, u32)]>,
}

impl RingHash {
    /// Each target is known by a number that is its own whatever stands beside it (a hash of its URL), with its weight.
    pub fn new(targets: &[(u64, u32)]) -> Self {
        let total: u64 = targets.iter().map(|&(_, weight)| u64::from(weight)).sum();
        let points = |weight: u32| match u64::from(weight) * POINTS {
            0 => 0,
            all if total * POINTS <= MOST => all,
            // Fewer for each: then what one target has depends on the others, and some keys of theirs move with it.
            _ => (u64::from(weight) * MOST / total).max(1),
        };
        let points = targets.iter().enumerate().flat_map(|(target, &(id, weight))| {
            (0..points(weight)).map(move |number| (mixed(id ^ mixed(number)), target as u32))
        });
        let mut points: Vec<_> = points.collect();
        points.sort_unstable();
        RingHash { points: points.into() }
    }

    /// Whose key this is; when that one is not usable or is not `wanted` (for it has too much), the next on the ring.
    pub fn pick(&self, targets: &impl Targets, key: u64, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let key = mixed(key);
        let start = self.points.partition_point(|&(point, _)| point < key);
        let (before, behind) = self.points.split_at(start);
        let way = || behind.iter().chain(before).map(|&(_, target)| target as usize);
        along(targets, way, wanted)
    }
}
