//! Requests that applications read in more than one way: of a parameter that is there twice some take the first
//! value and some the last, of a field on two lines likewise, `+` in a query is a blank to some, and paths have
//! readings of their own. A condition that comes out otherwise in one of them cannot be told.

use super::variables::{Keys, Variable, folded};
use crate::facts::{Facts, decoded, decoded_is, pairs};
use crate::message::head::same_for_cgi;
use crate::message::path::{decoded_readings, other_readings};

/// How a request is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// The one at this place, or the last where there are fewer.
    Nth(usize),
}

/// So many readings are gone through; a request that has more cannot be told.
const MOST: usize = 64;

/// The other ways in which what these variables ask for can be read: each path with each value of what is there more
/// than once, for an application may differ in all of them. Mostly there is none. `None` where there are too many.
pub(super) fn others(variables: &[Variable], facts: &dyn Facts) -> Option<Vec<Reading>> {
    let (mut paths, mut blanks) = (vec![None], vec![false]);
    let (mut parameters, mut lines) = (vec![Pick::Usual], vec![Pick::Usual]);
    for variable in variables {
        match variable {
            Variable::Path if paths.len() == 1 => paths.extend(read_otherwise(facts.path()).map(Some)),
            Variable::Query(keys) | Variable::QueryValues(keys) => {
                let query = facts.query().unwrap_or_default();
                if memchr::memchr(b'+', query).is_some() && blanks.len() == 1 {
                    blanks.push(true);
                }
                // The first is the usual one.
                add(&mut parameters, 1..most_alike(asked(query, keys)));
            }
            Variable::Headers(keys) | Variable::HeaderValues(keys) => {
                let repeated = repeated(facts, keys)?;
                add(&mut lines, if repeated > 1 { 0..repeated } else { 0..0 });
            }
            _ => {}
        }
    }
    if paths.len() * blanks.len() * parameters.len() * lines.len() > MOST {
        return None;
    }
    let mut readings = Vec::new();
    for path in &paths {
        for &plus_is_blank in &blanks {
            for &parameter in &parameters {
                let rest = lines.iter().map(|&line| (path.clone(), plus_is_blank, parameter, line));
                readings.extend(rest.map(|(path, plus_is_blank, parameter, line)| Reading {
                    path,
                    plus_is_blank,
                    parameter,
                    line,
                }));
            }
        }
    }
    readings.remove(0); // as it is
    Some(readings)
}

/// A path as applications may take it, its escapes decoded and not.
fn read_otherwise(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut readings = other_readings(path);
    readings.extend(decoded_readings(path, &readings));
    readings.sort_unstable();
    readings.dedup();
    readings.retain(|reading| reading != path);
    readings.into_iter()
}

fn add(picks: &mut Vec<Pick>, places: std::ops::Range<usize>) {
    for pick in places.map(Pick::Nth) {
        if !picks.contains(&pick) {
            picks.push(pick);
        }
    }
}

/// The names of the parameters that are asked for. A `+` counts as a blank: names that are one then may be one.
fn asked(query: &[u8], keys: &Keys) -> Vec<Vec<u8>> {
    let names = pairs(query, b'&').map(|(name, _)| name);
    let names = names.filter(|name| keys.any(|key| decoded_is(name, key) || *blank(name) == *key));
    names.map(|name| blank(name).into_owned()).collect()
}

/// A name with `+` as blanks, decoded.
fn blank(name: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if memchr::memchr2(b'+', b'%', name).is_none() {
        return name.into();
    }
    let raw: Vec<u8> = name.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    decoded(&raw).collect::<Vec<u8>>().into()
}

/// How often the most frequent name is there.
fn most_alike(mut names: Vec<Vec<u8>>) -> usize {
    names.sort_unstable();
    names.chunk_by(|one, next| one == next).map(<[_]>::len).max().unwrap_or(0)
}

/// How often a field that is asked for and is no list is there at most. `None` where it has two spellings, of which
/// an application may take one and leave the other, or not.
fn repeated(facts: &dyn Facts, keys: &Keys) -> Option<usize> {
    let mut names: Vec<(String, Vec<u8>)> = Vec::new();
    facts.any_field(&mut |name, _| {
        if keys.any(|key| same_for_cgi(name, key)) {
            names.push((folded(name), name.to_ascii_lowercase()));
        }
        false
    });
    names.sort_unstable();
    let mut most = 0;
    for alike in names.chunk_by(|one, next| one.0 == next.0) {
        if alike[0].1 != alike[alike.len() - 1].1 {
            return None;
        }
        if !is_list(alike[0].0.as_bytes()) {
            most = most.max(alike.len());
        }
    }
    Some(most)
}

/// Fields whose lines are one list by their definition (RFC 9110 5.3), and Cookie (RFC 9113 8.2.3).
pub(super) fn is_list(name: &[u8]) -> bool {
    const LISTS: [&[u8]; 17] = [
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
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
        b"x-forwarded-for",
    ];
    LISTS.contains(&name)
}
