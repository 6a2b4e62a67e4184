//! The effective policies in their order, and what each would do.

use super::answer::{ConditionWord, PolicyWord};
use super::{Asked, Traced, given, text};
use crate::request::alike::About;
use crate::request::inquiry::Inquiry;
use crate::request::record::Record;
use crate::request::{self, admit, consult};
use pylos_core::condition::CannotTell;
use pylos_core::table::{FieldEdits, KeyPart, Part, Policy, PolicyKind, RateLimit, RouteId};
use pylos_core::verdict::Verdict;

/// Those from a place of the list on, about the request as it is now.
pub(super) fn words(asked: &Asked<'_>, traced: &mut Traced, from: usize) -> Vec<PolicyWord> {
    if !traced.sound {
        return Vec::new();
    }
    let (mut out, mut record) = (Vec::new(), Record::default());
    let mut q = asked.inquiry(&mut traced.request, &mut out, &mut record);
    let ids = q.effective(traced.route).ids.iter().skip(from);
    ids.map(|id| word(asked, &asked.table.policies[id.index()], traced.route, &mut q)).collect()
}

/// Those behind one that has said something.
pub(super) fn after(
    asked: &Asked<'_>, traced: &mut Traced, policy: request::Asked, said: Verdict,
) -> Vec<PolicyWord> {
    let (mut out, mut record) = (Vec::new(), Record::default());
    let mut q = asked.inquiry(&mut traced.request, &mut out, &mut record);
    // What it refuses, or answers, is told as the outcome.
    drop(consult::heard(&mut q, policy, Ok(said)));
    words(asked, traced, policy.place + 1)
}

fn word(asked: &Asked<'_>, policy: &Policy, route: Option<RouteId>, q: &mut Inquiry<'_>) -> PolicyWord {
    let (mut request, mut response) = (Vec::new(), Vec::new());
    let condition = policy.condition.as_ref().map(|condition| {
        let told = condition.holds(&*q.request);
        ConditionWord {
            text: condition.text().to_owned(),
            holds: told.as_ref().ok().copied(),
            unclear: told.err().map(|CannotTell(why)| why),
        }
    });
    let acts = policy.part(None, &*q.request) == Part::Acts;
    let (kind, effect) = match &policy.kind {
        PolicyKind::Filter(_) => (
            "filter",
            match admit::apply(policy, q.request) {
                Ok(()) => "lets it pass".to_owned(),
                Err(refusal) => format!("refuses it: {} {}", refusal.status, refusal.reason),
            },
        ),
        PolicyKind::RateLimit(limit) => ("rate_limit", limit_told(asked, limit)),
        PolicyKind::Mtls => (
            "mtls",
            match admit::vouched(q) {
                Ok(()) => "knows who it is".to_owned(),
                Err(refusal) => format!("refuses it: {} {}", refusal.status, refusal.reason),
            },
        ),
        PolicyKind::Python(python) => {
            let route = route.map_or("", |route| &*asked.table.routes[route.index()].name);
            let about = About { request: &*q.request, route };
            ("python", given::words(asked, policy, python, about))
        }
        PolicyKind::Headers(edits) => {
            request = edits_told(&edits.request);
            if q.request.https {
                response = edits_told(&edits.response_https);
            }
            response.extend(edits_told(&edits.response));
            ("headers", "changes fields".to_owned())
        }
    };
    PolicyWord {
        name: policy.name.to_string(),
        kind,
        phase: policy.phase.name(),
        enforce: policy.enforce,
        acts,
        condition,
        effect,
        request,
        response,
    }
}

/// What it counts and by what; nothing is taken here.
fn limit_told(asked: &Asked<'_>, limit: &RateLimit) -> String {
    let key = limit.key.iter().zip(&limit.key_words).map(|(part, word)| match part {
        KeyPart::Alike(_) => word.to_string(),
        KeyPart::Given(giver) => {
            format!("what `{}` gives, else client.id", asked.table.policies[giver.index()].name)
        }
    });
    let rates = limit.rates.iter().map(|rate| format!("{rate}, {} at once", rate.burst));
    format!(
        "counts by {}: {}; here it lets pass",
        key.collect::<Vec<_>>().join(" and "),
        rates.collect::<Vec<_>>().join(" and ")
    )
}

fn edits_told(edits: &FieldEdits) -> Vec<String> {
    let removed = edits.remove.iter().map(|name| format!("remove {}", text(name)));
    let set = edits.set.iter().map(|(name, value)| format!("set {}: {}", text(name), text(value)));
    let added = edits.add.iter().map(|(name, value)| format!("add {}: {}", text(name), text(value)));
    removed.chain(set).chain(added).collect()
}
