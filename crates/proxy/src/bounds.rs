//! How many connections there may be, in all and from one address. Counted over all workers, per connection and
//! not per request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 16;
/// How often it is told, ms.
const TELL_MS: u64 = 1000;
/// Connections kept for admin listeners, out of the descriptors in reserve.
const ADMIN: u32 = 100;

/// Something that happens often and is told once a second, with how often.
#[derive(Default)]
pub(crate) struct NowAndThen {
    /// Since it was told, and when that was.
    count: AtomicU64,
    told_ms: AtomicU64,
}

impl NowAndThen {
    /// It has happened. Gives how often since it was told last, to who has to tell it.
    pub(crate) fn count(&self, now_ms: u64) -> Option<u64> {
        let count = self.count.fetch_add(1, Relaxed) + 1;
        let told = self.told_ms.load(Relaxed);
        let due = now_ms >= told + TELL_MS || told == 0;
        // Of those who find out at the same time one tells.
        let tells = due && self.told_ms.compare_exchange(told, now_ms.max(1), Relaxed, Relaxed).is_ok();
        tells.then(|| {
            self.count.fetch_sub(count, Relaxed);
            count
        })
    }
}

pub(crate) struct Bounds {
    open: AtomicU32,
    /// What the descriptor limit allows.
    most: u32,
    /// Not taken.
    refused: NowAndThen,
    by_address: [Mutex<HashMap<IpAddr, u32>>; SHARDS],
}

impl Bounds {
    /// `descriptors`: how many the process may have. Each request needs two; some stay in reserve.
    pub(crate) fn new(descriptors: u64) -> Self {
        let most = descriptors.saturating_sub(256) / 2;
        Bounds {
            open: AtomicU32::new(0),
            most: u32::try_from(most).unwrap_or(u32::MAX).max(64),
            refused: NowAndThen::default(),
            by_address: Default::default(),
        }
    }

    /// Counts a connection in, unless there are too many; 0 = no bound of its own.
    pub(crate) fn admit(&self, peer: Option<IpAddr>, most: u32, most_per_address: u32) -> bool {
        self.admit_below(peer, if most == 0 { self.most } else { most.min(self.most) }, most_per_address)
    }

    /// Likewise for an admin listener: it must answer when clients have taken all there is.
    pub(crate) fn admit_admin(&self, peer: Option<IpAddr>) -> bool {
        self.admit_below(peer, self.most.saturating_add(ADMIN), 0)
    }

    fn admit_below(&self, peer: Option<IpAddr>, most: u32, most_per_address: u32) -> bool {
        if self.open.fetch_add(1, Relaxed) >= most {
            self.open.fetch_sub(1, Relaxed);
            return false;
        }
        let Some(peer) = peer else { return true };
        let mut shard = self.shard(peer).lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = shard.entry(peer).or_insert(0);
        if most_per_address > 0 && *from_there >= most_per_address {
            self.open.fetch_sub(1, Relaxed);
            return false;
        }
        *from_there += 1;
        true
    }

    /// Notes that a connection was not taken. Gives how many there were since the last time, once a second.
    pub(crate) fn refused(&self, now_ms: u64) -> Option<u64> {
        self.refused.count(now_ms)
    }

    pub(crate) fn leave(&self, peer: Option<IpAddr>) {
        self.open.fetch_sub(1, Relaxed);
        let Some(peer) = peer else { return };
        let mut shard = self.shard(peer).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = shard.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&peer);
            }
        }
    }

    pub(crate) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    fn shard(&self, peer: IpAddr) -> &Mutex<HashMap<IpAddr, u32>> {
        let last = match peer {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => ip.octets()[7],
        };
        &self.by_address[last as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_some_are_refused_is_told_once_a_second() {
        let bounds = Bounds::new(1000);
        assert_eq!(bounds.refused(5000), Some(1));
        assert_eq!((bounds.refused(5001), bounds.refused(5999)), (None, None));
        assert_eq!(bounds.refused(6000), Some(3));
        assert_eq!(bounds.refused(6001), None);
    }

    #[test]
    fn both_bounds_hold_and_leave_no_trace() {
        let bounds = Bounds::new(100_000);
        let (a, b) = (Some(IpAddr::from([127, 0, 0, 1])), Some(IpAddr::from([127, 0, 0, 2])));
        assert!(bounds.admit(a, 3, 2) && bounds.admit(a, 3, 2));
        assert!(!bounds.admit(a, 3, 2), "per address");
        assert!(bounds.admit(b, 3, 2));
        assert!(!bounds.admit(b, 3, 2), "in all");
        [a, a, b].into_iter().for_each(|peer| bounds.leave(peer));
        assert_eq!(bounds.open(), 0);
        assert!(bounds.by_address.iter().all(|s| s.lock().is_ok_and(|s| s.is_empty())));
    }
}
