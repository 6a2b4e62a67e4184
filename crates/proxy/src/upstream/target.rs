//! What is known about a target, shared by all workers and kept over reloads: addresses, health, ejection, load.

use pylos_core::balance::{PeakEwma, part_of_share};
use pylos_core::health::{Ejection, seen, too_many};
use pylos_core::table::{Outliers, Share, TargetAddress};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct TargetState {
    /// What the active check says; true until it says otherwise.
    up: AtomicBool,
    /// Not chosen before this time, ms since the origin.
    ejected_until: AtomicU64,
    ejection: Mutex<Ejection>,
    /// Since when it is there, or back, ms since the origin.
    since: AtomicU64,
    load: Load,
    /// What the name resolved to last; for other targets the one address.
    addresses: Mutex<Arc<[SocketAddr]>>,
    /// Which of them answered last.
    preferred: AtomicUsize,
}

/// What every request changes: alone on its cache line.
#[repr(align(128))]
#[derive(Default)]
struct Load {
    active: AtomicU32,
    /// Failures in a row.
    streak: AtomicU32,
    /// Its latest answers, as [`seen`] counts them.
    seen: AtomicU64,
    /// A packed [`PeakEwma`].
    latency: AtomicU64,
}

/// What one process leaves to the next. Times are ms since the origin.
#[derive(Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) up: bool,
    pub(crate) ejection: Ejection,
    pub(crate) ejected_until_ms: u64,
    pub(crate) since_ms: u64,
    /// ns, 0 = not known.
    pub(crate) latency_ns: u64,
}

/// Why a target is to be left alone. `is_first`: it was not before this failure.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    InARow { failures: u32, is_first: bool },
    Share { percent: u32, is_first: bool },
}

impl Fault {
    pub(crate) fn is_first(self) -> bool {
        let (Fault::InARow { is_first, .. } | Fault::Share { is_first, .. }) = self;
        is_first
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::InARow { failures, .. } => write!(f, "{failures} failures in a row"),
            Fault::Share { percent, .. } => write!(f, "{percent} % of its answers were failures"),
        }
    }
}

impl Health {
    /// The same on a clock that shows so many ms more.
    #[must_use]
    pub(crate) fn moved(self, ms: i64) -> Self {
        let moved = |at: u64| at.saturating_add_signed(ms);
        let (ejected_until_ms, since_ms) = (moved(self.ejected_until_ms), moved(self.since_ms));
        Health { ejection: self.ejection.moved(ms), ejected_until_ms, since_ms, ..self }
    }
}

impl TargetState {
    pub(crate) fn new(address: &TargetAddress, now_ms: u64) -> Self {
        let known: Arc<[SocketAddr]> = match address {
            TargetAddress::Ip(address) => Arc::new([*address]),
            TargetAddress::Name { .. } | TargetAddress::Unix(_) => Arc::new([]),
        };
        TargetState {
            up: AtomicBool::new(true),
            ejected_until: AtomicU64::new(0),
            ejection: Mutex::default(),
            since: AtomicU64::new(now_ms),
            load: Load::default(),
            addresses: Mutex::new(known),
            preferred: AtomicUsize::new(0),
        }
    }

    /// Whether the target may be chosen.
    pub(crate) fn usable(&self, now_ms: u64) -> bool {
        self.is_up() && !self.is_ejected(now_ms)
    }
    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }
    pub(crate) fn is_ejected(&self, now_ms: u64) -> bool {
        now_ms < self.ejected_until.load(Relaxed)
    }
    /// The active check's word, where it is another one than before.
    pub(crate) fn set_up(&self, up: bool, now_ms: u64) {
        if up {
            self.forgive(now_ms);
            self.since.store(now_ms, Relaxed);
        }
        self.up.store(up, Relaxed);
    }

    pub(crate) fn health(&self, now_ms: u64) -> Health {
        Health {
            up: self.is_up(),
            ejection: self.ejection.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ejected_until_ms: self.ejected_until.load(Relaxed),
            since_ms: self.since.load(Relaxed),
            latency_ns: self.latency_ns(now_ms),
        }
    }
    /// Goes on from what another process knew. Where nobody asks after the target, it is up: who would say so else?
    pub(crate) fn adopt(&self, health: Health, is_checked: bool, now_ms: u64) {
        self.up.store(health.up || !is_checked, Relaxed);
        self.ejected_until.store(health.ejected_until_ms, Relaxed);
        self.since.store(health.since_ms, Relaxed);
        if health.latency_ns > 0 {
            let known = PeakEwma::default().observed(health.latency_ns, now_ms);
            self.load.latency.store(known.packed(), Relaxed);
        }
        *self.ejection.lock().unwrap_or_else(PoisonError::into_inner) = health.ejection;
    }

    pub(crate) fn state_name(&self, now_ms: u64) -> &'static str {
        match (self.is_up(), self.usable(now_ms)) {
            (false, _) => "down",
            (true, false) => "ejected",
            (true, true) => "up",
        }
    }

    /// The part of its share that it has after a slow start of so many ms.
    pub(crate) fn part(&self, slow_start_ms: u64, now_ms: u64) -> f64 {
        let back = self.ejected_until.load(Relaxed).min(now_ms).max(self.since.load(Relaxed));
        part_of_share(now_ms.saturating_sub(back), slow_start_ms)
    }

    /// A request or a connection failed by the target's fault. Gives why it is to be left alone, if it is.
    #[must_use]
    pub(crate) fn failed(&self, now_ms: u64, outliers: &Outliers) -> Option<Fault> {
        let streak = self.load.streak.fetch_add(1, Relaxed).saturating_add(1);
        let counted = outliers.share.map(|share| (self.count(&share, now_ms, true), share));
        if streak >= outliers.errors {
            return Some(Fault::InARow { failures: streak, is_first: streak == outliers.errors });
        }
        let ((before, after), share) = counted?;
        let fault =
            Fault::Share { percent: (share.most * 100.0) as u32, is_first: !too_many(before, &share) };
        too_many(after, &share).then_some(fault)
    }

    /// An answer came, and it was none of the failures.
    pub(crate) fn succeeded(&self, now_ms: u64, outliers: &Outliers) {
        if self.load.streak.load(Relaxed) > 0 {
            self.load.streak.store(0, Relaxed);
        }
        if let Some(share) = &outliers.share {
            self.count(share, now_ms, false);
        }
    }

    /// What was counted before, and what is now.
    fn count(&self, share: &Share, now_ms: u64, failed: bool) -> (u64, u64) {
        let counted = |word| Some(seen(word, share, now_ms, failed));
        let before = self.load.seen.fetch_update(Relaxed, Relaxed, counted).unwrap_or_else(|word| word);
        (before, seen(before, share, now_ms, failed))
    }

    /// Leaves it alone for a while; gives for how many ms. `None`: it is left alone already.
    pub(crate) fn eject(&self, now_ms: u64, outliers: &Outliers) -> Option<u64> {
        let mut ejection = self.ejection.lock().unwrap_or_else(PoisonError::into_inner);
        let until = ejection.eject(now_ms, outliers.eject_ms, outliers.longest_ms)?;
        // When it is back, one more failure is enough.
        self.load.streak.store(outliers.errors.saturating_sub(1), Relaxed);
        self.load.seen.store(0, Relaxed);
        self.ejected_until.store(until, Relaxed);
        Some(until - now_ms)
    }

    /// The active check has found it well. Whether that ended an ejection; what was seen of answers stays what it is
    /// where there was none.
    pub(crate) fn forgive(&self, now_ms: u64) -> bool {
        let until = self.ejected_until.load(Relaxed);
        if until == 0 {
            return false;
        }
        let mut ejection = self.ejection.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = ejection.forgive(now_ms);
        // It has been back since then, or is now.
        self.since.fetch_max(until.min(now_ms), Relaxed);
        self.load.streak.store(0, Relaxed);
        self.load.seen.store(0, Relaxed);
        self.ejected_until.store(0, Relaxed);
        ended
    }

    /// Requests that it has now, of all workers.
    pub(crate) fn active(&self) -> u32 {
        self.load.active.load(Relaxed)
    }
    /// One more, if it has fewer than `most` (0: any number).
    pub(crate) fn enter(&self, most: u32) -> bool {
        if most == 0 {
            self.load.active.fetch_add(1, Relaxed);
            return true;
        }
        let more = |active: u32| (active < most).then_some(active + 1);
        self.load.active.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
    pub(crate) fn leave(&self) {
        self.load.active.fetch_sub(1, Relaxed);
    }

    /// How long its answers take by now, ns; 0 where that is not known.
    pub(crate) fn latency_ns(&self, now_ms: u64) -> u64 {
        PeakEwma::unpacked(self.load.latency.load(Relaxed), now_ms).now(now_ms)
    }
    pub(crate) fn answered(&self, took_us: u64, now_ms: u64) {
        let known = PeakEwma::unpacked(self.load.latency.load(Relaxed), now_ms);
        // Of two at the same time one is lost: the next one makes up for it.
        self.load.latency.store(known.observed(took_us * 1000, now_ms).packed(), Relaxed);
    }

    /// The addresses to try, the one that answered last first.
    pub(crate) fn addresses(&self) -> (Arc<[SocketAddr]>, usize) {
        let addresses = Arc::clone(&self.addresses.lock().unwrap_or_else(PoisonError::into_inner));
        let first = self.preferred.load(Relaxed);
        let first = if first < addresses.len() { first } else { 0 };
        (addresses, first)
    }
    pub(crate) fn prefer(&self, index: usize) {
        self.preferred.store(index, Relaxed);
    }
    /// A fresh answer of the resolver; true when it differs.
    pub(crate) fn set_addresses(&self, fresh: Vec<SocketAddr>) -> bool {
        let mut known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = **known != *fresh;
        if differs {
            *known = fresh.into();
        }
        differs
    }
}
