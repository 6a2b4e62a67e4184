//! Which route is it for?

use super::inquiry::Inquiry;
use super::{Refused, Stage};
use crate::error::Refusal;
use pylos_core::message::path::with_bare_separators;
use pylos_core::route::{Captures, Found};
use pylos_core::table::RouteId;

pub(crate) fn route(q: &mut Inquiry<'_>) -> Result<RouteId, Refused> {
    match find(q) {
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

/// Applications that decode `%2F` before they split the path take it for a separator. Where that would make another
/// route of it, whose policies this one does not have, nobody can tell which of them the request must pass.
fn not_a_way_around(q: &Inquiry<'_>, found: RouteId) -> Result<RouteId, Refusal> {
    let (request, routes) = (&*q.request, &q.table.routes);
    let Some(bare) = with_bare_separators(request.path()) else { return Ok(found) };
    let other = q.table.router.find(request.host(), request.method(), &bare, request, &mut Captures::new());
    match other {
        Found::Route(other) if routes[found.index()].is_way_around(&routes[other.index()], q.listener) => {
            Err(Refusal::malformed("ambiguous_path", "An escaped slash would lead to another route."))
        }
        _ => Ok(found),
    }
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
