//! How fast a lane answers.

use std::cell::Cell;

/// What is assumed of a lane that has answered nothing yet, ns.
const UNKNOWN_NS: u64 = 100_000;
/// One in so many of what was, is replaced by what is now.
const SLOWLY: u64 = 8;

pub(super) struct Pace {
    /// Between two answers while there are questions, ns.
    between_ns: Cell<u64>,
    /// When there was an answer last, or a first question, us.
    since_us: Cell<u64>,
    /// There was a question since, whether anybody waits for its answer or not.
    owes: Cell<bool>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Pace { between_ns: Cell::new(UNKNOWN_NS), since_us: Cell::new(0), owes: Cell::new(false) }
    }

    /// Notes that there is something to answer, and was nothing before.
    pub(super) fn begin(&self, now_us: u64) {
        if !self.owes.replace(true) {
            self.since_us.set(now_us);
        }
    }

    /// Notes so many answers.
    pub(super) fn answered(&self, count: usize, now_us: u64) {
        self.owes.set(false);
        let between = now_us.saturating_sub(self.since_us.replace(now_us)) * 1000 / (count.max(1) as u64);
        let before = self.between_ns.get();
        self.between_ns.set(before - before / SLOWLY + between / SLOWLY);
    }

    /// How long one more question would wait behind so many, us. A lane that has been silent may go on to be.
    pub(super) fn wait_us(&self, asked: usize, now_us: u64) -> u64 {
        if asked == 0 && !self.owes.get() {
            return 0;
        }
        let silent = now_us.saturating_sub(self.since_us.get());
        (asked as u64).saturating_mul(self.between_ns.get() / 1000 + 1).max(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_learnt_from_answers_and_from_silence() {
        let pace = Pace::new();
        assert_eq!(pace.wait_us(0, 7), 0, "nobody waits");
        assert_eq!(pace.wait_us(3, 0), 303, "nothing is known yet");
        for batch in 0..100 {
            pace.answered(50, batch * 100);
        }
        let known = 99 * 100;
        assert_eq!(pace.wait_us(10, known), 20 + 10, "2 us each, and a little");
        assert_eq!(pace.wait_us(10, known + 5000), 5000, "it has said nothing for so long");
        pace.begin(1_000_000);
        assert_eq!(pace.wait_us(1, 1_000_000), 3, "with nothing to do, to say nothing is no fault");
        pace.begin(3_000_000);
        assert_eq!(
            pace.wait_us(0, 3_000_000),
            2_000_000,
            "it owes the answer that nobody waits for any more"
        );
        pace.answered(1, 3_000_000);
        assert_eq!(pace.wait_us(0, 9_000_000), 0);
    }
}
