//! Which target a request goes to, and which ones are left alone for a while.

use crate::balance::{Algorithm, Groups, Placed};
use crate::table::Target;
use crate::verdict::By;

/// How the next target is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Balance {
    pub algorithm: Algorithm,
    /// Of a hash: what of a request decides. Without it a request is one of its own.
    pub hash: Option<By>,
    /// Of a hash: no target has more than so many times the mean.
    pub bound: Option<f64>,
}

/// What is seen of answers, and when a target is ejected for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outliers {
    /// Failures in a row.
    pub errors: u32,
    /// The share of failures, of so many requests at least within a time.
    pub share: Option<Share>,
    /// The first ejection; the next one in a row is so much longer.
    pub eject_ms: u64,
    pub longest_ms: u64,
    /// The part of the targets that may be out at once by ejection, 0 to 1. One of several always may.
    pub max_ejected: f64,
    /// Statuses that are failures, besides what is no answer.
    pub statuses: Statuses,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// 0 to 1.
    pub most: f64,
    pub requests: u32,
    pub over_ms: u64,
}

impl Outliers {
    /// How many of so many targets may be ejected at once: of one none, for nobody else would be there.
    pub fn most_of(&self, targets: usize) -> usize {
        match targets {
            0 | 1 => 0,
            _ => ((targets as f64 * self.max_ejected) as usize).max(1),
        }
    }
}

/// A set of statuses, as ranges with both ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(pub Vec<(u16, u16)>);

impl Statuses {
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|&(from, to)| (from..=to).contains(&status))
    }
}

impl Balance {
    /// Its targets with these weights, ready to be chosen from; `zone` is where the gateway is.
    pub fn groups(&self, targets: &[Target], weights: impl Fn(usize) -> u32, zone: Option<&str>) -> Groups {
        let listed = targets.iter().enumerate().map(|(number, target)| {
            let far = zone.is_some() && target.zone.as_deref() != zone;
            (target.id(), weights(number), Placed { backup: target.backup, priority: target.priority, far })
        });
        Groups::new(self.algorithm, self.bound, &listed.collect::<Vec<_>>())
    }
}

impl Target {
    /// A number of its own, whatever stands beside it (FNV-1a of its URL).
    pub fn id(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.url.bytes().fold(0xcbf2_9ce4_8422_2325, step)
    }
}
