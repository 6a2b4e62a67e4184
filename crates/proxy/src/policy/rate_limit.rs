//! `type = "rate_limit"`: the buckets of a limit, which all workers share, and what clients are told of it.

use crate::clock::{Clock, exact_us};
use crate::shared::Shared;
use crate::telemetry::cells::LimitCells;
use pylos_core::limit::{Buckets, Left, Rate, Taken};
use pylos_core::table::{PolicyId, PolicyKind, RateLimit, Table};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// A limit's keys and what each has taken. Outlives a reload that does not change what it counts by.
pub(crate) struct Limit {
    /// What it counts by, as the file spells it.
    key: Vec<Box<str>>,
    /// Keys are kept as hashes that no client can foresee: nobody finds two that share a bucket, and nothing of what
    /// clients have sent is kept. 64 bits: of a million keys, two share one with a chance of 1 to 30 million.
    seeds: [u64; 2],
    buckets: Buckets,
}

/// A limit as it is handed over to another process, but for its cells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handed {
    pub(crate) policy: Box<str>,
    key: Vec<Box<str>>,
    seeds: [u64; 2],
    /// Requests, window in ms and burst of each rate.
    rates: Vec<(u32, u64, u32)>,
    /// How many numbers its cells are.
    pub(crate) cells: usize,
}

impl Limit {
    pub(crate) fn new(limit: &RateLimit) -> Self {
        let buckets = Buckets::new(&limit.rates);
        Limit { key: limit.key_words.clone(), seeds: seeds(), buckets }
    }

    #[cfg(test)]
    pub(crate) fn with_rates(key: &[&str], rates: &[Rate]) -> Self {
        let key = key.iter().map(|&word| word.into()).collect();
        Limit { key, seeds: seeds(), buckets: Buckets::new(rates) }
    }

    /// Describes it for another process, which gets the cells beside it.
    pub(crate) fn handed(&self, policy: &str, cells: usize) -> Handed {
        let rates = self.buckets.rates().iter().map(|rate| (rate.requests, rate.window_ms, rate.burst));
        Handed {
            policy: policy.into(),
            key: self.key.clone(),
            seeds: self.seeds,
            rates: rates.collect(),
            cells,
        }
    }

    pub(crate) fn cells(&self) -> Vec<u64> {
        self.buckets.cells()
    }

    /// What another process has handed over, whose clock shows `shift_ns` less.
    pub(crate) fn of(handed: &Handed, cells: &[u64], shift_ns: i64) -> Self {
        let rates = handed.rates.iter().map(|&(requests, window, burst)| Rate::new(requests, window, burst));
        let rates: Vec<_> = rates.collect();
        let buckets = Buckets::with_cells(&rates, cells, shift_ns, exact_us() * 1000);
        Limit { key: handed.key.clone(), seeds: handed.seeds, buckets }
    }

    /// What this one has counted, as another limit counts it; `None` where the two count by different things, or in
    /// different windows. What the former configuration still lets pass meanwhile is not seen.
    pub(crate) fn followed_by(&self, limit: &RateLimit, now_us: u64) -> Option<Limit> {
        let buckets =
            (self.key == limit.key_words).then(|| self.buckets.converted(&limit.rates, now_us * 1000));
        buckets.flatten().map(|buckets| Limit { key: self.key.clone(), seeds: self.seeds, buckets })
    }

    pub(crate) fn is_of(&self, limit: &RateLimit) -> bool {
        self.key == limit.key_words && self.buckets.rates() == limit.rates
    }

    /// Takes one request for a key; `now_us` is since the process' origin.
    pub(crate) fn take(&self, key: &[u8], now_us: u64) -> Taken {
        self.take_hashed(self.hash(key), now_us)
    }

    /// Likewise for what [`Self::hash`] gives for it.
    pub(crate) fn take_hashed(&self, hash: u64, now_us: u64) -> Taken {
        self.buckets.take(hash, now_us * 1000)
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.seeds[0], self.seeds[1]).hash(key)
    }

    pub(crate) fn keys(&self) -> usize {
        self.buckets.keys()
    }
}

/// Two numbers that nobody can foresee.
fn seeds() -> [u64; 2] {
    let random = RandomState::new();
    [0u8, 1].map(|which| random.hash_one(which))
}

/// A limit, as one worker uses it.
pub(crate) struct Seat {
    pub(crate) limit: Arc<Limit>,
    pub(crate) cells: Arc<LimitCells>,
}

/// By policy; absent for those that are no limits.
pub(crate) fn seats(
    table: &Table, limit: impl Fn(&str, &RateLimit) -> Arc<Limit>, cells: impl Fn(&str) -> Arc<LimitCells>,
) -> Vec<Option<Seat>> {
    let seat = |policy: &pylos_core::table::Policy| match &policy.kind {
        PolicyKind::RateLimit(own) => {
            Some(Seat { limit: limit(&policy.name, own), cells: cells(&policy.name) })
        }
        _ => None,
    };
    table.policies.iter().map(seat).collect()
}

/// Where requests take from limits, and what the time is there.
#[derive(Clone, Copy)]
pub(crate) struct Metered<'r> {
    pub(crate) seats: &'r [Option<Seat>],
    pub(crate) clock: &'r Clock,
    /// Who counts in place of this process, which ends.
    pub(crate) shared: &'r Shared,
}

/// What is told of one rate of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) policy: PolicyId,
    /// Which of its rates.
    pub(crate) rate: usize,
    pub(crate) left: Left,
}

/// The fields that tell of limits (draft-ietf-httpapi-ratelimit-headers-10).
const POLICY_FIELD: &[u8] = b"ratelimit-policy";
const LIMIT_FIELD: &[u8] = b"ratelimit";
pub(crate) const FIELDS: [&[u8]; 2] = [POLICY_FIELD, LIMIT_FIELD];

/// Writes them, but for those that a policy writes itself.
pub(crate) fn write(out: &mut Vec<u8>, table: &Table, told: &[Told], written: impl Fn(&[u8]) -> bool) {
    if told.is_empty() {
        return;
    }
    let words = |told: &Told| match &table.policies[told.policy.index()].kind {
        PolicyKind::RateLimit(limit) => limit.told.get(told.rate),
        _ => None,
    };
    if !written(POLICY_FIELD) {
        list(out, POLICY_FIELD, told, |out, told| {
            words(told).iter().for_each(|words| out.extend_from_slice(&words.policy));
        });
    }
    if !written(LIMIT_FIELD) {
        list(out, LIMIT_FIELD, told, |out, told| {
            words(told).iter().for_each(|words| out.extend_from_slice(&words.name));
            parameter(out, b";r=", told.left.requests);
            // Until there is more; where all is there, nothing comes back.
            if told.left.more_ns > 0 {
                parameter(out, b";t=", told.left.more_s());
            }
        });
    }
}

/// One field with a member for each rate (RFC 9651, 3.1).
fn list(out: &mut Vec<u8>, name: &[u8], told: &[Told], member: impl Fn(&mut Vec<u8>, &Told)) {
    out.extend_from_slice(name);
    for (index, one) in told.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b": " } else { b", " });
        member(out, one);
    }
    out.extend_from_slice(b"\r\n");
}

fn parameter(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
