//! What the deciding stages know: a request whose head is there, who sent it, and the table. Nothing of a
//! connection, so that the same stages answer `explain` without one.

use super::incoming::Request;
use super::record::Record;
use crate::policy::rate_limit::Metered;
use crate::tls::Agreed;
use pylos_core::table::{Effective, Listener, ListenerId, RouteId, Table};
use std::net::IpAddr;

pub(crate) struct Inquiry<'r> {
    pub(crate) table: &'r Table,
    pub(crate) listener: ListenerId,
    /// The address at the other end of the connection; `None` on a Unix socket.
    pub(crate) peer: Option<IpAddr>,
    /// It came by TLS.
    pub(crate) secure: bool,
    /// What was agreed on with the client, where there is a connection by TLS.
    pub(crate) agreed: Option<Agreed<'r>>,
    pub(crate) request: &'r mut Request,
    /// The request as sent to the upstream.
    pub(crate) out: &'r mut Vec<u8>,
    pub(crate) record: &'r mut Record,
    /// `enforce` is decided by the request's id; else a policy that may act does.
    pub(crate) drawn: bool,
    pub(crate) fresh_id: &'r dyn FreshId,
    /// Where limits count; `None`: nowhere, and they let pass.
    pub(crate) metered: Option<Metered<'r>>,
}

/// Gives requests their ids.
pub(crate) trait FreshId {
    /// Writes one, in place of what is there.
    fn write_id(&self, out: &mut Vec<u8>);
}

impl<'r> Inquiry<'r> {
    pub(crate) fn listener(&self) -> &'r Listener {
        &self.table.listeners[self.listener.index()]
    }

    /// The policies that hold for a route on this listener, or for what no route takes.
    pub(crate) fn effective(&self, route: Option<RouteId>) -> &'r Effective {
        self.table.effective(self.listener, route)
    }

    /// Whether targets are told the client's certificate.
    pub(crate) fn forwards_certificates(&self) -> bool {
        let (Some(agreed), Some(tls)) = (self.agreed, &self.listener().tls) else { return false };
        tls.by_host && agreed.forwards(tls.of_host(self.request.host()))
    }

    /// Decides which of these policies act on the request as it is now, from a place of the list on: what was decided
    /// of those before it stays. Costs nothing where all always do.
    pub(crate) fn decide_acting(&mut self, route: Option<RouteId>, from: usize) {
        let effective = self.effective(route);
        if effective.conditional {
            let draw = self.drawn.then_some(self.request.id.as_slice());
            let mut acting = std::mem::take(&mut self.request.acting);
            acting.decide(self.table, &effective.ids, from, draw, self.request);
            self.request.acting = acting;
        }
    }
}
