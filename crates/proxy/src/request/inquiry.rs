//! What the deciding stages know: a request whose head is there, who sent it, and the table. Nothing of a
//! connection, so that the same stages answer `explain` without one.

use super::incoming::Request;
use super::record::Record;
use pylos_core::table::{Acting, Listener, ListenerId, PolicyId, RouteId, Table};
use std::net::IpAddr;

pub(crate) struct Inquiry<'r> {
    pub(crate) table: &'r Table,
    /// Index of the listener in the table.
    pub(crate) listener: usize,
    /// The address at the other end of the connection; `None` on a Unix socket.
    pub(crate) peer: Option<IpAddr>,
    /// It came by TLS.
    pub(crate) secure: bool,
    pub(crate) request: &'r mut Request,
    /// The request as sent to the upstream.
    pub(crate) out: &'r mut Vec<u8>,
    pub(crate) record: &'r mut Record,
    /// `enforce` is decided by the request's id; else a policy that may act does.
    pub(crate) drawn: bool,
    /// Writes a fresh request id.
    pub(crate) fresh_id: &'r dyn Fn(&mut Vec<u8>),
}

impl<'r> Inquiry<'r> {
    pub(crate) fn listener(&self) -> &'r Listener {
        &self.table.listeners[self.listener]
    }

    /// The policies that hold for a route on this listener, or for what no route takes.
    pub(crate) fn policies(&self, route: Option<RouteId>) -> &'r [PolicyId] {
        match route {
            Some(route) => self.table.routes[route.index()].policies(ListenerId(self.listener as u32)),
            None => &self.listener().unrouted,
        }
    }

    /// Decides which of these policies act on this request. Costs nothing where all always do.
    pub(crate) fn decide_acting(&mut self, route: Option<RouteId>) {
        let conditional = match route {
            Some(route) => self.table.routes[route.index()].is_conditional(ListenerId(self.listener as u32)),
            None => self.listener().conditional,
        };
        self.request.acting = if conditional {
            let draw = self.drawn.then_some(self.request.id.as_slice());
            Acting::decide(self.table, self.policies(route), draw, self.request)
        } else {
            Acting::default()
        };
    }
}
