//! Routes: what becomes of the requests that they match.

use super::{
    Effective, FieldLine, ListenerId, PolicyId, RouteId, RouteTimeouts, Table, Upstream, UpstreamId,
};
use crate::route::path_edit::collapse_leading_slashes;
use crate::route::router::Captures;
use crate::route::{PathEdit, Pattern, Template, When};
use std::sync::Arc;

#[derive(Debug)]
pub struct Route {
    pub name: Box<str>,
    pub patterns: Vec<Pattern>,
    /// What a request must have besides.
    pub when: Option<Arc<When>>,
    /// Among equally specific routes the larger one wins.
    pub priority: i64,
    pub action: Action,
    pub effective_by_listener: Vec<Effective>,
    pub timeouts: RouteTimeouts,
    /// Tokens that may become a tunnel, lower case.
    pub upgrade: Vec<Box<str>>,
}

impl Route {
    pub fn effective(&self, listener: ListenerId) -> &Effective {
        &self.effective_by_listener[listener.index()]
    }

    pub fn policies(&self, listener: ListenerId) -> &[PolicyId] {
        &self.effective(listener).ids
    }

    /// The policies of another route that this one does not have.
    pub(crate) fn lacks<'r>(
        &'r self, other: &'r Route, listener: ListenerId,
    ) -> impl Iterator<Item = PolicyId> + 'r {
        let own = self.policies(listener);
        other.policies(listener).iter().copied().filter(|id| !own.contains(id))
    }

    /// Whether both lead to one server.
    pub(crate) fn shares_target(&self, other: &Route, upstreams: &[Upstream]) -> bool {
        match (&self.action, &other.action) {
            (Action::Forward { upstream, .. }, Action::Forward { upstream: to, .. }) => {
                upstream == to || upstreams[upstream.index()].shares_target(&upstreams[to.index()])
            }
            _ => false,
        }
    }

    /// The names of all captures, in the order of [`Captures`].
    pub fn capture_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.patterns.iter().flat_map(|pattern| pattern.path.names()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[derive(Debug)]
pub enum Action {
    Forward { upstream: UpstreamId, path: PathEdit },
    Redirect(Redirect),
    Respond(Response),
}

/// An answer that sends the client elsewhere.
#[derive(Debug)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// As in the file.
    pub spelled: Box<str>,
    /// An absolute URL with a fixed host, or an absolute path; with a query when it has one, without a fragment.
    pub to: Template,
    /// The template has no query of its own.
    pub keeps_query: bool,
    /// With its `#`; maybe empty.
    pub fragment: Box<[u8]>,
}

impl Redirect {
    /// Appends the value of Location. A path made of captures never begins with `//`, which would name a host.
    pub fn location(&self, path: &[u8], captures: &Captures, query: Option<&[u8]>, out: &mut Vec<u8>) {
        let base = out.len();
        self.to.expand(path, captures, out);
        if out.len() == base {
            out.push(b'/');
        }
        collapse_leading_slashes(out, base);
        if let Some(query) = query.filter(|_| self.keeps_query) {
            out.push(b'?');
            out.extend_from_slice(query);
        }
        out.extend_from_slice(&self.fragment);
    }
}

/// An answer that stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 200 to 599; the body is empty where none may be (204, 205, 304).
    pub status: u16,
    pub body: Box<[u8]>,
    pub content_type: Box<str>,
    /// Framing fields are not among them.
    pub fields: Vec<FieldLine>,
}

impl Table {
    /// Whether a request that one route takes gets around something if it is really meant for the other one: a
    /// policy on the way to the same server, or an answer that is no success.
    pub fn is_way_around(&self, found: RouteId, other: RouteId, listener: ListenerId) -> bool {
        let (found, other) = (&self.routes[found.index()], &self.routes[other.index()]);
        match (&found.action, &other.action) {
            (Action::Forward { .. }, Action::Respond(answer)) => !answer.succeeds(),
            (Action::Forward { .. }, Action::Redirect(_)) => true,
            _ => found.shares_target(other, &self.upstreams) && found.lacks(other, listener).next().is_some(),
        }
    }
}

impl Response {
    /// It keeps the client from something.
    pub(crate) fn refuses(&self) -> bool {
        matches!(self.status, 400..500)
    }

    fn succeeds(&self) -> bool {
        matches!(self.status, 200..300)
    }
}
