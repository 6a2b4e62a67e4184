//! May this caller take it now? The policies of the route on this listener, in the order of their phases.

use super::incoming::Request;
use super::inquiry::Inquiry;
use super::limit::limit;
use crate::error::Refusal;
use pylos_core::http1::Length;
use pylos_core::table::{Denied, FilterPolicy, Part, Policy, PolicyKind, RouteId};

/// Before the first policy is asked.
pub(crate) fn begin(q: &mut Inquiry<'_>, route: RouteId) {
    q.request.body_bound = q.listener().limits.body_bytes;
    q.decide_acting(Some(route), 0);
}

/// Asks the policies from a place of the list on; gives the place of one that is to be waited for.
pub(crate) fn admit(q: &mut Inquiry<'_>, route: RouteId, from: usize) -> Result<Option<usize>, Refusal> {
    let waits = ask(q, Some(route), from)?;
    if waits.is_none() {
        within_bound(q.request)?;
    }
    Ok(waits)
}

/// One policy's word.
pub(crate) fn apply(policy: &Policy, request: &mut Request) -> Result<(), Refusal> {
    match &policy.kind {
        PolicyKind::Filter(policy) => filter(policy, request),
        // Applied when the head is written: `rewrite` and `respond`.
        PolicyKind::Headers(_) => Ok(()),
        // Asked by who can wait, who can count, or who knows the connection: `consult`, `limit`, `vouched`.
        PolicyKind::Python(_) | PolicyKind::RateLimit(_) | PolicyKind::Mtls => Ok(()),
    }
}

/// A body whose length is told is refused before anything is forwarded.
pub(crate) fn within_bound(request: &Request) -> Result<(), Refusal> {
    match request.length {
        Length::Known(n) if request.body_bound > 0 && n > request.body_bound => Err(too_large()),
        _ => Ok(()),
    }
}

/// For what has no route: the filters and limits of the listener.
pub(crate) fn unrouted(q: &mut Inquiry<'_>) -> Result<(), Refusal> {
    q.decide_acting(None, 0);
    ask(q, None, 0).map(drop)
}

/// All that act, in their order. Which ones do is decided before, and again when a policy in Python has changed the
/// request. What no route takes is nobody's to wait for.
fn ask(q: &mut Inquiry<'_>, route: Option<RouteId>, from: usize) -> Result<Option<usize>, Refusal> {
    for (place, id) in q.effective(route).ids.iter().enumerate().skip(from) {
        let policy = &q.table.policies[id.index()];
        let part = q.request.acting.part(place);
        if let PolicyKind::Python(python) = &policy.kind {
            if python.answers {
                continue;
            }
            if route.is_some() && part != Part::Rests {
                return Ok(Some(place));
            }
            continue;
        }
        match (&policy.kind, part) {
            (_, Part::Rests) => {}
            (PolicyKind::RateLimit(own), _) => limit(q, (*id, own), route, part == Part::Watches)?,
            (PolicyKind::Mtls, part) => {
                let vouched = vouched(q);
                if part == Part::Acts {
                    vouched?;
                } else if vouched.is_err() {
                    q.record.would.push((*id, "client_certificate_required"));
                }
                // Those behind it may ask who it is.
                q.decide_acting(route, place + 1);
            }
            (_, Part::Acts) => apply(policy, q.request)?,
            (_, Part::Watches) => q.record.would.extend(would(policy, q.request).map(|reason| (*id, reason))),
        }
    }
    Ok(None)
}

/// What a policy would have done that is not enforced for this request.
pub(crate) fn would(policy: &Policy, request: &Request) -> Option<&'static str> {
    match &policy.kind {
        PolicyKind::Filter(filter) => verdict(filter, request).map(|denied| denied.reason),
        PolicyKind::Headers(edits) => {
            let all = [&edits.request, &edits.response, &edits.response_https];
            all.iter().any(|edits| !edits.is_empty()).then_some("headers")
        }
        PolicyKind::Python(_) | PolicyKind::RateLimit(_) | PolicyKind::Mtls => None,
    }
}

/// The client has shown a certificate that is believed: it is who that says.
pub(crate) fn vouched(q: &mut Inquiry<'_>) -> Result<(), Refusal> {
    match q.agreed.and_then(|agreed| agreed.shown()) {
        Some(shown) => q.request.identity = Some(Box::new(shown.client().clone())),
        // Told to be such a one, where there is no connection.
        None if q.agreed.is_none()
            && q.request.identity.as_ref().is_some_and(|c| c.id.starts_with("mtls:")) => {}
        None => {
            let detail = "A client certificate is required here.";
            return Err(Refusal::client(403, "client_certificate_required", detail));
        }
    }
    Ok(())
}

pub(crate) fn too_large() -> Refusal {
    Refusal::client(413, "body_too_large", "The request body is larger than allowed.")
}

fn filter(policy: &FilterPolicy, request: &mut Request) -> Result<(), Refusal> {
    if let Some(denied) = verdict(policy, request) {
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

fn verdict(policy: &FilterPolicy, request: &Request) -> Option<Denied> {
    let length = if let Length::Known(n) = request.length { Some(n) } else { None };
    policy.verdict(request.client_ip(), request.method(), request.path(), length)
}
