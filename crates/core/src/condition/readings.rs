//! Requests that applications read in more than one way: of a parameter that is there twice some take the first
//! value and some the last, of a field on two lines likewise, `+` in a query is a blank to some, and paths have
//! readings of their own. A condition that comes out otherwise in one of them cannot be told.

use super::variables::{Variable, folded};
use crate::facts::{Facts, decoded, decoded_is, pairs};
use crate::message::head::same_for_cgi;
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
                let asked = pairs(query, b'&').filter(|(name, _)| keys.any(|key| decoded_is(name, key)));
                if repeat(asked.map(|(name, _)| decoded(name).collect()).collect()) {
                    readings.push(Reading { parameter: Pick::Last, ..Reading::default() });
                }
            }
            Variable::Headers(keys) | Variable::HeaderValues(keys) => {
                let mut names: Vec<Vec<u8>> = Vec::new();
                facts.any_field(&mut |name, _| {
                    if keys.any(|key| same_for_cgi(name, key)) {
                        names.push(folded(name).into_bytes());
                    }
                    false
                });
                names.retain(|name| !is_list(name));
                if repeat(names) {
                    readings
                        .extend([Pick::First, Pick::Last].map(|line| Reading { line, ..Reading::default() }));
                }
            }
            _ => {}
        }
    }
    readings
}

/// Whether one of the names is there more than once.
fn repeat(mut names: Vec<Vec<u8>>) -> bool {
    names.sort_unstable();
    names.windows(2).any(|two| two[0] == two[1])
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
