//! Asks targets after their health, from the side worker alone: one prober a machine, whatever the number of
//! workers. And asks the resolver after their names.

use super::asking::ask;
use super::resolve::{self, Named};
use super::target::TargetState;
use crate::clock;
use crate::telemetry::events;
use crate::tls::{Configs, Secure};
use crate::worker::Worker;
use pylos_core::health::{Change, FallRise};
use pylos_core::table::{Ask, HealthCheck, HostMode, Table, TargetAddress};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// All that makes a probe what it is: while this stays the same over a reload, the probe goes on.
#[derive(Clone, PartialEq)]
pub(super) struct Plan {
    upstream: Box<str>,
    url: Box<str>,
    pub(super) address: TargetAddress,
    /// What is asked with.
    pub(super) host: Box<str>,
    check: Option<HealthCheck>,
    pub(super) secure: Option<Secure>,
}

#[derive(Default)]
pub(crate) struct Probes {
    running: HashMap<(Box<str>, Box<str>), (Plan, JoinHandle<()>)>,
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

impl Probes {
    /// Starts, keeps and ends probes as the table says.
    pub(crate) fn follow(&mut self, table: &Table, tls: &Configs, worker: &Rc<Worker>) {
        let mut wanted = HashMap::new();
        for (index, upstream) in table.upstreams.iter().enumerate() {
            for (place, target) in upstream.targets.iter().enumerate() {
                let asked = match upstream.health.as_ref().map(|check| &check.ask) {
                    Some(Ask::Http { host, .. }) => host.as_ref(),
                    _ => None,
                };
                let host = match (asked, &upstream.host) {
                    (Some(host), _) | (None, HostMode::Literal(host)) => host.clone(),
                    // The client's name is not known here; the target's own serves.
                    (None, HostMode::Preserve | HostMode::Target) => target.authority.clone(),
                };
                let plan = Plan {
                    upstream: upstream.name.clone(),
                    url: target.url.clone(),
                    address: target.address.clone(),
                    host,
                    check: upstream.health.clone(),
                    secure: tls.to(index, place).cloned(),
                };
                wanted.insert((upstream.name.clone(), target.url.clone()), plan);
            }
        }
        self.running.retain(|key, (plan, task)| {
            // One that has something to do again and again ends by a defect alone.
            let lasts = plan.check.is_some() || matches!(plan.address, TargetAddress::Name { .. });
            let has_failed = lasts && task.is_finished();
            let kept = wanted.get(key) == Some(plan) && !has_failed;
            if kept {
                wanted.remove(key);
            } else {
                task.abort();
            }
            kept
        });
        for (key, plan) in wanted {
            let state = worker.shared.target(&key.0, &key.1);
            // A check that is gone says nothing any more.
            if plan.check.is_none() && !state.is_up() {
                state.set_up(true, clock::exact_ms());
            }
            let task =
                tokio::task::spawn_local(run(plan.clone(), state, Rc::clone(worker), clock::exact_us()));
            self.running.insert(key, (plan, task));
        }
    }
}

/// `began`: since when it is to be looked at, us.
async fn run(plan: Plan, state: Arc<TargetState>, worker: Rc<Worker>, began: u64) {
    let names = keep_resolved(&plan, &state, began);
    match &plan.check {
        Some(check) => drop(tokio::join!(names, keep_checked(&plan, check, &state, &worker, began))),
        None => names.await,
    }
}

async fn keep_resolved(plan: &Plan, state: &Arc<TargetState>, began: u64) {
    let TargetAddress::Name { host, port } = &plan.address else { return };
    let named = Named { host: host.clone(), port: *port, state: Arc::clone(state) };
    let mut began = began;
    loop {
        clock::sleep_until(began + us(resolve::EVERY)).await;
        began = clock::exact_us();
        let named = named.clone();
        let _ = tokio::task::spawn_blocking(move || resolve::resolve(&named)).await;
    }
}

async fn keep_checked(
    plan: &Plan, check: &HealthCheck, state: &TargetState, worker: &Rc<Worker>, began: u64,
) {
    let mut verdicts = FallRise::new(check.fall, check.rise);
    if !state.is_up() {
        for _ in 0..check.fall {
            verdicts.observe(false);
        }
    }
    // Not all at once: the first one somewhere within an interval, the others up to a tenth before their time.
    clock::sleep_until(began + us(share(check.every_ms, 0.0, 0.2))).await;
    loop {
        let began = clock::exact_us();
        let result = ask(plan, check, state, worker).await;
        if result.is_ok() && state.is_up() {
            // An answer is better evidence than connections that failed a while ago.
            if state.forgive(clock::exact_ms()) {
                events::info("target_returned", &[("upstream", &*plan.upstream), ("target", &*plan.url)]);
            }
        }
        if let Some(change) = verdicts.observe(result.is_ok()) {
            let up = change == Change::Up;
            state.set_up(up, clock::exact_ms());
            let why = result.err().unwrap_or_else(|| "healthy".into());
            let facts = [("upstream", &*plan.upstream), ("target", &*plan.url), ("why", &*why)];
            events::warn(if up { "target_up" } else { "target_down" }, &facts);
        }
        let every_ms = if verdicts.is_changing() { check.fast_ms } else { check.every_ms };
        clock::sleep_until(began + us(share(every_ms, 0.9, 1.0))).await;
    }
}

fn us(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// A random part of an interval.
fn share(ms: u64, from: f64, to: f64) -> Duration {
    let random = RandomState::new().hash_one(clock::exact_us()) as f64 / u64::MAX as f64;
    Duration::from_secs_f64(ms as f64 / 1000.0 * (from + (to - from) * random))
}
