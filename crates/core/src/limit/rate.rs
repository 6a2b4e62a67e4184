//! One rate, by the generic cell rate algorithm (ITU-T I.371): a bucket of `burst` requests that fills evenly, and
//! knows no window whose edge could let twice as many pass. All that is kept of a key is one time, at which its
//! bucket is full again; who takes a request moves it on by the time in which one comes back.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many in each window.
    pub requests: u32,
    pub window_ms: u64,
    /// So many at once.
    pub burst: u32,
    /// In which one comes back. Rounded up: never are there more than the rate says.
    interval_ns: u64,
}

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    pub requests: u64,
    /// Until there is one more; 0 when all are there.
    pub more_ns: u64,
}

impl Rate {
    /// Neither number may be 0; see [`Self::full_ms`] for how large they may be.
    pub fn new(requests: u32, window_ms: u64, burst: u32) -> Self {
        let interval_ns = window_ms.saturating_mul(1_000_000).div_ceil(u64::from(requests.max(1)));
        Rate { requests, window_ms, burst, interval_ns }
    }

    /// How long an empty bucket takes to be full again, also where that is longer than can be counted with.
    pub fn full_ms(&self) -> u64 {
        (u128::from(self.interval_ns) * u128::from(self.burst) / 1_000_000).min(u64::MAX.into()) as u64
    }

    /// The unit of its window, as a file spells it.
    pub fn unit(&self) -> Cow<'static, str> {
        match self.window_ms {
            1000 => "s".into(),
            60_000 => "min".into(),
            3_600_000 => "h".into(),
            86_400_000 => "day".into(),
            other => format!("{other}ms").into(),
        }
    }

    fn full_ns(&self) -> u64 {
        self.interval_ns.saturating_mul(u64::from(self.burst))
    }

    /// When a bucket that would be full at `full_at` is full again once one more is taken from it now; `None`: there
    /// is none left.
    pub(super) fn taken(&self, full_at: u64, now_ns: u64) -> Option<u64> {
        let next = full_at.max(now_ns).saturating_add(self.interval_ns);
        (next <= now_ns.saturating_add(self.full_ns())).then_some(next)
    }

    /// What is left now.
    pub(super) fn left(&self, full_at: u64, now_ns: u64) -> Left {
        // More than all of it can lack where another thread's clock is ahead of this one's.
        let (lacks, full) = (full_at.saturating_sub(now_ns), self.full_ns());
        let requests = full.saturating_sub(lacks) / self.interval_ns;
        let more_ns = match lacks {
            0 => 0,
            _ => ((requests + 1) * self.interval_ns + lacks).saturating_sub(full),
        };
        Left { requests, more_ns }
    }

    /// The same number of requests taken, counted by another rate.
    pub(super) fn converted(&self, full_at: u64, now_ns: u64, to: &Rate) -> u64 {
        let lacks = u128::from(full_at.saturating_sub(now_ns));
        let lacks = (lacks * u128::from(to.interval_ns)).div_ceil(u128::from(self.interval_ns));
        now_ns.saturating_add((lacks.min(to.full_ns().into())) as u64)
    }
}

impl Display for Rate {
    /// As a file spells it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.unit())
    }
}

impl Left {
    /// Whole seconds, rounded up.
    pub fn more_s(&self) -> u64 {
        self.more_ns.div_ceil(SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A bucket as one would draw it: its level, in the time that it took to fill.
    struct Drawn {
        level: u64,
        at: u64,
    }

    impl Drawn {
        fn take(&mut self, rate: &Rate, now: u64) -> bool {
            self.level = (self.level + (now - self.at)).min(rate.full_ns());
            self.at = now;
            let enough = self.level >= rate.interval_ns;
            if enough {
                self.level -= rate.interval_ns;
            }
            enough
        }
    }

    fn rates() -> impl Strategy<Value = Rate> {
        let windows = prop::sample::select(vec![1000, 60_000, 3_600_000, 86_400_000]);
        (1u32..2000, windows, 1u32..50)
            .prop_map(|(requests, window, burst)| Rate::new(requests, window, burst))
    }

    /// Times between requests, as shares of the time in which one comes back: many at once, some after a while.
    fn pauses() -> impl Strategy<Value = Vec<u64>> {
        let pause = prop_oneof![4 => Just(0u64), 4 => 1u64..1500, 1 => 1500u64..60_000];
        prop::collection::vec(pause, 1..300)
    }

    proptest! {
        #[test]
        fn it_is_the_bucket_that_one_would_draw(rate in rates(), pauses in pauses(), start in 0u64..u64::MAX / 4) {
            let mut drawn = Drawn { level: rate.full_ns(), at: start };
            let (mut now, mut full_at) = (start, 0);
            for pause in pauses {
                now += rate.interval_ns / 1000 * pause;
                let left = rate.left(full_at, now);
                let taken = rate.taken(full_at, now);
                prop_assert_eq!(taken.is_some(), left.requests > 0);
                prop_assert_eq!(taken.is_some(), drawn.take(&rate, now));
                full_at = taken.unwrap_or(full_at);
                prop_assert_eq!(rate.left(full_at, now).requests, drawn.level / rate.interval_ns);
            }
        }

        #[test]
        fn in_no_time_are_there_more_than_burst_and_rate(rate in rates(), pauses in pauses()) {
            let (mut now, mut full_at, mut passed) = (1_000_000, 0, Vec::new());
            for pause in pauses {
                now += rate.interval_ns / 1000 * pause;
                if let Some(next) = rate.taken(full_at, now) {
                    full_at = next;
                    passed.push(now);
                }
            }
            for (first, start) in passed.iter().enumerate() {
                for (last, end) in passed.iter().enumerate().skip(first) {
                    let came_back = (end - start) / rate.interval_ns;
                    prop_assert!((last - first + 1) as u64 <= u64::from(rate.burst) + came_back);
                }
            }
        }

        #[test]
        fn what_it_says_about_more_is_when_there_is_more(rate in rates(), pauses in pauses()) {
            let (mut now, mut full_at) = (1_000_000, 0);
            for pause in pauses {
                now += rate.interval_ns / 1000 * pause;
                full_at = rate.taken(full_at, now).unwrap_or(full_at);
                let left = rate.left(full_at, now);
                let later = |ns: u64| rate.left(full_at, now + ns).requests;
                if left.more_ns == 0 {
                    prop_assert_eq!(left.requests, u64::from(rate.burst));
                } else {
                    prop_assert_eq!(later(left.more_ns - 1), left.requests);
                    prop_assert_eq!(later(left.more_ns), left.requests + 1);
                }
            }
        }

        #[test]
        fn another_rate_counts_what_was_taken(from in rates(), to in rates(), taken in 0u64..50) {
            let now = 1_000_000;
            let full_at = now + from.interval_ns * taken.min(from.burst.into());
            let left = to.left(from.converted(full_at, now, &to), now).requests;
            prop_assert_eq!(left, u64::from(to.burst).saturating_sub(taken.min(from.burst.into())));
        }
    }

    #[test]
    fn a_burst_is_exact_and_comes_back_evenly() {
        let rate = Rate::new(5, 60_000, 5);
        let (start, mut full_at) = (7 * SECOND, 0);
        for _ in 0..5 {
            full_at = rate.taken(full_at, start).expect("one of five");
        }
        assert_eq!(rate.taken(full_at, start), None);
        assert_eq!(rate.left(full_at, start), Left { requests: 0, more_ns: 12 * SECOND });
        assert_eq!(rate.taken(full_at, start + 12 * SECOND - 1), None);
        assert_eq!(rate.left(full_at, start + 12 * SECOND - 1).more_s(), 1, "never 0 where there is none");
        assert!(rate.taken(full_at, start + 12 * SECOND).is_some());
        assert_eq!(rate.full_ms(), 60_000);
    }

    #[test]
    fn a_clock_that_is_behind_is_no_reason_to_let_more_pass() {
        let rate = Rate::new(1, 1000, 1);
        let full_at = rate.taken(0, 10 * SECOND).expect("the first");
        assert_eq!(rate.taken(full_at, 9 * SECOND), None);
        assert_eq!(rate.left(full_at, 9 * SECOND), Left { requests: 0, more_ns: 2 * SECOND });
    }

    #[test]
    fn what_is_too_long_to_count_with_says_so() {
        assert_eq!(Rate::new(1, 86_400_000, 1000).full_ms(), 86_400_000_000);
        assert!(Rate::new(1, u64::MAX, u32::MAX).full_ms() > u64::MAX / 2_000_000);
    }
}
