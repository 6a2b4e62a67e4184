//! One way to choose, made ready for a list of targets.

use super::newcomers::{largest, newcomer, owns};
use super::{
    Bound, But, Cost, Maglev, Requests, RingHash, RoundRobin, Targets, Time, Weighted, first, least_requests,
    two_choices,
};
use std::sync::atomic::AtomicUsize;

/// How the next target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    P2c,
    LeastRequests,
    PeakEwma,
    RoundRobin,
    Random,
    First,
    RingHash,
    Maglev,
}

impl Algorithm {
    /// All, by their names in the file.
    pub const ALL: [(&'static str, Algorithm); 8] = [
        ("p2c", Algorithm::P2c),
        ("least_requests", Algorithm::LeastRequests),
        ("peak_ewma", Algorithm::PeakEwma),
        ("round_robin", Algorithm::RoundRobin),
        ("random", Algorithm::Random),
        ("first", Algorithm::First),
        ("ring_hash", Algorithm::RingHash),
        ("maglev", Algorithm::Maglev),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, algorithm)| algorithm)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// Whether it sends what has one key to one target.
    pub fn is_hash(self) -> bool {
        matches!(self, Algorithm::RingHash | Algorithm::Maglev)
    }
}

/// What a choice is made with, besides the targets.
pub struct Chance<'c, R> {
    /// The turn of `round_robin`, which all workers share.
    pub turn: &'c AtomicUsize,
    /// Of a hash: what stands for the request, evenly spread or not.
    pub key: u64,
    /// 64 random bits with each call.
    pub random: R,
}

/// What has to be worked out once for a list of targets and their weights.
#[derive(Debug)]
enum Way {
    P2c(Weighted),
    LeastRequests,
    PeakEwma(Weighted),
    RoundRobin(RoundRobin),
    Random(Weighted),
    First,
    RingHash(RingHash),
    Maglev(Maglev),
}

/// Chooses among a fixed list of targets with fixed weights.
#[derive(Debug)]
pub struct Picker {
    way: Way,
    /// Of a hash: no target has more than so many times the mean.
    bound: Option<f64>,
}

impl Picker {
    /// Each target is known by a number that is its own whatever stands beside it, with its weight.
    pub fn new(algorithm: Algorithm, bound: Option<f64>, targets: &[(u64, u32)]) -> Self {
        let weights: Vec<u32> = targets.iter().map(|&(_, weight)| weight).collect();
        let way = match algorithm {
            Algorithm::P2c => Way::P2c(Weighted::new(&weights)),
            Algorithm::LeastRequests => Way::LeastRequests,
            Algorithm::PeakEwma => Way::PeakEwma(Weighted::new(&weights)),
            Algorithm::RoundRobin => Way::RoundRobin(RoundRobin::new(&weights)),
            Algorithm::Random => Way::Random(Weighted::new(&weights)),
            Algorithm::First => Way::First,
            Algorithm::RingHash => Way::RingHash(RingHash::new(targets)),
            Algorithm::Maglev => Way::Maglev(Maglev::new(targets)),
        };
        Picker { way, bound }
    }

    /// One of the usable targets; `None` where there is none.
    pub fn pick<R: FnMut() -> u64>(
        &self, targets: &impl Targets, chance: &mut Chance<'_, R>,
    ) -> Option<usize> {
        // Who stands by has no share that could grow.
        if matches!(self.way, Way::First) || !targets.has_newcomers() {
            return self.whole(targets, chance);
        }
        if let Way::RingHash(_) | Way::Maglev(_) = self.way {
            return self.grown(targets, chance);
        }
        let largest = largest(targets);
        let newcomer = newcomer(targets, largest, (chance.random)());
        // The others share what newcomers do not have yet.
        let old = But { targets, passes: |target| targets.part(target) >= largest };
        let usual = self.whole(&old, chance)?;
        Some(newcomer.filter(|&newcomer| self.is_no_worse(targets, newcomer, usual)).unwrap_or(usual))
    }

    /// A newcomer has a growing part of its keys: which ones they are, the keys themselves say.
    fn grown<R: FnMut() -> u64>(&self, targets: &impl Targets, chance: &mut Chance<'_, R>) -> Option<usize> {
        let key = chance.key;
        let largest = largest(targets);
        let has = But { targets, passes: |target| owns(targets, largest, target, key) };
        self.whole(&has, chance).or_else(|| self.whole(targets, chance))
    }

    fn whole<R: FnMut() -> u64>(&self, targets: &impl Targets, chance: &mut Chance<'_, R>) -> Option<usize> {
        match &self.way {
            Way::P2c(weighted) => two_choices(targets, weighted, &Requests, &mut chance.random),
            Way::LeastRequests => least_requests(targets, (chance.random)()),
            Way::PeakEwma(weighted) => {
                two_choices(targets, weighted, &Time::new(weighted), &mut chance.random)
            }
            Way::RoundRobin(order) => order.pick(targets, chance.turn, (chance.random)()),
            Way::Random(weighted) => weighted.pick(targets, &mut chance.random),
            Way::First => first(targets),
            Way::RingHash(ring) => match self.bound.map(|factor| Bound::new(targets, factor)) {
                Some(bound) => ring.pick(targets, chance.key, |target| bound.has_room(targets, target)),
                None => ring.pick(targets, chance.key, |_| true),
            },
            Way::Maglev(table) => match self.bound.map(|factor| Bound::new(targets, factor)) {
                Some(bound) => table.pick(targets, chance.key, |target| bound.has_room(targets, target)),
                None => table.pick(targets, chance.key, |_| true),
            },
        }
    }

    /// A newcomer whose turn it is has it, unless it has more to do already than the one that it takes it from.
    fn is_no_worse(&self, targets: &impl Targets, newcomer: usize, usual: usize) -> bool {
        let is_no_worse = |cost: &dyn Fn(usize) -> f64| cost(newcomer) <= cost(usual);
        match &self.way {
            Way::P2c(_) | Way::LeastRequests => is_no_worse(&|target| Requests.cost(targets, target)),
            Way::PeakEwma(weighted) => is_no_worse(&|target| Time::new(weighted).cost(targets, target)),
            _ => true,
        }
    }
}
