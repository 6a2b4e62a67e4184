//! What an expression can name, and the values of that for a request.

use super::readings::{Pick, Reading, is_list};
use crate::facts::{Facts, decoded, decoded_is, nameless, pairs};
use crate::message::head::same_for_cgi;
use cel::Value;
use cel::common::types::{CelMap, CelMapKey, CelString};
use cel::common::value::Val;
use cel::objects::{Key, Map};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Something that is looked up for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Variable {
    Method,
    Path,
    Host,
    Scheme,
    Query(Keys),
    /// Likewise, with "" for what is not there.
    QueryValues(Keys),
    Headers(Keys),
    HeaderValues(Keys),
    ClientId,
    ClientIp,
    ClientPlan,
    ClientClaims(Keys),
}

/// Which entries of a map are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keys {
    These(Vec<Box<str>>),
    All,
}

/// The fields of `request` and of `client`.
pub(super) const FIELDS: &[(&str, &[&str])] = &[
    ("client", &["claims", "id", "ip", "plan"]),
    ("request", &["headers", "host", "method", "path", "query", "scheme"]),
];

impl Variable {
    /// By its two names, asking for nothing yet where it is a map.
    pub(super) fn named(root: &str, field: &str) -> Option<Self> {
        let none = || Keys::These(Vec::new());
        Some(match (root, field) {
            ("request", "method") => Variable::Method,
            ("request", "path") => Variable::Path,
            ("request", "host") => Variable::Host,
            ("request", "scheme") => Variable::Scheme,
            ("request", "query") => Variable::Query(none()),
            ("request", "headers") => Variable::Headers(none()),
            ("client", "id") => Variable::ClientId,
            ("client", "ip") => Variable::ClientIp,
            ("client", "plan") => Variable::ClientPlan,
            ("client", "claims") => Variable::ClientClaims(none()),
            _ => return None,
        })
    }

    /// As an expression spells it.
    pub(super) fn spelled(&self) -> &'static str {
        match self {
            Variable::QueryValues(_) => "request.query",
            Variable::HeaderValues(_) => "request.headers",
            other => other.name(),
        }
    }

    /// The same with "" for what is not there, for `request.headers.x` as a value: only `has` and `in` ask whether
    /// it is there.
    pub(super) fn values(&self) -> Option<Self> {
        let none = || Keys::These(Vec::new());
        match self {
            Variable::Query(_) => Some(Variable::QueryValues(none())),
            Variable::Headers(_) => Some(Variable::HeaderValues(none())),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Variable::Method => "request.method",
            Variable::Path => "request.path",
            Variable::Host => "request.host",
            Variable::Scheme => "request.scheme",
            Variable::Query(_) => "request.query",
            Variable::QueryValues(_) => "@query",
            Variable::Headers(_) => "request.headers",
            Variable::HeaderValues(_) => "@headers",
            Variable::ClientId => "client.id",
            Variable::ClientIp => "client.ip",
            Variable::ClientPlan => "client.plan",
            Variable::ClientClaims(_) => "client.claims",
        }
    }

    pub(super) fn keys_mut(&mut self) -> Option<&mut Keys> {
        match self {
            Variable::Query(keys)
            | Variable::QueryValues(keys)
            | Variable::Headers(keys)
            | Variable::HeaderValues(keys)
            | Variable::ClientClaims(keys) => Some(keys),
            _ => None,
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Variable::Query(_) | Variable::Headers(_) | Variable::ClientClaims(_))
    }

    pub(super) fn value<'f>(&self, facts: &'f dyn Facts, reading: &Reading) -> Box<dyn Val + 'f> {
        match self {
            Variable::Method => text(facts.method()),
            Variable::Path => match &reading.path {
                Some(path) => own(String::from_utf8_lossy(path).into_owned()),
                None => text(facts.path()),
            },
            Variable::Host => text(facts.host()),
            Variable::Scheme => text(if facts.https() { b"https" } else { b"http" }),
            Variable::Query(keys) => map(query(facts, keys, reading)),
            Variable::QueryValues(keys) => map(keys.complete(query(facts, keys, reading))),
            Variable::Headers(keys) => map(headers(facts, keys, reading)),
            Variable::HeaderValues(keys) => map(keys.complete(headers(facts, keys, reading))),
            Variable::ClientId => match facts.client() {
                Some(client) => text(client.id.as_bytes()),
                None => own(nameless(facts.client_ip())),
            },
            Variable::ClientIp => {
                own(facts.client_ip().map(|ip| ip.to_canonical().to_string()).unwrap_or_default())
            }
            Variable::ClientPlan => {
                text(facts.client().and_then(|client| client.plan.as_deref()).unwrap_or_default().as_bytes())
            }
            Variable::ClientClaims(keys) => claims(facts, keys),
        }
    }
}

impl Keys {
    pub(super) fn any(&self, mut is: impl FnMut(&[u8]) -> bool) -> bool {
        match self {
            Keys::All => true,
            Keys::These(keys) => keys.iter().any(|key| is(key.as_bytes())),
        }
    }

    /// Adds what is asked for and not there.
    fn complete(&self, mut found: HashMap<String, String>) -> HashMap<String, String> {
        if let Keys::These(keys) = self {
            for key in keys.iter().filter(|key| !found.contains_key(&***key)).collect::<Vec<_>>() {
                found.insert(key.to_string(), String::new());
            }
        }
        found
    }

    pub(super) fn ask(&mut self, key: &str) {
        if let Keys::These(keys) = self
            && !keys.iter().any(|known| **known == *key)
        {
            keys.push(key.into());
        }
    }
}

fn text<'f>(bytes: &'f [u8]) -> Box<dyn Val + 'f> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Box::new(CelString::from(text)),
        Cow::Owned(text) => own(text),
    }
}

fn own<'f>(text: String) -> Box<dyn Val + 'f> {
    Box::new(CelString::from(text))
}

/// A name of a field as all of its spellings: one for an application behind CGI.
pub(super) fn folded(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-")
}

/// By folded name; the lines of one name together, as RFC 9110 5.3 joins them.
fn headers(facts: &dyn Facts, keys: &Keys, reading: &Reading) -> HashMap<String, String> {
    let mut found: HashMap<String, (String, usize)> = HashMap::new();
    facts.any_field(&mut |name, value| {
        if keys.any(|key| same_for_cgi(name, key)) {
            let value = String::from_utf8_lossy(value);
            match found.entry(folded(name)) {
                Entry::Vacant(entry) => {
                    entry.insert((value.into_owned(), 0));
                }
                Entry::Occupied(mut entry) => {
                    let line = if is_list(entry.key().as_bytes()) { Pick::Usual } else { reading.line };
                    let separator = if entry.key() == "cookie" { "; " } else { ", " };
                    let (joined, place) = entry.get_mut();
                    *place += 1;
                    match line {
                        Pick::Usual => joined.extend([separator, &value]),
                        Pick::Nth(wanted) if *place <= wanted => *joined = value.into_owned(),
                        Pick::Nth(_) => {}
                    }
                }
            }
        }
        false
    });
    values(found)
}

/// Without their places.
fn values(found: HashMap<String, (String, usize)>) -> HashMap<String, String> {
    found.into_iter().map(|(name, (value, _))| (name, value)).collect()
}

/// Decoded.
fn query(facts: &dyn Facts, keys: &Keys, reading: &Reading) -> HashMap<String, String> {
    let plain = |raw: &[u8]| {
        let blank = |byte: u8| if reading.plus_is_blank && byte == b'+' { b' ' } else { byte };
        let raw: Vec<u8> = raw.iter().map(|byte| blank(*byte)).collect();
        String::from_utf8_lossy(&decoded(&raw).collect::<Vec<u8>>()).into_owned()
    };
    let mut found: HashMap<String, (String, usize)> = HashMap::new();
    for (name, value) in pairs(facts.query().unwrap_or_default(), b'&') {
        let blanks = reading.plus_is_blank && name.contains(&b'+');
        if keys.any(|key| if blanks { plain(name).as_bytes() == key } else { decoded_is(name, key) }) {
            match found.entry(plain(name)) {
                Entry::Vacant(entry) => {
                    entry.insert((plain(value), 0));
                }
                Entry::Occupied(mut entry) => {
                    let (first, place) = entry.get_mut();
                    *place += 1;
                    if matches!(reading.parameter, Pick::Nth(wanted) if *place <= wanted) {
                        *first = plain(value);
                    }
                }
            }
        }
    }
    values(found)
}

fn map<'f>(found: HashMap<String, String>) -> Box<dyn Val + 'f> {
    let entries = found.into_iter().map(|(name, value)| (CelMapKey::from(name), own(value)));
    Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
}

fn claims<'f>(facts: &'f dyn Facts, keys: &Keys) -> Box<dyn Val + 'f> {
    let claims = facts.client().into_iter().flat_map(|client| &client.claims);
    let claims = claims.filter(|(name, _)| keys.any(|key| name.as_bytes() == key));
    let entries = claims.filter_map(|(name, claim)| {
        let value: Box<dyn Val> = value(claim).try_into().ok()?;
        Some((CelMapKey::from(name.clone()), value as Box<dyn Val + 'f>))
    });
    Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
}

fn object(claims: &serde_json::Map<String, serde_json::Value>) -> Map {
    let entries = claims.iter().map(|(name, claim)| (Key::from(name.clone()), value(claim)));
    Map { map: std::sync::Arc::new(entries.collect()) }
}

/// JSON has one kind of number; whole ones are `int` where they fit.
fn value(claim: &serde_json::Value) -> Value {
    match claim {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(list) => Value::from(list.iter().map(value).collect::<Vec<Value>>()),
        serde_json::Value::Object(entries) => Value::Map(object(entries)),
    }
}
