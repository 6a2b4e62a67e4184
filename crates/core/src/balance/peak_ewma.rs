//! The one whose answers cost the least time: how long they take by now, times how many are under way.
//!
//! The mean is one of peaks: an answer that takes longer counts at once and is forgotten slowly, so a target that has
//! become slow is left alone after one answer, and is tried again when that was a while ago.

use super::{Cost, Targets, Weighted};

/// By so much more than a target that is known does one cost which has its first requests and has not answered yet:
/// nobody knows how slow it is. ns.
const UNKNOWN_NS: f64 = 1e9;

/// The mean time of a target's answers. It is a plain value: where it is kept, and by whom it is shared, is not its
/// business.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeakEwma {
    /// 0 before the first answer.
    mean_ns: f64,
    at_ms: u64,
}

impl PeakEwma {
    /// In which the weight of an answer falls to 1/e, ms.
    pub const DECAY_MS: u64 = 10_000;
    /// What a time is kept in, ns: 32 bits of it are seven minutes.
    const UNIT_NS: f64 = 100.0;

    /// From one word, as [`Self::packed`] gives it; `now_ms` is some time not before it, and not 24 days after.
    pub fn unpacked(word: u64, now_ms: u64) -> Self {
        let since = (now_ms as u32).wrapping_sub(word as u32);
        // What another thread wrote a moment later is of now.
        let since = if since > u32::MAX / 2 { 0 } else { u64::from(since) };
        PeakEwma { mean_ns: (word >> 32) as f64 * Self::UNIT_NS, at_ms: now_ms.saturating_sub(since) }
    }

    /// In one word, so that threads can share it without locks; a new one is 0.
    pub fn packed(self) -> u64 {
        let mean = (self.mean_ns / Self::UNIT_NS).ceil().min(f64::from(u32::MAX)) as u64;
        (mean << 32) | u64::from(self.at_ms as u32)
    }

    /// An answer came at `now_ms`, after `took_ns`.
    #[must_use]
    pub fn observed(self, took_ns: u64, now_ms: u64) -> Self {
        let took = took_ns.max(1) as f64;
        let kept = self.kept(now_ms);
        let mean_ns = if took > self.mean_ns { took } else { self.mean_ns * kept + took * (1.0 - kept) };
        PeakEwma { mean_ns, at_ms: self.at_ms.max(now_ms) }
    }

    /// What it is by now, ns: it falls while nobody asks, so that a target that was slow is tried again. 0 = not known.
    pub fn now(self, now_ms: u64) -> u64 {
        if self.mean_ns == 0.0 { 0 } else { ((self.mean_ns * self.kept(now_ms)) as u64).max(1) }
    }

    fn kept(self, now_ms: u64) -> f64 {
        (-(now_ms.saturating_sub(self.at_ms) as f64) / Self::DECAY_MS as f64).exp()
    }
}

/// What `peak_ewma` compares.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    mean_weight: f64,
}

impl Time {
    pub(super) fn new(weighted: &Weighted) -> Self {
        Time { mean_weight: weighted.mean() }
    }
}

impl Cost for Time {
    fn cost(&self, targets: &impl Targets, target: usize) -> f64 {
        let active = f64::from(targets.active(target));
        let latency = match targets.latency_ns(target) {
            // The first request is welcome; more wait until it is known how long that takes.
            0 if active == 0.0 => return 0.0,
            0 => UNKNOWN_NS,
            known => known as f64,
        };
        // Weights count for what is under way. For one that has nothing to do they count when it is drawn, and not twice.
        latency * (active * self.mean_weight / f64::from(targets.weight(target).max(1)) + 1.0)
    }
}
