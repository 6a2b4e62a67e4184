//! Spellings that get around a policy. Many applications take `/admin/`, `/Admin` and `//admin` for `/admin`; the
//! gateway does not. Where such a request falls to a broader route with the same upstream that lacks a policy of
//! the narrower one, the policy does not protect what it seems to.

use crate::route::{Captures, Found, HostPattern, PathPattern, Pattern, Router, Segment};
use crate::table::raw::RawTable;
use crate::table::{
    Action, Code, Listener, ListenerId, Policy, PolicyId, Problems, Route, RouteId, Serve, UpstreamId, place,
};

/// Stands in for what a capture takes.
const SAMPLE: &str = "0sample0";

pub(super) struct Bypass<'t> {
    pub(super) raw: &'t RawTable,
    pub(super) router: &'t Router,
    pub(super) listeners: &'t [Listener],
    pub(super) policies: &'t [Policy],
    pub(super) routes: &'t [Route],
}

impl Bypass<'_> {
    /// Warns once for each pair of a route and a broader one.
    pub(super) fn check(&self, problems: &mut Problems) {
        // Elsewhere all routes have the same policies.
        let differs =
            |route: &crate::table::raw::RawRoute| !route.use_.is_empty() || !route.without.is_empty();
        if !self.raw.route.values().any(differs) {
            return;
        }
        let eased: Vec<&str> = (self.raw.route.values())
            .filter(|route| !route.without.is_empty())
            .filter_map(|route| route.to.as_deref())
            .collect();
        for (index, (route, raw)) in self.routes.iter().zip(self.raw.route.values()).enumerate() {
            let Action::Forward { upstream, .. } = &route.action else { continue };
            let eased = raw.to.as_deref().is_some_and(|to| eased.contains(&to));
            if !raw.use_.is_empty() || eased {
                self.check_route(RouteId::at(index), *upstream, problems);
            }
        }
    }

    fn check_route(&self, id: RouteId, upstream: UpstreamId, problems: &mut Problems) {
        let mut told: Vec<RouteId> = Vec::new();
        let route = &self.routes[id.index()];
        for (index, pattern) in route.patterns.iter().enumerate() {
            for spelling in spellings(&pattern.path) {
                let Some(broader) = self.taker(route, pattern, &spelling) else { continue };
                let other = &self.routes[broader.index()];
                let same = matches!(&other.action, Action::Forward { upstream: to, .. } if *to == upstream);
                if broader == id || !same || told.contains(&broader) {
                    continue;
                }
                let missing = self.missing(route, other);
                if !missing.is_empty() {
                    told.push(broader);
                    self.warn((route, index), &spelling, other, &missing, problems);
                }
            }
        }
    }

    /// The route that takes a request that is like the pattern's but for its path.
    fn taker(&self, route: &Route, pattern: &Pattern, path: &str) -> Option<RouteId> {
        let host = match &pattern.host {
            HostPattern::Exact(name) => name.to_string(),
            HostPattern::OneLabel(suffix) | HostPattern::AnyDepth(suffix) => format!("{SAMPLE}.{suffix}"),
            HostPattern::Any => String::new(),
        };
        let method = pattern.methods.as_ref().and_then(|methods| methods.first()).map_or("GET", |name| name);
        let (host, method, path) = (host.as_bytes(), method.as_bytes(), path.as_bytes());
        match self.router.find_supposing(host, method, path, route.when.as_deref(), &mut Captures::new()) {
            Found::Route(found) => Some(found),
            Found::MethodNotAllowed(_) | Found::None => None,
        }
    }

    fn missing(&self, route: &Route, broader: &Route) -> Vec<&str> {
        let mut missing: Vec<PolicyId> = Vec::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            if listener.serve == Serve::Proxy {
                let (wanted, there) =
                    (route.policies(ListenerId::at(index)), broader.policies(ListenerId::at(index)));
                missing.extend(wanted.iter().filter(|id| !there.contains(id)));
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing.iter().map(|id| &*self.policies[id.index()].name).collect()
    }

    fn warn(
        &self, (route, index): (&Route, usize), spelling: &str, broader: &Route, missing: &[&str],
        problems: &mut Problems,
    ) {
        let spelling = spelling.replace(SAMPLE, "x");
        let lacks = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!(
            "`{spelling}` goes to `route.{}` instead: to the same upstream, without {lacks}",
            broader.name
        );
        let place = place!["route", &*route.name, "match", index];
        problems.report(Code::Bypass, place, message).hint(format!(
            "add that spelling to this `match`, or {lacks} to `use` of `route.{}`",
            broader.name
        ));
    }
}

/// Paths that an application may take for one that the pattern matches, but that the pattern does not match.
fn spellings(path: &PathPattern) -> Vec<String> {
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
    spellings
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
