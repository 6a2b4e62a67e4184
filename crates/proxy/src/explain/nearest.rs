//! The other routes, and what kept the request from each: the nearest first.

use super::answer::Other;
use crate::request::incoming::Request;
use pylos_core::route::{HostPattern, Misfit, PathMisfit, Pattern};
use pylos_core::table::{Route, RouteId, Table};

/// Why this pattern took the request.
pub(super) fn why(route: &Route, pattern: &Pattern) -> Vec<String> {
    let mut why = vec![match &pattern.host {
        HostPattern::Exact(name) => format!("the host is `{name}`"),
        HostPattern::Any => "any host will do".to_owned(),
        wildcard => format!("the host fits `{wildcard}`"),
    }];
    why.push(format!("the path fits `{}`", pattern.path));
    if let Some(methods) = &pattern.methods {
        why.push(format!("the method is one of {}", methods.join(", ")));
    }
    why.extend(route.when.iter().flat_map(|when| when.tests()).map(ToString::to_string));
    why
}

pub(super) fn nearest(table: &Table, request: &Request, taken: Option<RouteId>, most: usize) -> Vec<Other> {
    if most == 0 {
        return Vec::new();
    }
    let mut found: Vec<(usize, Other)> = Vec::new();
    for (index, route) in table.routes.iter().enumerate() {
        if taken.is_some_and(|taken| taken.index() == index) {
            continue;
        }
        let ranked = route.patterns.iter().filter_map(|pattern| {
            let (rank, why_not) =
                why_not_this(route, pattern, request, taken.map(|t| &*table.routes[t.index()].name))?;
            Some((rank, Other { route: route.name.to_string(), pattern: pattern.to_string(), why_not }))
        });
        found.extend(ranked.min_by_key(|(rank, _)| *rank));
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().take(most).map(|(_, other)| other).collect()
}

/// How far away a pattern is, and the words for it; `None` is not worth a word.
fn why_not_this(
    route: &Route, pattern: &Pattern, request: &Request, taken: Option<&str>,
) -> Option<(usize, String)> {
    let (host, method, path) = (request.host(), request.method(), request.path());
    Some(match pattern.misfit(host, method, path) {
        None => match (route.when.as_deref().and_then(|when| when.unmet(request)), taken) {
            (Some(test), _) => (1, format!("asks that {test}")),
            (None, Some(name)) => {
                (0, format!("fits too, but `route.{name}` comes first: it is more specific"))
            }
            (None, None) => (0, "fits, but does not take this request".to_owned()),
        },
        Some(Misfit::Method) => {
            let methods = pattern.methods.as_deref().unwrap_or_default();
            (1, format!("takes only {}", methods.join(", ")))
        }
        Some(Misfit::Path(near)) => match near {
            PathMisfit::TrailingSlash if path.ends_with(b"/") => (2, "has no slash at the end".to_owned()),
            PathMisfit::TrailingSlash => (2, "has a slash at the end".to_owned()),
            PathMisfit::LetterCase => (2, "differs in letter case".to_owned()),
            PathMisfit::DoubledSlash => (2, "has single slashes".to_owned()),
            PathMisfit::After(0) => return None,
            PathMisfit::After(alike) => (
                4 + 100usize.saturating_sub(alike),
                format!("the path differs after {alike} of its segments"),
            ),
        },
        Some(Misfit::Host) if pattern.path.fits(path) => (3, format!("is for the host `{}`", pattern.host)),
        Some(Misfit::Host) => return None,
    })
}
