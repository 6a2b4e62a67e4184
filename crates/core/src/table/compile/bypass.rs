//! Spellings that get around a policy. Many applications take `/admin/`, `/Admin` and `//admin` for `/admin`; the
//! gateway does not. Where such a request falls to a broader route with the same upstream that lacks a policy of
//! the narrower one, the policy does not protect what it seems to; likewise a route that refuses. (A `%2F` or a
//! `;a` that would change the route is refused when a request comes.)

use crate::route::{HostPattern, PathPattern, Pattern, Router, Segment};
use crate::table::raw::RawTable;
use crate::table::{
    Action, Code, Listener, ListenerId, Policy, PolicyId, Problems, Route, RouteId, Serve, Upstream,
    UpstreamId, place,
};
use std::collections::HashSet;

/// Stands in for what a capture takes.
const SAMPLE: &str = "0sample0";
/// Other routes that one warning shows.
const MOST_TOLD: usize = 3;

pub(super) struct Bypass<'t> {
    pub(super) raw: &'t RawTable,
    pub(super) router: &'t Router,
    pub(super) listeners: &'t [Listener],
    pub(super) policies: &'t [Policy],
    pub(super) routes: &'t [Route],
    pub(super) upstreams: &'t [Upstream],
}

impl Bypass<'_> {
    /// Warns of routes with policies of their own, and of those whose upstream is reached by another route without
    /// some: all others have the same policies.
    pub(super) fn check(&self, problems: &mut Problems) {
        let mut eased: HashSet<UpstreamId> = HashSet::new();
        let mut their_targets: HashSet<u32> = HashSet::new();
        for (route, raw) in self.routes.iter().zip(self.raw.route.values()) {
            if let Action::Forward { upstream, .. } = route.action
                && !raw.without.is_empty()
                && eased.insert(upstream)
            {
                their_targets.extend(&self.upstreams[upstream.index()].shared);
            }
        }
        for (index, (route, raw)) in self.routes.iter().zip(self.raw.route.values()).enumerate() {
            let guarded = match &route.action {
                Action::Forward { upstream, .. } => {
                    let shared = &self.upstreams[upstream.index()].shared;
                    let is_eased = eased.contains(upstream)
                        || shared.iter().any(|target| their_targets.contains(target));
                    !raw.use_.is_empty() || is_eased
                }
                Action::Respond(answer) => answer.refuses(),
                Action::Redirect(_) => false,
            };
            if guarded {
                self.check_route(RouteId::at(index), problems);
            }
        }
    }

    /// Warns once for each pattern: of many ways around, the first ones are told.
    fn check_route(&self, id: RouteId, problems: &mut Problems) {
        let route = &self.routes[id.index()];
        for (index, pattern) in route.patterns.iter().enumerate() {
            let (plain, spellings) = spellings(&pattern.path);
            // Routes that are meant to take some of this one's requests, whatever their spelling.
            let meant = self.takers(route, pattern, &plain);
            let mut ways: Vec<(&str, RouteId)> = Vec::new();
            for spelling in &spellings {
                for broader in self.takers(route, pattern, spelling) {
                    let known = broader == id || meant.contains(&broader);
                    if !known
                        && ways.iter().all(|(_, told)| *told != broader)
                        && self.is_around(route, broader)
                    {
                        ways.push((spelling, broader));
                    }
                }
            }
            self.warn((route, index), &ways, problems);
        }
    }

    fn is_around(&self, route: &Route, broader: RouteId) -> bool {
        let other = &self.routes[broader.index()];
        match (&route.action, &other.action) {
            (Action::Respond(answer), Action::Forward { .. }) => answer.refuses(),
            _ => other.shares_target(route, self.upstreams) && !self.missing(route, other).is_empty(),
        }
    }

    /// The routes that could take a request that is like the pattern's but for its path.
    fn takers(&self, route: &Route, pattern: &Pattern, path: &str) -> Vec<RouteId> {
        let host = match &pattern.host {
            HostPattern::Exact(name) => name.to_string(),
            HostPattern::OneLabel(suffix) | HostPattern::AnyDepth(suffix) => format!("{SAMPLE}.{suffix}"),
            HostPattern::Any => String::new(),
        };
        let when = route.when.as_deref();
        self.router.takers(host.as_bytes(), pattern.methods.as_deref(), path.as_bytes(), when)
    }

    fn missing(&self, route: &Route, broader: &Route) -> Vec<&str> {
        let mut missing: Vec<PolicyId> = Vec::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            if listener.serve == Serve::Proxy {
                missing.extend(broader.lacks(route, ListenerId::at(index)));
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing.iter().map(|id| &*self.policies[id.index()].name).collect()
    }

    /// What two routes have in common.
    fn shared(&self, one: &Route, other: &Route) -> &'static str {
        match (&one.action, &other.action) {
            (Action::Forward { upstream, .. }, Action::Forward { upstream: to, .. }) if upstream != to => {
                "server by another upstream"
            }
            _ => "upstream",
        }
    }

    fn warn(&self, (route, index): (&Route, usize), ways: &[(&str, RouteId)], problems: &mut Problems) {
        let Some((spelling, first)) = ways.first() else { return };
        let spelling = spelling.replace(SAMPLE, "x");
        let broader = &self.routes[first.index()];
        let name = &broader.name;
        let (why, remedy) = if let Action::Respond(answer) = &route.action {
            (format!("past the {} of this route", answer.status), String::new())
        } else {
            let missing = self.missing(route, broader);
            let lacks = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let remedy = format!(", or {lacks} to `use` of `route.{name}`");
            (format!("to the same {}, without {lacks}", self.shared(route, broader)), remedy)
        };
        let more = match ways.len() - 1 {
            0 => String::new(),
            1 => " (and there is one more route like it)".to_owned(),
            more => format!(" (and there are {more} more routes like it)"),
        };
        let message = format!("`{spelling}` goes to `route.{name}` instead: {why}{more}");
        let place = place!["route", &*route.name, "match", index];
        let problem = problems.report(Code::Bypass, place, message);
        problem.hint(format!("add that spelling to this `match`{remedy}"));
        for (_, other) in ways.iter().take(MOST_TOLD) {
            problem.also(place!["route", &*self.routes[other.index()].name]);
        }
    }
}

/// A path that the pattern matches, and others that an application may take for it, but that the pattern does not
/// match.
fn spellings(path: &PathPattern) -> (String, Vec<String>) {
    let (mut plain, mut upper, mut lower) = (String::new(), String::new(), String::new());
    for segment in &path.0 {
        let text = match segment {
            Segment::Literal(_) => segment.to_string(),
            Segment::Capture(_) => SAMPLE.to_owned(),
            Segment::Rest(_) => continue,
        };
        plain.extend(["/", &text]);
        let literal = matches!(segment, Segment::Literal(_));
        for (other, change) in
            [(&mut upper, u8::to_ascii_uppercase as fn(&u8) -> u8), (&mut lower, u8::to_ascii_lowercase)]
        {
            other.push('/');
            if literal { push_changed(other, &text, change) } else { other.push_str(&text) }
        }
    }
    // Of `/{rest:path}` the root remains.
    let plain = if plain.is_empty() { "/".to_owned() } else { plain };
    let mut spellings = Vec::new();
    if !matches!(path.0.last(), Some(Segment::Rest(_))) {
        match plain.strip_suffix('/') {
            Some("") => {}
            Some(bare) => spellings.push(bare.to_owned()),
            None => spellings.push(format!("{plain}/")),
        }
    }
    spellings.extend([upper, lower].into_iter().filter(|other| !other.is_empty() && *other != plain));
    // In the tail any number of slashes is the pattern's own; where it has two already, a third is far-fetched.
    let single = |&at: &usize| !plain[..at].ends_with('/') && !plain[at + 1..].starts_with('/');
    let slashes = plain.match_indices('/').map(|(at, _)| at);
    spellings.extend(slashes.filter(single).map(|at| format!("{}/{}", &plain[..at], &plain[at..])));
    (plain, spellings)
}

/// Other letters, but the same escapes: `%2f` and `%2F` are the same spelling.
fn push_changed(out: &mut String, text: &str, change: fn(&u8) -> u8) {
    let mut escape = 0;
    for byte in text.bytes() {
        escape = if byte == b'%' { 3 } else { escape };
        out.push(if escape > 0 { byte } else { change(&byte) } as char);
        escape = usize::saturating_sub(escape, 1);
    }
}
