//! All cells of the process, found by name. Taken when a snapshot is built, read at a scrape; never per request.

use super::cells::{AskedCells, Count, LimitCells, ListenerCells, RouteCells, TargetCells};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The cells of one thing, one per worker.
pub(crate) type PerWorker<C> = Vec<Arc<C>>;
/// Two labels: listener and route, or upstream and target.
pub(crate) type Pair = (Box<str>, Box<str>);

#[derive(Default)]
pub(crate) struct Registry {
    inner: Mutex<Known>,
}

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) routes: BTreeMap<Pair, PerWorker<RouteCells>>,
    pub(crate) targets: BTreeMap<Pair, PerWorker<TargetCells>>,
    pub(crate) listeners: BTreeMap<Box<str>, PerWorker<ListenerCells>>,
    /// Of the policies that are not always enforced.
    pub(crate) policies: BTreeMap<Box<str>, PerWorker<Count>>,
    /// Of the policies in Python.
    pub(crate) asked: BTreeMap<Box<str>, PerWorker<AskedCells>>,
    /// Of the limits.
    pub(crate) limited: BTreeMap<Box<str>, PerWorker<LimitCells>>,
}

/// The route label of requests that no route took.
pub(crate) const NO_ROUTE: &str = "-";

impl Registry {
    /// The whole, locked: for a scrape.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn route(&self, worker: usize, listener: &str, route: &str) -> Arc<RouteCells> {
        cells(self.lock().routes.entry((listener.into(), route.into())).or_default(), worker)
    }
    pub(crate) fn target(&self, worker: usize, upstream: &str, target: &str) -> Arc<TargetCells> {
        cells(self.lock().targets.entry((upstream.into(), target.into())).or_default(), worker)
    }
    pub(crate) fn listener(&self, worker: usize, listener: &str) -> Arc<ListenerCells> {
        cells(self.lock().listeners.entry(listener.into()).or_default(), worker)
    }

    pub(crate) fn policy(&self, worker: usize, policy: &str) -> Arc<Count> {
        cells(self.lock().policies.entry(policy.into()).or_default(), worker)
    }

    pub(crate) fn asked(&self, worker: usize, policy: &str) -> Arc<AskedCells> {
        cells(self.lock().asked.entry(policy.into()).or_default(), worker)
    }

    pub(crate) fn limited(&self, worker: usize, policy: &str) -> Arc<LimitCells> {
        cells(self.lock().limited.entry(policy.into()).or_default(), worker)
    }

    /// Forgets what a new configuration does not name: a name's series must not outlive it by more than a reload.
    pub(crate) fn retain(
        &self, listener: impl Fn(&str) -> bool, route: impl Fn(&str) -> bool,
        target: impl Fn(&str, &str) -> bool, policy: impl Fn(&str) -> bool, asked: impl Fn(&str) -> bool,
        limited: impl Fn(&str) -> bool,
    ) {
        let mut known = self.lock();
        known.routes.retain(|(l, r), _| listener(l) && (&**r == NO_ROUTE || route(r)));
        known.targets.retain(|(u, t), _| target(u, t));
        known.listeners.retain(|l, _| listener(l));
        known.policies.retain(|p, _| policy(p));
        known.asked.retain(|p, _| asked(p));
        known.limited.retain(|p, _| limited(p));
    }
}

fn cells<C: Default>(all: &mut PerWorker<C>, worker: usize) -> Arc<C> {
    while all.len() <= worker {
        all.push(Arc::default());
    }
    Arc::clone(&all[worker])
}
