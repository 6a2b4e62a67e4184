//! Traffic in shares: which of several ways a request takes, by its key (weighted rendezvous hashing, Schindelhauer and
//! Schomaker 2005).
//!
//! Each way draws a number for each key, and the smallest has it. A way with a larger share draws smaller numbers and all
//! others draw what they drew before: so when a share is raised, keys move towards it and to nowhere else.

use super::mixed;

/// Ways with their shares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    ways: Box<[(u64, f64)]>,
}

impl Split {
    /// Each way is known by a number of its own (a hash of its name), with its share in any unit.
    pub fn new(ways: &[(u64, u32)]) -> Self {
        Split { ways: ways.iter().map(|&(id, share)| (mixed(id), f64::from(share))).collect() }
    }

    /// The number of the way that a key takes; `None` where no way has a share.
    pub fn pick(&self, key: u64) -> Option<usize> {
        let ways = self.ways.iter().enumerate().filter(|(_, (_, share))| *share > 0.0);
        let drawn = ways.map(|(way, &(id, share))| (drawn(id, key) / share, way));
        drawn.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, way)| way)
    }
}

/// By chance from the exponential distribution with mean 1, the same for the same key.
fn drawn(id: u64, key: u64) -> f64 {
    // Never 0, of which there is no logarithm.
    let even = ((mixed(key ^ id) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -even.ln()
}
