//! Counters that one worker writes and anyone may read: no locked instruction, no shared cache line.

use crate::tls::Failure;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number with a single writer.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }
    pub(crate) fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts by class of status: 1xx to 5xx, and other.
pub(crate) const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Default)]
pub(crate) struct ByClass([Count; 6]);

impl ByClass {
    pub(crate) fn count(&self, status: u16) {
        let class = (status / 100) as usize;
        self.0[if class < 6 { class } else { 0 }].add(1);
    }
    pub(crate) fn read(&self) -> [u64; 6] {
        std::array::from_fn(|i| self.0[i].read())
    }
}

/// Upper bounds of the buckets in microseconds: powers of two from 128 us to 67 s.
pub(crate) const BUCKETS: usize = 20;
const FIRST: u32 = 7;

/// The bound of a bucket in seconds.
pub(crate) fn bucket_bound(i: usize) -> f64 {
    (1u64 << (FIRST as usize + i)) as f64 / 1e6
}

/// Durations in buckets of doubling width.
#[derive(Default)]
pub(crate) struct Histogram {
    buckets: [Count; BUCKETS + 1],
    sum_us: Count,
}

impl Histogram {
    pub(crate) fn observe(&self, us: u64) {
        // The smallest bucket whose bound is not below `us`.
        let bits = u64::BITS - us.saturating_sub(1).leading_zeros();
        let bucket = (bits.saturating_sub(FIRST) as usize).min(BUCKETS);
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
    }
    pub(crate) fn read(&self) -> ([u64; BUCKETS + 1], u64) {
        (std::array::from_fn(|i| self.buckets[i].read()), self.sum_us.read())
    }
}

/// One route on one listener, in one worker.
#[derive(Default)]
pub(crate) struct RouteCells {
    pub(crate) requests: ByClass,
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
    pub(crate) duration: Histogram,
}

/// One target of one upstream, in one worker.
#[derive(Default)]
pub(crate) struct TargetCells {
    pub(crate) requests: ByClass,
    pub(crate) failures: Count,
    pub(crate) connect_failures: Count,
    pub(crate) retries: Count,
    /// Open connections; goes up and down.
    pub(crate) connections: Count,
    /// Requests in flight; goes up and down.
    pub(crate) active: Count,
}

/// What came of asking a policy in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Pass,
    Change,
    Deny,
    Answer,
    /// It raised, or gave what is no verdict.
    Failed,
    Timeout,
    /// Its lane ended.
    Lost,
    /// It was not asked: too much waits already, or the request is too long.
    Overloaded,
    /// It was not asked: it has failed too often.
    GivenUp,
    /// It was not asked: an earlier decision holds.
    Remembered,
}

pub(crate) const CAME: [&str; 10] =
    ["pass", "change", "deny", "answer", "failed", "timeout", "lost", "overloaded", "given_up", "remembered"];

/// One policy in Python, in one worker.
#[derive(Default)]
pub(crate) struct AskedCells {
    came: [Count; CAME.len()],
    pub(crate) wait: Histogram,
}

impl AskedCells {
    pub(crate) fn count(&self, came: Came) {
        self.came[came as usize].add(1);
    }
    pub(crate) fn read(&self) -> [u64; CAME.len()] {
        std::array::from_fn(|i| self.came[i].read())
    }
}

/// One limit, in one worker.
#[derive(Default)]
pub(crate) struct LimitCells {
    admitted: Count,
    limited: Count,
}

impl LimitCells {
    pub(crate) fn count(&self, admitted: bool) {
        if admitted { self.admitted.add(1) } else { self.limited.add(1) }
    }
    /// By result, as its label has it.
    pub(crate) fn read(&self) -> [(&'static str, u64); 2] {
        [("admitted", self.admitted.read()), ("limited", self.limited.read())]
    }
}

/// One listener, in one worker.
#[derive(Default)]
pub(crate) struct ListenerCells {
    /// Goes up and down.
    pub(crate) connections: Count,
    pub(crate) accepted: Count,
    pub(crate) refused: Count,
    pub(crate) handshakes: Handshakes,
    /// Handshakes that are going on; goes up and down.
    pub(crate) under_way: Count,
}

/// TLS handshakes: by what came of them.
#[derive(Default)]
pub(crate) struct Handshakes([Count; Failure::ALL.len() + DONE.len()]);

/// Results of handshakes that came to their end, and the version of TLS.
const DONE: [(&str, &str); 4] = [("full", "1.2"), ("full", "1.3"), ("resumed", "1.2"), ("resumed", "1.3")];

impl Handshakes {
    pub(crate) fn done(&self, resumed: bool, version: &str) {
        self.0[2 * usize::from(resumed) + usize::from(version == "1.3")].add(1);
    }
    pub(crate) fn failed(&self, failure: Failure) {
        self.0[DONE.len() + failure as usize].add(1);
    }
    /// What came of them, the version where one was agreed on, and how often.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let failed = Failure::ALL.iter().map(|failure| (failure.name(), ""));
        let results = DONE.into_iter().chain(failed);
        results.zip(&self.0).map(|((result, version), count)| (result, version, count.read()))
    }
}

/// Cells of which some only go up: those are visited, always in the same order.
pub(crate) trait Counted {
    fn each(&self, visit: &mut dyn FnMut(&Count));

    /// Counts on what was counted elsewhere. To be called by the one who writes these cells.
    fn add_all(&self, values: &[u64]) {
        let mut values = values.iter();
        self.each(&mut |count| count.add(values.next().copied().unwrap_or_default()));
    }
}

impl Counted for Count {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        visit(self);
    }
}

impl Counted for ByClass {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        self.0.iter().for_each(visit);
    }
}

impl Counted for Histogram {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        self.buckets.iter().chain([&self.sum_us]).for_each(visit);
    }
}

impl Counted for RouteCells {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        self.requests.each(visit);
        [&self.bytes_in, &self.bytes_out].into_iter().for_each(&mut *visit);
        self.duration.each(visit);
    }
}

impl Counted for TargetCells {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        self.requests.each(visit);
        [&self.failures, &self.connect_failures, &self.retries].into_iter().for_each(visit);
    }
}

impl Counted for AskedCells {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        self.came.iter().for_each(&mut *visit);
        self.wait.each(visit);
    }
}

impl Counted for LimitCells {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        [&self.admitted, &self.limited].into_iter().for_each(visit);
    }
}

impl Counted for ListenerCells {
    fn each(&self, visit: &mut dyn FnMut(&Count)) {
        [&self.accepted, &self.refused].into_iter().chain(&self.handshakes.0).for_each(visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_into_the_bucket_that_bounds_it() {
        for us in [0, 1, 127, 128, 129, 1000, 65_536, 65_537, 67_108_864] {
            let histogram = Histogram::default();
            histogram.observe(us);
            let (buckets, sum) = histogram.read();
            let at = buckets.iter().position(|n| *n == 1).expect("counted");
            let seconds = us as f64 / 1e6;
            assert!(seconds <= bucket_bound(at), "{us} in {at}");
            assert!(at == 0 || seconds > bucket_bound(at - 1), "{us} in {at}");
            assert_eq!(sum, us);
        }
    }
}
