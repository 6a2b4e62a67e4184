//! Kept connections to one target, per worker, newest first. What is reused last is the freshest, and what is
//! not needed ages out at the other end.

use super::target::TargetState;
use crate::stream::Stream;
use crate::telemetry::cells::TargetCells;
use pylos_core::table::Pool as Bounds;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) struct Pool {
    idle: RefCell<Vec<Idle>>,
    /// Idle and busy ones.
    open: Cell<u32>,
    /// Dropped from the configuration: keeps nothing any more.
    closed: Cell<bool>,
    pub(crate) state: Arc<TargetState>,
    pub(crate) cells: Arc<TargetCells>,
}

struct Idle {
    stream: Stream,
    born_ms: u64,
    since_ms: u64,
}

/// A connection on loan. Dropped, it is closed; given back, it waits for the next request.
pub(crate) struct Loan {
    stream: Option<Stream>,
    born_ms: u64,
    /// It has carried a request before: the target may have closed it in the meantime.
    pub(crate) reused: bool,
    pool: Rc<Pool>,
}

impl Pool {
    pub(crate) fn new(state: Arc<TargetState>, cells: Arc<TargetCells>) -> Self {
        Pool { idle: RefCell::default(), open: Cell::new(0), closed: Cell::new(false), state, cells }
    }

    /// The most recently used connection that is still sound.
    pub(crate) fn take(self: &Rc<Self>, now_ms: u64, bounds: &Bounds) -> Option<Loan> {
        loop {
            let idle = self.idle.borrow_mut().pop()?;
            if !self.fresh(&idle, now_ms, bounds) || !idle.stream.is_quiet() {
                self.ended();
                continue;
            }
            let Idle { stream, born_ms, .. } = idle;
            return Some(Loan { stream: Some(stream), born_ms, reused: true, pool: Rc::clone(self) });
        }
    }

    /// Whether one more connection may be opened.
    pub(crate) fn has_room(&self, bounds: &Bounds) -> bool {
        bounds.max_connections == 0 || self.open.get() < bounds.max_connections
    }

    /// Lends out a connection that was just made.
    pub(crate) fn lend(self: &Rc<Self>, stream: Stream, now_ms: u64) -> Loan {
        self.open.set(self.open.get() + 1);
        self.cells.connections.add(1);
        Loan { stream: Some(stream), born_ms: now_ms, reused: false, pool: Rc::clone(self) }
    }

    /// Closes what is too old or was closed by the target. To be called about once a second.
    pub(crate) fn tidy(&self, now_ms: u64, bounds: &Bounds) {
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain_mut(|i| self.fresh(i, now_ms, bounds) && i.stream.is_quiet());
        let ended = before - idle.len();
        if idle.capacity() > 64 && idle.len() * 4 < idle.capacity() {
            let half = idle.capacity() / 2;
            idle.shrink_to(half);
        }
        drop(idle);
        (0..ended).for_each(|_| self.ended());
    }

    /// Closes all that is idle, and keeps nothing from now on.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        idle.iter().for_each(|_| self.ended());
    }

    fn fresh(&self, idle: &Idle, now_ms: u64, bounds: &Bounds) -> bool {
        now_ms < idle.since_ms + bounds.idle_ms && now_ms < idle.born_ms + bounds.max_age_ms
    }

    fn ended(&self) {
        self.open.set(self.open.get() - 1);
        self.cells.connections.sub(1);
    }
}

impl Loan {
    pub(crate) fn stream(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("a loan has its stream until it is given back")
    }

    /// Gives the connection back. Only for one on which a whole exchange has ended.
    pub(crate) fn give_back(mut self, now_ms: u64, bounds: &Bounds) {
        let mut idle = self.pool.idle.borrow_mut();
        let old = now_ms >= self.born_ms + bounds.max_age_ms;
        if old || self.pool.closed.get() || idle.len() >= bounds.max_idle as usize {
            return;
        }
        if let Some(stream) = self.stream.take() {
            idle.push(Idle { stream, born_ms: self.born_ms, since_ms: now_ms });
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.stream.is_some() {
            self.pool.ended();
        }
    }
}
