//! Deadlines of one connection, kept without a timer each: a worker sweeps over all of them ten times a second
//! and wakes whose time has come. Setting and clearing one is a store.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

/// The waits that one connection may have at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// On bytes from the client.
    Client = 0,
    /// On the upstream, or on the client taking its answer.
    Answer = 1,
    /// The request as a whole.
    Whole = 2,
}

/// How often the sweep runs, in ms: the precision of all deadlines.
pub(crate) const SWEEP_MS: u64 = 100;

/// Deadlines in ms since the process' origin, 0 = none; and how to wake the task that waits.
pub(crate) struct Timer {
    at: [Cell<u64>; 3],
    /// Waits for a request: to be closed when the gateway drains.
    pub(crate) idle: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    index: Cell<usize>,
}

impl Timer {
    pub(crate) fn set(&self, slot: Slot, at_ms: u64) {
        self.at[slot as usize].set(at_ms);
    }
    pub(crate) fn clear(&self, slot: Slot) {
        self.at[slot as usize].set(0);
    }
    pub(crate) fn clear_all(&self) {
        self.at.iter().for_each(|at| at.set(0));
    }
    pub(crate) fn is_set(&self, slot: Slot) -> bool {
        self.at[slot as usize].get() != 0
    }
    pub(crate) fn expired(&self, slot: Slot, now_ms: u64) -> bool {
        let at = self.at[slot as usize].get();
        at != 0 && now_ms >= at
    }

    /// Remembers the task that waits. A connection stays in one task, so this is one comparison but for once.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn due(&self, now_ms: u64) -> bool {
        self.at.iter().any(|at| at.get() != 0 && now_ms >= at.get())
    }
}

/// All timers of a worker.
#[derive(Default)]
pub(crate) struct Timers {
    all: RefCell<Vec<Rc<Timer>>>,
}

impl Timers {
    pub(crate) fn add(&self) -> Rc<Timer> {
        let mut all = self.all.borrow_mut();
        let timer = Rc::new(Timer {
            at: Default::default(),
            idle: Cell::new(false),
            waker: RefCell::new(None),
            index: Cell::new(all.len()),
        });
        all.push(Rc::clone(&timer));
        timer
    }

    pub(crate) fn remove(&self, timer: &Timer) {
        let mut all = self.all.borrow_mut();
        let index = timer.index.get();
        all.swap_remove(index);
        if let Some(moved) = all.get(index) {
            moved.index.set(index);
        }
        // A burst of connections leaves no table of its size behind.
        if all.len() * 4 < all.capacity() && all.capacity() > 1024 {
            let half = all.capacity() / 2;
            all.shrink_to(half);
        }
    }

    /// Wakes every task with a deadline at or before `now_ms`.
    pub(crate) fn sweep(&self, now_ms: u64) {
        for timer in self.all.borrow().iter().filter(|t| t.due(now_ms)) {
            timer.wake();
        }
    }

    /// Wakes every connection that waits for a request.
    pub(crate) fn wake_idle(&self) {
        self.all.borrow().iter().filter(|t| t.idle.get()).for_each(|t| t.wake());
    }

    /// Wakes everyone.
    pub(crate) fn wake_all(&self) {
        self.all.borrow().iter().for_each(|timer| timer.wake());
    }

    /// Wakes everyone: the gateway drains. Who only waits for a client to notice the end waits no longer than
    /// `until_ms`.
    pub(crate) fn drain(&self, until_ms: u64) {
        for timer in &*self.all.borrow() {
            if timer.idle.get() && timer.is_set(Slot::Whole) {
                timer.set(Slot::Whole, until_ms);
            }
            timer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_keeps_the_others_findable() {
        let timers = Timers::default();
        let made: Vec<_> = (0..5).map(|_| timers.add()).collect();
        timers.remove(&made[1]);
        timers.remove(&made[4]);
        timers.remove(&made[0]);
        let left: Vec<_> = timers.all.borrow().iter().map(|t| t.index.get()).collect();
        assert_eq!(left, [0, 1]);
    }
}
