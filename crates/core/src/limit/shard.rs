//! A part of the keys and what each has taken, side by side in one table: a look-up reads one cache line, mostly.
//! Open addressing; nothing is ever taken out alone. A table that has no room left is made anew, without the keys
//! whose buckets are full again: so it needs no sweeping beside, and is as large as the keys that there are.

use super::Rate;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The key of a place that is free.
const FREE: u64 = 0;
/// Places of the smallest table.
const LEAST: usize = 8;

#[derive(Default)]
pub(super) struct Shard {
    /// For each place its key, and for each rate when its bucket is full again.
    cells: Box<[AtomicU64]>,
    held: usize,
}

/// A key's cells, one for each rate.
pub(super) type Cells<'s> = &'s [AtomicU64];

impl Shard {
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// `rates` is their number, the same for all calls. No key is [`FREE`].
    pub(super) fn find(&self, key: u64, rates: usize) -> Option<Cells<'_>> {
        let start = self.place(key, rates)?;
        let (known, cells) = self.cells[start..start + 1 + rates].split_first()?;
        (known.load(Relaxed) == key).then_some(cells)
    }

    /// Also a key that was not known; then its buckets are full. `most` keys are held.
    pub(super) fn find_or_add(&mut self, key: u64, rates: usize, most: usize, now_ns: u64) -> Cells<'_> {
        if self.find(key, rates).is_none() {
            // A quarter of the places stays free, so that a search ends soon.
            if (self.held + 1) * 4 > self.places(rates) * 3 || self.held >= most {
                self.make_room(rates, most, now_ns);
            }
            self.add(key, rates, std::iter::empty());
        }
        self.find(key, rates).expect("it is there, or was added just now")
    }

    /// Where a key is or would be; `None` where there is no place at all.
    fn place(&self, key: u64, rates: usize) -> Option<usize> {
        let mask = self.places(rates).checked_sub(1)?;
        let mut at = key as usize & mask;
        loop {
            let known = self.cells[at * (1 + rates)].load(Relaxed);
            if known == key || known == FREE {
                return Some(at * (1 + rates));
            }
            at = (at + 1) & mask;
        }
    }

    fn places(&self, rates: usize) -> usize {
        self.cells.len() / (1 + rates)
    }

    /// There must be room.
    fn add(&mut self, key: u64, rates: usize, full_at: impl Iterator<Item = u64>) {
        let Some(start) = self.place(key, rates) else { return };
        self.cells[start].store(key, Relaxed);
        for (cell, time) in self.cells[start + 1..].iter().zip(full_at) {
            cell.store(time, Relaxed);
        }
        self.held += 1;
    }

    /// Forgets the keys whose buckets are full again. Where that is not enough, also those whose buckets are full
    /// soonest, an eighth of all: to forget these forgives the least, and who keeps to its limit all the time is
    /// remembered, whatever else is asked for.
    fn make_room(&mut self, rates: usize, most: usize, now_ns: u64) {
        let mut live: Vec<(u64, usize)> =
            self.entries(rates).filter(|(full_at, _)| *full_at > now_ns).collect();
        let kept = most - most.div_ceil(8);
        if live.len() > kept {
            live.select_nth_unstable_by(kept, |a, b| b.cmp(a));
            live.truncate(kept);
        }
        let mut larger = Shard::with_room(live.len() + 1, rates);
        for (_, start) in live {
            let times = self.cells[start + 1..=start + rates].iter().map(|cell| cell.load(Relaxed));
            larger.add(self.cells[start].load(Relaxed), rates, times);
        }
        *self = larger;
    }

    /// For so many keys, and half as many more.
    fn with_room(keys: usize, rates: usize) -> Self {
        let places = (keys * 2).next_power_of_two().max(LEAST);
        let cells = (0..places * (1 + rates)).map(|_| AtomicU64::new(FREE)).collect();
        Shard { cells, held: 0 }
    }

    /// Of each key when all of its buckets are full again, and where it is.
    fn entries(&self, rates: usize) -> impl Iterator<Item = (u64, usize)> {
        let held =
            self.cells.chunks(1 + rates).enumerate().filter(|(_, cells)| cells[0].load(Relaxed) != FREE);
        held.map(move |(at, cells)| {
            let last = cells[1..].iter().map(|cell| cell.load(Relaxed)).max();
            (last.unwrap_or_default(), at * (1 + rates))
        })
    }

    /// Appends all keys with their times.
    pub(super) fn write(&self, rates: usize, out: &mut Vec<u64>) {
        for (_, start) in self.entries(rates) {
            out.extend(self.cells[start..=start + rates].iter().map(|cell| cell.load(Relaxed)));
        }
    }

    /// The same keys for other rates, as many.
    pub(super) fn converted(&self, from: &[Rate], to: &[Rate], now_ns: u64) -> Shard {
        let mut other = Shard::with_room(self.held + 1, from.len());
        for (_, start) in self.entries(from.len()) {
            let cells = &self.cells[start..=start + from.len()];
            let times = cells[1..].iter().zip(from.iter().zip(to));
            let times = times.map(|(cell, (from, to))| from.converted(cell.load(Relaxed), now_ns, to));
            other.add(cells[0].load(Relaxed), from.len(), times);
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys as a hash makes them.
    fn key(n: u64) -> u64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
    }

    fn set(shard: &mut Shard, n: u64, full_at: u64, most: usize, now: u64) {
        shard.find_or_add(key(n), 1, most, now)[0].store(full_at, Relaxed);
    }

    fn known(shard: &Shard, n: u64) -> Option<u64> {
        shard.find(key(n), 1).map(|cells| cells[0].load(Relaxed))
    }

    #[test]
    fn what_is_not_full_again_is_kept_while_it_grows() {
        let mut shard = Shard::default();
        assert_eq!(known(&shard, 0), None);
        (0..1000).for_each(|n| set(&mut shard, n, 100 + n, 4096, 50));
        assert_eq!(shard.held(), 1000);
        assert!((0..1000).all(|n| known(&shard, n) == Some(100 + n)));
        assert_eq!(known(&shard, 1000), None);
        assert!(shard.places(1) <= 4 * 1000);
    }

    #[test]
    fn what_is_full_again_makes_room() {
        let mut shard = Shard::default();
        (0..6).for_each(|n| set(&mut shard, n, if n % 2 == 0 { 10 } else { 1000 }, 4096, 0));
        let places = shard.places(1);
        set(&mut shard, 6, 1000, 4096, 10);
        assert_eq!((shard.held(), shard.places(1)), (4, places));
        assert_eq!((known(&shard, 0), known(&shard, 1)), (None, Some(1000)));
        (0..100_000).for_each(|n| set(&mut shard, 100 + n, 20 + n, 4096, 10 + n));
        assert!(shard.places(1) <= 64, "keys that come and go need no room: {}", shard.places(1));
    }

    #[test]
    fn where_all_are_in_use_those_that_lack_least_are_forgotten() {
        let mut shard = Shard::default();
        (0..100).for_each(|n| set(&mut shard, n, 1_000_000 + n, 128, 0));
        (100..10_000).for_each(|n| set(&mut shard, n, 1000, 128, 0));
        assert!(shard.held() <= 128);
        assert!((0..100).all(|n| known(&shard, n) == Some(1_000_000 + n)));
        (10_000..20_000).for_each(|n| set(&mut shard, n, 1_000_000 + n, 128, 0));
        assert!(shard.held() <= 128 && known(&shard, 0).is_none());
        assert_eq!(known(&shard, 19_999), Some(1_019_999));
    }

    #[test]
    fn several_rates_lie_side_by_side() {
        let mut shard = Shard::default();
        for n in 0..50 {
            let cells = shard.find_or_add(key(n), 3, 4096, 0);
            cells.iter().enumerate().for_each(|(rate, cell)| cell.store(100 * n + rate as u64 + 1, Relaxed));
        }
        for n in 0..50 {
            let cells = shard.find(key(n), 3).expect("it is there");
            assert_eq!(cells.len(), 3);
            assert!(cells.iter().enumerate().all(|(rate, c)| c.load(Relaxed) == 100 * n + rate as u64 + 1));
        }
    }
}
