//! `when` of a route.

use super::fields::no_value;
use super::settings::network;
use crate::address::IpSet;
use crate::facts::{Asked, unseen};
use crate::http1::is_token;
use crate::route::pattern::Unreadable;
use crate::route::{Check, Place, Test, When, regular_expression};
use crate::table::raw::{RawCondition, RawWhen};
use crate::table::{Code, PathPart, Problems, place};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The readable ones; `None` when it asks for nothing.
pub(super) fn compile(route: &str, raw: &RawWhen, problems: &mut Problems) -> Option<Arc<When>> {
    let mut tests = Vec::new();
    for (of, key, conditions) in [
        (Place::Header, "header", &raw.header),
        (Place::Query, "query", &raw.query),
        (Place::Cookie, "cookie", &raw.cookie),
    ] {
        let place = place!["route", route, "when", key];
        tests.extend(values(of, conditions, place, problems));
    }
    if !raw.ip.is_empty() {
        let place = |index: usize| place!["route", route, "when", "ip", index];
        let networks = raw.ip.iter().enumerate().filter_map(|(at, text)| network(text, place(at), problems));
        tests.push(Test::Ip(IpSet::new(networks.collect::<Vec<_>>()), raw.ip.join(", ").into()));
    }
    (!tests.is_empty()).then(|| Arc::new(When::new(tests)))
}

fn values(
    of: Place, raw: &BTreeMap<String, RawCondition>, place: Vec<PathPart>, problems: &mut Problems,
) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::with_capacity(raw.len());
    for (spelled, condition) in raw {
        let name = match of {
            // One field for an application behind CGI.
            Place::Header => spelled.to_ascii_lowercase().replace('_', "-"),
            Place::Query | Place::Cookie => spelled.clone(),
        };
        let twin = |test: &Test| matches!(test, Test::Value { name: known, .. } if **known == *name);
        let readable = if tests.iter().any(twin) {
            let why = "field names have no letter case, and `_` counts as `-`";
            Err(Unreadable::new(format!("`{spelled}` stands twice: {why}")))
        } else {
            check_name(of, spelled).and_then(|()| check(of, condition))
        };
        match readable {
            Ok(check) => tests.push(Test::Value { of, name: name.into(), check }),
            Err(Unreadable { message, hint }) => {
                let path = [place.as_slice(), &[PathPart::from(spelled)]].concat();
                problems.report(Code::BadCondition, path, message).hint = hint;
            }
        }
    }
    tests
}

fn check_name(of: Place, name: &str) -> Result<(), Unreadable> {
    let sound = is_token(name.as_bytes());
    match of {
        Place::Header if !sound => {
            Err(Unreadable::new(format!("`{}` is not a field name", name.escape_debug())))
        }
        Place::Header => match unseen(name) {
            Some((why, Asked::Host)) => {
                Err(Unreadable::hinted(why, "it stands in the match: `shop.example.com/{rest:path}`"))
            }
            Some((why, Asked::Address)) => Err(Unreadable::hinted(
                why,
                "`ip = [\"10.0.0.0/8\"]` asks for the client's address, which `trusted_proxies` tell",
            )),
            Some((why, Asked::Nothing)) => Err(Unreadable::new(why)),
            None => Ok(()),
        },
        Place::Cookie if !sound => {
            Err(Unreadable::new(format!("`{}` is not the name of a cookie", name.escape_debug())))
        }
        Place::Query if name.is_empty() => Err(Unreadable::new("a parameter of a query has a name")),
        _ => Ok(()),
    }
}

fn check(of: Place, condition: &RawCondition) -> Result<Check, Unreadable> {
    match condition {
        RawCondition::Present(true) => Ok(Check::Present),
        RawCondition::Present(false) => Err(Unreadable::hinted(
            "that something is absent is no condition",
            "`true` asks for it to be there; what has it goes to the route that asks, all else to the others",
        )),
        RawCondition::Re(text) => regular_expression(text).map(Check::Re),
        RawCondition::Exact(text) => check_arrives(of, text).map(|()| Check::Exact(text.as_bytes().into())),
    }
}

/// A value that no request can have would make a route that takes nothing.
fn check_arrives(of: Place, text: &str) -> Result<(), Unreadable> {
    let never = |why: &str| Err(Unreadable::new(format!("no request has this value: {why}")));
    match of {
        Place::Query => Ok(()),
        Place::Cookie if text.contains(';') => never("a `;` ends the value of a cookie"),
        _ => no_value(text).map_or(Ok(()), |why| never(&format!("it {why}"))),
    }
}
