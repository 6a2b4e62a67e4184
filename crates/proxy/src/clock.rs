//! One worker's time: read at most once per wake-up of its event loop, since every read costs as much as a
//! table look-up.

use pylos_core::message::date;
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// The zero of all monotonic times of this process.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// By how much it has been put forward.
static AHEAD_US: AtomicU64 = AtomicU64::new(0);
/// A thousand years: nothing that is counted with it is too much.
const FURTHEST_US: u64 = 1000 * 365 * 24 * 3600 * 1_000_000;
static ADVANCED: Notify = Notify::const_new();

thread_local! {
    static TURN: Cell<u64> = const { Cell::new(0) };
    /// Set whenever the thread has slept: the cached time is old then.
    static SLEPT: Cell<bool> = const { Cell::new(true) };
}

/// To be called when the event loop wakes up.
pub(crate) fn woke_up() {
    SLEPT.set(true);
    TURN.set(TURN.get().wrapping_add(1));
}

/// Which turn of the thread's event loop this is.
pub(crate) fn turn() -> u64 {
    TURN.get()
}

/// Microseconds since the process' origin, read afresh.
pub(crate) fn exact_us() -> u64 {
    ORIGIN.get_or_init(Instant::now).elapsed().as_micros() as u64 + AHEAD_US.load(Relaxed)
}

/// Milliseconds since the process' origin, read afresh.
pub(crate) fn exact_ms() -> u64 {
    exact_us() / 1000
}

/// Microseconds since 1970, read afresh.
pub(crate) fn wall_us() -> u64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64);
    real + AHEAD_US.load(Relaxed)
}

/// The zero of all times of this process, us of the machine's own clock, which all processes share. What was put
/// forward counts as if it had passed.
pub(crate) fn origin_us() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000 - exact_us() as i64
}

/// By how much the time was put forward.
pub(crate) fn ahead_us() -> u64 {
    AHEAD_US.load(Relaxed)
}

/// Puts the time of this process forward: for tests of what takes long.
pub(crate) fn advance(ms: u64) {
    let further = |ahead: u64| Some(ahead.saturating_add(ms.saturating_mul(1000)).min(FURTHEST_US));
    let _ = AHEAD_US.fetch_update(Relaxed, Relaxed, further);
    ADVANCED.notify_waiters();
}

/// Waits until it has come that far.
pub(crate) async fn sleep_until(due: u64) {
    loop {
        let advanced = ADVANCED.notified();
        match due.saturating_sub(exact_us()) {
            0 => return,
            // Whichever comes first, the time is looked at again.
            left => drop(tokio::time::timeout(Duration::from_micros(left), advanced).await),
        }
    }
}

/// A busy loop may never sleep: after so many reads the time is taken anew all the same.
const READS: u32 = 64;

pub(crate) struct Clock {
    now: Cell<u64>,
    reads: Cell<u32>,
    /// Wall clock minus monotonic clock, microseconds; set anew by the sweep, so that steps of the wall clock show.
    wall_offset: Cell<u64>,
    date: RefCell<(u64, [u8; 29])>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let clock = Clock {
            now: Cell::new(0),
            reads: Cell::new(READS),
            wall_offset: Cell::new(0),
            date: RefCell::new((u64::MAX, [b' '; 29])),
        };
        clock.follow_wall();
        clock
    }

    /// Microseconds since the origin, as of this wake-up.
    pub(crate) fn us(&self) -> u64 {
        let reads = self.reads.get();
        if reads >= READS || SLEPT.get() {
            SLEPT.set(false);
            self.reads.set(0);
            self.now.set(exact_us());
        } else {
            self.reads.set(reads + 1);
        }
        self.now.get()
    }

    /// Milliseconds since the origin, as of this wake-up.
    pub(crate) fn ms(&self) -> u64 {
        self.us() / 1000
    }

    /// The wall clock at a monotonic time, microseconds since 1970.
    pub(crate) fn wall_at(&self, us: u64) -> u64 {
        us.wrapping_add(self.wall_offset.get())
    }

    pub(crate) fn follow_wall(&self) {
        self.wall_offset.set(wall_us().wrapping_sub(exact_us()));
    }

    /// Appends the current time as an IMF-fixdate (RFC 9110, 5.6.7), formatted once a second.
    pub(crate) fn write_date(&self, out: &mut Vec<u8>) {
        let second = self.wall_at(self.us()) / 1_000_000;
        let mut cached = self.date.borrow_mut();
        if cached.0 != second {
            *cached = (second, date::imf_fixdate(second));
        }
        out.extend_from_slice(&cached.1);
    }
}
