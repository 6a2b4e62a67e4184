//! Consistent hashing by a table (Maglev, Eisenbud et al. 2016): shares are even, and a look-up is one step.

use super::{Targets, along, mixed};

/// Places of the table, a prime.
const PLACES: usize = 65_537;

/// Made once for a list of targets.
#[derive(Debug, Default)]
pub struct Maglev {
    /// For each place whose it is. Empty where there is nobody.
    places: Box<[u32]>,
}

impl Maglev {
    /// Each target is known by a number that is its own whatever stands beside it (a hash of its URL), with its weight.
    pub fn new(targets: &[(u64, u32)]) -> Self {
        let most = targets.iter().map(|&(_, weight)| weight).max().unwrap_or_default();
        if most == 0 {
            return Maglev::default();
        }
        // In order of what they are known by: the order in which a file lists them moves no key.
        let mut order: Vec<usize> = (0..targets.len()).filter(|&target| targets[target].1 > 0).collect();
        order.sort_unstable_by_key(|&target| targets[target].0);
        let mut walks: Vec<Walk> = order.iter().map(|&target| Walk::new(targets[target].0)).collect();
        let mut places = vec![u32::MAX; PLACES];
        let mut credits = vec![0u64; order.len()];
        let mut free = PLACES;
        // Everyone has a turn at once, however light: who is in has a place.
        let first = u64::from(most);
        credits.iter_mut().for_each(|credit| *credit = first);
        while free > 0 {
            for (who, walk) in walks.iter_mut().enumerate() {
                // One of half the weight has a turn every other round.
                credits[who] += u64::from(targets[order[who]].1);
                if credits[who] < u64::from(most) || free == 0 {
                    continue;
                }
                credits[who] -= u64::from(most);
                let place = walk.by_ref().find(|&place| places[place] == u32::MAX).unwrap_or_default();
                places[place] = order[who] as u32;
                free -= 1;
            }
        }
        Maglev { places: places.into() }
    }

    /// Whose key this is; when that one is not usable or is not `wanted` (for it has too much), whose the next place
    /// is on a way of the key's own: so the keys of one that is out are shared out evenly, and no others move.
    pub fn pick(&self, targets: &impl Targets, key: u64, wanted: impl Fn(usize) -> bool) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let way = || Walk::new(key).take(PLACES).map(|place| self.places[place] as usize);
        along(targets, way, wanted)
    }
}

/// All places once, in an order that a number says.
struct Walk {
    next: usize,
    step: usize,
}

impl Walk {
    fn new(number: u64) -> Self {
        let (start, step) = (mixed(number), mixed(number ^ 0x5bd1_e995_97f4_a7c5));
        Walk { next: (start % PLACES as u64) as usize, step: (step % (PLACES as u64 - 1)) as usize + 1 }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let place = self.next;
        self.next = (place + self.step) % PLACES;
        Some(place)
    }
}
