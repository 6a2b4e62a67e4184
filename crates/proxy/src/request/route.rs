//! Which route is it for?

use super::inquiry::Inquiry;
use crate::error::Refusal;
use pylos_core::route::Found;
use pylos_core::table::RouteId;

pub(crate) fn route(q: &mut Inquiry<'_>) -> Result<RouteId, Refusal> {
    match find(q) {
        Ok(id) => {
            q.record.route = Some(id);
            Ok(id)
        }
        Err(refusal) => {
            // Filters of the listener see what no route takes, too.
            super::admit::unrouted(q)?;
            Err(refusal)
        }
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
        Found::Route(id) => Ok(id),
        Found::MethodNotAllowed(allow) => Err(Refusal {
            allow: Some(String::from_utf8_lossy(&allow).into()),
            ..Refusal::client(405, "method_not_allowed", "This resource does not take that method.")
        }),
        Found::None => Err(Refusal::client(404, "no_route", "No route matches this request.")),
    }
}
