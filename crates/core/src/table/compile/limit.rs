//! `type = "rate_limit"`: rates, and what requests are counted by.

use super::effective::Names;
use super::values::{self, LONGEST_MS};
use crate::limit::Rate;
use crate::table::raw::{RawKind, RawPolicy, RawRate, RawTable};
use crate::table::{
    Code, KeyPart, Listener, ListenerId, Phase, Policy, PolicyId, PolicyKind, Problems, RateLimit, RateWords,
    Route, Serve, place,
};
use crate::verdict::{By, MOST_BY};
use std::collections::{BTreeMap, HashMap};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// At this rate one comes back in a nanosecond.
const MOST_REQUESTS: u32 = 1_000_000_000;
/// Before the name of a policy that gives a key.
const GIVEN: &str = "policy.";

/// All policies by their names, with the ids that they will have.
pub(super) struct Givers<'r> {
    raw: &'r BTreeMap<String, RawPolicy>,
    ids: HashMap<&'r str, PolicyId>,
}

impl<'r> Givers<'r> {
    pub(super) fn new(raw: &'r BTreeMap<String, RawPolicy>) -> Self {
        let single = raw.iter().filter(|(_, policy)| !matches!(policy.kind, RawKind::Chain { .. }));
        let ids = single.enumerate().map(|(index, (name, _))| (name.as_str(), PolicyId::at(index)));
        Givers { raw, ids: ids.collect() }
    }
}

pub(super) fn compile(
    name: &str, (raw, burst): (&[RawRate], Option<u32>), key: &[String], givers: &Givers<'_>,
    problems: &mut Problems,
) -> RateLimit {
    let parts = key.iter().enumerate().filter_map(|(index, word)| part(name, index, word, givers, problems));
    let parts = parts.collect();
    match key.len() {
        1..=MOST_BY => {}
        length => {
            let message = format!("a key has 1 to {MOST_BY} parts, not {length}");
            problems.report(Code::BadKey, place!["policy", name, "key"], message).hint("`client.id`");
        }
    }
    let rates = rates(name, raw, burst, problems);
    let told = rates.iter().map(|rate| words(name, rate, rates.len() > 1)).collect();
    RateLimit { rates, told, key: parts, key_words: key.iter().map(|word| word.as_str().into()).collect() }
}

fn part(
    name: &str, index: usize, word: &str, givers: &Givers<'_>, problems: &mut Problems,
) -> Option<KeyPart> {
    let path = place!["policy", name, "key", index];
    let Some(giver) = word.strip_prefix(GIVEN) else {
        return match By::read(word) {
            Ok(by) => Some(KeyPart::Alike(by)),
            Err(why) => {
                let hint = "such as `client.ip`, `client.claims.NAME`, `request.headers.NAME`, `policy.NAME`";
                problems.report(Code::BadKey, path, why).hint(hint);
                None
            }
        };
    };
    match givers.raw.get(giver).map(|policy| &policy.kind) {
        None => {
            problems.report(Code::UnknownReference, path, format!("there is no policy `{giver}`"));
            None
        }
        Some(RawKind::Python { .. }) => givers.ids.get(giver).copied().map(KeyPart::Given),
        Some(_) => {
            problems
                .report(Code::BadKey, path, format!("`policy.{giver}` is not in Python: it gives no key"))
                .hint("one that gives a key is `@policy.key`, or returns `Allow(key=...)`");
            None
        }
    }
}

fn rates(name: &str, raw: &[RawRate], burst: Option<u32>, problems: &mut Problems) -> Vec<Rate> {
    if raw.is_empty() {
        let problem = problems.report(Code::BadValue, place!["policy", name, "rate"], "a limit needs a rate");
        problem.hint("`rate = \"600/min\"`");
    }
    let mut rates: Vec<Rate> = Vec::with_capacity(raw.len());
    for (index, RawRate { requests, window_ms }) in raw.iter().copied().enumerate() {
        let path = || place!["policy", name, "rate", index];
        values::range(requests, 1..=MOST_REQUESTS, "requests", path(), problems);
        values::range(window_ms, 1000..=DAY_MS, "ms", path(), problems);
        if rates.iter().any(|known| known.window_ms == window_ms) {
            let message = "there is a rate for the same time already: only the lower one would count";
            problems.report(Code::BadValue, path(), message).hint("take one of the two out");
        }
        let own = burst.filter(|_| index == 0);
        let rate = Rate::new(requests, window_ms, own.unwrap_or(requests).max(1));
        if let Some(burst) = own {
            let path = place!["policy", name, "burst"];
            values::range(burst, 1..=MOST_REQUESTS, "requests", path.clone(), problems);
            if rate.full_ms() > LONGEST_MS {
                let message = format!("at this rate {burst} requests come back in more than a year");
                problems.report(Code::BadValue, path, message).hint("a burst that its rate gives back");
            }
        }
        rates.push(rate);
    }
    rates
}

/// Several rates of one limit are told apart by their windows.
fn words(name: &str, rate: &Rate, several: bool) -> RateWords {
    // What has no place in a string in quotes (RFC 9651, 3.3.3) is in no name of a file.
    let safe = |c: char| if c.is_ascii_graphic() && !"\"\\".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    let name = if several { format!("\"{name}/{}\"", rate.unit()) } else { format!("\"{name}\"") };
    let policy = format!("{name};q={};w={}", rate.requests, rate.window_ms / 1000);
    RateWords { name: name.into_bytes().into(), policy: policy.into_bytes().into() }
}

/// A limit that counts by what a policy gives comes behind that, on each route.
pub(super) fn check(
    raw: &RawTable, names: &Names<'_>, policies: &[Policy], (listeners, routes): (&[Listener], &[Route]),
    problems: &mut Problems,
) {
    for policy in policies {
        let PolicyKind::RateLimit(limit) = &policy.kind else { continue };
        for giver in limit.givers().map(|id| names.policy(id)).filter(|giver| giver.phase > Phase::Limits) {
            let message = format!(
                "`policy.{}` acts in the phase `{}`, behind the limits: it gives its key too late",
                giver.name,
                giver.phase.name()
            );
            let word = format!("{GIVEN}{}", giver.name);
            let index = limit.key_words.iter().position(|known| **known == *word).unwrap_or_default();
            problems
                .report(Code::BadKey, place!["policy", &*policy.name, "key", index], message)
                .also(place!["policy", &*giver.name])
                .hint("`@policy.key` makes one that gives keys, `@policy(phase=\"authorise\")` one that comes before");
        }
    }
    for (route, raw_route) in routes.iter().zip(raw.route.values()) {
        let lists = listeners.iter().enumerate().filter(|(_, listener)| listener.serve == Serve::Proxy);
        let mut told: Vec<(PolicyId, PolicyId)> = Vec::new();
        for (limit, giver) in
            lists.flat_map(|(index, _)| missing(names, route.policies(ListenerId::at(index))))
        {
            if !told.contains(&(limit, giver)) {
                told.push((limit, giver));
                let (limit, giver) = (&names.policy(limit).name, &names.policy(giver).name);
                let key = if raw_route.use_.is_empty() { None } else { Some("use") };
                let place = ["route", &*route.name].into_iter().chain(key).map(Into::into).collect();
                let message =
                    format!("`{limit}` counts by what `{giver}` gives, and this route does not ask it");
                problems.report(Code::BadKey, place, message).also(place!["policy", &**giver]).hint(format!(
                    "`use = [\"{giver}\", ...]`, or make it `@policy.key`: then `{limit}` brings it along"
                ));
            }
        }
    }
}

/// The limits of a list, each with a policy that ought to stand there too. Where it stands does not matter: phases
/// come in their order.
fn missing<'l>(
    names: &'l Names<'_>, list: &'l [PolicyId],
) -> impl Iterator<Item = (PolicyId, PolicyId)> + 'l {
    list.iter().flat_map(move |id| {
        let PolicyKind::RateLimit(limit) = &names.policy(*id).kind else { return Vec::new() };
        let in_time = |giver: &PolicyId| names.policy(*giver).phase <= Phase::Limits;
        let lacking = limit.givers().filter(|giver| in_time(giver) && !list.contains(giver));
        lacking.map(|giver| (*id, giver)).collect()
    })
}
