//! All routes in the order of precedence, as `pylos routes` shows them.

use super::pattern::{HostPattern, Pattern};
use super::tree::rank;
use crate::table::{Action, ListenerId, PolicyId, Route, RouteId, Serve, Table};
use serde::Serialize;
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

/// One match string of one route, for the listeners that treat it alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub route: String,
    /// `None`: every method.
    pub methods: Option<Vec<String>>,
    /// `""`: any host.
    pub host: String,
    pub path: String,
    /// What a request must have besides, in words.
    pub when: Vec<String>,
    pub priority: i64,
    /// `forward`, `redirect` or `respond`.
    pub action: &'static str,
    /// The upstream's name, where the redirect leads, or the answer's status.
    pub to: String,
    /// The effective list, in the order of execution.
    pub policies: Vec<String>,
    pub listeners: Vec<String>,
    /// The route that takes all of its requests before it; then it never decides.
    pub shadowed_by: Option<String>,
}

/// The rows of a table, the most specific match first. Listeners that serve no routes are left out.
pub fn rows(table: &Table) -> Vec<Row> {
    let shadowed = table.router.shadowed().into_iter().map(|one| ((one.route, one.index), one.by));
    let shadowed: HashMap<(RouteId, usize), RouteId> = shadowed.collect();
    let mut patterns: Vec<(RouteId, usize)> = Vec::new();
    for (index, route) in table.routes.iter().enumerate() {
        patterns.extend((0..route.patterns.len()).map(|place| (RouteId::at(index), place)));
    }
    let pattern = |(id, place): (RouteId, usize)| {
        let route = &table.routes[id.index()];
        (route, &route.patterns[place])
    };
    patterns.sort_by(|a, b| precedence(pattern(*a), pattern(*b)));
    let rows = patterns.into_iter().flat_map(|at| {
        let (route, pattern) = pattern(at);
        let by = shadowed.get(&at).map(|by| table.routes[by.index()].name.to_string());
        rows_of(table, route, pattern).into_iter().map(move |row| Row { shadowed_by: by.clone(), ..row })
    });
    rows.collect()
}

/// The order in which the router would try them for a request that fits both.
fn precedence((route_a, a): (&Route, &Pattern), (route_b, b): (&Route, &Pattern)) -> Ordering {
    let rank = |route: &Route, pattern: &Pattern| {
        rank(route.when.as_deref(), pattern.methods.is_some(), route.priority)
    };
    host_key(&a.host)
        .cmp(&host_key(&b.host))
        .then_with(|| a.path.cmp_precedence(&b.path))
        .then_with(|| rank(route_a, a).cmp(&rank(route_b, b)))
        .then_with(|| a.methods.is_none().cmp(&b.methods.is_none()))
        .then_with(|| a.methods.cmp(&b.methods))
}

/// Kind, then the longer wildcard, then the name, then one label before any depth.
fn host_key(host: &HostPattern) -> (u8, Reverse<usize>, &str, u8) {
    match host {
        HostPattern::Exact(name) => (0, Reverse(0), name, 0),
        HostPattern::OneLabel(suffix) => (1, Reverse(suffix.len()), suffix, 0),
        HostPattern::AnyDepth(suffix) => (1, Reverse(suffix.len()), suffix, 1),
        HostPattern::Any => (2, Reverse(0), "", 0),
    }
}

fn rows_of(table: &Table, route: &Route, pattern: &Pattern) -> Vec<Row> {
    let mut groups: Vec<(&[PolicyId], Vec<String>)> = Vec::new();
    for (index, listener) in table.listeners.iter().enumerate() {
        if listener.serve != Serve::Proxy {
            continue;
        }
        let policies = route.policies(ListenerId::at(index));
        match groups.iter_mut().find(|(known, _)| *known == policies) {
            Some((_, listeners)) => listeners.push(listener.name.to_string()),
            None => groups.push((policies, vec![listener.name.to_string()])),
        }
    }
    if groups.is_empty() {
        groups.push((&[], Vec::new()));
    }
    groups.into_iter().map(|(policies, listeners)| row(table, route, pattern, policies, listeners)).collect()
}

fn row(
    table: &Table, route: &Route, pattern: &Pattern, policies: &[PolicyId], listeners: Vec<String>,
) -> Row {
    let (action, to) = match &route.action {
        Action::Forward { upstream, .. } => ("forward", table.upstreams[upstream.index()].name.to_string()),
        Action::Redirect(redirect) => ("redirect", redirect.spelled.to_string()),
        Action::Respond(response) => ("respond", response.status.to_string()),
    };
    Row {
        route: route.name.to_string(),
        methods: pattern.methods.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        host: pattern.host.to_string(),
        path: pattern.path.to_string(),
        when: route.when.iter().flat_map(|when| when.tests()).map(ToString::to_string).collect(),
        priority: route.priority,
        action,
        to,
        policies: policies.iter().map(|policy| table.policies[policy.index()].name.to_string()).collect(),
        listeners,
        shadowed_by: None,
    }
}
