//! What `explain` says; the form is that of `pylos explain --json`.

use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub struct Explanation {
    /// As understood; what was not is empty.
    pub request: Understood,
    pub listener: String,
    pub route: Option<Chosen>,
    /// The nearest other routes.
    pub others: Vec<Other>,
    pub policies: Vec<PolicyWord>,
    pub outcome: Outcome,
    /// What the upstream gets, when one is asked.
    pub sent: Option<Sent>,
}

#[derive(Debug, Default, Serialize)]
pub struct Understood {
    pub method: String,
    pub scheme: &'static str,
    pub host: String,
    /// In normal form.
    pub path: String,
    pub query: Option<String>,
    pub client_ip: Option<String>,
    pub client_id: String,
}

#[derive(Debug, Serialize)]
pub struct Chosen {
    pub name: String,
    /// The match string that fits, in its usual spelling.
    pub pattern: String,
    pub captures: BTreeMap<String, String>,
    pub why: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Other {
    pub route: String,
    pub pattern: String,
    pub why_not: String,
}

/// One policy of the effective list.
#[derive(Debug, Serialize)]
pub struct PolicyWord {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub phase: &'static str,
    /// Percent of requests.
    pub enforce: u8,
    #[serde(rename = "if")]
    pub condition: Option<ConditionWord>,
    /// Whether it has a say in this request: its `if` lets it, and it is enforced for some share of all.
    pub acts: bool,
    /// What it does, in words.
    pub effect: String,
    /// Changes of the request's fields, `set name: value`.
    pub request: Vec<String>,
    /// Likewise of the answer's.
    pub response: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct ConditionWord {
    pub text: String,
    /// `None` where it cannot be told.
    pub holds: Option<bool>,
    /// Why not.
    pub unclear: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    Forward {
        upstream: String,
        targets: Vec<String>,
    },
    Redirect {
        status: u16,
        location: String,
    },
    Respond {
        status: u16,
    },
    /// A policy answers.
    Answer {
        status: u16,
        policy: String,
    },
    Admin,
    Refuse {
        status: u16,
        reason: String,
        stage: &'static str,
        detail: String,
    },
}

#[derive(Debug, Serialize)]
pub struct Sent {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In the order of sending. What only a running gateway knows stands in angle brackets.
    pub headers: Vec<(String, String)>,
}
