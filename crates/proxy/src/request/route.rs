//! Which route is it for?

use super::inquiry::Inquiry;
use super::{Refused, Stage};
use crate::error::Refusal;
use pylos_core::message::path::other_readings;
use pylos_core::route::{Captures, Found};
use pylos_core::table::RouteId;

pub(crate) fn route(q: &mut Inquiry<'_>) -> Result<RouteId, Refused> {
    let found = match q.listener().redirect_port {
        Some(_) if q.request.host().is_empty() => {
            Err(Refusal::malformed("bad_host", "There is no Host field."))
        }
        Some(port) => Err(by_https(q, port)),
        None => find(q).and_then(|id| directed(q).map(|()| id)),
    };
    match found {
        Ok(id) => {
            q.record.route = Some(id);
            Ok(id)
        }
        Err(refusal) => {
            // Filters of the listener see what no route takes, too.
            super::admit::unrouted(q).map_err(|refusal| (Stage::Admit, refusal))?;
            Err((Stage::Route, refusal))
        }
    }
}

/// A connection by which other things were asked of the client than the host of the request asks for is the wrong one:
/// the client can make another (RFC 9110, 15.5.20).
fn directed(q: &Inquiry<'_>) -> Result<(), Refusal> {
    let (Some(agreed), Some(tls)) = (q.agreed, &q.listener().tls) else { return Ok(()) };
    if tls.by_host && tls.of_host(q.request.host()).is_some_and(|host| !agreed.fits(host)) {
        let detail =
            "This host asks clients for other certificates than this connection has: make a new one for it.";
        return Err(Refusal::client(421, "misdirected", detail).closing());
    }
    Ok(())
}

/// A connection stays open when the configuration changes, and the client may be believed no longer: whatever it asks
/// for, and whichever host.
pub(crate) fn believed(q: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(agreed) = q.agreed else { return Ok(()) };
    if q.listener().tls.as_ref().is_some_and(|tls| agreed.holds(tls)) {
        return Ok(());
    }
    let detail = "What clients have to show has changed since this connection was made: make a new one.";
    Err(Refusal::client(421, "misdirected", detail).closing())
}

/// Applications read some paths in another way: with `%2F` as a slash, or without `;a=b`. Where that would lead to
/// another route, to a policy that this one lacks or to a refusal, nobody can tell what the request must pass.
fn not_a_way_around(q: &Inquiry<'_>, found: RouteId) -> Result<RouteId, Refusal> {
    let (table, request) = (q.table, &*q.request);
    let around = |path: Vec<u8>| {
        let captures = &mut Captures::new();
        match table.router.find(request.host(), request.method(), &path, request, captures) {
            Found::Route(other) => other != found && table.is_way_around(found, other, q.listener),
            Found::MethodNotAllowed(_) => true,
            Found::None => false,
        }
    };
    if other_readings(request.path()).into_iter().any(around) {
        let detail = "Another reading of the path (an escaped slash, a parameter) leads to another route.";
        return Err(Refusal::malformed("ambiguous_path", detail));
    }
    Ok(found)
}

/// What is asked for is there, but by https. 308: the method stays.
fn by_https(q: &Inquiry<'_>, port: u16) -> Refusal {
    let request = &*q.request;
    let mut location = [b"https://", request.host()].concat();
    if port != 443 {
        location.extend_from_slice(format!(":{port}").as_bytes());
    }
    location.extend_from_slice(request.path());
    if let Some(query) = request.query() {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    let location = String::from_utf8_lossy(&location).into_owned();
    let refusal = Refusal::client(308, "https_only", "This is served by https only.");
    Refusal { fields: vec![("location".to_owned(), location)], ..refusal }
}

/// The look-up alone.
pub(crate) fn find(q: &mut Inquiry<'_>) -> Result<RouteId, Refusal> {
    let request = &mut *q.request;
    let mut captures = std::mem::take(&mut request.captures);
    let found =
        q.table.router.find(request.host(), request.method(), request.path(), &*request, &mut captures);
    request.captures = captures;
    match found {
        Found::Route(id) => not_a_way_around(q, id),
        Found::MethodNotAllowed(allow) => Err(Refusal {
            allow: Some(String::from_utf8_lossy(&allow).into()),
            ..Refusal::client(405, "method_not_allowed", "This resource does not take that method.")
        }),
        Found::None => Err(Refusal::client(404, "no_route", "No route matches this request.")),
    }
}
