//! Which target of an upstream a request goes to: what all workers share of that.

use super::target::TargetState;
use crate::telemetry::events;
use pylos_core::balance::{Chance, Groups, Targets};
use pylos_core::table::{Balance, Outliers, Target, Upstream};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What is saved up for retries at most, and at the start, in tenths: a burst of failures may be retried without
/// traffic before.
const MOST_RETRIES: u32 = 500 * 10;
/// What a request earns, and what a retry costs, in tenths: 20 %.
const EARNED: u32 = 2;
const COST: u32 = 10;

/// One upstream, as long as its targets and the way to choose stay the same.
pub(crate) struct Balancer {
    states: Box<[Arc<TargetState>]>,
    targets: Box<[Target]>,
    balance: Balance,
    zone: Option<Box<str>>,
    groups: RwLock<Arc<Groups>>,
    /// Of `groups`: another one is not what a worker remembers.
    version: AtomicU64,
    /// The turn of `round_robin`.
    turn: AtomicUsize,
    /// Retries that may be made, in tenths.
    retries: AtomicU32,
    /// Who ejects looks first at how many are out.
    ejecting: Mutex<()>,
}

impl Balancer {
    /// `before`: the one of the configuration before, if there was one.
    pub(crate) fn new(
        upstream: &Upstream, zone: Option<&str>, state: impl Fn(&str) -> Arc<TargetState>,
        before: Option<&Balancer>,
    ) -> Self {
        let weight = |target: usize| upstream.targets[target].weight;
        let groups = upstream.balance.groups(&upstream.targets, weight, zone);
        let turn = before.map_or(0, |before| before.turn.load(Relaxed));
        Balancer {
            states: upstream.targets.iter().map(|target| state(&target.url)).collect(),
            targets: upstream.targets.clone().into(),
            balance: upstream.balance.clone(),
            zone: zone.map(Into::into),
            groups: RwLock::new(Arc::new(groups)),
            version: AtomicU64::new(0),
            turn: AtomicUsize::new(turn),
            retries: AtomicU32::new(before.map_or(MOST_RETRIES, |before| before.retries.load(Relaxed))),
            ejecting: Mutex::default(),
        }
    }

    pub(crate) fn is_of(&self, upstream: &Upstream, zone: Option<&str>) -> bool {
        *self.targets == *upstream.targets && self.balance == upstream.balance && self.zone.as_deref() == zone
    }

    /// What is chosen from, and its version.
    pub(crate) fn groups(&self) -> (u64, Arc<Groups>) {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        (self.version.load(Relaxed), Arc::clone(&groups))
    }

    pub(crate) fn earn_retry(&self) {
        let more = |saved: u32| (saved < MOST_RETRIES).then_some(saved + EARNED);
        // Mostly nothing is missing, and nothing is written.
        let _ = self.retries.fetch_update(Relaxed, Relaxed, more);
    }
    /// Takes one retry out of the budget, if there is one.
    pub(crate) fn spend_retry(&self) -> bool {
        self.retries.fetch_update(Relaxed, Relaxed, |saved| saved.checked_sub(COST)).is_ok()
    }

    /// A request or a connection failed by the target's fault: it may be left alone for that.
    pub(crate) fn failed(&self, target: usize, upstream: &Upstream, why: &str, now_ms: u64) {
        let Some(outliers) = &upstream.outliers else { return };
        let state = &self.states[target];
        let Some(fault) = state.failed(now_ms, outliers) else { return };
        let for_ms = self.eject(target, outliers, now_ms);
        // Where too many would be out it is told once that this one is not well either.
        if for_ms.is_none() && (!fault.is_first() || state.is_ejected(now_ms)) {
            return;
        }
        let (name, url) = (&*upstream.name, &*self.targets[target].url);
        let why = format!("{fault}, the last one: {why}");
        let facts = [("upstream", name), ("target", url), ("why", &*why)];
        match for_ms.map(|ms| ms.to_string()) {
            Some(ms) => events::warn("target_ejected", &[facts.as_slice(), &[("for_ms", &*ms)]].concat()),
            None => events::warn("target_failing", &facts),
        }
    }

    /// Leaves it alone, if others are there for it and not too many are out.
    fn eject(&self, target: usize, outliers: &Outliers, now_ms: u64) -> Option<u64> {
        let fits = || {
            let out = self.states.iter().filter(|state| state.is_ejected(now_ms)).count();
            let others = (0..self.states.len()).filter(|&other| other != target);
            out < outliers.most_of(self.states.len())
                && others
                    .into_iter()
                    .any(|other| self.targets[other].weight > 0 && self.states[other].usable(now_ms))
        };
        // Mostly it does not, for a lone target above all: then nobody waits for anybody.
        if !fits() {
            return None;
        }
        let _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        fits().then(|| self.states[target].eject(now_ms, outliers)).flatten()
    }

    pub(crate) fn succeeded(&self, target: usize, upstream: &Upstream, now_ms: u64) {
        if let Some(outliers) = &upstream.outliers {
            self.states[target].succeeded(now_ms, outliers);
        }
    }
}

/// What is asked for.
pub(crate) struct Wanted<'w> {
    pub(crate) now_ms: u64,
    /// Targets that have failed this request.
    pub(crate) failed: &'w [usize],
    /// Of a hash: what stands for the request.
    pub(crate) key: u64,
}

pub(crate) enum Picked {
    Target(usize),
    /// All that could be chosen have as much as they may.
    Full,
    Nobody,
}

/// One worker's way to a balancer.
pub(crate) struct Way {
    pub(crate) balancer: Arc<Balancer>,
    groups: RefCell<(u64, Arc<Groups>)>,
}

impl Way {
    pub(crate) fn new(balancer: Arc<Balancer>) -> Self {
        let groups = RefCell::new(balancer.groups());
        Way { balancer, groups }
    }

    /// A target for a request, which is counted as one of its requests from now on: [`TargetState::leave`] ends that.
    ///
    /// One that has not failed this request, unless no other is left: then it is tried once more.
    pub(crate) fn pick(
        &self, wanted: &Wanted<'_>, upstream: &Upstream, random: impl FnMut() -> u64,
    ) -> Picked {
        if self.groups.borrow().0 != self.balancer.version.load(Relaxed) {
            self.groups.replace(self.balancer.groups());
        }
        self.pick_from(&self.groups.borrow().1, wanted, upstream, random)
    }

    fn pick_from(
        &self, groups: &Groups, wanted: &Wanted<'_>, upstream: &Upstream, mut random: impl FnMut() -> u64,
    ) -> Picked {
        let view =
            View { states: &self.balancer.states, upstream, wanted, any: self.panics(wanted, upstream) };
        loop {
            let mut chance = Chance { turn: &self.balancer.turn, key: wanted.key, random: &mut random };
            let Some(target) = groups.pick(&view, &mut chance) else { break };
            if self.balancer.states[target].enter(upstream.max_requests) {
                return Picked::Target(target);
            }
        }
        // Others choose at the same time: who has room is asked once more before that is said of all.
        let well = || (0..view.states.len()).filter(|&target| view.is_well(target));
        if let Some(target) = well().find(|&target| view.states[target].enter(upstream.max_requests)) {
            return Picked::Target(target);
        }
        if well().next().is_some() {
            return Picked::Full;
        }
        if wanted.failed.is_empty() {
            return Picked::Nobody;
        }
        self.pick_from(groups, &Wanted { failed: &[], ..*wanted }, upstream, random)
    }

    /// Whether there is a target that has not failed this request.
    pub(crate) fn has_other(&self, now_ms: u64, failed: &[usize], upstream: &Upstream) -> bool {
        let wanted = Wanted { now_ms, failed, key: 0 };
        let any = self.panics(&wanted, upstream);
        let view = View { states: &self.balancer.states, upstream, wanted: &wanted, any };
        (0..view.states.len()).any(|target| view.is_well(target))
    }

    /// Whether so few targets are usable that they would sink, too.
    fn panics(&self, wanted: &Wanted<'_>, upstream: &Upstream) -> bool {
        if upstream.panic_threshold == 0.0 {
            return false;
        }
        let states = self.balancer.states.iter().zip(&upstream.targets);
        let asked = states.filter(|(_, target)| target.weight > 0).map(|(state, _)| state);
        let (all, usable) = asked
            .fold((0, 0), |(all, usable), state| (all + 1, usable + u32::from(state.usable(wanted.now_ms))));
        f64::from(usable) < upstream.panic_threshold * f64::from(all)
    }
}

/// The targets as they are for one request.
struct View<'v> {
    states: &'v [Arc<TargetState>],
    upstream: &'v Upstream,
    wanted: &'v Wanted<'v>,
    /// Whether they are well does not count.
    any: bool,
}

impl View<'_> {
    /// It could be chosen if it had room.
    fn is_well(&self, target: usize) -> bool {
        self.upstream.targets[target].weight > 0
            && (self.any || self.states[target].usable(self.wanted.now_ms))
            && !self.wanted.failed.contains(&target)
    }
}

impl Targets for View<'_> {
    fn count(&self) -> usize {
        self.states.len()
    }
    fn is_usable(&self, target: usize) -> bool {
        let most = self.upstream.max_requests;
        self.is_well(target) && (most == 0 || self.states[target].active() < most)
    }
    fn weight(&self, target: usize) -> u32 {
        self.upstream.targets[target].weight
    }
    fn active(&self, target: usize) -> u32 {
        self.states[target].active()
    }
    fn latency_ns(&self, target: usize) -> u64 {
        self.states[target].latency_ns(self.wanted.now_ms)
    }
    fn has_newcomers(&self) -> bool {
        let whole_ms = self.upstream.slow_start_ms;
        whole_ms > 0 && self.states.iter().any(|state| state.part(whole_ms, self.wanted.now_ms) < 1.0)
    }
    fn part(&self, target: usize) -> f64 {
        self.states[target].part(self.upstream.slow_start_ms, self.wanted.now_ms)
    }
}
