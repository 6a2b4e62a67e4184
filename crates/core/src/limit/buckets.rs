//! Buckets by key, for all threads. Who is asked about a known key of one rate holds nobody up: its time is moved on by
//! an atomic. A key that is new, and a key of several rates, which gives from all of them or from none, has its part
//! of the table for itself for that moment.

use super::shard::{Cells, Shard};
use super::{Left, Rate};
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{PoisonError, RwLock};

/// Keys that are held, of one limit.
pub const MOST_KEYS: usize = 1 << 20;
/// Parts of the table: while one is made anew, all others go on.
const SHARDS: usize = 256;

/// Alone on its cache line.
#[repr(align(64))]
#[derive(Default)]
struct Part(RwLock<Shard>);

pub struct Buckets {
    rates: Box<[Rate]>,
    parts: Box<[Part]>,
    /// Keys of one part.
    most: usize,
}

/// What came of asking for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// All rates had one left. Else none has given one.
    pub admitted: bool,
    /// What is left then of each rate.
    pub left: SmallVec<[Left; 2]>,
}

impl Buckets {
    /// There is at least one rate.
    pub fn new(rates: &[Rate]) -> Self {
        Self::holding(rates, MOST_KEYS)
    }

    fn holding(rates: &[Rate], most: usize) -> Self {
        let parts = (0..SHARDS).map(|_| Part::default()).collect();
        Buckets { rates: rates.into(), parts, most: most / SHARDS }
    }

    pub fn rates(&self) -> &[Rate] {
        &self.rates
    }

    /// Keys that are held, those whose buckets are full again among them.
    pub fn keys(&self) -> usize {
        self.parts.iter().map(|part| part.0.read().unwrap_or_else(PoisonError::into_inner).held()).sum()
    }

    /// Takes one request from each rate for this key, or from none. `key` is a hash that nobody can foresee.
    pub fn take(&self, key: u64, now_ns: u64) -> Taken {
        // 0 is no key: who has it shares with who has 1.
        let key = key.max(1);
        let part = &self.parts[(key >> 56) as usize % SHARDS];
        if let [rate] = &*self.rates
            && let Some([cell]) = part.0.read().unwrap_or_else(PoisonError::into_inner).find(key, 1)
        {
            let moved = cell.fetch_update(Relaxed, Relaxed, |full_at| rate.taken(full_at, now_ns));
            let (admitted, full_at) = match moved {
                Ok(before) => (true, rate.taken(before, now_ns).unwrap_or(before)),
                Err(full_at) => (false, full_at),
            };
            return Taken { admitted, left: SmallVec::from_iter([rate.left(full_at, now_ns)]) };
        }
        let mut shard = part.0.write().unwrap_or_else(PoisonError::into_inner);
        self.take_alone(shard.find_or_add(key, self.rates.len(), self.most, now_ns), now_ns)
    }

    /// Nobody else asks for these cells.
    fn take_alone(&self, cells: Cells<'_>, now_ns: u64) -> Taken {
        let after =
            |(rate, cell): (&Rate, &std::sync::atomic::AtomicU64)| rate.taken(cell.load(Relaxed), now_ns);
        let times: Option<SmallVec<[u64; 2]>> = self.rates.iter().zip(cells).map(after).collect();
        for (cell, time) in cells.iter().zip(times.iter().flatten()) {
            cell.store(*time, Relaxed);
        }
        let left = self.rates.iter().zip(cells).map(|(rate, cell)| rate.left(cell.load(Relaxed), now_ns));
        Taken { admitted: times.is_some(), left: left.collect() }
    }

    /// Of each key its hash, and for each rate when its bucket is full again, ns.
    pub fn cells(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for part in &self.parts {
            part.0.read().unwrap_or_else(PoisonError::into_inner).write(self.rates.len(), &mut all);
        }
        all
    }

    /// With what [`Self::cells`] gave, on a clock that shows `shift_ns` more. Keys whose buckets are full again are
    /// left out.
    pub fn with_cells(rates: &[Rate], cells: &[u64], shift_ns: i64, now_ns: u64) -> Buckets {
        let buckets = Buckets::new(rates);
        for cells in cells.chunks_exact(1 + rates.len()) {
            let times = || cells[1..].iter().map(|time| time.saturating_add_signed(shift_ns));
            if times().all(|time| time <= now_ns) {
                continue;
            }
            let key = cells[0].max(1);
            let part = &buckets.parts[(key >> 56) as usize % SHARDS];
            let mut shard = part.0.write().unwrap_or_else(PoisonError::into_inner);
            let known = shard.find_or_add(key, rates.len(), buckets.most, now_ns);
            known.iter().zip(times()).for_each(|(cell, time)| cell.store(time, Relaxed));
        }
        buckets
    }

    /// The same keys with other rates of the same windows: what was taken counts on. `None` for other windows, of
    /// which nothing is known.
    pub fn converted(&self, rates: &[Rate], now_ns: u64) -> Option<Buckets> {
        let windows = |rates: &[Rate]| rates.iter().map(|rate| rate.window_ms).collect::<Vec<_>>();
        if windows(&self.rates) != windows(rates) {
            return None;
        }
        let convert = |part: &Part| {
            let shard = part.0.read().unwrap_or_else(PoisonError::into_inner);
            Part(RwLock::new(shard.converted(&self.rates, rates, now_ns)))
        };
        let parts = self.parts.iter().map(convert).collect();
        Some(Buckets { rates: rates.into(), parts, most: self.most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const SECOND: u64 = 1_000_000_000;

    fn key(n: u64) -> u64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn admitted(buckets: &Buckets, key: u64, times: usize, now: u64) -> usize {
        (0..times).filter(|_| buckets.take(key, now).admitted).count()
    }

    #[test]
    fn each_key_has_its_own_and_gets_it_back() {
        let buckets = Buckets::new(&[Rate::new(5, 60_000, 5)]);
        for n in 0..100 {
            assert_eq!(admitted(&buckets, key(n), 10, SECOND), 5, "{n}");
        }
        let refused = buckets.take(key(7), SECOND);
        assert_eq!(
            refused,
            Taken {
                admitted: false,
                left: SmallVec::from_iter([Left { requests: 0, more_ns: 12 * SECOND }])
            }
        );
        assert_eq!(admitted(&buckets, key(7), 10, 13 * SECOND), 1);
        assert_eq!(admitted(&buckets, key(7), 10, 61 * SECOND + 12 * SECOND), 5);
        assert_eq!(buckets.keys(), 100);
    }

    #[test]
    fn who_is_refused_by_one_rate_takes_from_none() {
        let buckets = Buckets::new(&[Rate::new(2, 1000, 2), Rate::new(5, 60_000, 5)]);
        assert_eq!(admitted(&buckets, 1, 10, SECOND), 2);
        let left = |taken: Taken| taken.left.iter().map(|left| left.requests).collect::<Vec<_>>();
        assert_eq!(
            left(buckets.take(1, SECOND)),
            [0, 3],
            "what the first refuses, the second has not counted"
        );
        assert_eq!(admitted(&buckets, 1, 10, 2 * SECOND), 2);
        assert_eq!(admitted(&buckets, 1, 10, 3 * SECOND), 1);
        assert_eq!(left(buckets.take(1, 3 * SECOND)), [1, 0], "nor the other way round");
    }

    #[test]
    fn keys_are_bounded_and_the_worst_remembered() {
        let buckets = Buckets::holding(&[Rate::new(10, 60_000, 10)], 4096);
        (0..20).for_each(|n| assert_eq!(admitted(&buckets, key(n), 11, SECOND), 10));
        (100..100_000).for_each(|n| assert!(buckets.take(key(n), SECOND).admitted));
        assert!(buckets.keys() <= 4096);
        (0..20).for_each(|n| assert!(!buckets.take(key(n), SECOND).admitted, "{n}"));
    }

    #[test]
    fn another_rate_goes_on_with_what_was_taken() {
        let before = Buckets::new(&[Rate::new(5, 60_000, 5)]);
        assert_eq!(admitted(&before, key(1), 3, SECOND), 3);
        let more = before.converted(&[Rate::new(10, 60_000, 10)], SECOND).expect("the same window");
        assert_eq!(admitted(&more, key(1), 20, SECOND), 7);
        let less = before.converted(&[Rate::new(2, 60_000, 2)], SECOND).expect("the same window");
        assert_eq!(admitted(&less, key(1), 20, SECOND), 0);
        assert_eq!(admitted(&less, key(1), 20, 31 * SECOND), 1, "it owes no more than its bucket holds");
        assert!(before.converted(&[Rate::new(5, 1000, 5)], SECOND).is_none());
        assert!(before.converted(&[Rate::new(5, 60_000, 5), Rate::new(1, 1000, 1)], SECOND).is_none());
    }

    #[test]
    fn what_was_taken_goes_along_to_another_clock() {
        let rates = [Rate::new(5, 60_000, 5), Rate::new(2, 1000, 2)];
        let before = Buckets::new(&rates);
        let now = 1000 * SECOND;
        (0..1000).for_each(|n| assert_eq!(admitted(&before, key(n), 2, now), 2));
        assert_eq!(admitted(&before, key(7), 9, now + SECOND), 2);
        for shift in [-900, 500] {
            let shift_ns = shift * SECOND as i64;
            let there = now.saturating_add_signed(shift_ns);
            let after = Buckets::with_cells(&rates, &before.cells(), shift_ns, there + SECOND);
            assert_eq!(after.keys(), 1000);
            assert_eq!(admitted(&after, key(7), 9, there + SECOND), 0);
            assert_eq!(admitted(&after, key(8), 9, there + SECOND), 2);
            let later = Buckets::with_cells(&rates, &before.cells(), shift_ns, there + 600 * SECOND);
            assert_eq!(later.keys(), 0, "all are full again");
        }
    }

    proptest! {
        #[test]
        fn several_rates_and_keys_are_as_each_alone(
            asked in prop::collection::vec((0u64..3, 0u64..400), 1..300), bursts in (1u32..6, 1u32..12),
        ) {
            let rates = [Rate::new(4, 1000, bursts.0), Rate::new(30, 60_000, bursts.1)];
            let buckets = Buckets::holding(&rates, MOST_KEYS);
            let (mut now, mut simple) = (SECOND, HashMap::<u64, [u64; 2]>::new());
            for (n, pause) in asked {
                now += pause * 1_000_000;
                let times = simple.entry(n).or_default();
                let next = [rates[0].taken(times[0], now), rates[1].taken(times[1], now)];
                let expected = if let [Some(a), Some(b)] = next { *times = [a, b]; true } else { false };
                let taken = buckets.take(key(n), now);
                prop_assert_eq!(taken.admitted, expected);
                let left = [rates[0].left(times[0], now), rates[1].left(times[1], now)];
                prop_assert_eq!(taken.left.as_slice(), &left);
            }
        }
    }
}
