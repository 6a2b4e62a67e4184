//! Decisions that a policy wants to be remembered: for how long, and for which requests they hold. One memory for all
//! workers; a policy with other code or settings begins with an empty one.

use crate::request::alike::{About, write};
use pylos_core::verdict::{By, Verdict};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Decisions that one policy may have remembered.
const MOST: usize = 16_384;
const SHARDS: usize = 16;
/// Bytes of a decision: what is remembered is bounded by this and by their number alone.
const LONGEST: usize = 2048;
/// Different lists in `by`: each one is looked up for each request.
const MOST_SHAPES: usize = 4;
/// A full memory is rid of what holds no more once in so long, ms.
const SWEEP_MS: u64 = 1000;

/// Of all in which requests have to be alike, 128 bits that no client can foresee: what clients have sent is not kept.
type Key = [u64; 2];

pub(crate) struct Memory {
    /// Of the policy's code and settings.
    version: u64,
    /// Anything was ever remembered.
    used: AtomicBool,
    /// Raised when all is forgotten: what was asked before that is not remembered behind it.
    age: AtomicU64,
    shapes: RwLock<Vec<Arc<[By]>>>,
    shards: [Mutex<Shard>; SHARDS],
    hashing: RandomState,
}

#[derive(Default)]
struct Shard {
    known: HashMap<Key, Remembered>,
    swept_ms: u64,
}

struct Remembered {
    verdict: Verdict,
    until_ms: u64,
}

impl Memory {
    pub(crate) fn new(version: u64) -> Self {
        Memory {
            version,
            used: AtomicBool::new(false),
            age: AtomicU64::new(0),
            shapes: RwLock::default(),
            shards: Default::default(),
            hashing: RandomState::new(),
        }
    }

    pub(crate) fn is_of(&self, version: u64) -> bool {
        self.version == version
    }

    /// To be told when what is asked now is remembered.
    pub(crate) fn age(&self) -> u64 {
        self.age.load(Relaxed)
    }

    /// The decision that holds for this request, if there is one, and for how many ms more.
    pub(crate) fn recall(&self, about: About<'_>, now_ms: u64) -> Option<(Verdict, u64)> {
        if !self.used.load(Relaxed) {
            return None;
        }
        let shapes = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::with_capacity(128);
        for (number, shape) in shapes.iter().enumerate() {
            let key = self.key(number, shape, about, &mut text);
            let shard = self.shard(key);
            if let Some(found) = shard.known.get(&key).filter(|found| now_ms < found.until_ms) {
                return Some((found.verdict.clone(), found.until_ms - now_ms));
            }
        }
        None
    }

    /// Remembers a decision that wants to be, `length` bytes long, asked for when this was so old. The error says why
    /// it cannot be.
    pub(crate) fn remember(
        &self, verdict: &Verdict, length: usize, about: About<'_>, age: u64, now_ms: u64,
    ) -> Result<(), String> {
        let Some((ms, by)) = verdict.memory() else { return Ok(()) };
        if length > LONGEST {
            return Err(format!("its decision is {length} bytes long, at most {LONGEST} are remembered"));
        }
        let (number, shape) = self.shape(by)?;
        let key = self.key(number, &shape, about, &mut Vec::new());
        let mut shard = self.shard(key);
        // Under the lock, which forgetting waits for after it has raised the age.
        if self.age() == age {
            shard.make_room(key, now_ms);
            let until_ms = now_ms.saturating_add(ms);
            shard.known.insert(key, Remembered { verdict: verdict.clone(), until_ms });
            self.used.store(true, Relaxed);
        }
        Ok(())
    }

    /// Forgets all, and what is being asked.
    pub(crate) fn forget(&self) {
        self.age.fetch_add(1, Relaxed);
        self.shards.iter().for_each(|shard| locked(shard).known.clear());
    }

    /// The number of a list in `by`.
    fn shape(&self, by: &[By]) -> Result<(usize, Arc<[By]>), String> {
        let find = |shapes: &[Arc<[By]>]| {
            let number = shapes.iter().position(|known| **known == *by)?;
            Some((number, Arc::clone(&shapes[number])))
        };
        if let Some(known) = find(&self.shapes.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(known);
        }
        let mut shapes = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&shapes) {
            return Ok(known);
        }
        if shapes.len() == MOST_SHAPES {
            return Err(format!("its decisions have more than {MOST_SHAPES} different `by`"));
        }
        shapes.push(by.into());
        Ok((shapes.len() - 1, Arc::clone(&shapes[shapes.len() - 1])))
    }

    fn key(&self, number: usize, shape: &[By], about: About<'_>, text: &mut Vec<u8>) -> Key {
        text.clear();
        text.push(number as u8);
        shape.iter().for_each(|by| write(by, about, text));
        [0u8, 1].map(|half| self.hashing.hash_one((half, &**text)))
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        locked(&self.shards[key[0] as usize % SHARDS])
    }
}

fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn make_room(&mut self, key: Key, now_ms: u64) {
        const MOST_HERE: usize = MOST / SHARDS;
        if self.known.len() < MOST_HERE || self.known.contains_key(&key) {
            return;
        }
        if now_ms >= self.swept_ms + SWEEP_MS {
            self.swept_ms = now_ms;
            self.known.retain(|_, known| now_ms < known.until_ms);
        }
        if self.known.len() >= MOST_HERE {
            // Whichever comes first in a table of random keys: as good as any other.
            let any = self.known.keys().next().copied();
            any.map(|key| self.known.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::incoming::Request;
    use pylos_core::facts::Client;
    use pylos_core::verdict::Denial;

    fn from(id: &str) -> Request {
        let client = Client { id: id.into(), ..Client::default() };
        Request { identity: Some(Box::new(client)), ..Request::default() }
    }

    fn about(request: &Request) -> About<'_> {
        About { request, route: "site" }
    }

    fn by(texts: &[&str]) -> Vec<By> {
        texts.iter().map(|text| By::try_from((*text).to_owned()).expect(text)).collect()
    }

    fn denial(texts: &[&str]) -> Verdict {
        let (code, headers) = ("no".to_owned(), Vec::new());
        let denial =
            Denial { status: 403, code, detail: None, headers, remember_ms: Some(100), by: by(texts) };
        Verdict::Deny(Arc::new(denial))
    }

    #[test]
    fn a_decision_holds_for_its_time_and_for_requests_that_are_alike() {
        let memory = Memory::new(1);
        let recall = |request: Request, now| memory.recall(about(&request), now);
        assert_eq!(recall(from("a"), 0), None);
        memory.remember(&denial(&["client.id"]), 10, about(&from("a")), 0, 0).expect("remembered");
        assert_eq!(recall(from("a"), 99), Some((denial(&["client.id"]), 1)));
        assert_eq!(recall(from("a"), 100), None);
        assert_eq!(recall(from("b"), 50), None);
        assert_eq!(recall(Request::default(), 50), None);
        memory.forget();
        assert_eq!(recall(from("a"), 50), None);
    }

    #[test]
    fn what_was_asked_before_it_forgot_is_not_remembered_behind_that() {
        let memory = Memory::new(1);
        let asked = memory.age();
        memory.forget();
        memory.remember(&denial(&["client.id"]), 10, about(&from("a")), asked, 0).expect("no error");
        assert_eq!(memory.recall(about(&from("a")), 50), None);
        memory.remember(&denial(&["client.id"]), 10, about(&from("a")), memory.age(), 0).expect("remembered");
        assert!(memory.recall(about(&from("a")), 50).is_some());
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let memory = Memory::new(1);
        for n in 0..3 * MOST {
            let request = from(&n.to_string());
            memory.remember(&denial(&["client.id"]), 10, about(&request), 0, 0).expect("remembered");
        }
        let count: usize = memory.shards.iter().map(|shard| locked(shard).known.len()).sum();
        assert!(count <= MOST && count > MOST / 2, "{count}");
        let long = memory.remember(&denial(&["client.id"]), LONGEST + 1, about(&from("a")), 0, 0);
        assert!(long.is_err_and(|why| why.contains("2049 bytes")));
    }

    #[test]
    fn what_holds_no_more_makes_room_first() {
        let (memory, mut lasting) = (Memory::new(1), denial(&["client.id"]));
        let Verdict::Deny(denial) = &mut lasting else { panic!() };
        Arc::make_mut(denial).remember_ms = Some(1_000_000);
        for n in 0..MOST / 2 {
            memory.remember(&lasting, 10, about(&from(&format!("lasting {n}"))), 0, 0).expect("remembered");
        }
        for n in 0..2 * MOST {
            let now = 10 * n as u64;
            memory
                .remember(&self::denial(&["client.id"]), 10, about(&from(&n.to_string())), 0, now)
                .expect("remembered");
        }
        let left =
            (0..MOST / 2).filter(|n| memory.recall(about(&from(&format!("lasting {n}"))), 1000).is_some());
        assert_eq!(left.count(), MOST / 2, "it holds for longer than all that came after it");
    }

    #[test]
    fn more_lists_than_are_looked_up_are_an_error() {
        let memory = Memory::new(1);
        for by in ["client.id", "client.ip", "request.path", "request.headers.x"] {
            memory.remember(&denial(&[by]), 10, about(&from("a")), 0, 0).expect("remembered");
        }
        assert!(
            memory.remember(&denial(&["client.plan"]), 10, about(&from("a")), 0, 0).is_err(),
            "one too many"
        );
        assert!(memory.remember(&denial(&["client.ip"]), 10, about(&from("b")), 0, 0).is_ok());
        assert_eq!(
            memory.recall(about(&from("a")), 1).map(|(verdict, _)| verdict),
            Some(denial(&["client.id"]))
        );
    }
}
