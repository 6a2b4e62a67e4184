//! The paths of one host pattern as a tree of segments.
//!
//! A look-up goes depth first: the literal child, then `{id}`, then `{rest:path}`. So the first endpoint found
//! is the one that wins when segments are compared from left to right, and what comes after it is what to try
//! when a method or a condition does not fit. The work is bounded by the size of the tree, whatever the path is.

use super::fast_hash::FastMap;
use super::pattern::{LONGEST_LITERAL, PathPattern, Segment};
use super::router::{Captures, Methods};
use super::when::When;
use crate::facts::Facts;
use crate::message::path::decode_escape;
use memchr::memchr;
use std::cmp::Reverse;
use std::sync::Arc;

/// What a pattern leads to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endpoint {
    pub(crate) route: u32,
    /// Its place in the route's `match`.
    pub(crate) pattern: u32,
    /// `None`: every method.
    pub(crate) methods: Option<Methods>,
    pub(crate) when: Option<Arc<When>>,
    pub(crate) priority: i64,
    /// Where the route's templates expect each capture; `None`: in the order of the pattern.
    pub(crate) slots: Option<Box<[u8]>>,
}

impl Endpoint {
    fn rank(&self) -> Rank {
        rank(self.when.as_deref(), self.methods.is_some(), self.priority)
    }

    /// Nothing tells which of the two a request is for.
    fn ties(&self, other: &Endpoint) -> bool {
        let excluded = || matches!((&self.when, &other.when), (Some(a), Some(b)) if a.excludes(b));
        self.rank() == other.rank() && overlap(self.methods, other.methods) && !excluded()
    }

    /// Takes every request that the other takes.
    fn covers(&self, other: &Endpoint) -> bool {
        let methods = match (self.methods, other.methods) {
            (None, _) => true,
            (Some(all), Some(some)) => all.covers(some),
            (Some(_), None) => false,
        };
        methods
            && match (&self.when, &other.when) {
                (None, _) => true,
                (Some(when), Some(given)) => when.follows_from(given),
                (Some(_), None) => false,
            }
    }
}

/// Orders what stands at one place: the lesser comes first.
pub(crate) type Rank = (Reverse<usize>, Reverse<i64>);

/// More conditions first, where methods count as one; then the larger priority.
pub(crate) fn rank(when: Option<&When>, methods: bool, priority: i64) -> Rank {
    (Reverse(when.map_or(0, |when| when.tests().len()) + usize::from(methods)), Reverse(priority))
}

/// What is known about a request besides host, method and path.
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    Facts(&'a dyn Facts),
    /// Only that these conditions hold for it, if any. All others may: every route that could take it is noted.
    Supposed(Option<&'a When>),
}

impl Given<'_> {
    fn meets(self, when: &When) -> bool {
        match self {
            Given::Facts(facts) => when.holds(facts),
            Given::Supposed(given) => !given.is_some_and(|given| when.excludes(given)),
        }
    }
}

/// One look-up. `refused` collects the methods of endpoints that only lacked the right one, `takers` the routes
/// that could take a request of which not all is known.
pub(crate) struct Search<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) escapes: bool,
    pub(crate) method: Methods,
    pub(crate) given: Given<'a>,
    pub(crate) refused: Methods,
    pub(crate) takers: Vec<u32>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(path: &'a [u8], method: Methods, given: Given<'a>) -> Self {
        let escapes = memchr(b'%', path).is_some();
        Search { path, escapes, method, given, refused: Methods::NONE, takers: Vec::new() }
    }

    /// Whether the search ends at an endpoint that could take the request.
    fn ends_at(&mut self, endpoint: &Endpoint) -> bool {
        let Given::Supposed(given) = self.given else { return true };
        self.takers.push(endpoint.route);
        let always = |when: &Arc<When>| given.is_some_and(|given| when.follows_from(given));
        endpoint.when.as_ref().is_none_or(always)
            && endpoint.methods.is_none_or(|methods| methods.covers(self.method))
    }
}

#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: Literals,
    capture: Option<u32>,
    /// Patterns that end here.
    end: Vec<Endpoint>,
    /// Patterns that have `{rest:path}` here.
    rest: Vec<Endpoint>,
}

const ROOT: u32 = 0;

impl Tree {
    pub(crate) fn new() -> Self {
        Tree { nodes: vec![Node::default()] }
    }

    /// Adds a pattern. When one of another route matches the same requests equally well, that route is returned.
    pub(crate) fn add(&mut self, path: &PathPattern, endpoint: Endpoint) -> Result<(), u32> {
        let (mut node, mut rest) = (ROOT, false);
        for segment in &path.0 {
            match segment {
                Segment::Literal(bytes) => node = self.literal_child(node, bytes),
                Segment::Capture(_) => node = self.capture_child(node),
                Segment::Rest(_) => rest = true,
            }
        }
        let node = &mut self.nodes[node as usize];
        let endpoints = if rest { &mut node.rest } else { &mut node.end };
        if let Some(other) =
            endpoints.iter().find(|other| other.route != endpoint.route && other.ties(&endpoint))
        {
            return Err(other.route);
        }
        let at = endpoints.partition_point(|other| other.rank() <= endpoint.rank());
        endpoints.insert(at, endpoint);
        Ok(())
    }

    /// Endpoints that never decide, each with the first one that takes all its requests before it.
    pub(crate) fn shadowed(&self) -> impl Iterator<Item = (&Endpoint, &Endpoint)> {
        let lists = self.nodes.iter().flat_map(|node| [&node.end, &node.rest]);
        lists.flat_map(|list| {
            list.iter().enumerate().filter_map(|(at, endpoint)| {
                list[..at].iter().find(|before| before.covers(endpoint)).map(|before| (endpoint, before))
            })
        })
    }

    fn literal_child(&mut self, node: u32, bytes: &[u8]) -> u32 {
        if let Some(child) = self.nodes[node as usize].literals.find(bytes) {
            return child;
        }
        let child = self.fresh();
        self.nodes[node as usize].literals.insert(bytes, child);
        child
    }

    fn capture_child(&mut self, node: u32) -> u32 {
        if let Some(child) = self.nodes[node as usize].capture {
            return child;
        }
        let child = self.fresh();
        self.nodes[node as usize].capture = Some(child);
        child
    }

    fn fresh(&mut self) -> u32 {
        self.nodes.push(Node::default());
        u32::try_from(self.nodes.len() - 1).expect("a table has fewer than 2^32 segments")
    }

    /// What takes a path in normal form. On success `captures` holds its captures, else nothing.
    pub(crate) fn find(&self, search: &mut Search<'_>, captures: &mut Captures) -> Option<&Endpoint> {
        let endpoint = self.visit(ROOT, 0, search, captures)?;
        if let Some(slots) = &endpoint.slots {
            let found = std::mem::take(captures);
            captures.extend(slots.iter().map(|&slot| found.get(slot as usize).copied().unwrap_or_default()));
        }
        Some(endpoint)
    }

    /// Looks on from `node`; `at` is the end of the path or its next slash.
    fn visit(
        &self, node: u32, at: usize, search: &mut Search<'_>, captures: &mut Captures,
    ) -> Option<&Endpoint> {
        let node = &self.nodes[node as usize];
        let path = search.path;
        if at == path.len() {
            if let Some(endpoint) = choose(&node.end, search) {
                return Some(endpoint);
            }
        } else {
            let start = at + 1;
            let end = if node.literals.is_empty() && node.capture.is_none() {
                path.len()
            } else {
                segment_end(path, start)
            };
            let literal = node.literals.find_encoded(&path[start..end], search.escapes);
            if let Some(endpoint) = literal.and_then(|child| self.visit(child, end, search, captures)) {
                return Some(endpoint);
            }
            if let Some(child) = node.capture.filter(|_| start < end) {
                captures.push((start as u32, end as u32));
                if let Some(endpoint) = self.visit(child, end, search, captures) {
                    return Some(endpoint);
                }
                captures.pop();
            }
        }
        let endpoint = choose(&node.rest, search)?;
        captures.push((at as u32, path.len() as u32));
        Some(endpoint)
    }
}

/// Segments are short: a plain loop is quicker than a search that sets itself up for long texts.
fn segment_end(path: &[u8], start: usize) -> usize {
    path[start..].iter().position(|&byte| byte == b'/').map_or(path.len(), |length| start + length)
}

fn choose<'t>(endpoints: &'t [Endpoint], search: &mut Search<'_>) -> Option<&'t Endpoint> {
    for endpoint in endpoints {
        let refused = endpoint.methods.filter(|methods| !methods.meets(search.method));
        if endpoint.when.as_ref().is_some_and(|when| !search.given.meets(when)) {
            continue;
        }
        match refused {
            Some(methods) => search.refused = search.refused.with(methods),
            None if search.ends_at(endpoint) => return Some(endpoint),
            None => {}
        }
    }
    None
}

fn overlap(a: Option<Methods>, b: Option<Methods>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.meets(b),
        _ => true,
    }
}

/// The literal children of a node: few are compared one by one, many are hashed.
#[derive(Debug, Default)]
enum Literals {
    #[default]
    None,
    Few(Vec<(Box<[u8]>, u32)>),
    Many(FastMap<u32>),
}

/// Above this a hash is quicker than comparing.
const FEW: usize = 6;

impl Literals {
    fn is_empty(&self) -> bool {
        matches!(self, Literals::None)
    }

    fn find(&self, bytes: &[u8]) -> Option<u32> {
        match self {
            Literals::None => None,
            Literals::Few(list) => list.iter().find(|(key, _)| **key == *bytes).map(|(_, child)| *child),
            Literals::Many(map) => map.get(bytes).copied(),
        }
    }

    /// `segment` as it stands in the path; `%20` equals a blank, `%2F` equals no separator.
    fn find_encoded(&self, segment: &[u8], escapes: bool) -> Option<u32> {
        if self.is_empty() || !escapes || memchr(b'%', segment).is_none() {
            return self.find(segment);
        }
        let mut buffer = [0; LONGEST_LITERAL];
        decode_into(segment, &mut buffer).and_then(|decoded| self.find(decoded))
    }

    fn insert(&mut self, bytes: &[u8], child: u32) {
        match self {
            Literals::None => *self = Literals::Few(vec![(bytes.into(), child)]),
            Literals::Few(list) if list.len() < FEW => list.push((bytes.into(), child)),
            Literals::Few(list) => {
                let mut map: FastMap<u32> = std::mem::take(list).into_iter().collect();
                map.insert(bytes.into(), child);
                *self = Literals::Many(map);
            }
            Literals::Many(map) => {
                map.insert(bytes.into(), child);
            }
        }
    }
}

/// `None` when the decoded segment is longer than any literal, or has a bad escape.
fn decode_into<'b>(segment: &[u8], buffer: &'b mut [u8; LONGEST_LITERAL]) -> Option<&'b [u8]> {
    let (mut at, mut length) = (0, 0);
    while at < segment.len() {
        let (byte, step) = match segment[at] {
            b'%' => (decode_escape(&segment[at..])?, 3),
            byte => (byte, 1),
        };
        *buffer.get_mut(length)? = byte;
        (at, length) = (at + step, length + 1);
    }
    Some(&buffer[..length])
}
