//! Which route is it for?

use super::Exchange;
use crate::error::Refusal;
use pylos_core::route::Found;
use pylos_core::table::RouteId;

pub(crate) fn route(x: &mut Exchange<'_>) -> Result<RouteId, Refusal> {
    let table = &x.snapshot.table;
    let request = &mut x.scratch.request;
    let mut captures = std::mem::take(&mut request.captures);
    let found = table.router.find(request.host(), request.method(), request.path(), &mut captures);
    request.captures = captures;
    let refusal = match found {
        Found::Route(id) => {
            x.record.route = Some(id);
            return Ok(id);
        }
        Found::MethodNotAllowed(allow) => Refusal {
            allow: Some(String::from_utf8_lossy(&allow).into()),
            ..Refusal::client(405, "method_not_allowed", "This resource does not take that method.")
        },
        Found::None => Refusal::client(404, "no_route", "No route matches this request."),
    };
    // Filters of the listener see what no route takes, too.
    super::admit::unrouted(x)?;
    Err(refusal)
}
