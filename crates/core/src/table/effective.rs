//! The policies that a request meets, by its listener and its route.

use super::{ListenerId, PolicyId, RouteId, Table};

/// Phases in order, then the order of `use` in `[pylos]`, listener, route; each policy once, without what `without`
/// names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    pub ids: Vec<PolicyId>,
    /// Any of them does not act on every request.
    pub conditional: bool,
    /// Any of them edits fields: mostly none does, and then nothing is gone through.
    pub edits_fields: bool,
    /// Any of them is asked about answers: likewise.
    pub reviews: bool,
}

impl Table {
    /// Of a route on a listener; without a route, of what no route takes.
    pub fn effective(&self, listener: ListenerId, route: Option<RouteId>) -> &Effective {
        match route {
            Some(route) => self.routes[route.index()].effective(listener),
            None => &self.listeners[listener.index()].unrouted,
        }
    }
}
