//! What policies in Python are taken to say: none of them is asked here.

use super::Question;
use crate::lane::fits;
use pylos_core::table::{Policy, PythonPolicy, Table};
use pylos_core::verdict::Verdict;

/// What the question gives for a policy; without that, it lets pass.
pub(super) fn verdict(table: &Table, policy: &Policy, question: &Question) -> Result<Verdict, String> {
    match question.given.get(&*policy.name) {
        None => Ok(Verdict::Pass),
        Some(given) => {
            let verdict = given.verdict().and_then(|verdict| fits(table, &verdict).map(|()| verdict));
            verdict.map_err(|why| format!("what is given for `{}`: {why}", policy.name))
        }
    }
}

pub(super) fn words(table: &Table, policy: &Policy, python: &PythonPolicy, question: &Question) -> String {
    let call = &python.call;
    match verdict(table, policy, question) {
        _ if !question.given.contains_key(&*policy.name) => format!("asks {call}; here it lets pass"),
        Ok(Verdict::Pass) => format!("asks {call}: given that it lets pass"),
        Ok(Verdict::Allow(_)) => format!("asks {call}: given that it lets pass, changed"),
        Ok(Verdict::Deny(denial)) => {
            format!("asks {call}: given that it refuses, {} {}", denial.status, denial.code)
        }
        Ok(Verdict::Answer(reply)) => format!("asks {call}: given that it answers {}", reply.head.status),
        Ok(Verdict::Failed) | Err(_) => format!("asks {call}: given that it fails"),
    }
}
