//! How a policy in Python is asked: the request is written down, and handed to a lane.

use super::Asked;
use super::incoming::Request;
use super::rewrite::write_ip;
use crate::lane::{Silence, Waiting};
use crate::policy::headers::line;
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use pylos_core::facts::Facts;
use pylos_core::table::{Policy, PolicyKind, PythonPolicy};
use pylos_lane::Job;

/// What is told beside the request.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    pub(super) body: Option<&'a [u8]>,
    /// Of the answer that is asked about: status, and fields as lines.
    pub(super) answer: Option<(u16, &'a [u8])>,
}

/// Asks a policy about a request as it is now. What it gives waits for the verdict.
pub(super) fn ask<'s>(
    worker: &Worker, snapshot: &'s Snapshot, request: &Request, asked: Asked, python: &PythonPolicy,
    beside: Beside<'_>,
) -> Result<Waiting<'s>, Silence> {
    // Lent by the worker: this is done for each request.
    let mut texts = worker.texts.take();
    let Texts { fields, ip, nameless } = &mut texts;
    request.any_field(&mut |name, value| {
        line(fields, name, value);
        false
    });
    request.client_ip().iter().for_each(|address| write_ip(*address, ip));
    let (id, plan, claims) = client(request, ip, nameless);
    let (status, answer_fields) = beside.answer.unwrap_or_default();
    let job = Job {
        method: request.method(),
        scheme: request.scheme(),
        host: request.host(),
        path: request.path_now(),
        query: request.query_now(),
        client_ip: ip,
        client_id: id,
        client_plan: plan.as_bytes(),
        client_claims: &claims,
        request_id: &request.id,
        route: snapshot.table.routes[asked.route.index()].name.as_bytes(),
        fields,
        body: beside.body,
        status: u32::from(status),
        answer_fields,
        ..Job::default()
    };
    let asking = snapshot.lanes.ask(asked.policy, python, job, &worker.clock);
    texts.clear();
    worker.texts.replace(texts);
    asking
}

pub(super) fn python(policy: &Policy) -> Option<&PythonPolicy> {
    if let PolicyKind::Python(python) = &policy.kind { Some(python) } else { None }
}

/// What is written for a policy, and forgotten once it is handed over.
#[derive(Default)]
pub(crate) struct Texts {
    fields: Vec<u8>,
    ip: Vec<u8>,
    /// The id of a client without a name.
    nameless: Vec<u8>,
}

impl Texts {
    /// Empties it, without keeping what one large request made grow.
    fn clear(&mut self) {
        for text in [&mut self.fields, &mut self.ip, &mut self.nameless] {
            text.clear();
            text.shrink_to(crate::buffer::SMALL);
        }
    }
}

/// Id, plan and claims. As [`nameless`] says, but without the formatting machinery.
fn client<'r>(request: &'r Request, ip: &[u8], anonymous: &'r mut Vec<u8>) -> (&'r [u8], &'r str, Vec<u8>) {
    let Some(client) = request.identity.as_deref() else {
        anonymous.extend_from_slice(if ip.is_empty() { b"unix" } else { b"ip:" });
        anonymous.extend_from_slice(ip);
        return (anonymous, "", Vec::new());
    };
    let claims = serde_json::to_vec(&client.claims).unwrap_or_default();
    (client.id.as_bytes(), client.plan.as_deref().unwrap_or_default(), claims)
}
