//! One worker's time: read at most once per wake-up of its event loop, since every read costs as much as a
//! table look-up.

use pylos_core::message::date;
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The zero of all monotonic times of this process.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

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
    ORIGIN.get_or_init(Instant::now).elapsed().as_micros() as u64
}

/// Milliseconds since the process' origin, read afresh.
pub(crate) fn exact_ms() -> u64 {
    exact_us() / 1000
}

/// Microseconds since 1970, read afresh.
pub(crate) fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
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
