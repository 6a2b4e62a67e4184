//! Decisions that a policy wants to be remembered: for how long, and for which requests they hold. One memory for all
//! workers; a policy with other code or settings begins with an empty one.

use crate::request::incoming::Request;
use pylos_core::facts::{Facts, nameless};
use pylos_core::message::head::same_for_cgi;
use pylos_core::verdict::Verdict;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Decisions that one policy may have remembered.
const MOST: usize = 16_384;
const SHARDS: usize = 16;
/// Different lists in `by`: each one is looked up for each request.
const MOST_SHAPES: usize = 4;

/// What requests are alike in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    Method,
    Scheme,
    Host,
    Path,
    Query,
    Header(Box<[u8]>),
    ClientId,
    ClientIp,
    ClientPlan,
    Claim(Box<str>),
}

impl By {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "request.method" => By::Method,
            "request.scheme" => By::Scheme,
            "request.host" => By::Host,
            "request.path" => By::Path,
            "request.query" => By::Query,
            "client.id" => By::ClientId,
            "client.ip" => By::ClientIp,
            "client.plan" => By::ClientPlan,
            other => match (other.strip_prefix("request.headers."), other.strip_prefix("client.claims.")) {
                (Some(name), _) if !name.is_empty() => By::Header(name.as_bytes().into()),
                (_, Some(name)) if !name.is_empty() => By::Claim(name.into()),
                _ => return None,
            },
        })
    }

    /// Appends the value, so that no two requests that differ in it have the same key.
    fn write(&self, request: &Request, key: &mut Vec<u8>) {
        let client = request.identity.as_deref();
        match self {
            By::Method => text(key, Some(request.method())),
            By::Scheme => text(key, Some(request.scheme())),
            By::Host => text(key, Some(request.host())),
            By::Path => text(key, Some(request.path_now())),
            By::Query => text(key, request.query_now()),
            By::Header(name) => {
                let mut lines = 0u32;
                request.any_field(&mut |known, value| {
                    if same_for_cgi(known, name) {
                        lines += 1;
                        text(key, Some(value));
                    }
                    false
                });
                key.extend_from_slice(&lines.to_ne_bytes());
            }
            By::ClientId => match client {
                Some(client) => text(key, Some(client.id.as_bytes())),
                None => text(key, Some(nameless(request.client_ip()).as_bytes())),
            },
            By::ClientIp => match request.client_ip().map(|ip| ip.to_canonical()) {
                Some(IpAddr::V4(ip)) => text(key, Some(&ip.octets())),
                Some(IpAddr::V6(ip)) => text(key, Some(&ip.octets())),
                None => text(key, None),
            },
            By::ClientPlan => text(key, client.and_then(|client| client.plan.as_deref()).map(str::as_bytes)),
            By::Claim(name) => {
                let claim = client.and_then(|client| client.claims.get(&**name)).map(ToString::to_string);
                text(key, claim.as_deref().map(str::as_bytes));
            }
        }
    }
}

/// Its length and itself; of what is not there a length that nothing has.
fn text(key: &mut Vec<u8>, value: Option<&[u8]>) {
    let length = value.map_or(u32::MAX, |value| value.len() as u32);
    key.extend_from_slice(&length.to_ne_bytes());
    key.extend_from_slice(value.unwrap_or_default());
}

pub(crate) struct Memory {
    /// Of the policy's code and settings.
    version: u64,
    /// Anything was ever remembered.
    used: AtomicBool,
    shapes: RwLock<Vec<Arc<[By]>>>,
    shards: [Mutex<HashMap<Box<[u8]>, Remembered>>; SHARDS],
    hashing: RandomState,
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
            shapes: RwLock::default(),
            shards: Default::default(),
            hashing: RandomState::new(),
        }
    }

    pub(crate) fn is_of(&self, version: u64) -> bool {
        self.version == version
    }

    /// The decision that holds for this request, if there is one.
    pub(crate) fn recall(&self, request: &Request, now_ms: u64) -> Option<Verdict> {
        if !self.used.load(Relaxed) {
            return None;
        }
        let shapes = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
        let mut key = Vec::with_capacity(64);
        for (number, shape) in shapes.iter().enumerate() {
            write(&mut key, number, shape, request);
            let shard = self.shard(&key);
            if let Some(found) = shard.get(key.as_slice()).filter(|found| now_ms < found.until_ms) {
                return Some(found.verdict.clone());
            }
        }
        None
    }

    /// Remembers a decision that wants to be. The error says why it cannot be.
    pub(crate) fn remember(&self, verdict: &Verdict, request: &Request, now_ms: u64) -> Result<(), String> {
        let Some((ms, by)) = verdict.memory() else { return Ok(()) };
        let (number, shape) = self.shape(by)?;
        let mut key = Vec::with_capacity(64);
        write(&mut key, number, &shape, request);
        let mut shard = self.shard(&key);
        if shard.len() >= MOST / SHARDS && !shard.contains_key(key.as_slice()) {
            shard.retain(|_, known| now_ms < known.until_ms);
            // Whichever comes first in a table of random keys: as good as any other.
            let any = shard.keys().next().filter(|_| shard.len() >= MOST / SHARDS).cloned();
            any.into_iter().for_each(|key| drop(shard.remove(&key)));
        }
        let remembered = Remembered { verdict: verdict.clone(), until_ms: now_ms.saturating_add(ms) };
        shard.insert(key.into(), remembered);
        self.used.store(true, Relaxed);
        Ok(())
    }

    /// Forgets all.
    pub(crate) fn forget(&self) {
        (0..SHARDS).for_each(|place| self.locked(place).clear());
    }

    fn shape(&self, by: &[String]) -> Result<(usize, Arc<[By]>), String> {
        let parse = |text: &String| {
            By::parse(text).ok_or_else(|| format!("{text:?} is nothing that requests can be alike in"))
        };
        let shape: Vec<By> = by.iter().map(parse).collect::<Result<_, _>>()?;
        let mut shapes = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = shapes.iter().position(|known| **known == *shape) {
            return Ok((number, Arc::clone(&shapes[number])));
        }
        if shapes.len() == MOST_SHAPES {
            return Err(format!("its decisions have more than {MOST_SHAPES} different `by`"));
        }
        shapes.push(shape.into());
        Ok((shapes.len() - 1, Arc::clone(&shapes[shapes.len() - 1])))
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, HashMap<Box<[u8]>, Remembered>> {
        self.locked(self.hashing.hash_one(key) as usize % SHARDS)
    }

    fn locked(&self, place: usize) -> MutexGuard<'_, HashMap<Box<[u8]>, Remembered>> {
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(key: &mut Vec<u8>, number: usize, shape: &[By], request: &Request) {
    key.clear();
    key.push(number as u8);
    shape.iter().for_each(|by| by.write(request, key));
}

#[cfg(test)]
mod tests {
    use super::*;
    use pylos_core::facts::Client;
    use pylos_core::verdict::Denial;

    fn from(id: &str) -> Request {
        let client = Client { id: id.into(), plan: None, claims: serde_json::Map::new() };
        Request { identity: Some(Box::new(client)), ..Request::default() }
    }

    fn denial(by: &[&str]) -> Verdict {
        let by = by.iter().map(ToString::to_string).collect();
        let (status, code) = (403, "no".to_owned());
        Verdict::Deny(Arc::new(Denial {
            status,
            code,
            detail: None,
            headers: Vec::new(),
            remember_ms: Some(100),
            by,
        }))
    }

    #[test]
    fn a_decision_holds_for_its_time_and_for_requests_that_are_alike() {
        let memory = Memory::new(1);
        assert_eq!(memory.recall(&from("a"), 0), None);
        memory.remember(&denial(&["client.id"]), &from("a"), 0).expect("remembered");
        assert_eq!(memory.recall(&from("a"), 99), Some(denial(&["client.id"])));
        assert_eq!(memory.recall(&from("a"), 100), None);
        assert_eq!(memory.recall(&from("b"), 50), None);
        assert_eq!(memory.recall(&Request::default(), 50), None);
        memory.forget();
        assert_eq!(memory.recall(&from("a"), 50), None);
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let memory = Memory::new(1);
        for n in 0..3 * MOST {
            memory.remember(&denial(&["client.id"]), &from(&n.to_string()), 0).expect("remembered");
        }
        let count: usize = (0..SHARDS).map(|place| memory.locked(place).len()).sum();
        assert!(count <= MOST && count > MOST / 2, "{count}");
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_remembered() {
        let memory = Memory::new(1);
        assert!(memory.remember(&denial(&["client.shoe_size"]), &from("a"), 0).is_err());
        for by in ["client.id", "client.ip", "request.path", "request.headers.x"] {
            memory.remember(&denial(&[by]), &from("a"), 0).expect("remembered");
        }
        assert!(memory.remember(&denial(&["client.plan"]), &from("a"), 0).is_err(), "one too many");
        assert_eq!(memory.recall(&from("a"), 1), Some(denial(&["client.id"])));
    }
}
