//! A policy that says nothing again and again is not asked for a while: its requests are not kept waiting for nothing.
//! One that fails at once keeps nobody waiting, and a client may know how to make it fail: that counts for nothing.

use std::cell::Cell;

/// So many failures in a row.
const MOST: u32 = 5;
/// So long it is left alone at first, ms; then one request finds out whether it is well again.
const REST_MS: u64 = 1000;
/// So often that time doubles: to try one that never answers costs a lane each time.
const DOUBLINGS: u32 = 5;

/// Of one policy in one worker.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: Cell<u32>,
    /// When it may be asked again, ms; 0 = now.
    until_ms: Cell<u64>,
    /// One request finds out whether it is well again.
    trying: Cell<bool>,
}

/// Someone waits for an answer. A client that goes away before there is one has found out nothing.
pub(crate) struct Waiter<'b> {
    breaker: &'b Breaker,
    /// It is the one that finds out.
    tries: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.tries && self.breaker.trying.replace(false) {
            self.breaker.until_ms.set(1);
        }
    }
}

impl Breaker {
    /// Whether it is asked. Of those who come after its rest only the first one asks.
    pub(crate) fn admits(&self, now_ms: u64) -> Option<Waiter<'_>> {
        let until = self.until_ms.get();
        if now_ms < until || self.trying.get() {
            return None;
        }
        let tries = until > 0;
        self.trying.set(tries);
        Some(Waiter { breaker: self, tries })
    }

    pub(crate) fn succeeded(&self) {
        self.trying.set(false);
        self.failures.set(0);
        self.until_ms.set(0);
    }

    /// True: it is given up with this failure.
    #[must_use]
    pub(crate) fn failed(&self, now_ms: u64) -> bool {
        self.trying.set(false);
        let failures = self.failures.get().saturating_add(1);
        self.failures.set(failures);
        if failures < MOST {
            return false;
        }
        self.until_ms.set(now_ms + (REST_MS << (failures - MOST).min(DOUBLINGS)));
        failures == MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up() -> Breaker {
        let breaker = Breaker::default();
        for _ in 1..MOST {
            assert!(breaker.admits(10).is_some() && !breaker.failed(10));
        }
        assert!(breaker.failed(10), "now it is given up");
        assert!(breaker.admits(10 + REST_MS - 1).is_none());
        breaker
    }

    #[test]
    fn it_opens_rests_and_tries_again() {
        let breaker = given_up();
        let trying = breaker.admits(10 + REST_MS);
        assert!(trying.is_some(), "one may try");
        assert!(breaker.admits(10 + REST_MS).is_none(), "the others wait for what comes of it");
        assert!(!breaker.failed(10 + REST_MS), "told once");
        drop(trying);
        assert!(breaker.admits(10 + REST_MS + 1).is_none());
        breaker.succeeded();
        assert!(breaker.admits(10 + REST_MS + 1).is_some());
    }

    #[test]
    fn it_rests_longer_and_longer_until_it_is_well() {
        let breaker = given_up();
        let mut now = 10 + REST_MS;
        for seconds in [2, 4, 8, 16, 32, 32] {
            assert!(breaker.admits(now).is_some());
            assert!(!breaker.failed(now));
            assert!(breaker.admits(now + seconds * 1000 - 1).is_none());
            now += seconds * 1000;
        }
        breaker.succeeded();
        (1..MOST).for_each(|_| assert!(!breaker.failed(now)));
        assert!(breaker.failed(now));
        assert!(breaker.admits(now + REST_MS).is_some(), "and begins anew");
    }

    #[test]
    fn a_client_that_goes_away_does_not_keep_it_given_up() {
        let breaker = given_up();
        drop(breaker.admits(10 + REST_MS));
        assert!(breaker.admits(10 + REST_MS).is_some(), "the next one tries at once");
    }
}
