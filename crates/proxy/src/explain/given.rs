//! What policies in Python are taken to say: none of them is asked here.

use super::{Asked, Question};
use crate::lane::fits;
use crate::request::alike::About;
use pylos_core::table::{Policy, PolicyKind, PythonPolicy, Table};
use pylos_core::verdict::Verdict;

/// What is remembered of the decisions of policies, where a gateway runs: the one that holds for a request, and for how
/// many ms more.
pub(crate) type Recall<'m> = &'m dyn Fn(&Policy, &PythonPolicy, About<'_>) -> Option<(Verdict, u64)>;

/// What the question gives for a policy, or what is remembered; without that, it lets pass.
pub(super) fn verdict(asked: &Asked<'_>, policy: &Policy, about: About<'_>) -> Result<Verdict, String> {
    let (table, question) = (asked.table, asked.question);
    match question.given.get(&*policy.name) {
        None => Ok(remembered(asked, policy, about).map_or(Verdict::Pass, |(verdict, _)| verdict)),
        Some(given) => {
            let verdict = given.verdict().and_then(|verdict| fits(table, false, &verdict).map(|()| verdict));
            verdict.map_err(|why| format!("what is given for `{}`: {why}", policy.name))
        }
    }
}

/// Nothing can be given for what is asked about answers: none comes here.
pub(super) fn check(table: &Table, question: &Question) -> Result<(), String> {
    let given = |policy: &&Policy| policy.reviews() && question.given.contains_key(&*policy.name);
    match table.policies.iter().find(given) {
        Some(policy) => Err(format!(
            "`{}` is asked about answers, and none comes here: take out what is given for it",
            policy.name
        )),
        None => Ok(()),
    }
}

fn remembered(asked: &Asked<'_>, policy: &Policy, about: About<'_>) -> Option<(Verdict, u64)> {
    let PolicyKind::Python(python) = &policy.kind else { return None };
    (asked.recall)(policy, python, about).filter(|(verdict, _)| fits(asked.table, false, verdict).is_ok())
}

pub(super) fn words(asked: &Asked<'_>, policy: &Policy, python: &PythonPolicy, about: About<'_>) -> String {
    let call = &python.call;
    if python.answers {
        return format!("asks {call} about the answer");
    }
    if asked.question.given.contains_key(&*policy.name) {
        let said = verdict(asked, policy, about).unwrap_or(Verdict::Failed);
        return format!("asks {call}: given that it {}", does(&said));
    }
    match remembered(asked, policy, about) {
        Some((said, ms)) => {
            format!(
                "asks {call} in {} s again: until then it {}, as remembered",
                ms.div_ceil(1000),
                does(&said)
            )
        }
        None => format!("asks {call}; here it lets pass"),
    }
}

fn does(said: &Verdict) -> String {
    match said {
        Verdict::Pass => "lets pass".to_owned(),
        Verdict::Allow(changes) if changes.changes_nothing() => "lets pass".to_owned(),
        Verdict::Allow(_) => "lets pass, changed".to_owned(),
        Verdict::Deny(denial) => format!("refuses, {} {}", denial.status, denial.code),
        Verdict::Answer(reply) => format!("answers {}", reply.head.status),
        Verdict::Edit(_) | Verdict::Failed => "fails".to_owned(),
    }
}
