//! A target whose answers are bad is left alone for a while, longer each time.

use serde::{Deserialize, Serialize};

/// How long and how often one target was left alone. Times are ms on any clock that only goes forward.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ejection {
    /// In a row: one that stays well for as long as the longest ejection begins anew.
    times: u64,
    until_ms: u64,
}

impl Ejection {
    pub fn is_ejected(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }

    /// Leaves it alone for `first_ms`, or as many times that as this happens in a row. Gives the end; `None` where it
    /// is out already: what has begun before counts once.
    pub fn eject(&mut self, now_ms: u64, first_ms: u64, longest_ms: u64) -> Option<u64> {
        if self.is_ejected(now_ms) {
            return None;
        }
        if now_ms >= self.until_ms.saturating_add(longest_ms) {
            self.times = 0;
        }
        self.times += 1;
        self.until_ms = now_ms + first_ms.saturating_mul(self.times).min(longest_ms);
        Some(self.until_ms)
    }

    /// The same on a clock that shows so many ms more.
    #[must_use]
    pub fn moved(&self, ms: i64) -> Ejection {
        Ejection { until_ms: self.until_ms.saturating_add_signed(ms), ..self.clone() }
    }

    /// It is well: what was is forgotten. Whether that ended an ejection.
    pub fn forgive(&mut self, now_ms: u64) -> bool {
        let ended = self.is_ejected(now_ms);
        *self = Ejection::default();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_longer_up_to_the_longest() {
        let (mut target, mut now, mut lengths) = (Ejection::default(), 5, Vec::new());
        for _ in 0..8 {
            let until = target.eject(now, 10_000, 60_000).expect("it is in");
            assert!(target.is_ejected(until - 1) && !target.is_ejected(until));
            assert_eq!(target.eject(until - 1, 10_000, 60_000), None, "it is out already");
            lengths.push((until - now) / 1000);
            now = until;
        }
        assert_eq!(lengths, [10, 20, 30, 40, 50, 60, 60, 60]);
        assert_eq!(target.eject(now + 60_000, 10_000, 60_000), Some(now + 70_000), "it was well for a while");
    }

    #[test]
    fn who_is_well_is_forgiven() {
        let mut target = Ejection::default();
        let until = target.eject(0, 10_000, 60_000).expect("it is in");
        assert!(target.forgive(until - 1));
        assert!(!target.is_ejected(until - 1));
        assert!(!target.forgive(until - 1));
        assert_eq!(target.eject(20_000, 10_000, 60_000), Some(30_000));
    }
}
