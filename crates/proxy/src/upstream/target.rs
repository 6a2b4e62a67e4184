//! What is known about a target, shared by all workers and kept over reloads: addresses, health, ejection.

use pylos_core::health::Ejection;
use pylos_core::table::TargetAddress;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct TargetState {
    /// What the active check says; true until it says otherwise.
    up: AtomicBool,
    /// Not chosen before this time, ms since the origin.
    ejected_until: AtomicU64,
    ejection: Mutex<Ejection>,
    /// What the name resolved to last; for other targets the one address.
    addresses: Mutex<Arc<[SocketAddr]>>,
    /// Which of them answered last.
    preferred: AtomicUsize,
}

/// What one process leaves to the next.
pub(crate) struct Health {
    pub(crate) up: bool,
    pub(crate) ejected_until_ms: u64,
    pub(crate) ejection: Ejection,
}

impl TargetState {
    pub(crate) fn new(address: &TargetAddress) -> Self {
        let known: Arc<[SocketAddr]> = match address {
            TargetAddress::Ip(address) => Arc::new([*address]),
            TargetAddress::Name { .. } | TargetAddress::Unix(_) => Arc::new([]),
        };
        TargetState {
            up: AtomicBool::new(true),
            ejected_until: AtomicU64::new(0),
            ejection: Mutex::default(),
            addresses: Mutex::new(known),
            preferred: AtomicUsize::new(0),
        }
    }

    /// Whether the target may be chosen.
    pub(crate) fn usable(&self, now_ms: u64) -> bool {
        self.up.load(Relaxed) && now_ms >= self.ejected_until.load(Relaxed)
    }
    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }
    /// The active check's word. A target found healthy is not ejected any longer.
    pub(crate) fn set_up(&self, up: bool, now_ms: u64) {
        self.up.store(up, Relaxed);
        if up {
            self.connected(now_ms);
        }
    }

    pub(crate) fn health(&self) -> Health {
        let ejection = self.ejection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Health { up: self.is_up(), ejected_until_ms: self.ejected_until.load(Relaxed), ejection }
    }
    /// Goes on from what another process knew. Where nobody asks after the target, it is up: who would say so else?
    pub(crate) fn adopt(&self, health: Health, is_checked: bool) {
        self.up.store(health.up || !is_checked, Relaxed);
        self.ejected_until.store(health.ejected_until_ms, Relaxed);
        *self.ejection.lock().unwrap_or_else(PoisonError::into_inner) = health.ejection;
    }

    pub(crate) fn state_name(&self, now_ms: u64) -> &'static str {
        match (self.is_up(), self.usable(now_ms)) {
            (false, _) => "down",
            (true, false) => "ejected",
            (true, true) => "up",
        }
    }

    /// A connection could not be made; gives the time of ejection in ms when that was one too many.
    pub(crate) fn connect_failed(&self, now_ms: u64) -> Option<u64> {
        let mut ejection = self.ejection.lock().unwrap_or_else(PoisonError::into_inner);
        let until = ejection.failed(now_ms)?;
        self.ejected_until.store(until, Relaxed);
        Some(until - now_ms)
    }
    pub(crate) fn connected(&self, now_ms: u64) {
        self.ejection.lock().unwrap_or_else(PoisonError::into_inner).succeeded(now_ms);
        self.ejected_until.store(0, Relaxed);
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
