//! From host, method and path to a route (the precedence is told in the crate's documentation of `match`).

use super::fast_hash::FastMap;
use super::pattern::{HostPattern, Pattern};
use super::tree::{Endpoint, Given, Search, Tree};
use super::when::When;
use crate::facts::Facts;
use crate::table::RouteId;
use smallvec::SmallVec;
use std::sync::Arc;

/// Byte ranges of the path, in the order that the route's templates expect.
///
/// A `{rest:path}` range begins at its slash when there is one: empty, `/` and `/a/b` stay apart.
pub type Captures = SmallVec<[(u32, u32); 4]>;

/// What a look-up says.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Route(RouteId),
    /// Routes match, though none for this method; the value for `Allow` (RFC 9110 10.2.1).
    MethodNotAllowed(Box<[u8]>),
    None,
}

/// All patterns of all routes: one tree of segments per host pattern.
///
/// The order of precedence: exact host, then wildcards from the longest, then any host; in each tree segments
/// from left to right, literal before `{id}` before `{rest:path}`; more conditions before fewer, where methods
/// count as one; then the larger priority. Where only the method or a condition does not fit, the search goes
/// on in that order.
#[derive(Debug, Default)]
pub struct Router {
    methods: MethodNames,
    exact: FastMap<Tree>,
    one_label: FastMap<Tree>,
    any_depth: FastMap<Tree>,
    /// Length of the longest suffix among the wildcards; bounds the work that a long host can cause.
    longest_suffix: usize,
    any: Option<Tree>,
}

impl Router {
    /// Finds the route. `host` is lower case and without a port, and may be empty; `path` is in normal form
    /// and has no query; `facts` are asked where routes have conditions. Does not allocate unless the answer
    /// is [`Found::MethodNotAllowed`], a route has more than four captures, or a regular expression looks at
    /// a long value with escapes.
    pub fn find(
        &self, host: &[u8], method: &[u8], path: &[u8], facts: &dyn Facts, captures: &mut Captures,
    ) -> Found {
        captures.clear();
        if path.first() != Some(&b'/') {
            return Found::None;
        }
        let mut search = Search::new(path, self.methods.find(method), Given::Facts(facts));
        match self.search(host, &mut search, captures) {
            Some(endpoint) => Found::Route(RouteId(endpoint.route)),
            None if search.refused == Methods::NONE => Found::None,
            None => Found::MethodNotAllowed(self.methods.list(search.refused)),
        }
    }

    /// Which of its route's patterns takes the request, as a place in the route's `match`.
    pub fn pattern(&self, host: &[u8], method: &[u8], path: &[u8], facts: &dyn Facts) -> Option<usize> {
        let mut search = Search::new(path, self.methods.find(method), Given::Facts(facts));
        self.search(host, &mut search, &mut Captures::new()).map(|endpoint| endpoint.pattern as usize)
    }

    /// Every route that could take a request of which only this is known: host, path, conditions that hold, and
    /// that it has one of these methods (`None`: any).
    pub(crate) fn takers(
        &self, host: &[u8], methods: Option<&[Box<str>]>, path: &[u8], when: Option<&When>,
    ) -> Vec<RouteId> {
        let methods = methods.map_or(Methods::ALL, |names| self.methods.known(names));
        let mut search = Search::new(path, methods, Given::Supposed(when));
        // What ends the search is among the takers already.
        let _ = self.search(host, &mut search, &mut Captures::new());
        search.takers.into_iter().map(RouteId).collect()
    }

    fn search(&self, host: &[u8], search: &mut Search<'_>, captures: &mut Captures) -> Option<&Endpoint> {
        let exact = if self.exact.is_empty() { None } else { self.exact.get(host) };
        if let Some(endpoint) = exact.and_then(|tree| tree.find(search, captures)) {
            return Some(endpoint);
        }
        if self.longest_suffix > 0
            && let Some(endpoint) = self.search_wildcards(host, search, captures)
        {
            return Some(endpoint);
        }
        self.any.as_ref()?.find(search, captures)
    }

    /// `x.b.a` is asked as `*.b.a`, `**.b.a`, `**.a`.
    fn search_wildcards(
        &self, host: &[u8], search: &mut Search<'_>, captures: &mut Captures,
    ) -> Option<&Endpoint> {
        for (labels, dot) in memchr::memchr_iter(b'.', host).enumerate() {
            let suffix = &host[dot + 1..];
            if dot == 0 || suffix.len() > self.longest_suffix {
                continue;
            }
            let one_label = if labels == 0 { self.one_label.get(suffix) } else { None };
            for tree in one_label.into_iter().chain(self.any_depth.get(suffix)) {
                if let Some(endpoint) = tree.find(search, captures) {
                    return Some(endpoint);
                }
            }
        }
        None
    }

    pub(crate) fn add(&mut self, entry: Entry<'_>) -> Result<(), NotAdded> {
        let methods = match &entry.pattern.methods {
            Some(names) => Some(self.methods.set(names).ok_or(NotAdded::TooManyMethods)?),
            None => None,
        };
        let tree = match &entry.pattern.host {
            HostPattern::Exact(name) => tree_of(&mut self.exact, name),
            HostPattern::OneLabel(suffix) => {
                self.longest_suffix = self.longest_suffix.max(suffix.len());
                tree_of(&mut self.one_label, suffix)
            }
            HostPattern::AnyDepth(suffix) => {
                self.longest_suffix = self.longest_suffix.max(suffix.len());
                tree_of(&mut self.any_depth, suffix)
            }
            HostPattern::Any => self.any.get_or_insert_with(Tree::new),
        };
        let endpoint = Endpoint {
            route: entry.route.0,
            pattern: entry.index as u32,
            methods,
            when: entry.when.cloned(),
            priority: entry.priority,
            slots: entry.slots,
        };
        tree.add(&entry.pattern.path, endpoint).map_err(|other| NotAdded::Tie(RouteId(other)))
    }

    /// Patterns that never decide anything, in the order of routes.
    pub(crate) fn shadowed(&self) -> Vec<Shadowed> {
        let wildcards = self.one_label.values().chain(self.any_depth.values());
        let trees = self.exact.values().chain(wildcards).chain(&self.any);
        let mut found: Vec<Shadowed> = trees
            .flat_map(Tree::shadowed)
            .map(|(endpoint, by)| Shadowed {
                route: RouteId(endpoint.route),
                index: endpoint.pattern as usize,
                by: RouteId(by.route),
            })
            .collect();
        found.sort_unstable_by_key(|shadowed| (shadowed.route, shadowed.index));
        found
    }
}

/// One pattern of a route on its way into the router.
pub(crate) struct Entry<'a> {
    pub(crate) route: RouteId,
    pub(crate) pattern: &'a Pattern,
    /// Its place in the route's `match`.
    pub(crate) index: usize,
    pub(crate) when: Option<&'a Arc<When>>,
    pub(crate) priority: i64,
    /// `slots[i]` tells which capture of the pattern is the route's `i`-th.
    pub(crate) slots: Option<Box<[u8]>>,
}

/// A pattern whose requests all go to another route at the same place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shadowed {
    pub(crate) route: RouteId,
    pub(crate) index: usize,
    pub(crate) by: RouteId,
}

/// Why a pattern cannot stand in the router.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// This route matches the same requests equally well.
    Tie(RouteId),
    /// The table names more than [`MethodNames::MOST`] different methods.
    TooManyMethods,
}

fn tree_of<'m>(map: &'m mut FastMap<Tree>, host: &str) -> &'m mut Tree {
    map.entry(host.as_bytes().into()).or_insert_with(Tree::new)
}

/// A set of methods, by their places in [`MethodNames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Methods(u64);

impl Methods {
    pub(crate) const NONE: Methods = Methods(0);
    /// Also those that the table does not name.
    const ALL: Methods = Methods(u64::MAX);

    pub(crate) fn meets(self, other: Methods) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn covers(self, other: Methods) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn with(self, other: Methods) -> Methods {
        Methods(self.0 | other.0)
    }
}

/// The methods that the table names, in the order of their first use.
#[derive(Debug, Default)]
struct MethodNames(Vec<Box<[u8]>>);

impl MethodNames {
    /// One bit of [`Methods`] stays free: it stands for those that the table does not name.
    const MOST: usize = 63;

    /// A method that the table does not name is in no set.
    fn find(&self, method: &[u8]) -> Methods {
        self.0.iter().position(|name| **name == *method).map_or(Methods::NONE, |at| Methods(1 << at))
    }

    fn known(&self, names: &[Box<str>]) -> Methods {
        names.iter().fold(Methods::NONE, |set, name| set.with(self.find(name.as_bytes())))
    }

    fn set(&mut self, names: &[Box<str>]) -> Option<Methods> {
        let mut set = Methods::NONE;
        for name in names {
            if self.find(name.as_bytes()) == Methods::NONE {
                if self.0.len() == Self::MOST {
                    return None;
                }
                self.0.push(name.as_bytes().into());
            }
            set = set.with(self.find(name.as_bytes()));
        }
        Some(set)
    }

    fn list(&self, set: Methods) -> Box<[u8]> {
        let names = self.0.iter().enumerate().filter(|(at, _)| set.meets(Methods(1 << at)));
        names.map(|(_, name)| &**name).collect::<Vec<_>>().join(&b", "[..]).into_boxed_slice()
    }
}

#[cfg(test)]
mod tests;
