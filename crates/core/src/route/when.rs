//! Conditions beside a route's match: `when = { header = {...}, query = {...}, cookie = {...}, ip = [...] }`.

use crate::address::IpSet;
use crate::facts::{Facts, cookie_value, decoded, decoded_is, query_value};
use crate::message::head::same_for_cgi;
use regex::bytes::Regex;
use smallvec::SmallVec;
use std::fmt;

/// All of them must hold.
#[derive(Debug, Clone, Default)]
pub struct When(Vec<Test>);

/// One condition. No two of a route ask about the same thing.
#[derive(Debug, Clone)]
pub enum Test {
    Value {
        of: Place,
        name: Box<str>,
        check: Check,
    },
    /// The client's address; the networks as in the file beside it.
    Ip(IpSet, Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Any line of the field will do. The name is in lower case and has no `_`.
    Header,
    /// The first of the name, its escapes decoded; `+` stays as it is.
    Query,
    /// The first of the name.
    Cookie,
}

#[derive(Debug, Clone)]
pub enum Check {
    Exact(Box<[u8]>),
    /// Found anywhere in the value.
    Re(Regex),
    Present,
}

impl When {
    pub(crate) fn new(tests: Vec<Test>) -> Self {
        When(tests)
    }

    pub fn tests(&self) -> &[Test] {
        &self.0
    }

    pub fn holds(&self, facts: &dyn Facts) -> bool {
        self.0.iter().all(|test| test.holds(facts))
    }

    /// The first condition that does not hold.
    pub fn unmet(&self, facts: &dyn Facts) -> Option<&Test> {
        self.0.iter().find(|test| !test.holds(facts))
    }

    /// Whether one of them says the contrary of one of the others': no request is meant for both.
    ///
    /// A field on several lines may satisfy two values all the same; then the order of the names decides.
    pub(crate) fn excludes(&self, other: &When) -> bool {
        self.0.iter().any(|test| other.0.iter().any(|against| test.excludes(against)))
    }

    /// Whether it holds wherever the other does.
    pub(crate) fn follows_from(&self, other: &When) -> bool {
        self.0.iter().all(|test| other.0.iter().any(|given| test.follows_from(given)))
    }
}

impl Test {
    pub fn holds(&self, facts: &dyn Facts) -> bool {
        match self {
            Test::Ip(networks, _) => facts.client_ip().is_some_and(|ip| networks.contains(ip)),
            Test::Value { of: Place::Header, name, check } => facts
                .any_field(&mut |known, value| same_for_cgi(known, name.as_bytes()) && check.takes(value)),
            Test::Value { of: Place::Query, name, check } => facts
                .query()
                .and_then(|query| query_value(query, name.as_bytes()))
                .is_some_and(|value| check.takes_decoded(value)),
            Test::Value { of: Place::Cookie, name, check } => {
                let mut holds = false;
                facts.any_field(&mut |known, value| {
                    let found =
                        known.eq_ignore_ascii_case(b"cookie").then(|| cookie_value(value, name.as_bytes()));
                    let first = found.flatten();
                    holds = first.is_some_and(|value| check.takes(value));
                    first.is_some()
                });
                holds
            }
        }
    }

    fn excludes(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Ip(a, _), Test::Ip(b, _)) => !a.meets(b),
            (Test::Value { of, name, check }, Test::Value { of: at, name: known, check: against }) => {
                of == at && name == known && check.excludes(against)
            }
            _ => false,
        }
    }

    fn follows_from(&self, given: &Test) -> bool {
        match (self, given) {
            (Test::Ip(a, _), Test::Ip(b, _)) => a.covers(b),
            (Test::Value { of, name, check }, Test::Value { of: at, name: known, check: given }) => {
                of == at && name == known && check.follows_from(given)
            }
            _ => false,
        }
    }
}

impl Check {
    fn takes(&self, value: &[u8]) -> bool {
        match self {
            Check::Exact(wanted) => **wanted == *value,
            Check::Re(pattern) => pattern.is_match(value),
            Check::Present => true,
        }
    }

    fn takes_decoded(&self, value: &[u8]) -> bool {
        match self {
            Check::Exact(wanted) => decoded_is(value, wanted),
            Check::Re(pattern) if memchr::memchr(b'%', value).is_some() => {
                pattern.is_match(&decoded(value).collect::<SmallVec<[u8; 256]>>())
            }
            Check::Re(_) | Check::Present => self.takes(value),
        }
    }

    fn excludes(&self, other: &Check) -> bool {
        match (self, other) {
            (Check::Exact(value), other) | (other, Check::Exact(value)) => !other.takes(value),
            _ => false,
        }
    }

    fn follows_from(&self, given: &Check) -> bool {
        match (self, given) {
            (Check::Present, _) => true,
            (_, Check::Exact(value)) => self.takes(value),
            (Check::Re(a), Check::Re(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Ip(_, networks) => write!(f, "the client's address is in {networks}"),
            Test::Value { of, name, check } => {
                let place = match of {
                    Place::Header => "header",
                    Place::Query => "query",
                    Place::Cookie => "cookie",
                };
                write!(f, "{place} `{name}` ")?;
                match check {
                    Check::Exact(value) => write!(f, "is `{}`", String::from_utf8_lossy(value)),
                    Check::Re(pattern) => write!(f, "matches `{pattern}`"),
                    Check::Present => f.write_str("is there"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
