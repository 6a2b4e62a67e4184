//! Requests that applications read in more than one way: of a parameter that is there twice some take the first
//! value and some the last, of a field on two lines likewise, `+` in a query is a blank to some, and paths have
//! readings of their own. A condition that comes out otherwise in one of them cannot be told.

use super::variables::{Keys, Variable, folded};
use crate::facts::{Facts, decoded, pairs};
use crate::message::path::other_readings;

/// How a request is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// In place of the request's own.
    pub(super) path: Option<Vec<u8>>,
    /// `+` in a query is a blank.
    pub(super) plus_is_blank: bool,
    /// Of several values of a parameter.
    pub(super) parameter: Pick,
    /// Of several lines of a field that is no list.
    pub(super) line: Pick,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pick {
    /// The first parameter; all lines, joined by commas.
    #[default]
    Usual,
    First,
    Last,
}

/// The other ways in which what these variables ask for can be read. Mostly there is none.
pub(super) fn others(variables: &[Variable], facts: &dyn Facts) -> Vec<Reading> {
    let mut readings = Vec::new();
    for variable in variables {
        match variable {
            Variable::Path => {
                let paths = other_readings(facts.path()).into_iter();
                readings.extend(paths.map(|path| Reading { path: Some(path), ..Reading::default() }));
            }
            Variable::Query(keys) | Variable::QueryValues(keys) => {
                let query = facts.query().unwrap_or_default();
                if memchr::memchr(b'+', query).is_some() {
                    readings.push(Reading { plus_is_blank: true, ..Reading::default() });
                }
                if repeats(pairs(query, b'&').map(|(name, _)| decoded(name).collect()), keys) {
                    readings.push(Reading { parameter: Pick::Last, ..Reading::default() });
                }
            }
            Variable::Headers(keys) | Variable::HeaderValues(keys) => {
                let mut names: Vec<Vec<u8>> = Vec::new();
                facts.any_field(&mut |name, _| {
                    let name = folded(name).into_bytes();
                    if !is_list(&name) {
                        names.push(name);
                    }
                    false
                });
                if repeats(names.into_iter(), keys) {
                    readings
                        .extend([Pick::First, Pick::Last].map(|line| Reading { line, ..Reading::default() }));
                }
            }
            _ => {}
        }
    }
    readings
}

/// Whether a name that is asked for is there more than once.
fn repeats(names: impl Iterator<Item = Vec<u8>>, keys: &Keys) -> bool {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for name in names.filter(|name| keys.any(|key| name == key)) {
        if seen.contains(&name) {
            return true;
        }
        seen.push(name);
    }
    false
}

/// Fields whose lines are one list by their definition (RFC 9110 5.3), and Cookie (RFC 9113 8.2.3).
pub(super) fn is_list(name: &[u8]) -> bool {
    const LISTS: [&[u8]; 12] = [
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"cookie",
        b"forwarded",
        b"if-match",
        b"if-none-match",
        b"link",
        b"pragma",
        b"prefer",
        b"via",
        b"upgrade",
    ];
    name.starts_with(b"accept") || name.starts_with(b"x-forwarded-") || LISTS.contains(&name)
}
