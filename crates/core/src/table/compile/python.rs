//! The words of a policy in Python.

use crate::table::{Code, OnError, Phase, Problems, place};

/// When it acts.
pub(super) fn phase(name: &str, word: &str, problems: &mut Problems) -> Phase {
    let phases = [Phase::Identity, Phase::Authorise, Phase::Limits, Phase::Hooks, Phase::Transform];
    phases.into_iter().find(|phase| phase.name() == word).unwrap_or_else(|| {
        let message = format!("`{word}` is no phase for a policy in Python");
        let problem = problems.report(Code::BadValue, place!["policy", name, "phase"], message);
        problem.hint("`identity`, `authorise`, `limits`, `hooks`, or `transform` for answers");
        Phase::Hooks
    })
}

/// What becomes of requests about which it says nothing.
pub(super) fn on_error(name: &str, word: &str, problems: &mut Problems) -> OnError {
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
