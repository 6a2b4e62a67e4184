use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;

const WEIGHTED: [Algorithm; 5] =
    [Algorithm::P2c, Algorithm::LeastRequests, Algorithm::PeakEwma, Algorithm::RoundRobin, Algorithm::Random];

/// The same numbers again for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mixed(self.0)
    }
}

/// Targets as a test wants them.
#[derive(Clone)]
struct Them {
    weights: Vec<u32>,
    usable: Vec<bool>,
    active: Vec<u32>,
    latency_ns: Vec<u64>,
    parts: Vec<f64>,
}

impl Them {
    fn of(weights: &[u32]) -> Self {
        Them {
            weights: weights.to_vec(),
            usable: vec![true; weights.len()],
            active: vec![0; weights.len()],
            latency_ns: vec![1_000_000; weights.len()],
            parts: vec![1.0; weights.len()],
        }
    }

    fn alike(count: usize) -> Self {
        Them::of(&vec![1; count])
    }

    fn listed(&self) -> Vec<(u64, u32)> {
        (0..).map(id).zip(self.weights.iter().copied()).collect()
    }

    fn picker(&self, algorithm: Algorithm) -> Picker {
        Picker::new(algorithm, None, &self.listed())
    }
}

fn id(target: u64) -> u64 {
    mixed(target ^ 0xabcd)
}

impl Targets for Them {
    fn count(&self) -> usize {
        self.weights.len()
    }
    fn is_usable(&self, target: usize) -> bool {
        self.usable[target] && self.weights[target] > 0
    }
    fn weight(&self, target: usize) -> u32 {
        self.weights[target]
    }
    fn active(&self, target: usize) -> u32 {
        self.active[target]
    }
    fn latency_ns(&self, target: usize) -> u64 {
        self.latency_ns[target]
    }
    fn has_newcomers(&self) -> bool {
        self.parts.iter().any(|part| *part < 1.0)
    }
    fn part(&self, target: usize) -> f64 {
        self.parts[target]
    }
}

/// Picks so often, `in_flight` of them at a time; gives how often each target was.
fn picks(picker: &Picker, them: &mut Them, times: usize, in_flight: usize) -> Vec<usize> {
    let (turn, mut random) = (AtomicUsize::new(0), Random(7));
    let (mut counts, mut under_way) = (vec![0; them.count()], VecDeque::new());
    for _ in 0..times {
        let key = random.next();
        let mut chance = Chance { turn: &turn, key, random: || random.next() };
        let Some(target) = picker.pick(them, &mut chance) else { continue };
        counts[target] += 1;
        them.active[target] += 1;
        under_way.push_back(target);
        while under_way.len() > in_flight {
            them.active[under_way.pop_front().expect("there is one")] -= 1;
        }
    }
    counts
}

fn assert_shares(counts: &[usize], weights: &[u32], within: f64, what: &str) {
    let (all, total) = (counts.iter().sum::<usize>() as f64, weights.iter().sum::<u32>() as f64);
    for (count, weight) in counts.iter().zip(weights) {
        let (share, due) = (*count as f64 / all, f64::from(*weight) / total);
        assert!((share - due).abs() <= within * due, "{what}: {share:.4} of {due:.4}; {counts:?}");
    }
}

#[test]
fn shares_are_what_weights_say_whether_there_is_much_to_do_or_little() {
    for algorithm in WEIGHTED {
        for in_flight in [0, 1, 64, 2000] {
            for weights in [&[1, 1, 1][..], &[3, 1], &[5, 1, 1], &[1, 2, 3, 4]] {
                // So few requests cannot be shared out as the weights say, and one that has none is better off.
                if (1..100).contains(&in_flight) && weights != [1, 1, 1] {
                    continue;
                }
                // Where only chance decides, it takes more of them to see the shares.
                let times = if in_flight == 0 { 300_000 } else { 100_000 };
                let mut them = Them::of(weights);
                let counts = picks(&them.picker(algorithm), &mut them, times, in_flight);
                assert_shares(&counts, weights, 0.02, &format!("{algorithm:?}, {in_flight} in flight"));
            }
        }
    }
}

#[test]
fn round_robin_is_smooth() {
    let turns = |weights: &[u32], count: usize| {
        let (them, turn) = (Them::of(weights), AtomicUsize::new(0));
        let picker = them.picker(Algorithm::RoundRobin);
        let pick = |_| picker.pick(&them, &mut Chance { turn: &turn, key: 0, random: || 0 });
        (0..count).map(pick).map(|target| target.expect("all are usable")).collect::<Vec<_>>()
    };
    assert_eq!(turns(&[3, 1], 8), [0, 0, 1, 0, 0, 0, 1, 0]);
    assert_eq!(turns(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(turns(&[300, 100], 4), [0, 0, 1, 0]);
}

#[test]
fn nobody_is_chosen_who_is_not_usable() {
    for (_, algorithm) in Algorithm::ALL {
        let mut them = Them::of(&[0, 1, 1]);
        them.usable[2] = false;
        assert_eq!(picks(&them.picker(algorithm), &mut them, 1000, 10), [0, 1000, 0], "{algorithm:?}");
        them.usable[1] = false;
        assert_eq!(picks(&them.picker(algorithm), &mut them, 1000, 10), [0, 0, 0], "{algorithm:?}");
        let mut none = Them::of(&[0, 0]);
        assert_eq!(picks(&none.picker(algorithm), &mut none, 1000, 10), [0, 0], "{algorithm:?}");
        let mut empty = Them::of(&[]);
        assert_eq!(picks(&empty.picker(algorithm), &mut empty, 10, 10), [0; 0], "{algorithm:?}");
    }
}

#[test]
fn first_takes_the_first_that_is_there() {
    let mut them = Them::alike(3);
    assert_eq!(picks(&them.picker(Algorithm::First), &mut them, 10, 5), [10, 0, 0]);
    them.usable[0] = false;
    assert_eq!(picks(&them.picker(Algorithm::First), &mut them, 10, 5), [0, 10, 0]);
}

/// Every look at what is under way shows more than the one before: others choose at the same time.
struct Restless {
    them: Them,
    looks: std::cell::Cell<u32>,
}

impl Targets for Restless {
    fn count(&self) -> usize {
        self.them.count()
    }
    fn is_usable(&self, target: usize) -> bool {
        // Now and then one is full for a moment.
        !self.active(target).is_multiple_of(7)
    }
    fn weight(&self, target: usize) -> u32 {
        self.them.weight(target)
    }
    fn active(&self, _: usize) -> u32 {
        self.looks.set(self.looks.get() + 1);
        self.looks.get()
    }
    fn latency_ns(&self, target: usize) -> u64 {
        self.them.latency_ns(target)
    }
}

#[test]
fn what_others_do_meanwhile_makes_nobody_disappear() {
    for algorithm in WEIGHTED {
        let them = Them::alike(5);
        let (picker, turn, mut random) = (them.picker(algorithm), AtomicUsize::new(0), Random(1));
        let restless = Restless { them, looks: std::cell::Cell::new(0) };
        for _ in 0..10_000 {
            let mut chance = Chance { turn: &turn, key: 0, random: || random.next() };
            assert!(picker.pick(&restless, &mut chance).is_some(), "{algorithm:?}");
        }
    }
}

#[test]
fn who_stands_by_is_no_newcomer() {
    let mut them = Them::alike(3);
    them.parts[1] = 0.5;
    assert_eq!(picks(&them.picker(Algorithm::First), &mut them, 100, 5), [100, 0, 0]);
}

#[test]
fn very_different_weights_are_shares_too() {
    for algorithm in [Algorithm::RingHash, Algorithm::Maglev] {
        let mut them = Them::of(&[1_000_000, 500_000, 1]);
        let picker = them.picker(algorithm);
        let mut counts = [0; 3];
        owners(&picker, &them, 100_000).into_iter().for_each(|owner| counts[owner] += 1);
        assert_shares(&counts[..2], &[2, 1], 0.02, &format!("{algorithm:?}"));
        them.usable[..2].fill(false);
        assert_eq!(picks(&picker, &mut them, 10, 1), [0, 0, 10], "{algorithm:?}: the light one is there");
    }
}

#[test]
fn what_one_out_of_turn_would_have_had_is_shared_out() {
    for algorithm in WEIGHTED {
        let mut them = Them::of(&[2, 1, 1, 4]);
        them.usable[3] = false;
        let counts = picks(&them.picker(algorithm), &mut them, 100_000, 64);
        assert_shares(&counts[..3], &[2, 1, 1], 0.02, &format!("{algorithm:?}"));
    }
}

/// Whose each of so many keys is.
fn owners(picker: &Picker, them: &Them, keys: u64) -> Vec<usize> {
    let turn = AtomicUsize::new(0);
    let owner = |key| picker.pick(them, &mut Chance { turn: &turn, key: mixed(key), random: || 0 });
    (0..keys).map(|key| owner(key).expect("all are usable")).collect()
}

#[test]
fn hashes_share_out_keys_as_weights_say() {
    for (algorithm, within, keys) in [(Algorithm::RingHash, 0.2, 5000), (Algorithm::Maglev, 0.02, 50_000)] {
        for weights in [&[1; 3][..], &[1; 100], &[3, 1], &[10, 20, 30, 40, 100]] {
            let them = Them::of(weights);
            let mut counts = vec![0; weights.len()];
            // As many keys as the chance of the keys themselves does not show.
            owners(&them.picker(algorithm), &them, keys * weights.len() as u64)
                .into_iter()
                .for_each(|owner| counts[owner] += 1);
            assert_shares(&counts, weights, within, &format!("{algorithm:?}"));
        }
    }
}

#[test]
fn when_one_of_a_hundred_leaves_hardly_any_other_key_moves() {
    const KEYS: u64 = 100_000;
    for (algorithm, most) in [(Algorithm::RingHash, 1.0), (Algorithm::Maglev, 1.8)] {
        let all = Them::alike(100);
        let before = owners(&all.picker(algorithm), &all, KEYS);
        for gone in [0, 50, 99] {
            let its = before.iter().filter(|owner| **owner == gone).count();
            let mut listed = all.listed();
            listed.remove(gone);
            let fewer = Them::alike(99);
            let after = owners(&Picker::new(algorithm, None, &listed), &fewer, KEYS);
            let now = |owner: usize| if owner < gone { owner } else { owner + 1 };
            let moved = before.iter().zip(&after).filter(|(before, after)| **before != now(**after)).count();
            assert!(moved as f64 <= most * its as f64, "{algorithm:?}: {moved} moved, {its} were its own");

            // While it is only out for a while, no key of the others moves at all.
            let mut out = all.clone();
            out.usable[gone] = false;
            let meanwhile = owners(&all.picker(algorithm), &out, KEYS);
            assert!(before.iter().zip(&meanwhile).all(|(b, a)| b == a || *b == gone), "{algorithm:?}");
        }
    }
}

#[test]
fn the_order_of_a_list_moves_no_key() {
    let them = Them::of(&[1, 2, 3, 4]);
    let mut turned = them.listed();
    turned.reverse();
    let back = Them::of(&[4, 3, 2, 1]);
    for algorithm in [Algorithm::RingHash, Algorithm::Maglev] {
        let before = owners(&them.picker(algorithm), &them, 10_000);
        let after = owners(&Picker::new(algorithm, None, &turned), &back, 10_000);
        assert!(before.iter().zip(&after).all(|(one, other)| *one == 3 - *other), "{algorithm:?}");
    }
}

#[test]
fn a_bounded_load_never_exceeds_its_factor() {
    for algorithm in [Algorithm::RingHash, Algorithm::Maglev] {
        for factor in [1.0, 1.25, 2.0] {
            let mut them = Them::of(&[1, 1, 2]);
            let picker = Picker::new(algorithm, Some(factor), &them.listed());
            let (turn, mut random, mut under_way) = (AtomicUsize::new(0), Random(3), VecDeque::new());
            for round in 0..20_000 {
                // Half of all want one key.
                let key = if round % 2 == 0 { 42 } else { random.next() };
                let chance = &mut Chance { turn: &turn, key, random: || 0 };
                let target = picker.pick(&them, chance).expect("one always may");
                them.active[target] += 1;
                under_way.push_back(target);
                let all: u32 = them.active.iter().sum();
                for (active, weight) in them.active.iter().zip(&them.weights) {
                    let most = (factor * f64::from(all) * f64::from(*weight) / 4.0).ceil();
                    assert!(f64::from(*active) <= most, "{active} of {all}, at most {most}");
                }
                if under_way.len() > 50 {
                    them.active[under_way.pop_front().expect("there is one")] -= 1;
                }
            }
        }
    }
}

#[test]
fn a_newcomer_has_its_part_and_not_more() {
    for algorithm in WEIGHTED.into_iter().chain([Algorithm::RingHash, Algorithm::Maglev]) {
        let mut before = 0.0;
        for part in [0.1, 0.3, 0.6, 0.9, 1.0] {
            let mut them = Them::alike(4);
            them.parts[3] = part;
            let counts = picks(&them.picker(algorithm), &mut them, 50_000, 40);
            let of_equal = counts[3] as f64 / 12_500.0;
            assert!(of_equal <= part * 1.2 + 0.02, "{algorithm:?}, {part}: {of_equal:.3} of an equal share");
            assert!(of_equal >= part * 0.8, "{algorithm:?}, {part}: {of_equal:.3} of an equal share");
            assert!(of_equal > before, "{algorithm:?}: it grows");
            before = of_equal;
        }
    }
}

#[test]
fn where_all_are_new_they_are_compared_with_each_other() {
    for algorithm in WEIGHTED {
        let mut them = Them::of(&[1, 3]);
        them.parts = vec![0.1, 0.1];
        let counts = picks(&them.picker(algorithm), &mut them, 100_000, 0);
        assert_shares(&counts, &[1, 3], 0.02, &format!("{algorithm:?}"));
        let mut them = Them::alike(2);
        them.parts = vec![0.1, 0.4];
        let counts = picks(&them.picker(algorithm), &mut them, 100_000, 0);
        assert!((12_000..13_000).contains(&counts[0]), "{algorithm:?}: an eighth, {counts:?}");
    }
}

#[test]
fn parts_grow_from_a_tenth_to_the_whole() {
    assert_eq!(
        [0, 500, 1000, 5000, 9999, 10_000].map(|ms| (part_of_share(ms, 10_000) * 1e4) as u32),
        [1000, 1000, 1000, 5000, 9999, 10_000]
    );
    assert_eq!(part_of_share(0, 0), 1.0);
}

#[test]
fn the_slow_one_is_left_alone() {
    let mut them = Them::alike(3);
    them.latency_ns[1] = 100_000_000;
    let counts = picks(&them.picker(Algorithm::PeakEwma), &mut them, 10_000, 10);
    assert!(counts[1] < 100, "{counts:?}");
}

#[test]
fn a_peak_counts_at_once_and_is_forgotten_slowly() {
    let ms = 1_000_000;
    let mean = PeakEwma::default().observed(ms, 1000);
    assert_eq!(mean.now(1000), ms);
    let mean = mean.observed(100 * ms, 2000);
    assert_eq!(mean.now(2000), 100 * ms);
    let mean = mean.observed(ms, 2000 + PeakEwma::DECAY_MS);
    let now = mean.now(2000 + PeakEwma::DECAY_MS);
    assert!((37 * ms..38 * ms).contains(&now), "{now}");
    assert_eq!(PeakEwma::default().now(5), 0);
}

fn placed(listed: &[(u32, Placed)]) -> (Them, Vec<(u64, u32, Placed)>) {
    let weights: Vec<u32> = listed.iter().map(|(weight, _)| *weight).collect();
    let listed = (0..).map(id).zip(listed).map(|(id, (weight, place))| (id, *weight, *place)).collect();
    (Them::of(&weights), listed)
}

fn counts(groups: &Groups, them: &Them) -> Vec<usize> {
    let (turn, mut random) = (AtomicUsize::new(0), Random(1));
    let mut counts = vec![0; them.count()];
    for _ in 0..10_000 {
        let key = random.next();
        let mut chance = Chance { turn: &turn, key, random: || random.next() };
        groups.pick(them, &mut chance).into_iter().for_each(|target| counts[target] += 1);
    }
    counts
}

const HERE: Placed = Placed { backup: false, priority: 0, far: false };

#[test]
fn what_is_too_much_for_the_first_spills_over() {
    let next = Placed { priority: 1, ..HERE };
    let backup = Placed { backup: true, ..HERE };
    let list = [(1, HERE), (1, HERE), (1, next), (1, next), (1, backup)];
    for (_, algorithm) in Algorithm::ALL {
        let (mut them, listed) = placed(&list);
        let groups = Groups::new(algorithm, None, &listed);
        let share = |them: &Them, of: std::ops::Range<usize>| counts(&groups, them)[of].iter().sum::<usize>();
        assert_eq!(share(&them, 0..2), 10_000, "{algorithm:?}: all at first");
        them.usable[0] = false;
        let left = share(&them, 0..2);
        assert!((6800..7200).contains(&left), "{algorithm:?}: seven tenths for half of it, {left}");
        them.usable[1] = false;
        assert_eq!(share(&them, 2..4), 10_000, "{algorithm:?}");
        them.usable[2] = false;
        assert_eq!(share(&them, 3..4), 10_000, "{algorithm:?}: and not the backup while any other lives");
        them.usable[3] = false;
        assert_eq!(share(&them, 4..5), 10_000, "{algorithm:?}");
        them.usable[4] = false;
        assert_eq!(share(&them, 0..5), 0, "{algorithm:?}");
    }
}

#[test]
fn ones_own_zone_comes_first() {
    let far = Placed { far: true, ..HERE };
    let (mut them, listed) = placed(&[(1, far), (3, HERE)]);
    let groups = Groups::new(Algorithm::P2c, None, &listed);
    assert_eq!(counts(&groups, &them), [0, 10_000]);
    them.usable[1] = false;
    assert_eq!(counts(&groups, &them), [10_000, 0]);
}

fn split(shares: &[u32]) -> Split {
    let ways: Vec<(u64, u32)> = (100..).map(id).zip(shares.iter().copied()).collect();
    Split::new(&ways)
}

#[test]
fn a_split_has_its_shares_and_keys_stay() {
    const KEYS: u64 = 100_000;
    let ways = |shares: &[u32]| {
        let split = split(shares);
        (0..KEYS).map(|key| split.pick(mixed(key)).expect("there is a share")).collect::<Vec<_>>()
    };
    for shares in [&[95, 5][..], &[1, 1], &[50, 30, 20], &[1, 0, 999]] {
        let (chosen, total) = (ways(shares), shares.iter().sum::<u32>());
        for (way, share) in shares.iter().enumerate() {
            let points = chosen.iter().filter(|chosen| **chosen == way).count() as f64 / KEYS as f64 * 100.0;
            let due = f64::from(*share) / f64::from(total) * 100.0;
            assert!((points - due).abs() <= 0.5, "{shares:?}: {points} of {due}");
        }
    }
    for (before, after, raised) in
        [(&[95, 5], &[90, 10], 1), (&[95, 5], &[100, 0], 0), (&[1, 1], &[1, 100], 1)]
    {
        let moved = ways(before).into_iter().zip(ways(after)).filter(|(before, after)| before != after);
        assert!(moved.into_iter().all(|(_, after)| after == raised), "{before:?} to {after:?}");
    }
    assert_eq!(split(&[0, 0]).pick(1), None);
}

proptest! {
    #[test]
    fn whatever_is_chosen_is_usable(
        weights in prop::collection::vec(0u32..5, 0..12),
        usable in prop::collection::vec(any::<bool>(), 12),
        active in prop::collection::vec(0u32..20, 12),
        latency in prop::collection::vec(0u64..5_000_000, 12),
        parts in prop::collection::vec(0.0f64..2.0, 12),
        places in prop::collection::vec((any::<bool>(), 0u32..3, any::<bool>()), 12),
        key in any::<u64>(),
        bound in prop::option::of(1.0f64..3.0),
    ) {
        let parts = parts.iter().map(|part| part.min(1.0)).collect();
        let them = Them { weights: weights.clone(), usable, active, latency_ns: latency, parts };
        let place = |&(backup, priority, far): &(bool, u32, bool)| Placed { backup, priority, far };
        let listed: Vec<_> = (0..).map(id).zip(&weights).zip(&places).map(|((id, weight), place_of)| (id, *weight, place(place_of))).collect();
        let is_any = (0..them.count()).any(|target| them.is_usable(target));
        for (_, algorithm) in Algorithm::ALL {
            let groups = Groups::new(algorithm, bound, &listed);
            let (turn, mut random) = (AtomicUsize::new(key as usize), Random(key));
            let mut chance = Chance { turn: &turn, key, random: || random.next() };
            let chosen = groups.pick(&them, &mut chance);
            prop_assert_eq!(chosen.is_some(), is_any, "{:?}", algorithm);
            prop_assert!(chosen.is_none_or(|chosen| them.is_usable(chosen)), "{:?}", algorithm);
        }
    }

    #[test]
    fn a_mean_in_a_word_is_nearly_the_same(took in 1u64..400_000_000_000, at in 0u64..1 << 40, later in 0u64..1_000_000) {
        let mean = PeakEwma::default().observed(took, at);
        let again = PeakEwma::unpacked(mean.packed(), at + later);
        let (one, other) = (mean.now(at + later), again.now(at + later));
        prop_assert!(one.abs_diff(other) <= 101, "{} {}", one, other);
    }
}
