//! `[pylos] require`: policies that every route must have, in full.

use super::effective::Names;
use crate::table::raw::RawTable;
use crate::table::{
    Code, Listener, ListenerId, OnError, Policy, PolicyId, PolicyKind, Problems, Route, Serve, place,
};

/// A required name, and what it stands for: itself, or all that is in the chain.
pub(super) type Required<'a> = (&'a str, Vec<PolicyId>);

pub(super) fn required<'a>(raw: &'a RawTable, names: &Names<'_>) -> Vec<Required<'a>> {
    raw.pylos.require.iter().map(|name| (name.as_str(), names.flattened(name))).collect()
}

/// Reports each route and required policy that do not go together.
pub(super) fn check(
    raw: &RawTable, names: &Names<'_>, required: &[Required<'_>],
    (listeners, routes): (&[Listener], &[Route]), problems: &mut Problems,
) {
    for (route, raw_route) in routes.iter().zip(raw.route.values()) {
        let exempt = |name: &str| raw_route.without.iter().any(|without| without == name);
        let mut seen: Vec<PolicyId> = Vec::new();
        for (name, ids) in required.iter().filter(|(name, _)| !exempt(name)) {
            for &id in ids {
                let policy = names.policy(id);
                if seen.contains(&id) || exempt(&policy.name) {
                    continue;
                }
                seen.push(id);
                if let Some((why, hint)) = gap(route, id, policy, listeners) {
                    let chain =
                        if **name == *policy.name { String::new() } else { format!(" (by `{name}`)") };
                    let message = format!("every route must have `{}`{chain}, and {why}", policy.name);
                    problems.report(Code::Unprotected, place!["route", &*route.name], message).hint(hint);
                }
            }
        }
    }
}

/// Why a policy does not protect all requests of a route, and what to do.
fn gap(route: &Route, id: PolicyId, policy: &Policy, listeners: &[Listener]) -> Option<(String, String)> {
    let proxies = || listeners.iter().enumerate().filter(|(_, listener)| listener.serve == Serve::Proxy);
    let lacking: Vec<&str> = proxies()
        .filter(|(index, _)| !route.policies(ListenerId::at(*index)).contains(&id))
        .map(|(_, listener)| &*listener.name)
        .collect();
    let name = &policy.name;
    if !lacking.is_empty() {
        let all = lacking.len() == proxies().count();
        let place = if all { String::new() } else { format!(" on `listen.{}`", lacking.join("`, `listen.")) };
        let hint = format!("`use = [\"{name}\"]`, or `without = [\"{name}\"]` to let this route be");
        return Some((format!("this one does not{place}"), hint));
    }
    // Where nothing serves routes, nothing is to be protected.
    proxies().next()?;
    if policy.enforce < 100 {
        let why = format!("it acts on {} % of the requests only", policy.enforce);
        return Some((why, format!("`enforce = 100` of `policy.{name}`")));
    }
    if let PolicyKind::Python(python) = &policy.kind
        && python.on_error == OnError::Allow
    {
        let why = "what it gives no verdict about passes".to_owned();
        return Some((why, format!("`on_error = \"deny\"` of `policy.{name}`")));
    }
    policy.condition.as_ref().map(|_| {
        let why = "it acts only where its `if` holds".to_owned();
        (why, format!("leave out the `if` of `policy.{name}`, or require another policy"))
    })
}
