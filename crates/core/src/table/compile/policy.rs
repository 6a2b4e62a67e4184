//! `[policy.NAME]`, but for chains, which `effective` takes apart.

use super::limit::{self, Givers};
use super::settings::network;
use super::{fields, python, values};
use crate::address::IpSet;
use crate::condition::{BadExpression, Condition};
use crate::route::PathSet;
use crate::route::pattern::{PathPattern, Unreadable, check_method};
use crate::table::raw::{RawFieldEdits, RawKind, RawPolicy};
use crate::table::{
    Code, FieldEdits, FilterPolicy, HeadersPolicy, Phase, Policy, PolicyKind, Problems, place,
};
use std::collections::BTreeMap;

/// In the order of names; a chain has no policy of its own.
pub(super) fn compile(raw: &BTreeMap<String, RawPolicy>, problems: &mut Problems) -> Vec<Policy> {
    let mut policies = Vec::new();
    let givers = Givers::new(raw);
    for (name, policy) in raw {
        let (phase, kind) = match &policy.kind {
            RawKind::Chain { .. } => {
                refuse_conditions(name, policy, problems);
                continue;
            }
            RawKind::Headers { request, response, preset } => {
                let headers = headers(name, request, response, preset.as_deref(), problems);
                (Phase::Transform, PolicyKind::Headers(headers))
            }
            RawKind::Filter { allow_ip, deny_ip, deny_path, allow_methods, max_body } => {
                let filter = FilterPolicy {
                    allow_ip: addresses(name, "allow_ip", allow_ip, problems),
                    deny_ip: addresses(name, "deny_ip", deny_ip, problems),
                    deny_path: paths(name, deny_path, problems),
                    allow_methods: methods(name, allow_methods, problems),
                    max_body: *max_body,
                };
                (Phase::Filter, PolicyKind::Filter(filter))
            }
            RawKind::RateLimit { rates, burst, key } => {
                let limit = limit::compile(name, (rates, *burst), key, &givers, problems);
                (Phase::Limits, PolicyKind::RateLimit(limit))
            }
            RawKind::Mtls => (Phase::Identity, PolicyKind::Mtls),
            RawKind::Python { .. } => match python::compile(name, &policy.kind, problems) {
                Some((phase, python)) => (phase, PolicyKind::Python(python)),
                None => continue,
            },
        };
        let condition = policy.if_.as_ref().and_then(|text| condition(name, text, problems));
        let enforce = enforce(name, policy.enforce, problems);
        policies.push(Policy { name: name.as_str().into(), phase, enforce, condition, kind });
    }
    policies
}

fn enforce(name: &str, percent: u32, problems: &mut Problems) -> u8 {
    values::range(percent, 0..=100, "percent", place!["policy", name, "enforce"], problems);
    percent.min(100) as u8
}

fn condition(name: &str, text: &str, problems: &mut Problems) -> Option<Condition> {
    match Condition::parse(text) {
        Ok(condition) => Some(condition),
        Err(BadExpression { column, message, hint }) => {
            let message = format!("{message}, at column {column} of the expression");
            problems.report(Code::BadExpression, place!["policy", name, "if"], message).hint = hint;
            None
        }
    }
}

/// A chain is only a list.
fn refuse_conditions(name: &str, policy: &RawPolicy, problems: &mut Problems) {
    for (key, given) in [("enforce", policy.enforce != 100), ("if", policy.if_.is_some())] {
        if given {
            let message = format!("a chain has no `{key}` of its own");
            problems
                .report(Code::Conflict, place!["policy", name, key], message)
                .hint("give it to the policies in the chain");
        }
    }
}

fn headers(
    name: &str, request: &RawFieldEdits, response: &RawFieldEdits, preset: Option<&str>,
    problems: &mut Problems,
) -> HeadersPolicy {
    let mut headers = HeadersPolicy {
        request: fields::edits(request, place!["policy", name, "request"], problems),
        response: fields::edits(response, place!["policy", name, "response"], problems),
        response_https: FieldEdits::default(),
    };
    match preset {
        None => {}
        Some("security") => add_security(&mut headers),
        Some(other) => {
            let message = format!("`{other}` is no preset");
            problems.report(Code::BadValue, place!["policy", name, "preset"], message).hint("`security`");
        }
    }
    headers
}

/// What a browser should be told by every site. Where the policy names the same field, its own word counts.
fn add_security(headers: &mut HeadersPolicy) {
    let named = |name: &str, edits: &FieldEdits| {
        let same = |other: &[u8]| other.eq_ignore_ascii_case(name.as_bytes());
        edits.set.iter().chain(&edits.add).any(|(other, _)| same(other))
            || edits.remove.iter().any(|other| same(other))
    };
    let field = |name: &str, value: &str| (name.as_bytes().into(), value.as_bytes().into());
    for (name, value) in [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ] {
        if !named(name, &headers.response) {
            headers.response.set.push(field(name, value));
        }
    }
    if !named("Strict-Transport-Security", &headers.response) {
        headers.response_https.set.push(field("Strict-Transport-Security", "max-age=31536000"));
    }
}

fn addresses(name: &str, key: &str, texts: &[String], problems: &mut Problems) -> IpSet {
    let place = |index: usize| place!["policy", name, key, index];
    let found = texts.iter().enumerate().filter_map(|(index, text)| network(text, place(index), problems));
    IpSet::new(found.collect::<Vec<_>>())
}

fn paths(name: &str, texts: &[String], problems: &mut Problems) -> PathSet {
    let mut patterns = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match PathPattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(Unreadable { message, hint }) => {
                problems.report(Code::BadMatch, place!["policy", name, "deny_path", index], message).hint =
                    hint;
            }
        }
    }
    PathSet::new(&patterns)
}

fn methods(name: &str, texts: &[String], problems: &mut Problems) -> Vec<Box<[u8]>> {
    for (index, text) in texts.iter().enumerate() {
        if let Err(Unreadable { message, .. }) = check_method(text) {
            let path = place!["policy", name, "allow_methods", index];
            problems.report(Code::BadValue, path, message).hint("methods are upper case: `GET`");
        }
    }
    texts.iter().map(|text| text.as_bytes().into()).collect()
}
