//! `balance` and `outliers` of an upstream.

use super::values;
use crate::balance::Algorithm;
use crate::table::raw::{RawBalance, RawOutliers};
use crate::table::{Balance, Code, Outliers, PathPart, Problems, Share, Statuses, place};
use crate::verdict::By;

/// The shortest and the longest list of what a status may be.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;

pub(super) fn balance(name: &str, raw: &RawBalance, problems: &mut Problems) -> Balance {
    let path = |key: &str| place!["upstream", name, "balance", key];
    let algorithm = Algorithm::named(&raw.algorithm).unwrap_or_else(|| {
        let message = format!("`{}` is no way to balance", raw.algorithm);
        let known: Vec<_> = Algorithm::ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
        problems.report(Code::BadValue, path("algorithm"), message).hint(known.join(", "));
        Algorithm::P2c
    });
    let hash = raw.hash.as_deref().and_then(|text| match By::read(text) {
        Ok(by) => Some(by),
        Err(message) => {
            problems.report(Code::BadValue, path("hash"), message).hint("`client.ip`, `request.path`");
            None
        }
    });
    if let Some(bound) = raw.bound.filter(|bound| !(1.0..=1000.0).contains(bound)) {
        let message = format!("{bound} is out of range: 1 to 1000");
        problems.report(Code::BadValue, path("bound"), message).hint("1.25 is a quarter more than the mean");
    }
    for (key, given) in [("hash", raw.hash.is_some()), ("bound", raw.bound.is_some())] {
        if given && !algorithm.is_hash() {
            let message = format!("`{}` does not look at it", algorithm.name());
            problems.report(Code::Conflict, path(key), message).hint("`ring_hash` and `maglev` do");
        }
    }
    // As nginx's `ip_hash` does.
    let hash = hash.or(algorithm.is_hash().then_some(By::ClientIp));
    Balance { algorithm, hash, bound: raw.bound }
}

pub(super) fn outliers(name: &str, raw: &RawOutliers, problems: &mut Problems) -> Outliers {
    let path = |key: &str| place!["upstream", name, "outliers", key];
    values::range(raw.errors, 1..=1000, "", path("errors"), problems);
    values::wait(raw.eject_ms, path("eject"), problems);
    values::wait(raw.longest_ms, path("longest"), problems);
    values::range(raw.max_ejected, 0..=100, "%", path("max_ejected"), problems);
    if let Some(share) = raw.share {
        values::range(share, 1..=100, "%", path("share"), problems);
    }
    values::range(raw.requests, 1..=1_000_000, "", path("requests"), problems);
    values::wait(raw.over_ms, path("over"), problems);
    let share = raw.share.map(|share| Share {
        most: f64::from(share) / 100.0,
        requests: raw.requests,
        over_ms: raw.over_ms,
    });
    Outliers {
        errors: raw.errors,
        share,
        eject_ms: raw.eject_ms,
        longest_ms: raw.longest_ms.max(raw.eject_ms),
        max_ejected: f64::from(raw.max_ejected) / 100.0,
        statuses: statuses(&raw.statuses, path("statuses"), problems),
    }
}

/// `200`, `200-299`.
pub(super) fn statuses(raw: &[String], path: Vec<PathPart>, problems: &mut Problems) -> Statuses {
    let range = |text: &str| {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (STATUSES.contains(&from) && STATUSES.contains(&to) && from <= to).then_some((from, to))
    };
    let mut statuses = Vec::with_capacity(raw.len());
    for (index, text) in raw.iter().enumerate() {
        match range(text) {
            Some(range) => statuses.push(range),
            None => {
                let path = path.iter().cloned().chain([index.into()]).collect();
                let message = format!("`{text}` is neither a status nor a range of them");
                problems.report(Code::BadValue, path, message).hint("`503`, `500-599`");
            }
        }
    }
    Statuses(statuses)
}
