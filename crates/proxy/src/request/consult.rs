//! What does a policy in Python say? A lane is asked, and waited for no longer than the policy's time; its verdict is
//! applied at once, so that whatever comes later sees the request as it is then.

use super::alike::About;
use super::incoming::Request;
use super::inquiry::Inquiry;
use super::question::{self, Beside, python};
use super::{Asked, Exchange, body};
use crate::error::Refusal;
use crate::lane::Silence;
use pylos_core::facts::{Client, nameless};
use pylos_core::message::head::{Field, Span};
use pylos_core::message::names::known_as_cgi;
use pylos_core::table::{OnError, Part, PythonPolicy};
use pylos_core::verdict::{Changes, Denial, Reply, Verdict};
use std::borrow::Cow;
use std::rc::Rc;

/// What was heard, or why nothing was.
pub(crate) type Said = Result<Verdict, Silence>;

/// Asks a policy about the request as it is now. A refusal is about a body that cannot be shown to it.
pub(crate) async fn consult(x: &mut Exchange<'_>, asked: Asked) -> Result<Said, Refusal> {
    let snapshot = Rc::clone(&x.snapshot);
    let policy = &snapshot.table.policies[asked.policy.index()];
    let Some(python) = python(policy) else { return Ok(Ok(Verdict::Pass)) };
    let route = &*snapshot.table.routes[asked.route.index()].name;
    let about = About { request: &x.scratch.request, route };
    if let Some(verdict) = snapshot.lanes.recall(asked.policy, &snapshot.table, about, x.worker.clock.ms()) {
        return Ok(Ok(verdict));
    }
    let body = match python.body {
        None => None,
        Some(most) => match Box::pin(body::gather(x, most)).await {
            Ok(body) => Some(body),
            // One that only watches refuses nothing.
            Err(refusal) if refusal.status == 413 && watches(x, asked) => return Ok(Err(Silence::TooLong)),
            Err(refusal) => return Err(refusal),
        },
    };
    let request = &x.scratch.request;
    let more = Beside { body: body.as_deref(), ..Beside::default() };
    let asking = question::ask(&x.worker, &snapshot, request, asked, python, more);
    let waiting = match asking {
        Ok(waiting) => waiting,
        Err(silence) => return Ok(Err(silence)),
    };
    let about = About { request: &x.scratch.request, route };
    Ok(waiting.verdict(&policy.name, python, &snapshot.table, about, &x.worker.clock).await)
}

fn watches(x: &Exchange<'_>, asked: Asked) -> bool {
    x.scratch.request.acting.part(asked.place) == Part::Watches
}

/// Applies what was heard; gives an answer that the policy makes itself.
pub(crate) fn heard(q: &mut Inquiry<'_>, asked: Asked, said: Said) -> Result<Option<Box<Reply>>, Refusal> {
    let policy = &q.table.policies[asked.policy.index()];
    let Some(python) = python(policy) else { return Ok(None) };
    if q.request.acting.part(asked.place) == Part::Watches {
        q.record.would.extend(would(&said, python).map(|reason| (asked.policy, reason)));
        return Ok(None);
    }
    match said {
        Ok(Verdict::Pass) => Ok(None),
        Ok(Verdict::Allow(changes)) => match apply(q, asked, &changes) {
            Ok(()) => Ok(None),
            Err(silence) => silent(silence, python),
        },
        Ok(Verdict::Deny(denial)) => Err(refused(&denial)),
        Ok(Verdict::Answer(reply)) => Ok(Some(reply)),
        Ok(Verdict::Edit(_) | Verdict::Failed) => silent(Silence::Failed, python),
        Err(silence) => silent(silence, python),
    }
}

/// What becomes of a request, or an answer, about which there is no verdict.
pub(super) fn silent<T>(silence: Silence, python: &PythonPolicy) -> Result<Option<T>, Refusal> {
    match python.on_error {
        OnError::Allow => Ok(None),
        OnError::Deny => Err(silence.refusal()),
    }
}

/// What a policy that is not enforced would have done.
pub(super) fn would(said: &Said, python: &PythonPolicy) -> Option<&'static str> {
    match said {
        Ok(Verdict::Pass) => None,
        Ok(Verdict::Allow(_) | Verdict::Edit(_)) => Some("changed"),
        Ok(Verdict::Deny(_)) => Some("denied"),
        Ok(Verdict::Answer(_)) => Some("answered"),
        Ok(Verdict::Failed) | Err(_) => (python.on_error == OnError::Deny).then_some("failed"),
    }
}

pub(super) fn refused(denied: &Denial) -> Refusal {
    let detail = denied.detail.clone().map_or("This request is refused.".into(), Cow::from);
    let refusal = Refusal::client(denied.status, "", "");
    Refusal { reason: denied.code.clone().into(), detail, fields: denied.headers.clone(), ..refusal }
}

/// Changes the request: wholly, or not at all.
fn apply(q: &mut Inquiry<'_>, asked: Asked, changes: &Changes) -> Result<(), Silence> {
    let upstream = match changes.upstream.as_deref() {
        Some(name) => Some(q.table.upstream(name).ok_or(Silence::Failed)?),
        None => None,
    };
    let request = &mut *q.request;
    for name in changes.remove.iter().chain(changes.set.iter().map(|(name, _)| name)) {
        request.fields.drop_for_cgi(request.block.bytes(), name.as_bytes());
    }
    changes.set.iter().for_each(|(name, value)| give_field(request, name.as_bytes(), value.as_bytes()));
    if let Some(path) = &changes.path {
        request.given.path = Some(path.as_bytes().into());
    }
    if let Some(query) = &changes.query {
        let query = if query.is_empty() { None } else { Some(append(request, query.as_bytes())) };
        request.given.query = Some(query);
    }
    request.given.upstream = upstream.or(request.given.upstream);
    if let Some(key) = &changes.key {
        request.limited.get_or_insert_default().give_key(asked.policy, key);
    }
    if changes.client.is_some() || changes.plan.is_some() || !changes.claims.is_empty() {
        identify(request, changes);
    }
    // Which of the others act depends on the request as it is now.
    q.decide_acting(Some(asked.route), asked.place + 1);
    Ok(())
}

fn append(request: &mut Request, bytes: &[u8]) -> Span {
    let start = request.block.len();
    request.block.push(bytes);
    Span::new(start, start + bytes.len())
}

/// One more line, spelled as others are.
fn give_field(request: &mut Request, name: &[u8], value: &[u8]) {
    let name_at = append(request, name);
    append(request, b": ");
    let value_at = append(request, value);
    append(request, b"\r\n");
    // What an application behind CGI takes for another name counts as that.
    let known = known_as_cgi(name);
    request.fields.seen = request.fields.seen.with(known);
    let underscore = name.contains(&b'_');
    let field = Field { name: name_at, value: value_at, known, underscore, dropped: false, given: true };
    request.fields.list.push(field);
}

/// Adds to what is known of the client.
fn identify(request: &mut Request, changes: &Changes) {
    let address = request.client_ip();
    let client = request
        .identity
        .get_or_insert_with(|| Box::new(Client { id: nameless(address).into(), ..Client::default() }));
    if let Some(id) = &changes.client {
        client.id = id.as_str().into();
        client.named = true;
    }
    if let Some(plan) = &changes.plan {
        client.plan = Some(plan.as_str().into());
    }
    client.claims.extend(changes.claims.clone());
}
