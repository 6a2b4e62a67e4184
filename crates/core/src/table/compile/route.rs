//! `[route.NAME]`: patterns into the router, and the action.

use super::{fields, values, when};
use crate::route::pattern::{PathPattern, Pattern, Unreadable};
use crate::route::router::{Entry, NotAdded, Shadowed};
use crate::route::template::{CaptureNames, Template};
use crate::route::{Part, PathEdit, Router, Substitution, When};
use crate::table::raw::{RawRedirect, RawRespond, RawRewriteRe, RawRoute, RawTable};
use crate::table::{Action, Code, Problems, Redirect, Response, Route, RouteId, UpstreamId, place};
use std::collections::HashMap;
use std::sync::Arc;

/// In the order of names, which is the order of ids.
pub(super) fn compile(raw: &RawTable, router: &mut Router, problems: &mut Problems) -> Vec<Route> {
    let names: Vec<&str> = raw.route.keys().map(String::as_str).collect();
    let upstreams: HashMap<&str, usize> =
        raw.upstream.keys().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let mut routes = Vec::with_capacity(names.len());
    for (index, (name, route)) in raw.route.iter().enumerate() {
        let patterns = patterns(name, route, problems);
        let paths: Vec<PathPattern> = patterns.iter().map(|(_, pattern)| pattern.path.clone()).collect();
        let readable = patterns.len() == route.match_.len();
        let captures = if readable { CaptureNames::of(&paths) } else { CaptureNames::unknown() };
        let when = route.when.as_ref().and_then(|raw| when::compile(name, raw, problems));
        let id = RouteId::at(index);
        let adding =
            Adding { id, names: &names, captures: &captures, when: when.as_ref(), priority: route.priority };
        adding.add(&patterns, router, problems);
        check_values(name, route, problems);
        routes.push(Route {
            name: name.as_str().into(),
            action: Compiling {
                name,
                route,
                upstreams: &upstreams,
                paths: &paths,
                captures: &captures,
                readable,
            }
            .action(problems),
            patterns: patterns.into_iter().map(|(_, pattern)| pattern).collect(),
            when,
            priority: route.priority,
            effective_by_listener: Vec::new(),
            timeouts: route.timeouts.clone(),
            upgrade: route.upgrade.iter().map(|token| token.as_str().into()).collect(),
        });
    }
    report_shadowed(raw, &names, router, problems);
    routes
}

fn report_shadowed(raw: &RawTable, names: &[&str], router: &Router, problems: &mut Problems) {
    for Shadowed { route, index, by } in router.shadowed() {
        let (own, name, by) = (route == by, names[route.index()], names[by.index()]);
        let pattern = &raw.route[name].match_[index];
        if own {
            let message = format!("`{pattern}` is matched by this route already");
            problems.report(Code::Shadowed, place!["route", name, "match", index], message);
            continue;
        }
        let message = format!("`{pattern}` never decides: `route.{by}` takes all of its requests before it");
        problems
            .report(Code::Shadowed, place!["route", name, "match", index], message)
            .also(place!["route", by])
            .hint("the larger `priority` comes first; more conditions would come before both");
    }
}

/// The readable ones, with their places in `match`.
fn patterns(name: &str, route: &RawRoute, problems: &mut Problems) -> Vec<(usize, Pattern)> {
    if route.match_.is_empty() {
        problems
            .report(Code::BadMatch, place!["route", name, "match"], "a route needs a match")
            .hint("every path of every host is `/{rest:path}`");
    }
    let mut patterns = Vec::with_capacity(route.match_.len());
    for (index, text) in route.match_.iter().enumerate() {
        match Pattern::parse(text) {
            Ok(pattern) => patterns.push((index, pattern)),
            Err(Unreadable { message, hint }) => {
                problems.report(Code::BadMatch, place!["route", name, "match", index], message).hint = hint;
            }
        }
    }
    patterns
}

fn check_values(name: &str, route: &RawRoute, problems: &mut Problems) {
    values::wait_or_off(route.timeouts.response, place!["route", name, "timeout"], problems);
    values::wait_or_off(route.timeouts.total, place!["route", name, "timeouts", "total"], problems);
    values::wait(route.timeouts.tunnel_idle, place!["route", name, "timeouts", "tunnel_idle"], problems);
    let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._/+".contains(&byte);
    for (index, upgrade) in route.upgrade.iter().enumerate() {
        // HTTP/2 in a tunnel would carry requests past every stage.
        if upgrade.is_empty() || !upgrade.bytes().all(token) || matches!(upgrade.as_str(), "h2c" | "h2") {
            let message = format!("`{upgrade}` cannot be upgraded to");
            problems
                .report(Code::BadValue, place!["route", name, "upgrade", index], message)
                .hint("`websocket`");
        }
    }
}

/// One route's patterns on their way into the router.
struct Adding<'a> {
    id: RouteId,
    names: &'a [&'a str],
    captures: &'a CaptureNames,
    when: Option<&'a Arc<When>>,
    priority: i64,
}

impl Adding<'_> {
    fn entry<'e>(&'e self, index: usize, pattern: &'e Pattern) -> Entry<'e> {
        Entry {
            route: self.id,
            pattern,
            index,
            when: self.when,
            priority: self.priority,
            slots: self.captures.slots_of(&pattern.path),
        }
    }

    fn add(&self, patterns: &[(usize, Pattern)], router: &mut Router, problems: &mut Problems) {
        let name = self.names[self.id.index()];
        for (index, pattern) in patterns {
            let path = place!["route", name, "match", *index];
            match router.add(self.entry(*index, pattern)) {
                Ok(()) => {}
                Err(NotAdded::Tie(other)) => {
                    let message = format!(
                        "`{pattern}` is matched just as well by `route.{}`",
                        self.names[other.index()]
                    );
                    problems
                        .report(Code::Tie, path, message)
                        .also(place!["route", self.names[other.index()]])
                        .hint("make one of them more specific (host, path, methods, `when`), or give one a larger `priority`");
                }
                Err(NotAdded::TooManyMethods) => {
                    problems.report(Code::BadMatch, path, "the table names too many different methods");
                }
            }
        }
    }
}

/// One route on its way to an action.
struct Compiling<'a> {
    name: &'a str,
    route: &'a RawRoute,
    /// Places by name.
    upstreams: &'a HashMap<&'a str, usize>,
    paths: &'a [PathPattern],
    captures: &'a CaptureNames,
    /// All of its patterns; else nobody knows what they capture.
    readable: bool,
}

impl Compiling<'_> {
    fn action(&self, problems: &mut Problems) -> Action {
        let route = self.route;
        match (&route.to, &route.redirect, &route.respond) {
            (Some(to), None, None) => {
                Action::Forward { upstream: self.upstream(to, problems), path: self.path_edit(problems) }
            }
            (None, Some(redirect), None) => {
                self.refuse_edits("redirect", problems);
                Action::Redirect(self.redirect(redirect, problems))
            }
            (None, None, Some(respond)) => {
                self.refuse_edits("respond", problems);
                Action::Respond(self.respond(respond, problems))
            }
            _ => {
                let message = "a route does one thing: `to`, `redirect` or `respond`";
                problems.report(Code::Conflict, place!["route", self.name], message);
                NOTHING
            }
        }
    }

    fn refuse_edits(&self, action: &str, problems: &mut Problems) {
        let rewrite = self.route.rewrite.is_some() || self.route.rewrite_re.is_some();
        for (key, given) in [("rewrite", rewrite), ("strip", self.route.strip.is_some())] {
            if given {
                let message = format!("`{key}` changes the path for an upstream, and `{action}` has none");
                problems.report(Code::Conflict, place!["route", self.name, key], message);
            }
        }
    }

    fn upstream(&self, to: &str, problems: &mut Problems) -> UpstreamId {
        let place = self.upstreams.get(to).copied().unwrap_or_else(|| {
            let message = format!("there is no upstream `{to}`");
            problems.report(Code::UnknownReference, place!["route", self.name, "to"], message);
            0
        });
        UpstreamId::at(place)
    }

    fn path_edit(&self, problems: &mut Problems) -> PathEdit {
        if let Some(raw) = &self.route.rewrite_re {
            return self.substitute(raw, problems);
        }
        let (key, edit) = match (&self.route.rewrite, &self.route.strip) {
            (None, None) => return PathEdit::Keep,
            (Some(template), None) => ("rewrite", self.rewrite(template)),
            (None, Some(prefix)) => ("strip", self.strip(prefix)),
            (Some(_), Some(_)) => {
                let both = Unreadable::hinted(
                    "`rewrite` and `strip` exclude each other",
                    "a rewrite can leave a prefix out: `match = \"/api/{rest:path}\"`, `rewrite = \"/{rest}\"`",
                );
                ("strip", Err(both))
            }
        };
        edit.unwrap_or_else(|Unreadable { message, hint }| {
            problems.report(Code::BadTemplate, place!["route", self.name, key], message).hint = hint;
            PathEdit::Keep
        })
    }

    fn substitute(&self, raw: &RawRewriteRe, problems: &mut Problems) -> PathEdit {
        if self.route.rewrite.is_some() || self.route.strip.is_some() {
            let message = "`rewrite` and `strip` exclude each other";
            problems.report(Code::BadTemplate, place!["route", self.name, "strip"], message);
        }
        Substitution::parse(&raw.re, &raw.to).map_or_else(
            |(part, Unreadable { message, hint })| {
                let key = if part == Part::Re { "re" } else { "to" };
                let path = place!["route", self.name, "rewrite", key];
                problems.report(Code::BadTemplate, path, message).hint = hint;
                PathEdit::Keep
            },
            PathEdit::Substitute,
        )
    }

    fn rewrite(&self, text: &str) -> Result<PathEdit, Unreadable> {
        let template = Template::path(text, self.captures)?;
        self.check_captures(&template)?;
        Ok(PathEdit::Rewrite(template))
    }

    /// Each of the template's captures must be made by every pattern, in the same way.
    fn check_captures(&self, template: &Template) -> Result<(), Unreadable> {
        if !self.readable {
            return Ok(());
        }
        for slot in template.slots() {
            let wanted = self.captures.segment(slot);
            if let Some(path) = self.paths.iter().find(|path| !path.0.contains(&wanted)) {
                return Err(Unreadable::hinted(
                    format!("`{wanted}` is not captured by `{path}`"),
                    "every match of the route must capture what its template uses",
                ));
            }
        }
        Ok(())
    }

    /// All patterns must begin with the prefix: then it is so many segments.
    fn strip(&self, text: &str) -> Result<PathEdit, Unreadable> {
        if text == "/" {
            return Err(Unreadable::hinted(
                "`/` strips nothing",
                "a prefix is `/api`; without `strip` a path stays whole",
            ));
        }
        let prefix = PathPattern::parse(text.strip_suffix('/').unwrap_or(text))?;
        if let Some(capture) = prefix.0.iter().find(|segment| segment.name().is_some()) {
            return Err(Unreadable::hinted(
                format!("`strip` is a literal prefix, without `{capture}`"),
                "captures stand in `rewrite`",
            ));
        }
        match self.paths.iter().find(|path| !path.0.starts_with(&prefix.0)) {
            Some(path) => Err(Unreadable::hinted(
                format!("`{path}` does not begin with `{prefix}`"),
                format!(
                    "all matches of the route begin with the prefix: `match = \"{prefix}/{{rest:path}}\"`"
                ),
            )),
            None => Ok(PathEdit::Strip { segments: prefix.0.len() }),
        }
    }

    fn redirect(&self, raw: &RawRedirect, problems: &mut Problems) -> Redirect {
        if !matches!(raw.status, 301 | 302 | 303 | 307 | 308) {
            let message = format!("{} is no redirect", raw.status);
            problems
                .report(Code::BadValue, place!["route", self.name, "redirect", "status"], message)
                .hint("308 or 301 for good, 307 or 302 for now, 303 for another resource");
        }
        let (rest, fragment) = raw.to.split_at(raw.to.find('#').unwrap_or(raw.to.len()));
        let to = self.redirect_template(rest, fragment).unwrap_or_else(|Unreadable { message, hint }| {
            problems.report(Code::BadTemplate, place!["route", self.name, "redirect", "to"], message).hint =
                hint;
            Template::empty()
        });
        Redirect {
            status: raw.status,
            spelled: raw.to.as_str().into(),
            to,
            keeps_query: !rest.contains('?'),
            fragment: fragment.as_bytes().into(),
        }
    }

    /// The host is never made of captures: a request must not choose where its client is sent.
    fn redirect_template(&self, text: &str, fragment: &str) -> Result<Template, Unreadable> {
        if !fragment.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\{}".contains(&byte)) {
            return Err(Unreadable::new(format!("`{fragment}` is no fragment of a URL")));
        }
        let (origin, path) = split_origin(text)?;
        if origin.is_empty() && (!path.starts_with('/') || path.starts_with("//")) {
            return Err(Unreadable::hinted(
                format!("`{text}` is neither a URL nor an absolute path"),
                "`https://www.example.com/{rest}` or `/new/{rest}`",
            ));
        }
        let template = Template::parse(text, self.captures)?;
        self.check_captures(&template)?;
        Ok(template)
    }

    fn respond(&self, raw: &RawRespond, problems: &mut Problems) -> Response {
        let path = |key: &str| place!["route", self.name, "respond", key];
        values::range(raw.status, 200..=599, "", path("status"), problems);
        if matches!(raw.status, 204 | 205 | 304) && !raw.body.is_empty() {
            problems.report(Code::BadValue, path("status"), format!("an answer {} has no body", raw.status));
        }
        if raw.content_type.bytes().any(|byte| byte < 0x20 || byte == 0x7F) {
            problems.report(Code::BadField, path("content_type"), "the value has a control character");
        }
        Response {
            status: raw.status,
            body: raw.body.as_bytes().into(),
            content_type: raw.content_type.as_str().into(),
            fields: fields::fields(&raw.headers, &path("headers"), problems),
        }
    }
}

/// What stands in for an action that was refused; such a table is never used.
const NOTHING: Action = Action::Forward { upstream: UpstreamId(0), path: PathEdit::Keep };

/// `https://host:port` (or nothing), and what follows.
fn split_origin(text: &str) -> Result<(&str, &str), Unreadable> {
    let Some(colon) = text.find("://").filter(|&at| !text[..at].contains(['/', '?', '{'])) else {
        return Ok(("", text));
    };
    let (scheme, start) = (&text[..colon], colon + 3);
    if !matches!(scheme, "http" | "https") {
        return Err(Unreadable::hinted(
            format!("`{scheme}` is not a scheme for redirects"),
            "`https` or `http`",
        ));
    }
    let end = text[start..].find(['/', '?']).map_or(text.len(), |length| start + length);
    let host = &text[start..end];
    if host.contains('{') {
        return Err(Unreadable::hinted(
            format!("the host `{host}` has captures"),
            "a request must not choose where its client is sent: a redirect for each host has its own route",
        ));
    }
    crate::message::host::parse(host.as_bytes())
        .map_err(|error| Unreadable::new(format!("`{host}` is no host: {}", error.reason())))?;
    Ok(text.split_at(end))
}
