//! Which policies of an effective list act on one request: decided once, before the first of them is asked.

use super::{Policy, PolicyId, Table};
use crate::condition::Condition;
use crate::facts::Facts;
use smallvec::SmallVec;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// What a policy does for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    #[default]
    Acts,
    /// It is not enforced for this request: only recorded is what it would have done.
    Watches,
    /// Its `if` does not hold.
    Rests,
}

/// The parts of a list's policies, by their places in it. Without any, all act: the usual case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acting(SmallVec<[Part; 8]>);

impl Acting {
    /// Decides it for all from a place of the list on. `draw` is the request's id, which decides what `enforce` leaves
    /// to chance; without one, what is enforced at all is enforced.
    pub fn decide(
        &mut self, table: &Table, list: &[PolicyId], from: usize, draw: Option<&[u8]>, facts: &dyn Facts,
    ) {
        self.0.truncate(from);
        self.0.extend(list.iter().skip(from).map(|id| table.policies[id.index()].part(draw, facts)));
    }

    pub fn part(&self, place: usize) -> Part {
        self.0.get(place).copied().unwrap_or_default()
    }

    pub fn acts(&self, place: usize) -> bool {
        self.part(place) == Part::Acts
    }
}

impl Policy {
    /// Where a condition cannot be told, a policy that protects acts, for an odd request must not switch it off; one
    /// that changes something rests, for an odd request must not switch it on.
    pub fn part(&self, draw: Option<&[u8]>, facts: &dyn Facts) -> Part {
        let holds = |condition: &Condition| condition.holds(facts).unwrap_or(self.protects());
        if !self.condition.as_ref().is_none_or(holds) {
            return Part::Rests;
        }
        let enforced = match draw {
            Some(id) if self.enforce < 100 => percentile(id, self.name.as_bytes()) < u64::from(self.enforce),
            _ => self.enforce > 0,
        };
        if enforced { Part::Acts } else { Part::Watches }
    }
}

/// A number below 100: for one request each policy has a lot of its own. The keys are random, since behind a
/// trusted proxy a client may choose the id, and must not choose its lot.
fn percentile(id: &[u8], name: &[u8]) -> u64 {
    static LOTS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    LOTS.hash_one((id, name)) % 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::NoFacts;
    use crate::table::{FilterPolicy, Phase, PolicyKind};

    fn policy(name: &str, enforce: u8, condition: Option<&str>) -> Policy {
        Policy {
            name: name.into(),
            phase: Phase::Filter,
            enforce,
            condition: condition.map(|text| Condition::parse(text).expect(text)),
            kind: PolicyKind::Filter(FilterPolicy::default()),
        }
    }

    fn ids() -> impl Iterator<Item = String> {
        (0..10_000u32).map(|n| {
            format!("{:032x}", u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
        })
    }

    #[test]
    fn a_share_of_the_requests_is_drawn() {
        for enforce in [0, 1, 25, 50, 99, 100] {
            let policy = policy("p", enforce, None);
            let acting = ids().filter(|id| policy.part(Some(id.as_bytes()), &NoFacts) == Part::Acts).count();
            let expected = usize::from(enforce) * 100;
            assert!(acting.abs_diff(expected) < 150, "{enforce} %: {acting}");
            assert!((1..100).contains(&enforce) || acting == expected);
        }
    }

    #[test]
    fn policies_are_drawn_independently_and_always_alike() {
        let (a, b) = (policy("a", 50, None), policy("b", 50, None));
        let part = |policy: &Policy, id: &str| policy.part(Some(id.as_bytes()), &NoFacts);
        let both = ids().filter(|id| part(&a, id) == Part::Acts && part(&b, id) == Part::Acts).count();
        assert!(both.abs_diff(2500) < 200, "{both}");
        assert!(ids().all(|id| part(&a, &id) == part(&a, &id)));
    }

    #[test]
    fn in_doubt_what_protects_acts_and_what_transforms_rests() {
        let mut policy = policy("p", 100, Some("client.claims.x == 'y'"));
        assert_eq!(policy.part(None, &NoFacts), Part::Acts);
        policy.phase = Phase::Transform;
        assert_eq!(policy.part(None, &NoFacts), Part::Rests);
        policy.condition = Some(Condition::parse("true").expect("sound"));
        assert_eq!(policy.part(None, &NoFacts), Part::Acts);
    }

    #[test]
    fn a_condition_decides_first() {
        for (enforce, condition, part) in [
            (100, "false", Part::Rests),
            (0, "false", Part::Rests),
            (100, "true", Part::Acts),
            (0, "true", Part::Watches),
            (100, "client.claims.x == 'y'", Part::Acts),
            (0, "client.claims.x == 'y'", Part::Watches),
        ] {
            assert_eq!(
                policy("p", enforce, Some(condition)).part(Some(b"id"), &NoFacts),
                part,
                "{condition}"
            );
        }
        assert_eq!(policy("p", 1, None).part(None, &NoFacts), Part::Acts);
        assert_eq!(policy("p", 0, None).part(None, &NoFacts), Part::Watches);
        assert!(Acting::default().acts(7));
    }
}
