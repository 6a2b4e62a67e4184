//! `health` of an upstream.

use super::{balance, fields, values};
use crate::message::host;
use crate::message::path::{Normal, normalise};
use crate::route::pattern::Unreadable;
use crate::route::regular_expression;
use crate::table::raw::RawHealth;
use crate::table::{Ask, BodyCheck, Code, HealthCheck, PathPart, Problems, Statuses, place};

/// Bytes of what is sent over a bare connection, and of what has to come back.
const LONGEST: usize = 4096;

pub(super) fn check(name: &str, raw: &RawHealth, problems: &mut Problems) -> HealthCheck {
    let path = |key: &str| place!["upstream", name, "health", key];
    values::range(raw.every_ms, 10..=values::LONGEST_MS, "ms", path("every"), problems);
    values::wait(raw.timeout_ms, path("timeout"), problems);
    values::range(raw.fall, 1..=1000, "", path("fall"), problems);
    values::range(raw.rise, 1..=1000, "", path("rise"), problems);
    if let Some(fast_ms) = raw.fast_ms {
        values::range(fast_ms, 10..=raw.every_ms.max(10), "ms", path("fast"), problems);
    }
    let ask = match &raw.path {
        Some(target) => http(name, raw, target, problems),
        None => tcp(name, raw, problems),
    };
    HealthCheck {
        ask,
        every_ms: raw.every_ms,
        fast_ms: raw.fast_ms.unwrap_or(raw.every_ms),
        timeout_ms: raw.timeout_ms,
        fall: raw.fall,
        rise: raw.rise,
    }
}

fn http(name: &str, raw: &RawHealth, target: &str, problems: &mut Problems) -> Ask {
    let path = |key: &str| place!["upstream", name, "health", key];
    if !is_sendable(target) {
        let message = format!("`{target}` is not the path of a request");
        problems
            .report(Code::BadValue, path("path"), message)
            .hint("it begins with `/`; blanks are written `%20`");
    }
    for (key, given) in [("send", raw.send.is_some()), ("expect", raw.expect.is_some())] {
        if given {
            let message = format!("`{key}` is of a check without `path`");
            problems.report(Code::Conflict, path(key), message).hint("`body` looks for a text in the answer");
        }
    }
    if let Some(host) = &raw.host
        && let Err(error) = host::parse(host.as_bytes())
    {
        let message = format!("`{host}` is no host: {}", error.reason());
        problems.report(Code::BadValue, path("host"), message);
    }
    let statuses = match &raw.statuses {
        Some(texts) => balance::statuses(texts, path("statuses"), problems),
        None => Statuses(vec![(200, 299)]),
    };
    Ask::Http {
        path: target.into(),
        host: raw.host.as_deref().map(Into::into),
        fields: fields::fields(&raw.headers, &path("headers"), problems),
        statuses,
        body: raw.body.as_deref().and_then(|text| body(text, path("body"), problems)),
    }
}

fn tcp(name: &str, raw: &RawHealth, problems: &mut Problems) -> Ask {
    let given = [
        ("host", raw.host.is_some()),
        ("headers", !raw.headers.is_empty()),
        ("statuses", raw.statuses.is_some()),
        ("body", raw.body.is_some()),
    ];
    for (key, _) in given.into_iter().filter(|(_, given)| *given) {
        let message = format!("`{key}` is of a check by HTTP, and there is no `path`");
        problems
            .report(Code::Conflict, place!["upstream", name, "health", key], message)
            .hint("add `path`, or say with `send` and `expect` what goes over the bare connection");
    }
    for (key, text) in [("send", &raw.send), ("expect", &raw.expect)] {
        values::range(
            text.as_ref().map_or(0, String::len),
            0..=LONGEST,
            "bytes",
            place!["upstream", name, "health", key],
            problems,
        );
    }
    let bytes = |text: &Option<String>| text.as_deref().unwrap_or_default().as_bytes().into();
    Ask::Tcp { send: bytes(&raw.send), expect: bytes(&raw.expect) }
}

fn body(text: &str, path: Vec<PathPart>, problems: &mut Problems) -> Option<BodyCheck> {
    let expression = text.strip_prefix("re:").map_or_else(|| regex::escape(text), str::to_owned);
    match regular_expression(&expression) {
        Ok(regex) => Some(BodyCheck { spelled: text.into(), regex }),
        Err(Unreadable { message, hint }) => {
            problems.report(Code::BadValue, path, message).hint = hint;
            None
        }
    }
}

/// A path in normal form, maybe with a query.
fn is_sendable(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    normalise(path.as_bytes(), &mut Vec::new()) == Ok(Normal::AsIs)
        && query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}
