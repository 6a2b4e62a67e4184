//! May this caller take it now? The policies of the route on this listener, in the order of their phases.

use super::Exchange;
use super::incoming::Request;
use crate::error::Refusal;
use pylos_core::http1::Length;
use pylos_core::table::{FilterPolicy, ListenerId, PolicyKind, RouteId};

pub(crate) fn admit(x: &mut Exchange<'_>, route: RouteId) -> Result<(), Refusal> {
    let table = &x.snapshot.table;
    let request = &mut x.scratch.request;
    let listener = &table.listeners[x.listener];
    request.body_bound = listener.limits.body_bytes;
    for id in table.routes[route.index()].policies(ListenerId(x.listener as u32)) {
        match &table.policies[id.index()].kind {
            PolicyKind::Filter(policy) => filter(policy, request)?,
            // Applied when the head is written: `rewrite` and `respond`.
            PolicyKind::Headers(_) => {}
        }
    }
    match request.length {
        Length::Known(n) if request.body_bound > 0 && n > request.body_bound => Err(too_large()),
        _ => Ok(()),
    }
}

/// For what has no route: the filters of the listener.
pub(crate) fn unrouted(x: &mut Exchange<'_>) -> Result<(), Refusal> {
    let table = &x.snapshot.table;
    for id in &table.listeners[x.listener].unrouted {
        if let PolicyKind::Filter(policy) = &table.policies[id.index()].kind {
            filter(policy, &mut x.scratch.request)?;
        }
    }
    Ok(())
}

pub(crate) fn too_large() -> Refusal {
    Refusal::client(413, "body_too_large", "The request body is larger than allowed.")
}

pub(crate) fn filter(policy: &FilterPolicy, request: &mut Request) -> Result<(), Refusal> {
    let length = if let Length::Known(n) = request.length { Some(n) } else { None };
    if let Some(denied) = policy.verdict(request.client_ip(), request.method(), request.path(), length) {
        let allow = (denied.status == 405).then(|| String::from_utf8_lossy(&policy.allow_value()).into());
        let refusal = Refusal::client(denied.status, denied.reason, "A filter refuses this request.");
        return Err(Refusal { allow, ..refusal });
    }
    if let Some(most) = policy.max_body
        && (request.body_bound == 0 || most < request.body_bound)
    {
        request.body_bound = most;
    }
    Ok(())
}
