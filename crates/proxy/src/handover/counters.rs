//! All counters of the process that only go up, by name.

use crate::shared::{SIDE, Shared};
use crate::telemetry::cells::Counted;
use crate::telemetry::registry::{Known, PerWorker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// Values of one series, in the order in which its cells are counted.
type Values = Vec<u64>;
/// By kind and labels.
type Series = BTreeMap<(Kind, Vec<Box<str>>), Values>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Route,
    Target,
    Listener,
    Policy,
    Asked,
    Limited,
    /// Panics, and lines of the log that were dropped.
    Process,
}

/// As it is written.
type Listed = Vec<((Kind, Vec<Box<str>>), Values)>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub(crate) struct Counters(Series);

impl From<Listed> for Counters {
    fn from(all: Listed) -> Self {
        Counters(all.into_iter().collect())
    }
}

impl From<Counters> for Listed {
    fn from(counters: Counters) -> Self {
        counters.0.into_iter().collect()
    }
}

impl Counters {
    /// As they are now, summed over all workers.
    pub(crate) fn read(shared: &Shared) -> Self {
        let known = shared.registry.lock();
        let mut found = Series::new();
        let pair = |(a, b): &(Box<str>, Box<str>)| vec![a.clone(), b.clone()];
        let one = |a: &str| vec![a.into()];
        found.extend(known.routes.iter().map(|(name, cells)| ((Kind::Route, pair(name)), sum(cells))));
        found.extend(known.targets.iter().map(|(name, cells)| ((Kind::Target, pair(name)), sum(cells))));
        found.extend(known.listeners.iter().map(|(name, cells)| ((Kind::Listener, one(name)), sum(cells))));
        found.extend(known.policies.iter().map(|(name, cells)| ((Kind::Policy, one(name)), sum(cells))));
        found.extend(known.asked.iter().map(|(name, cells)| ((Kind::Asked, one(name)), sum(cells))));
        found.extend(known.limited.iter().map(|(name, cells)| ((Kind::Limited, one(name)), sum(cells))));
        let process = vec![shared.panics.load(Relaxed), shared.log_dropped.load(Relaxed)];
        found.insert((Kind::Process, Vec::new()), process);
        Counters(found)
    }

    /// What was counted since; series in which that is nothing are absent.
    pub(crate) fn since(&self, before: &Counters) -> Counters {
        let grown = self.0.iter().map(|(name, now)| {
            let then = before.0.get(name);
            let values = now.iter().enumerate().map(|(at, now)| {
                now.wrapping_sub(then.and_then(|then| then.get(at)).copied().unwrap_or_default())
            });
            (name.clone(), values.collect::<Values>())
        });
        Counters(grown.filter(|(_, values)| values.iter().any(|value| *value > 0)).collect())
    }

    /// One for each series.
    pub(crate) fn parts(self) -> impl Iterator<Item = Counters> {
        self.0.into_iter().map(|part| Counters(Series::from([part])))
    }

    /// Counts them on. To be called where the side worker's cells are written, or before there is one.
    pub(crate) fn add_to(&self, shared: &Shared) {
        for ((kind, labels), values) in &self.0 {
            let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
            let registry = &shared.registry;
            match (kind, &labels[..]) {
                (Kind::Route, [listener, route]) => registry.route(SIDE, listener, route).add_all(values),
                (Kind::Target, [upstream, target]) => registry.target(SIDE, upstream, target).add_all(values),
                (Kind::Listener, [listener]) => registry.listener(SIDE, listener).add_all(values),
                (Kind::Policy, [policy]) => registry.policy(SIDE, policy).add_all(values),
                (Kind::Asked, [policy]) => registry.asked(SIDE, policy).add_all(values),
                (Kind::Limited, [policy]) => registry.limited(SIDE, policy).add_all(values),
                (Kind::Process, []) => {
                    for (cell, value) in [&shared.panics, &shared.log_dropped].into_iter().zip(values) {
                        cell.fetch_add(*value, Relaxed);
                    }
                }
                // Of another version.
                _ => {}
            }
        }
    }

    /// Likewise, but only what the configuration in use names: a series that a reload has ended does not come back.
    pub(crate) fn add_to_known(&self, shared: &Shared) {
        let known = |known: &Known, kind: Kind, labels: &[Box<str>]| match (kind, labels) {
            (Kind::Route, [a, b]) => known.routes.contains_key(&(a.clone(), b.clone())),
            (Kind::Target, [a, b]) => known.targets.contains_key(&(a.clone(), b.clone())),
            (Kind::Listener, [name]) => known.listeners.contains_key(name),
            (Kind::Policy, [name]) => known.policies.contains_key(name),
            (Kind::Asked, [name]) => known.asked.contains_key(name),
            (Kind::Limited, [name]) => known.limited.contains_key(name),
            _ => kind == Kind::Process,
        };
        let named = {
            let all = shared.registry.lock();
            let mut named = self.0.clone();
            named.retain(|(kind, labels), _| known(&all, *kind, labels));
            named
        };
        Counters(named).add_to(shared);
    }
}

fn sum<C: Counted>(cells: &PerWorker<C>) -> Values {
    let mut sums = Values::new();
    for cell in cells {
        let mut at = 0;
        cell.each(&mut |count| {
            if sums.len() == at {
                sums.push(0);
            }
            sums[at] = u64::wrapping_add(sums[at], count.read());
            at += 1;
        });
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Bounds;

    #[test]
    fn what_was_counted_goes_on_and_comes_once() {
        let (old, new) = (Shared::new(Bounds::new(1000)), Shared::new(Bounds::new(1000)));
        let route = old.registry.route(3, "http", "site");
        route.requests.count(200);
        route.duration.observe(1500);
        old.registry.limited(2, "each").count(false);
        let handed = Counters::read(&old);
        let text = serde_json::to_string(&handed).expect("JSON");
        serde_json::from_str::<Counters>(&text).expect("the same").add_to(&new);
        assert_eq!(Counters::read(&new), handed);
        route.requests.count(503);
        old.log_dropped.fetch_add(7, Relaxed);
        old.registry.route(1, "http", "gone").requests.count(200);
        let rest = Counters::read(&old).since(&handed);
        assert_eq!(rest.0.len(), 3, "only what has grown: {rest:?}");
        rest.parts().for_each(|part| part.add_to_known(&new));
        let mut all = Counters::read(&old);
        all.0.retain(|(_, labels), _| !labels.contains(&"gone".into()));
        assert_eq!(Counters::read(&new), all);
    }
}
