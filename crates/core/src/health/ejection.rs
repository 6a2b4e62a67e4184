//! A target whose connects fail is left alone for a while, longer each time.

use serde::{Deserialize, Serialize};

/// Failed connects in a row that take a target out.
const FAILURES: u32 = 3;
const STEP_MS: u64 = 10_000;
const LONGEST_MS: u64 = 60_000;

/// One target's connects. Times are ms on any clock that only goes forward.
///
/// After an ejection one more failure is enough to be ejected again; a success clears everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ejection {
    failures: u32,
    ejections: u64,
    until_ms: u64,
}

impl Ejection {
    pub fn is_ejected(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }

    /// A connect failed. When that ejects the target: the end of the ejection.
    pub fn failed(&mut self, now_ms: u64) -> Option<u64> {
        if self.is_ejected(now_ms) {
            return None; // begun before the ejection: it counts once
        }
        self.failures += 1;
        if self.failures < FAILURES {
            return None;
        }
        self.failures = FAILURES - 1;
        self.ejections += 1;
        self.until_ms = now_ms + STEP_MS.saturating_mul(self.ejections).min(LONGEST_MS);
        Some(self.until_ms)
    }

    /// The same on a clock that shows so many ms more.
    #[must_use]
    pub fn moved(&self, ms: i64) -> Ejection {
        Ejection { until_ms: self.until_ms.saturating_add_signed(ms), ..self.clone() }
    }

    /// A connect succeeded. Whether that ended an ejection.
    pub fn succeeded(&mut self, now_ms: u64) -> bool {
        let ended = self.is_ejected(now_ms);
        *self = Ejection::default();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_eject() {
        let mut target = Ejection::default();
        assert_eq!(target.failed(0), None);
        assert_eq!(target.failed(1), None);
        assert!(!target.succeeded(2));
        assert_eq!(target.failed(3), None);
        assert_eq!(target.failed(4), None);
        assert_eq!(target.failed(5), Some(10_005));
        assert!(target.is_ejected(10_004) && !target.is_ejected(10_005));
    }

    #[test]
    fn each_time_is_longer_up_to_a_minute() {
        let (mut target, mut now, mut lengths) = (Ejection::default(), 0, Vec::new());
        target.failed(now);
        target.failed(now);
        for _ in 0..8 {
            let until = target.failed(now).expect("one more failure ejects again");
            lengths.push((until - now) / 1000);
            assert_eq!(target.failed(until - 1), None);
            now = until;
        }
        assert_eq!(lengths, [10, 20, 30, 40, 50, 60, 60, 60]);
    }

    #[test]
    fn a_success_forgets() {
        let mut target = Ejection::default();
        let until = (0..3).filter_map(|now| target.failed(now)).last().expect("ejected");
        assert!(target.succeeded(until - 1));
        assert!(!target.is_ejected(until - 1));
        assert_eq!(target.failed(until), None);
        assert_eq!(target.failed(until), None);
        assert_eq!(target.failed(until), Some(until + 10_000));
    }
}
