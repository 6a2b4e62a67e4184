//! What a policy in Python says about a request, checked: nothing of it is taken for sound because a policy wrote it.

mod by;

pub use by::By;
pub(crate) use by::MOST as MOST_BY;

use crate::http1::framing::bodyless;
use crate::http1::is_token;
use crate::message::path::{Normal, normalise};
use crate::table::{is_own_field, no_field_value};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What becomes of the request.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It passes as it is.
    Pass,
    /// It passes, changed.
    Allow(Arc<Changes>),
    Deny(Arc<Denial>),
    /// It is answered.
    Answer(Box<Reply>),
    /// The answer passes, changed.
    Edit(Box<Edit>),
    /// The policy raised, or gave what is no verdict.
    Failed,
}

/// How a request is changed, and what is known of its client now.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    /// Each name once for each line, in place of all fields of that name.
    pub set: Vec<(String, String)>,
    pub remove: Vec<String>,
    /// What the upstream gets, in normal form.
    pub path: Option<String>,
    /// Likewise, without its `?`; empty = none.
    pub query: Option<String>,
    /// The name of the upstream.
    pub upstream: Option<String>,
    /// `client.id`.
    pub client: Option<String>,
    pub plan: Option<String>,
    pub claims: Map<String, Value>,
    /// What limits count it by that ask this policy.
    pub key: Option<String>,
    /// For how long this holds for requests that are alike, ms.
    pub remember_ms: Option<u64>,
    /// What makes them alike.
    pub by: Vec<By>,
}

/// Bytes of a key for limits.
pub const LONGEST_KEY: usize = 256;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    pub status: u16,
    pub code: String,
    #[serde(default)]
    pub detail: Option<String>,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    #[serde(default)]
    pub remember_ms: Option<u64>,
    #[serde(default)]
    pub by: Vec<By>,
}

/// An answer of the policy's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub head: ReplyHead,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyHead {
    pub status: u16,
    pub content_type: String,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// How an answer is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edit {
    pub status: Option<u16>,
    /// Each name once for each line, in place of all fields of that name.
    pub set: Vec<(String, String)>,
    pub remove: Vec<String>,
}

const PASS: u8 = 0;
const ALLOW: u8 = 1;
const DENY: u8 = 2;
const ANSWER: u8 = 3;
const FAILED: u8 = 4;
const EDIT: u8 = 5;

impl Verdict {
    /// Reads what a lane wrote. The error says what is wrong with it.
    pub fn decode(kind: u8, rest: &[u8]) -> Result<Self, String> {
        match kind {
            PASS => Ok(Verdict::Pass),
            ALLOW => read::<Changes>(rest)?.checked().map(|changes| Verdict::Allow(Arc::new(changes))),
            DENY => read::<Denial>(rest)?.checked().map(|denial| Verdict::Deny(Arc::new(denial))),
            ANSWER => Reply::decode(rest).map(|reply| Verdict::Answer(Box::new(reply))),
            FAILED => Ok(Verdict::Failed),
            EDIT => read::<Edit>(rest)?.checked().map(|edit| Verdict::Edit(Box::new(edit))),
            other => Err(format!("{other} is no kind of verdict")),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

impl Verdict {
    /// For how long it holds, and for which requests, where it is to be remembered.
    pub fn memory(&self) -> Option<(u64, &[By])> {
        let (ms, by) = match self {
            Verdict::Allow(changes) => (changes.remember_ms, &changes.by),
            Verdict::Deny(denial) => (denial.remember_ms, &denial.by),
            Verdict::Pass | Verdict::Answer(_) | Verdict::Edit(_) | Verdict::Failed => {
                (None, const { &Vec::new() })
            }
        };
        ms.map(|ms| (ms, by.as_slice()))
    }
}

impl Changes {
    /// Whether the request passes as it is; it may be remembered that it does.
    pub fn changes_nothing(&self) -> bool {
        *self == Changes { remember_ms: self.remember_ms, by: self.by.clone(), ..Changes::default() }
    }

    /// Checks it, and puts the path into normal form.
    pub fn checked(mut self) -> Result<Self, String> {
        self.set.iter().try_for_each(|(name, value)| field(name, value))?;
        self.remove.iter().try_for_each(|name| field(name, ""))?;
        if let Some(path) = &mut self.path {
            let mut normal = Vec::new();
            let changed = normalise(path.as_bytes(), &mut normal)
                .map_err(|error| format!("the path {path:?}: {}", error.reason()))?;
            if changed == Normal::Changed {
                *path = String::from_utf8(normal).map_err(|_| "the path is no text".to_owned())?;
            }
        }
        if let Some(query) = &self.query
            && !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        {
            return Err(format!("the query {query:?} has blanks, controls or `#`"));
        }
        for text in [&self.client, &self.plan].into_iter().flatten() {
            if text.is_empty() || text.chars().any(char::is_control) {
                return Err(format!("{text:?} names nobody: it is empty or has control characters"));
            }
        }
        if let Some(key) = &self.key
            && !(1..=LONGEST_KEY).contains(&key.len())
        {
            return Err(format!("a key of {} bytes; it has 1 to {LONGEST_KEY}", key.len()));
        }
        memorable(self.remember_ms, &self.by)?;
        Ok(self)
    }
}

impl Denial {
    /// Checks it.
    pub fn checked(self) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(400..=599).contains(&self.status) {
            return Err(format!("{} is no status of a refusal", self.status));
        }
        if self.code.is_empty() || self.code.len() > 64 || !self.code.bytes().all(allowed) {
            return Err(format!("{:?} is no code", self.code));
        }
        self.headers.iter().try_for_each(|(name, value)| answer_field(name, value))?;
        memorable(self.remember_ms, &self.by)?;
        Ok(self)
    }
}

impl Edit {
    /// Checks it.
    pub fn checked(self) -> Result<Self, String> {
        if let Some(status) = self.status
            && (!(200..=599).contains(&status) || bodyless(status) || status == 205)
        {
            return Err(format!("{status} is no status that an answer with a body can be given"));
        }
        let names = self.remove.iter().map(|name| (name.as_str(), ""));
        let lines = self.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        names.chain(lines).try_for_each(|(name, value)| match name {
            name if name.eq_ignore_ascii_case("content-type") => field(name, value),
            name => answer_field(name, value),
        })?;
        Ok(self)
    }
}

impl Reply {
    fn decode(text: &[u8]) -> Result<Self, String> {
        let short = || "the answer is cut short".to_owned();
        let (length, rest) = text.split_first_chunk::<4>().ok_or_else(short)?;
        let (head, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        let head: ReplyHead = read(head)?;
        if !(200..=599).contains(&head.status) {
            return Err(format!("{} is no status of an answer", head.status));
        }
        field("content-type", &head.content_type)?;
        head.headers.iter().try_for_each(|(name, value)| answer_field(name, value))?;
        Ok(Reply { head, body: body.to_vec() })
    }
}

/// What holds for nobody, or for everybody, is a mistake.
fn memorable(ms: Option<u64>, by: &[By]) -> Result<(), String> {
    match by.len() {
        0 if ms.is_some() => Err("it says for how long it holds, and not for which requests".to_owned()),
        length if length > by::MOST => Err(format!("`by` has {length} entries, at most {}", by::MOST)),
        _ => Ok(()),
    }
}

/// What a list in `by` says. The error says what is wrong with it.
pub fn check_by(by: Vec<String>) -> Result<(), String> {
    let by: Vec<By> = by.into_iter().map(By::try_from).collect::<Result<_, _>>()?;
    memorable(None, &by)
}

/// Likewise in an answer, of which some fields are told in another way.
fn answer_field(name: &str, value: &str) -> Result<(), String> {
    let told = ["content-type", "date", "pylos-reason", "x-request-id"];
    if told.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(format!("`{name}` is written by the gateway"));
    }
    field(name, value)
}

/// What can stand in a message, and is not the gateway's own to write.
fn field(name: &str, value: &str) -> Result<(), String> {
    if !is_token(name.as_bytes()) {
        return Err(format!("{name:?} is no name of a field"));
    }
    if is_own_field(name) {
        return Err(format!("`{name}` is written by the gateway"));
    }
    match no_field_value(value) {
        Some(why) => Err(format!("the value of `{name}` {why}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
