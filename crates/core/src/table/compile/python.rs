//! `[policy.NAME]` of a policy in Python, and its words.

use crate::table::raw::RawKind;
use crate::table::{Code, OnError, Phase, Problems, PythonPolicy, place};
use std::hash::{DefaultHasher, Hash, Hasher};

/// `None` for what is no policy in Python.
pub(super) fn compile(name: &str, raw: &RawKind, problems: &mut Problems) -> Option<(Phase, PythonPolicy)> {
    let RawKind::Python { call, phase: word, timeout_ms, on_error: failing, body_bytes, .. } = raw else {
        return None;
    };
    let RawKind::Python { lane, queue, settings, code, .. } = raw else { return None };
    let mut version = DefaultHasher::new();
    (call, settings.to_string(), code).hash(&mut version);
    let phase = phase(name, word, problems);
    let python = PythonPolicy {
        call: call.as_str().into(),
        timeout_ms: *timeout_ms,
        on_error: on_error(name, failing, problems),
        answers: phase == Phase::Transform,
        body: *body_bytes,
        lane: lane.as_str().into(),
        queue: *queue as usize,
        version: version.finish(),
    };
    Some((phase, python))
}

/// When it acts.
fn phase(name: &str, word: &str, problems: &mut Problems) -> Phase {
    let phases = [Phase::Identity, Phase::Authorise, Phase::Limits, Phase::Hooks, Phase::Transform];
    phases.into_iter().find(|phase| phase.name() == word).unwrap_or_else(|| {
        let message = format!("`{word}` is no phase for a policy in Python");
        let problem = problems.report(Code::BadValue, place!["policy", name, "phase"], message);
        problem.hint("`identity`, `authorise`, `limits`, `hooks`, or `transform` for answers");
        Phase::Hooks
    })
}

/// What becomes of requests about which it says nothing.
fn on_error(name: &str, word: &str, problems: &mut Problems) -> OnError {
    match word {
        "deny" => OnError::Deny,
        "allow" => OnError::Allow,
        other => {
            let message = format!("`{other}` is nothing that becomes of a request");
            problems
                .report(Code::BadValue, place!["policy", name, "on_error"], message)
                .hint("`deny` or `allow`");
            OnError::Deny
        }
    }
}
