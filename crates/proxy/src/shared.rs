//! What all workers know of each other: loads, mailboxes, targets, counters of the process.

use crate::bounds::{Bounds, NowAndThen};
use crate::challenges::Challenges;
use crate::given::Given;
use crate::handover::Asker;
use crate::lane;
use crate::memory::Memory;
use crate::policy::rate_limit::Limit;
use crate::request::alike::About;
use crate::telemetry::registry::Registry;
use crate::upstream::balancer::Balancer;
use crate::upstream::target::{Health, TargetState};
use crate::worker::Message;
use pylos_core::table::{RateLimit, Table, TargetAddress, Upstream};
use pylos_core::verdict::Verdict;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::mpsc::UnboundedSender;

/// The worker that serves admin listeners and asks after targets; it has the cells' first place.
pub(crate) const SIDE: usize = 0;
/// Most workers: far more than one process makes use of.
pub(crate) const MOST_WORKERS: usize = 256;

/// Connections that are served whatever memory there is.
const FEW: u32 = 100;

/// Alone on its cache line.
#[repr(align(128))]
#[derive(Default)]
struct Load(AtomicUsize);

pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) bounds: Bounds,
    /// TLS handshakes that came to nothing because of who the client is, or what it thinks of our certificate.
    pub(crate) refused_handshakes: NowAndThen,
    pub(crate) memory: Memory,
    pub(crate) panics: AtomicU64,
    pub(crate) log_dropped: AtomicU64,
    /// Configurations that some worker or request still holds.
    pub(crate) snapshots: AtomicUsize,
    pub(crate) generation: AtomicU64,
    /// Ids of the workers in service, the side one not among them.
    in_service: RwLock<Arc<[usize]>>,
    pub(crate) draining: AtomicBool,
    /// Every worker ends at its next sweep, whether a message reaches it or not.
    pub(crate) stopping: AtomicBool,
    loads: Vec<Load>,
    /// By worker: connections that others have accepted for it.
    given: Vec<Given>,
    mail: RwLock<Vec<Option<UnboundedSender<Message>>>>,
    targets: Mutex<BTreeMap<(Box<str>, Box<str>), Arc<TargetState>>>,
    /// By the names of their upstreams.
    balancers: Mutex<BTreeMap<Box<str>, Arc<Balancer>>>,
    /// What policies in Python want to be remembered, by their names.
    memories: Mutex<BTreeMap<Box<str>, Arc<lane::Memory>>>,
    /// What limits have counted, by their names.
    limits: Mutex<BTreeMap<Box<str>, Arc<Limit>>>,
    /// What another process knew of targets.
    inherited: Mutex<BTreeMap<(Box<str>, Box<str>), Health>>,
    /// There are some: most of the time there are none, and a request looks no further.
    challenged: AtomicBool,
    challenges: RwLock<Arc<Challenges>>,
    asks: AtomicBool,
    asker: RwLock<Option<Arc<Asker>>>,
    /// The supervisor's line for requests of admin listeners, until the side worker takes it.
    admin_line: Mutex<Option<OwnedFd>>,
}

impl Shared {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Shared {
            registry: Registry::default(),
            bounds,
            refused_handshakes: NowAndThen::default(),
            memory: Memory::default(),
            panics: AtomicU64::new(0),
            log_dropped: AtomicU64::new(0),
            snapshots: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            in_service: RwLock::new(Arc::new([])),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            loads: (0..MOST_WORKERS).map(|_| Load::default()).collect(),
            given: (0..MOST_WORKERS).map(|_| Given::default()).collect(),
            mail: RwLock::new(vec![None; MOST_WORKERS]),
            targets: Mutex::default(),
            balancers: Mutex::default(),
            memories: Mutex::default(),
            limits: Mutex::default(),
            inherited: Mutex::default(),
            challenged: AtomicBool::new(false),
            challenges: RwLock::default(),
            asks: AtomicBool::new(false),
            asker: RwLock::default(),
            admin_line: Mutex::default(),
        }
    }

    /// Whether memory runs out by what clients do. With few of them it does not: to refuse them would free nothing.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.memory.is_tight() && self.bounds.open() > FEW
    }

    pub(crate) fn set_challenges(&self, challenges: Challenges) {
        let any = !challenges.is_empty();
        *self.challenges.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(challenges);
        self.challenged.store(any, Relaxed);
    }
    /// What authorities are answered; `None` where nothing is.
    pub(crate) fn challenges(&self) -> Option<Arc<Challenges>> {
        let any = self.challenged.load(Relaxed);
        any.then(|| Arc::clone(&self.challenges.read().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn given(&self, worker: usize) -> &Given {
        &self.given[worker]
    }

    /// Counts one more for a worker that will have it: its load is what it is only when it says so.
    pub(crate) fn expect_load(&self, worker: usize) {
        self.loads[worker].0.fetch_add(1, Relaxed);
    }

    pub(crate) fn set_load(&self, worker: usize, connections: usize) {
        self.loads[worker].0.store(connections, Relaxed);
    }

    /// The workers in service.
    pub(crate) fn workers(&self) -> Arc<[usize]> {
        Arc::clone(&self.in_service.read().unwrap_or_else(PoisonError::into_inner))
    }
    pub(crate) fn set_workers(&self, ids: Vec<usize>) {
        *self.in_service.write().unwrap_or_else(PoisonError::into_inner) = ids.into();
    }

    /// Of all others one at random, if it has clearly fewer connections than `own`.
    pub(crate) fn less_loaded(&self, worker: usize, random: u64, own: usize) -> Option<usize> {
        let workers = self.workers();
        let at = random as usize % workers.len().max(1);
        let other = [workers.get(at), workers.get((at + 1) % workers.len().max(1))];
        let other = *other.into_iter().flatten().find(|id| **id != worker)?;
        let theirs = self.loads[other].0.load(Relaxed);
        (own > theirs + 1 + theirs / 16).then_some(other)
    }

    pub(crate) fn enlist(&self, worker: usize, mail: UnboundedSender<Message>) {
        self.mail.write().unwrap_or_else(PoisonError::into_inner)[worker] = Some(mail);
    }
    pub(crate) fn dismiss(&self, worker: usize) {
        self.mail.write().unwrap_or_else(PoisonError::into_inner)[worker] = None;
    }
    /// Gives the message back when the worker is gone.
    pub(crate) fn send(&self, worker: usize, message: Message) -> Result<(), Message> {
        let mail = self.mail.read().unwrap_or_else(PoisonError::into_inner);
        match &mail[worker] {
            Some(worker) => worker.send(message).map_err(|refused| refused.0),
            None => Err(message),
        }
    }

    /// The state of a target that [`Self::follow_targets`] has made.
    pub(crate) fn target(&self, upstream: &str, url: &str) -> Arc<TargetState> {
        let key = (upstream.into(), url.into());
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let nowhere = TargetAddress::Unix(std::path::PathBuf::new());
        let unknown = || Arc::new(TargetState::new(&nowhere, crate::clock::exact_ms()));
        Arc::clone(targets.entry(key).or_insert_with(unknown))
    }

    /// Who chooses among the targets of an upstream: the one that does, as long as it is told to choose so.
    pub(crate) fn balancer(&self, upstream: &Upstream, zone: Option<&str>) -> Arc<Balancer> {
        let mut balancers = self.balancers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = balancers.get(&upstream.name);
        if let Some(known) = known.filter(|known| known.is_of(upstream, zone)) {
            return Arc::clone(known);
        }
        let state = |url: &str| self.target(&upstream.name, url);
        let balancer = Arc::new(Balancer::new(upstream, zone, state, known.map(|known| &**known)));
        balancers.insert(upstream.name.clone(), Arc::clone(&balancer));
        balancer
    }

    /// Forgets those whose upstreams there are not any more.
    pub(crate) fn retain_balancers(&self, named: impl Fn(&str) -> bool) {
        self.balancers.lock().unwrap_or_else(PoisonError::into_inner).retain(|upstream, _| named(upstream));
    }

    /// Makes a state for each new target; gives those.
    pub(crate) fn add_targets(&self, table: &Table) -> Vec<(TargetAddress, Arc<TargetState>)> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inherited =
            std::mem::take(&mut *self.inherited.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut new, now_ms) = (Vec::new(), crate::clock::exact_ms());
        for upstream in &table.upstreams {
            for target in &upstream.targets {
                let key = (upstream.name.clone(), target.url.clone());
                let health = inherited.remove(&key);
                targets.entry(key).or_insert_with(|| {
                    let state = Arc::new(TargetState::new(&target.address, now_ms));
                    if let Some(health) = health {
                        state.adopt(health, upstream.health.is_some(), now_ms);
                    }
                    new.push((target.address.clone(), Arc::clone(&state)));
                    state
                });
            }
        }
        new
    }

    /// Forgets the targets, by upstream and URL, that the table does not name.
    pub(crate) fn retain_targets(&self, named: impl Fn(&str, &str) -> bool) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|(upstream, url), _| named(upstream, url));
    }

    /// The memory of a policy: an empty one where its code or its settings have changed.
    pub(crate) fn memory(&self, policy: &str, version: u64) -> Arc<lane::Memory> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memories.entry(policy.into()).or_insert_with(|| Arc::new(lane::Memory::new(version)));
        if !memory.is_of(version) {
            *memory = Arc::new(lane::Memory::new(version));
        }
        Arc::clone(memory)
    }

    /// What holds for a request of a policy's decisions, and for how many ms more.
    pub(crate) fn recall(&self, policy: &str, version: u64, about: About<'_>) -> Option<(Verdict, u64)> {
        let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memories.get(policy).filter(|memory| memory.is_of(version))?;
        memory.recall(about, crate::clock::exact_ms())
    }

    /// Forgets what is remembered of a policy, or of all.
    pub(crate) fn forget(&self, policy: Option<&str>) {
        let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = memories.iter().filter(|(name, _)| policy.is_none_or(|policy| policy == &***name));
        meant.for_each(|(_, memory)| memory.forget());
    }

    /// Lets go of the memories of policies that there are not any more.
    pub(crate) fn retain_memories(&self, named: impl Fn(&str) -> bool) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).retain(|policy, _| named(policy));
    }

    /// The buckets of a limit: those that there are, as far as they fit what it says now.
    pub(crate) fn limit(&self, policy: &str, limit: &RateLimit) -> Arc<Limit> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let known = limits.entry(policy.into()).or_insert_with(|| Arc::new(Limit::new(limit)));
        if !known.is_of(limit) {
            let next = known.followed_by(limit, crate::clock::exact_us());
            *known = Arc::new(next.unwrap_or_else(|| Limit::new(limit)));
        }
        Arc::clone(known)
    }

    /// All limits, by their policies.
    pub(crate) fn limits(&self) -> BTreeMap<Box<str>, Arc<Limit>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn known_limit(&self, policy: &str) -> Option<Arc<Limit>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).get(policy).map(Arc::clone)
    }

    /// Has a limit that another process has counted for.
    pub(crate) fn adopt_limit(&self, policy: &str, limit: Limit) {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).insert(policy.into(), Arc::new(limit));
    }

    /// Keeps what another process knew of a target, until there is a configuration that names it.
    pub(crate) fn inherit(&self, upstream: &str, target: &str, health: Health) {
        let key = (upstream.into(), target.into());
        self.inherited.lock().unwrap_or_else(PoisonError::into_inner).insert(key, health);
    }

    /// Limits are counted elsewhere from now on, or here again.
    pub(crate) fn set_asker(&self, asker: Option<Arc<Asker>>) {
        self.asks.store(asker.is_some(), Relaxed);
        *self.asker.write().unwrap_or_else(PoisonError::into_inner) = asker;
    }

    /// Who is asked about limits in place of this process. Nobody, mostly: then this costs no more than a look.
    pub(crate) fn asker(&self) -> Option<Arc<Asker>> {
        if !self.asks.load(Relaxed) {
            return None;
        }
        self.asker.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of the buckets of limits that there are not any more.
    pub(crate) fn retain_limits(&self, named: impl Fn(&str) -> bool) {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).retain(|policy, _| named(policy));
    }

    pub(crate) fn set_admin_line(&self, line: Option<OwnedFd>) {
        *self.admin_line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
    pub(crate) fn take_admin_line(&self) -> Option<OwnedFd> {
        self.admin_line.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How many keys each limit has.
    pub(crate) fn limited_keys(&self) -> Vec<(Box<str>, usize)> {
        self.limits().into_iter().map(|(policy, limit)| (policy, limit.keys())).collect()
    }

    pub(crate) fn states(&self) -> Vec<((Box<str>, Box<str>), Arc<TargetState>)> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.iter().map(|(k, s)| (k.clone(), Arc::clone(s))).collect()
    }
}
