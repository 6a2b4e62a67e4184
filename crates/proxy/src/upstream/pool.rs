//! Kept connections to one target, per worker, newest first. What is reused last is the freshest, and what is
//! not needed ages out at the other end.

use super::target::TargetState;
use crate::clock;
use crate::stream::Stream;
use crate::telemetry::cells::TargetCells;
use crate::tls::Secure;
use pylos_core::table::Pool as Bounds;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A loop that never sleeps does not count its turns: no rest is longer than this.
const REST_MS: u64 = 3;

pub(crate) struct Pool {
    idle: RefCell<Vec<Idle>>,
    /// Idle and busy ones.
    open: Cell<u32>,
    /// Dropped from the configuration: keeps nothing any more.
    closed: Cell<bool>,
    /// When tunnels to it have to end, ms; 0 = when they like.
    tunnels_end_ms: Cell<u64>,
    /// How its connections are made.
    secure: Option<Secure>,
    pub(crate) state: Arc<TargetState>,
    pub(crate) cells: Arc<TargetCells>,
}

struct Idle {
    stream: Stream,
    born_ms: u64,
    since_ms: u64,
    /// The turn of the event loop in which its last answer ended, when that had come in pieces: see [`Pool::take`].
    resting: Option<u64>,
}

/// A connection on loan. Dropped, it is closed; given back, it waits for the next request.
pub(crate) struct Loan {
    stream: Option<Stream>,
    born_ms: u64,
    /// It has carried a request before: the target may have closed it in the meantime.
    pub(crate) reused: bool,
    pool: Rc<Pool>,
    active: Option<Active>,
}

/// A request that a target has, however it ends.
pub(crate) struct Active(Rc<Pool>);

impl Active {
    /// For one that the target's state counts already.
    pub(crate) fn entered(pool: &Rc<Pool>) -> Self {
        pool.cells.active.add(1);
        Active(Rc::clone(pool))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.cells.active.sub(1);
        self.0.state.leave();
    }
}

impl Pool {
    pub(crate) fn new(state: Arc<TargetState>, cells: Arc<TargetCells>, secure: Option<Secure>) -> Self {
        Pool {
            idle: RefCell::default(),
            open: Cell::new(0),
            closed: Cell::new(false),
            tunnels_end_ms: Cell::new(0),
            secure,
            state,
            cells,
        }
    }

    /// The most recently used connection that is still sound.
    ///
    /// What an upstream says behind an answer, unasked, must not become the answer to the next request. What came
    /// with the answer is seen at once. When an answer came in pieces, another piece may be on its way: such a
    /// connection rests until the event loop has looked at it again.
    pub(crate) fn take(self: &Rc<Self>, now_ms: u64, bounds: &Bounds) -> Option<Loan> {
        loop {
            let rests = |i: &Idle| i.resting == Some(clock::turn()) && now_ms < i.since_ms + REST_MS;
            let idle = {
                let mut idle = self.idle.borrow_mut();
                let index = idle.iter().rposition(|i| !rests(i))?;
                idle.remove(index)
            };
            if !self.fresh(&idle, now_ms, bounds) || !idle.stream.is_quiet() {
                self.ended();
                continue;
            }
            let Idle { stream, born_ms, .. } = idle;
            return Some(Loan {
                stream: Some(stream),
                born_ms,
                reused: true,
                pool: Rc::clone(self),
                active: None,
            });
        }
    }

    /// Room for one more connection, if there is: counted from now on, while it is being made. A resting one
    /// makes room.
    pub(crate) fn reserve(self: &Rc<Self>, bounds: &Bounds) -> Option<Reservation> {
        let full = || bounds.max_connections > 0 && self.open.get() >= bounds.max_connections;
        if full() && self.idle.borrow_mut().pop().is_some() {
            self.ended();
        }
        if full() {
            return None;
        }
        self.open.set(self.open.get() + 1);
        self.cells.connections.add(1);
        Some(Reservation(Some(Rc::clone(self))))
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

    /// Whether a connection of it is what one would be that is made so.
    pub(crate) fn is_secured_by(&self, secure: Option<&Secure>) -> bool {
        self.secure.as_ref() == secure
    }

    /// The target has gone from the configuration: tunnels to it may go on until then. `None`: it has come back.
    pub(crate) fn end_tunnels(&self, at_ms: Option<u64>) {
        self.tunnels_end_ms.set(at_ms.unwrap_or(0));
    }
    pub(crate) fn tunnels_end_ms(&self) -> Option<u64> {
        Some(self.tunnels_end_ms.get()).filter(|at| *at != 0)
    }

    fn fresh(&self, idle: &Idle, now_ms: u64, bounds: &Bounds) -> bool {
        now_ms < idle.since_ms + bounds.idle_ms && now_ms < idle.born_ms + bounds.max_age_ms
    }

    fn ended(&self) {
        self.open.set(self.open.get() - 1);
        self.cells.connections.sub(1);
    }
}

/// A place for a connection that is being made.
pub(crate) struct Reservation(Option<Rc<Pool>>);

impl Reservation {
    /// Lends out the connection that was made.
    pub(crate) fn lend(mut self, stream: Stream, now_ms: u64) -> Loan {
        let pool = self.0.take().expect("a reservation is used once");
        Loan { stream: Some(stream), born_ms: now_ms, reused: false, pool, active: None }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.iter().for_each(|pool| pool.ended());
    }
}

impl Loan {
    pub(crate) fn stream(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("a loan has its stream until it is given back")
    }

    /// For as long as the request lasts, which may become a tunnel.
    #[must_use]
    pub(crate) fn with(mut self, active: Active) -> Self {
        self.active = Some(active);
        self
    }

    pub(crate) fn pool(&self) -> Rc<Pool> {
        Rc::clone(&self.pool)
    }

    /// Gives the connection back. Only for one on which a whole exchange has ended.
    /// `in_pieces`: its answer took more than one read.
    pub(crate) fn give_back(mut self, now_ms: u64, bounds: &Bounds, in_pieces: bool) {
        let mut idle = self.pool.idle.borrow_mut();
        let old = now_ms >= self.born_ms + bounds.max_age_ms;
        if old || self.pool.closed.get() || idle.len() >= bounds.max_idle as usize {
            return;
        }
        if let Some(stream) = self.stream.take() {
            let resting = in_pieces.then(clock::turn);
            idle.push(Idle { stream, born_ms: self.born_ms, since_ms: now_ms, resting });
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
