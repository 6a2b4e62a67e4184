//! Connections on their way from the worker that accepted them to one with fewer. They lie where others reach them too:
//! a worker that stands still must not keep them.

use crate::connection::accept::Accepted;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// So many may wait for one worker; who sees more waits for nobody.
const MOST: usize = 4;

/// What one worker is given.
#[derive(Default)]
pub(crate) struct Given {
    queue: Mutex<VecDeque<Connection>>,
    waiting: AtomicUsize,
}

pub(crate) struct Connection {
    /// The socket that it came from.
    pub(crate) key: Arc<str>,
    pub(crate) accepted: Accepted,
    given_ms: u64,
}

impl Given {
    /// Gives a connection back where too many wait already: that worker has no time.
    pub(crate) fn give(&self, key: &Arc<str>, accepted: Accepted, now_ms: u64) -> Result<(), Accepted> {
        if self.waiting.load(Relaxed) >= MOST {
            return Err(accepted);
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(Connection { key: Arc::clone(key), accepted, given_ms: now_ms });
        self.waiting.store(queue.len(), Relaxed);
        Ok(())
    }

    /// The next one, if it was given at this time or before, and is of a socket that the taker knows.
    pub(crate) fn take(&self, until_ms: u64, knows: impl Fn(&str) -> bool) -> Option<Connection> {
        if self.waiting.load(Relaxed) == 0 {
            return None;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let due = queue.front().is_some_and(|next| next.given_ms <= until_ms && knows(&next.key));
        let taken = if due { queue.pop_front() } else { None };
        self.waiting.store(queue.len(), Relaxed);
        taken
    }
}
