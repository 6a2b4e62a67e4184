//! When to look for answers that are late.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

/// What one link knows of its questions' times.
pub(super) struct Lateness {
    /// The least time that any question had, us.
    shortest_us: Cell<u64>,
    /// There was a question since somebody has looked.
    asked: Cell<bool>,
    /// Of who rests, to be woken by the next question.
    resting: Cell<Option<Waker>>,
    /// Of who sleeps, to be woken by a question that has less time than all before.
    sleeping: Cell<Option<Waker>>,
}

impl Lateness {
    pub(super) fn new() -> Self {
        Lateness {
            shortest_us: Cell::new(u64::MAX),
            asked: Cell::new(false),
            resting: Cell::new(None),
            sleeping: Cell::new(None),
        }
    }

    /// Notes a question that has so much time.
    pub(super) fn asked(&self, most_us: u64) {
        self.asked.set(true);
        let shorter = most_us < self.shortest_us.get();
        if shorter {
            self.shortest_us.set(most_us);
        }
        let woken = [self.resting.take(), if shorter { self.sleeping.take() } else { None }];
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether there was a question since the last time.
    pub(super) fn look(&self) -> bool {
        self.asked.replace(false)
    }

    /// Waits for a question.
    pub(super) async fn rest(&self) {
        poll_fn(|cx| {
            if self.asked.get() {
                return Poll::Ready(());
            }
            self.resting.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Sleeps so long, and never so long that the time of a question could be over that is asked meanwhile.
    pub(super) async fn sleep(&self, us: u64) {
        let shortest = self.shortest_us.get();
        let mut slept = pin!(tokio::time::sleep(Duration::from_micros(us.min(shortest))));
        poll_fn(|cx| {
            if self.shortest_us.get() < shortest {
                return Poll::Ready(());
            }
            self.sleeping.set(Some(cx.waker().clone()));
            slept.as_mut().poll(cx)
        })
        .await;
    }
}
