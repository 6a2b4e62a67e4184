//! Targets that come first, and those that step in for them: priorities, zones, backups.

use super::{Algorithm, Among, Chance, Picker, Targets, fraction, mixed};

/// So much more than its share of what is usable does a group take on: while seven tenths of it live it takes all.
const OVERCOMMITTED: f64 = 1.4;

/// Where a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placed {
    /// Comes in when all others are out, and not before.
    pub backup: bool,
    /// 0 comes first.
    pub priority: u32,
    /// In another zone than the gateway.
    pub far: bool,
}

/// One target as a list says it: what it is known by, its weight, where it stands.
pub(crate) type Listed = (u64, u32, Placed);

/// All targets of an upstream, in their groups.
#[derive(Debug)]
pub struct Groups {
    groups: Box<[Group]>,
    is_hash: bool,
}

#[derive(Debug)]
struct Group {
    members: Box<[u32]>,
    backup: bool,
    picker: Picker,
}

impl Groups {
    pub fn new(algorithm: Algorithm, bound: Option<f64>, targets: &[Listed]) -> Self {
        let mut places: Vec<Placed> = targets.iter().map(|&(_, _, placed)| placed).collect();
        places.sort_unstable();
        places.dedup();
        let group = |place: Placed| {
            let of_it = targets.iter().enumerate().filter(move |(_, (_, _, placed))| *placed == place);
            let listed: Vec<(u64, u32)> = of_it.clone().map(|(_, &(id, weight, _))| (id, weight)).collect();
            Group {
                members: of_it.map(|(target, _)| target as u32).collect(),
                backup: place.backup,
                picker: Picker::new(algorithm, bound, &listed),
            }
        };
        Groups { groups: places.into_iter().map(group).collect(), is_hash: algorithm.is_hash() }
    }

    /// One of the usable targets; `None` where there is none.
    pub fn pick<R: FnMut() -> u64>(
        &self, targets: &impl Targets, chance: &mut Chance<'_, R>,
    ) -> Option<usize> {
        let first = match &*self.groups {
            [only] => only,
            groups => {
                // What has one key goes to one group while the groups are as well as they are.
                let random =
                    if self.is_hash { mixed(chance.key ^ 0xbb67_ae85_84ca_a73b) } else { (chance.random)() };
                drawn(groups, targets, random)?
            }
        };
        // Another worker may have taken the last place of a group since it was drawn.
        let others = self.groups.iter().filter(|group| !std::ptr::eq(*group, first));
        std::iter::once(first).chain(others).find_map(|group| {
            let among = Among { targets, members: &group.members };
            group.picker.pick(&among, chance).map(|member| group.members[member] as usize)
        })
    }
}

/// The group that gets this request: the first takes on more than its share of what is usable, and what is too much for
/// it spills over to the next.
fn drawn<'g>(groups: &'g [Group], targets: &impl Targets, random: u64) -> Option<&'g Group> {
    let health = |group: &Group| {
        let weight = |usable: bool| {
            let members = group.members.iter().map(|&member| member as usize);
            let counted = members.filter(|&target| !usable || targets.is_usable(target));
            counted.map(|target| u64::from(targets.weight(target))).sum::<u64>()
        };
        weight(true) as f64 / weight(false).max(1) as f64
    };
    let regular = groups.iter().filter(|group| !group.backup);
    let shares: Vec<(f64, &Group)> = regular.map(|group| (health(group) * OVERCOMMITTED, group)).collect();
    let total: f64 = shares.iter().map(|(share, _)| share).sum();
    if total <= 0.0 {
        return groups.iter().find(|group| group.backup && health(group) > 0.0);
    }
    // Where all together cannot take on everything, each has what it can compared with the others.
    let mut left = fraction(random) * total.min(1.0);
    let living = || shares.iter().filter(|(share, _)| *share > 0.0);
    let chosen = living().find(|(share, _)| {
        left -= share;
        left < 0.0
    });
    chosen.or(living().next_back()).map(|(_, group)| *group)
}
