//! A configuration as one worker uses it: the compiled table, shared and immutable, and beside it the worker's
//! own state. What did not change by name and content is carried over from one to the next.

use crate::lane::{Lanes, Line};
use crate::policy::rate_limit::{self, Seat};
use crate::shared::Shared;
use crate::telemetry::cells::{Count, ListenerCells, RouteCells};
use crate::telemetry::registry::NO_ROUTE;
use crate::tls::{Configs, Secure};
use crate::upstream::balancer::Way;
use crate::upstream::pool::Pool;
use pylos_core::table::{ListenerId, RouteId, Serve, Table};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) struct Snapshot {
    pub(crate) table: Arc<Table>,
    pub(crate) upstreams: Vec<UpstreamState>,
    /// By listener, then by route; the last one counts what no route took.
    cells: Vec<Vec<Arc<RouteCells>>>,
    pub(crate) listeners: Vec<Arc<ListenerCells>>,
    /// By policy: how often it would have acted, had it been enforced.
    pub(crate) would: Vec<Arc<Count>>,
    pub(crate) lanes: Lanes,
    pub(crate) tls: Arc<Configs>,
    /// By policy.
    pub(crate) limits: Vec<Option<Seat>>,
    shared: Arc<Shared>,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.shared.snapshots.fetch_sub(1, Relaxed);
    }
}

pub(crate) struct UpstreamState {
    pub(crate) targets: Vec<Target>,
    pub(crate) way: Way,
}

pub(crate) struct Target {
    pub(crate) pool: Rc<Pool>,
    pub(crate) authority: Box<str>,
}

impl Snapshot {
    pub(crate) fn new(
        table: Arc<Table>, worker: &crate::worker::Worker, lanes: &[Arc<Line>], tls: Arc<Configs>,
        pool: impl Fn(&str, &str, Option<&Secure>) -> Rc<Pool>,
    ) -> Self {
        let registry = &worker.shared.registry;
        let cells = table.listeners.iter().map(|listener| {
            // No route ever serves an admin listener.
            let routes = if listener.serve == Serve::Proxy { &table.routes[..] } else { &[] };
            let names = routes.iter().map(|r| &*r.name).chain([NO_ROUTE]);
            names.map(|route| registry.route(worker.id, &listener.name, route)).collect()
        });
        let cells = cells.collect();
        let listeners = table.listeners.iter().map(|l| registry.listener(worker.id, &l.name)).collect();
        let would = table.policies.iter().map(|policy| match policy.enforce {
            // It is always enforced, and has no series.
            100 => Arc::default(),
            _ => registry.policy(worker.id, &policy.name),
        });
        let would = would.collect();
        let upstreams = table.upstreams.iter().enumerate().map(|(index, upstream)| {
            let target = |(place, t): (usize, &pylos_core::table::Target)| Target {
                pool: pool(&upstream.name, &t.url, tls.to(index, place)),
                authority: t.authority.clone(),
            };
            UpstreamState {
                targets: upstream.targets.iter().enumerate().map(target).collect(),
                way: Way::new(worker.shared.balancer(upstream, table.settings.zone.as_deref())),
            }
        });
        let upstreams = upstreams.collect();
        let memory = |policy: &str, version| worker.shared.memory(policy, version);
        let lanes = Lanes::new(&table, lanes, |policy| registry.asked(worker.id, policy), memory);
        let limits = rate_limit::seats(
            &table,
            |policy, limit| worker.shared.limit(policy, limit),
            |policy| registry.limited(worker.id, policy),
        );
        let shared = Arc::clone(&worker.shared);
        shared.snapshots.fetch_add(1, Relaxed);
        Snapshot { table, upstreams, cells, listeners, would, lanes, tls, limits, shared }
    }

    /// Whether the table has this target of this upstream.
    pub(crate) fn names(&self, upstream: &str, target: &str) -> bool {
        let found = self.table.upstreams.iter().find(|u| &*u.name == upstream);
        found.is_some_and(|u| u.targets.iter().any(|t| &*t.url == target))
    }

    pub(crate) fn route_cells(&self, listener: ListenerId, route: Option<RouteId>) -> &RouteCells {
        let of_listener = &self.cells[listener.index()];
        &of_listener[route.map_or(of_listener.len() - 1, RouteId::index)]
    }
}

impl UpstreamState {
    pub(crate) fn authority(&self, target: usize) -> &str {
        &self.targets[target].authority
    }
}
