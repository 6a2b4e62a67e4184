//! How the gateway process is doing.

use super::Server;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// The answer to a status order.
#[derive(Serialize)]
pub(crate) struct Status {
    generation: u64,
    connections: u32,
    requests: u64,
    workers: usize,
    upstreams: BTreeMap<Box<str>, Vec<TargetStatus>>,
}

#[derive(Serialize)]
struct TargetStatus {
    target: Box<str>,
    state: &'static str,
    active: u64,
}

impl Server {
    pub(super) fn status(&self) -> Status {
        let known = self.shared.registry.lock();
        let now = crate::clock::exact_ms();
        let requests = known.routes.values().flatten().map(|c| c.requests.read().iter().sum::<u64>()).sum();
        let mut upstreams = BTreeMap::new();
        for upstream in self.table.iter().flat_map(|t| &t.upstreams) {
            let targets = upstream.targets.iter().map(|target| {
                let cells = known.targets.get(&(upstream.name.clone(), target.url.clone()));
                let active =
                    cells.map_or(0, |c| c.iter().map(|c| c.active.read()).fold(0, u64::wrapping_add));
                let state = self.shared.target(&upstream.name, &target.url).state_name(now);
                TargetStatus { target: target.url.clone(), state, active }
            });
            upstreams.insert(upstream.name.clone(), targets.collect());
        }
        Status {
            generation: self.shared.generation.load(Relaxed),
            connections: self.shared.bounds.open(),
            requests,
            workers: self.shared.workers().len(),
            upstreams,
        }
    }
}
