//! Policies. Chains are gone: they are only lists, and the effective lists name what is in them.

use crate::address::IpSet;
use crate::condition::Condition;
use crate::limit::Rate;
use crate::message::path::other_readings;
use crate::route::PathSet;
use crate::table::PolicyId;
use crate::verdict::By;
use std::net::IpAddr;

#[derive(Debug)]
pub struct Policy {
    pub name: Box<str>,
    pub phase: Phase,
    /// Percent of the requests for which it acts, at most 100.
    pub enforce: u8,
    /// It acts only where this holds. Where that cannot be told, what protects acts and what transforms rests.
    pub condition: Option<Condition>,
    pub kind: PolicyKind,
}

impl Policy {
    /// Whether it depends on the request if it acts at all.
    pub fn is_conditional(&self) -> bool {
        self.enforce < 100 || self.condition.is_some()
    }

    pub fn is_limit(&self) -> bool {
        matches!(self.kind, PolicyKind::RateLimit(_))
    }

    /// Whether leaving it out could let something pass that must not.
    pub(super) fn protects(&self) -> bool {
        self.phase != Phase::Transform || self.reviews()
    }

    /// Whether it is asked about answers.
    pub fn reviews(&self) -> bool {
        matches!(&self.kind, PolicyKind::Python(python) if python.answers)
    }
}

/// When a policy acts; the order of the variants is the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// First of the stage `admit`.
    Filter,
    Identity,
    Authorise,
    /// What gives limits their keys, then the limits.
    Limits,
    /// Last of it.
    Hooks,
    /// The stages `rewrite` and `respond`.
    Transform,
}

impl Phase {
    /// As everything that people read spells it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Filter => "filter",
            Phase::Identity => "identity",
            Phase::Authorise => "authorise",
            Phase::Limits => "limits",
            Phase::Hooks => "hooks",
            Phase::Transform => "transform",
        }
    }
}

#[derive(Debug)]
pub enum PolicyKind {
    Headers(HeadersPolicy),
    Filter(FilterPolicy),
    RateLimit(RateLimit),
    /// The client has shown a certificate that is believed; who that is fills `client`.
    Mtls,
    Python(PythonPolicy),
}

/// How many requests may come that have the same key. All rates must hold.
#[derive(Debug)]
pub struct RateLimit {
    /// At least one, each of another window.
    pub rates: Vec<Rate>,
    /// What clients are told about each rate.
    pub told: Vec<RateWords>,
    /// At least one part.
    pub key: Vec<KeyPart>,
    /// The parts as the file spells them.
    pub key_words: Vec<Box<str>>,
}

/// A part of what requests are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    Alike(By),
    /// What this policy, in Python, gave as the key; where it gave none, the client's id.
    Given(PolicyId),
}

/// A rate in the fields of an answer (draft-ietf-httpapi-ratelimit-headers-10): its name, as a string in quotes, and
/// that with how much it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateWords {
    pub name: Box<[u8]>,
    pub policy: Box<[u8]>,
}

impl RateLimit {
    /// The policies that give parts of its key.
    pub fn givers(&self) -> impl Iterator<Item = PolicyId> {
        self.key.iter().filter_map(|part| if let KeyPart::Given(id) = part { Some(*id) } else { None })
    }
}

/// A function of the user's, which a lane is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonPolicy {
    /// `module:function`.
    pub call: Box<str>,
    pub timeout_ms: u64,
    pub on_error: OnError,
    /// It is asked about answers, and not about requests.
    pub answers: bool,
    /// Bytes of the body that it reads; `None` = it reads none.
    pub body: Option<u64>,
    /// Empty for the common lane.
    pub lane: Box<str>,
    /// Requests of a worker that may wait for it.
    pub queue: usize,
    /// A digest of code and settings.
    pub version: u64,
}

/// What becomes of a request about which there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    Deny,
    Allow,
}

/// Edits of fields, on the way in and on the way out.
#[derive(Debug, Default)]
pub struct HeadersPolicy {
    pub request: FieldEdits,
    pub response: FieldEdits,
    /// For answers to clients on https only (Strict-Transport-Security, RFC 6797 7.2); comes before `response`.
    pub response_https: FieldEdits,
}

/// Applied in this order: remove, set, add. No field of them frames a message or belongs to one connection.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FieldEdits {
    /// Lower case.
    pub remove: Vec<Box<[u8]>>,
    /// Replaces all fields of the name.
    pub set: Vec<FieldLine>,
    /// One more field of the name.
    pub add: Vec<FieldLine>,
}

/// Name as spelled, and value.
pub type FieldLine = (Box<[u8]>, Box<[u8]>);

impl FieldEdits {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// What may not pass. An empty list forbids nothing.
#[derive(Debug, Default)]
pub struct FilterPolicy {
    pub allow_ip: IpSet,
    pub deny_ip: IpSet,
    pub deny_path: PathSet,
    pub allow_methods: Vec<Box<[u8]>>,
    /// Bytes of a request body, to be watched for bodies of unknown length as well.
    pub max_body: Option<u64>,
}

/// A refusal by a filter: the status, and the fixed code for `pylos-reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    pub status: u16,
    pub reason: &'static str,
}

impl FilterPolicy {
    /// `client_ip` is `None` for a client on a Unix socket: no `allow_ip` lets it in, no `deny_ip` keeps it out.
    /// `path` is in normal form, without a query.
    pub fn verdict(
        &self, client_ip: Option<IpAddr>, method: &[u8], path: &[u8], content_length: Option<u64>,
    ) -> Option<Denied> {
        let allowed = self.allow_ip.is_empty() || client_ip.is_some_and(|ip| self.allow_ip.contains(ip));
        if !allowed || client_ip.is_some_and(|ip| self.deny_ip.contains(ip)) {
            return Some(Denied { status: 403, reason: "ip_denied" });
        }
        if self.denies_path(path) {
            return Some(Denied { status: 403, reason: "path_denied" });
        }
        if !self.allow_methods.is_empty() && !self.allow_methods.iter().any(|allowed| **allowed == *method) {
            return Some(Denied { status: 405, reason: "method_denied" });
        }
        if content_length.zip(self.max_body).is_some_and(|(length, most)| length > most) {
            return Some(Denied { status: 413, reason: "body_too_large" });
        }
        None
    }

    /// Also what an application could take for such a path.
    fn denies_path(&self, path: &[u8]) -> bool {
        let otherwise = || other_readings(path).iter().any(|reading| self.deny_path.contains(reading));
        self.deny_path.contains(path) || (!self.deny_path.is_empty() && otherwise())
    }

    /// The value of Allow that a 405 must have (RFC 9110 15.5.6).
    pub fn allow_value(&self) -> Vec<u8> {
        self.allow_methods.iter().map(|method| &**method).collect::<Vec<_>>().join(&b", "[..])
    }
}
