//! What changes on the way out? Writes the heads of answers: the upstream's, told anew, and the gateway's own.

use super::incoming::{Answer, Request};
use super::refuse::{self, reason_phrase};
use super::{End, Exchange, review};
use crate::policy::headers::{self, Direction, line};
use crate::policy::rate_limit;
use crate::snapshot::Snapshot;
use crate::stream::Wait;
use crate::timer::Slot;
use crate::worker::Worker;
use pylos_core::http1::{Length, framing};
use pylos_core::message::head::{Field, LineCopier, Version, members, same_for_cgi};
use pylos_core::message::location::{self, Kind, MapBack};
use pylos_core::message::names::{Known, NameSet, known, known_as_cgi};
use pylos_core::table::{Action, Effective, ListenerId, RouteId, UpstreamId};
use pylos_core::verdict::Reply;
use std::io::IoSlice;

/// What of an upstream's answer ends at the gateway: this hop's business, and what tells about the upstream.
const HIDDEN: NameSet = NameSet::of(&[
    Known::ContentLength,
    Known::TransferEncoding,
    Known::Connection,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::Te,
    Known::Upgrade,
    Known::Server,
    Known::XPoweredBy,
    Known::AltSvc,
    Known::Via,
    Known::XRequestId,
    Known::PylosReason,
]);
/// What may name the upstream in its value.
const MAPPED: NameSet =
    NameSet::of(&[Known::Location, Known::ContentLocation, Known::Refresh, Known::Link, Known::SetCookie]);
/// What no trailer may say (RFC 9110, 6.5.1), or could leak by.
const NO_TRAILER: NameSet = NameSet(
    HIDDEN.0
        | MAPPED.0
        | super::rewrite::OURS.0
        | NameSet::of(&[Known::Host, Known::Trailer, Known::ContentType, Known::Expect]).0,
);

/// Likewise: how to read the message, who may see it, how long it may be kept (RFC 9110, 6.5.1).
const NOT_IN_TRAILERS: &[&[u8]] = &[
    b"authorization",
    b"proxy-authorization",
    b"authentication-info",
    b"proxy-authentication-info",
    b"www-authenticate",
    b"proxy-authenticate",
    b"cookie",
    b"content-encoding",
    b"content-range",
    b"range",
    b"cache-control",
    b"expires",
    b"pragma",
    b"age",
    b"vary",
    b"retry-after",
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
    b"if-range",
];

/// All that the head of an answer depends on.
pub(crate) struct Telling<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) listener: ListenerId,
    /// The policies of this route on this listener.
    pub(crate) effective: &'a Effective,
    pub(crate) request: &'a Request,
    pub(crate) route: RouteId,
    pub(crate) upstream: UpstreamId,
}

/// How the answer's body goes to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) length: Length,
    pub(crate) keep: bool,
}

impl Telling<'_> {
    /// The head of a final answer.
    pub(crate) fn head(&self, block: &[u8], answer: &mut Answer, shape: Shape, out: &mut Vec<u8>) {
        status_line(answer.status, out);
        let table = &*self.snapshot.table;
        let effective = self.effective;
        let direction = Direction::Response { https: self.request.https };
        let edits = || headers::edits(table, effective, &self.request.acting, direction);
        let edited = effective.edits_fields;
        drop_listed(block, &mut answer.fields.list, answer.fields.seen);
        let set =
            if edited { headers::clear(&mut answer.fields, block, edits()) } else { NameSet::default() };
        // A policy in Python that was asked about the answer has its own word about them.
        let reviewed =
            |edited: &[String], name: &[u8]| edited.iter().any(|known| same_for_cgi(known.as_bytes(), name));
        let limits = self.request.limits();
        for name in rate_limit::FIELDS.iter().filter(|_| !limits.is_empty()) {
            if !reviewed(&answer.edited, name) {
                answer.fields.drop_for_cgi(block, name);
            }
        }
        self.fields(block, &answer.fields.list, answer.fields.seen, out);
        if !answer.fields.seen.has(Known::Date) && !set.has(Known::Date) {
            date(self.worker, out);
        }
        rate_limit::write(out, table, limits, |name| {
            reviewed(&answer.edited, name)
                || edited && edits().flat_map(headers::names).any(|known| same_for_cgi(known, name))
        });
        if edited {
            headers::write(out, edits());
        }
        if !set.has(Known::XRequestId) {
            line(out, b"x-request-id", &self.request.id);
        }
        length(self.request, block, answer, shape.length, out);
        connection(self.request.version, shape.keep, out);
        out.extend_from_slice(b"\r\n");
    }

    /// An interim answer, 1xx other than 101 (RFC 9110, 15.2).
    pub(crate) fn interim(&self, block: &[u8], answer: &mut Answer, out: &mut Vec<u8>) {
        status_line(answer.status, out);
        drop_listed(block, &mut answer.fields.list, answer.fields.seen);
        self.fields(block, &answer.fields.list, answer.fields.seen, out);
        out.extend_from_slice(b"\r\n");
    }

    /// 101: the protocol that was asked for (RFC 9110, 7.8).
    pub(crate) fn switching(&self, block: &[u8], answer: &mut Answer, token: &[u8], out: &mut Vec<u8>) {
        status_line(101, out);
        self.fields(block, &answer.fields.list, answer.fields.seen, out);
        out.extend_from_slice(b"connection: upgrade\r\n");
        line(out, b"upgrade", token);
        line(out, b"x-request-id", &self.request.id);
        out.extend_from_slice(b"\r\n");
    }

    /// The fields of a final answer as they would be told, each as a line of its own.
    pub(super) fn told(&self, block: &[u8], answer: &mut Answer, out: &mut Vec<u8>) {
        drop_listed(block, &mut answer.fields.list, answer.fields.seen);
        self.fields(block, &answer.fields.list, answer.fields.seen, out);
    }

    fn fields(&self, block: &[u8], fields: &[Field], seen: NameSet, out: &mut Vec<u8>) {
        let mapping = seen.meets(MAPPED);
        let mut lines = LineCopier::new(block);
        for field in fields {
            if field.dropped || (HIDDEN.has(field.known) && !field.given) {
                continue;
            }
            let kind = if mapping && !field.given { kind(field.known) } else { None };
            match kind.and_then(|kind| self.mapped(kind, field.value.of(block))) {
                Some(value) => {
                    lines.flush(out);
                    line(out, field.name.of(block), &value);
                }
                None => lines.push(field, out),
            }
        }
        lines.flush(out);
    }

    fn mapped(&self, kind: Kind, value: &[u8]) -> Option<Vec<u8>> {
        let table = &self.snapshot.table;
        let Action::Forward { path, .. } = &table.routes[self.route.index()].action else { return None };
        let (request_path, captures) = (self.request.path(), &self.request.captures);
        let given = self.request.given.path.is_some();
        location::map(
            kind,
            value,
            &MapBack {
                hidden: &table.upstreams[self.upstream.index()].hidden,
                public_scheme: self.request.scheme(),
                public_authority: self.request.public_authority(),
                path: &|upstream_path| {
                    if given { None } else { path.map_back(upstream_path, request_path, captures) }
                },
            },
        )
    }

    /// Trailers of the request that may pass.
    pub(crate) fn request_trailers(&self, block: &[u8], fields: &[Field], out: &mut Vec<u8>) {
        self.trailers(block, fields, Direction::Request, &[], out);
    }

    /// Trailers of the answer that may pass. `edited`: what policies in Python have set or removed of its fields.
    pub(crate) fn answer_trailers(
        &self, block: &[u8], fields: &[Field], edited: &[String], out: &mut Vec<u8>,
    ) {
        self.trailers(block, fields, Direction::Response { https: self.request.https }, edited, out);
    }

    /// What must not stand in a trailer, under that name or one that an application may take for it, ends here; so
    /// does what a policy removes or sets: it would come back behind the policy's back.
    fn trailers(
        &self, block: &[u8], fields: &[Field], direction: Direction, reviewed: &[String], out: &mut Vec<u8>,
    ) {
        let (table, acting) = (&self.snapshot.table, &self.request.acting);
        let edits = || headers::edits(table, self.effective, acting, direction);
        for field in fields {
            let name = field.name.of(block);
            let barred = NO_TRAILER.has(field.known) || NOT_IN_TRAILERS.iter().any(|n| same_for_cgi(n, name));
            let twin = field.underscore && NO_TRAILER.has(known_as_cgi(name));
            let edited = || {
                edits().any(|e| headers::names(e).any(|n| same_for_cgi(n, name)))
                    || reviewed.iter().any(|n| same_for_cgi(n.as_bytes(), name))
            };
            let told = !self.request.limits().is_empty()
                && rate_limit::FIELDS.iter().any(|own| same_for_cgi(own, name));
            if !barred && !twin && !told && !edited() {
                line(out, name, field.value.of(block));
            }
        }
    }
}

fn kind(known: Known) -> Option<Kind> {
    match known {
        Known::Location => Some(Kind::Location),
        Known::ContentLocation => Some(Kind::ContentLocation),
        Known::Refresh => Some(Kind::Refresh),
        Known::Link => Some(Kind::Link),
        Known::SetCookie => Some(Kind::SetCookie),
        _ => None,
    }
}

fn status_line(status: u16, out: &mut Vec<u8>) {
    if status == 200 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Fields that the upstream's Connection lists end here (RFC 9110, 7.6.1).
fn drop_listed(block: &[u8], fields: &mut [Field], seen: NameSet) {
    if !seen.has(Known::Connection) {
        return;
    }
    for i in 0..fields.len() {
        let value = fields[i].value.of(block);
        let usual = value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close");
        if fields[i].known != Known::Connection || usual {
            continue;
        }
        for token in members(value) {
            if HIDDEN.has(known(token)) || token.eq_ignore_ascii_case(b"close") {
                continue;
            }
            let named = |f: &&mut Field| f.name.of(block).eq_ignore_ascii_case(token);
            fields.iter_mut().filter(named).for_each(|f| f.dropped = true);
        }
    }
}

fn date(worker: &Worker, out: &mut Vec<u8>) {
    out.extend_from_slice(b"date: ");
    worker.clock.write_date(out);
    out.extend_from_slice(b"\r\n");
}

fn length(request: &Request, block: &[u8], answer: &Answer, length: Length, out: &mut Vec<u8>) {
    let said = match length {
        Length::Known(n) => Some(n),
        Length::Chunked => return out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Length::UntilClose => return,
        // HEAD and 304 tell the length of the body that is not there (RFC 9110, 8.6).
        Length::None if request.is_head() || answer.status == 304 => {
            framing::content_length(block, &answer.fields).ok().flatten().filter(|_| answer.status != 204)
        }
        Length::None => None,
    };
    if let Some(n) = said {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn connection(version: Version, keep: bool, out: &mut Vec<u8>) {
    match (version, keep) {
        (Version::Http11, true) => {}
        (Version::Http10, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (_, false) => out.extend_from_slice(b"connection: close\r\n"),
    }
}

/// An answer that the gateway makes itself.
pub(crate) struct OwnAnswer<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a [u8],
    pub(crate) fields: Vec<(&'a [u8], &'a [u8])>,
    pub(crate) body: &'a [u8],
    /// Names of fields that policies of answers have set or removed.
    pub(crate) edited: &'a [String],
    pub(crate) close: bool,
}

/// `redirect` and `respond`.
pub(crate) async fn own(x: &mut Exchange<'_>, route: RouteId) -> End {
    let snapshot = std::rc::Rc::clone(&x.snapshot);
    match &snapshot.table.routes[route.index()].action {
        Action::Redirect(redirect) => {
            let request = &x.scratch.request;
            let mut location = Vec::new();
            redirect.location(request.path(), &request.captures, request.query(), &mut location);
            let fields = vec![(&b"location"[..], &location[..])];
            let answer = OwnAnswer {
                status: redirect.status,
                content_type: b"",
                fields,
                body: b"",
                edited: &[],
                close: false,
            };
            send_reviewed(x, route, answer).await
        }
        Action::Respond(response) => {
            let fields = response.fields.iter().map(|(n, v)| (&**n, &**v)).collect();
            let answer = OwnAnswer {
                status: response.status,
                content_type: response.content_type.as_bytes(),
                fields,
                body: &response.body,
                edited: &[],
                close: false,
            };
            send_reviewed(x, route, answer).await
        }
        Action::Forward { .. } => End::Close,
    }
}

/// What a policy answers.
pub(crate) async fn reply(x: &mut Exchange<'_>, route: RouteId, reply: &Reply) -> End {
    let head = &reply.head;
    let answer = OwnAnswer {
        status: head.status,
        content_type: head.content_type.as_bytes(),
        fields: head.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect(),
        body: &reply.body,
        edited: &[],
        close: false,
    };
    send_reviewed(x, route, answer).await
}

/// Sends a route's own answer as the policies that are asked about answers leave it.
async fn send_reviewed(x: &mut Exchange<'_>, route: RouteId, answer: OwnAnswer<'_>) -> End {
    if !x.snapshot.table.effective(x.listener, Some(route)).reviews {
        return send_own(x, answer).await;
    }
    match Box::pin(review::own(x, route, &answer)).await {
        Ok((status, lines, edited)) => {
            let fields = review::pairs(&lines);
            send_own(x, OwnAnswer { status, content_type: b"", fields, edited: &edited, ..answer }).await
        }
        Err(refusal) => refuse::refuse(x, &refusal).await,
    }
}

/// Sends an own answer, and settles what happens to a request body that nobody read.
pub(crate) async fn send_own(x: &mut Exchange<'_>, answer: OwnAnswer<'_>) -> End {
    // A deadline that has passed is no reason to send half of what tells about it.
    x.client.timer.clear(Slot::Whole);
    let unread = x.client.skip_body(&x.scratch.request);
    let keep = x.scratch.request.keep_alive && !answer.close && unread.is_none() && !x.worker.draining();
    own_head(x, &answer, keep);
    let bodyless = framing::bodyless(answer.status) || x.scratch.request.is_head();
    let body: &[u8] = if bodyless { b"" } else { answer.body };
    x.record.status = answer.status;
    let ms = x.snapshot.table.listeners[x.listener.index()].timeouts.send_idle;
    let wait = Wait { timer: &x.client.timer, clock: &x.worker.clock, slot: Slot::Answer, ms };
    let (_, mut to) = x.client.stream.split();
    let parts = &mut [IoSlice::new(&x.scratch.reply), IoSlice::new(body)];
    if to.write_all(parts, wait, &mut x.record.bytes_out).await.is_err() {
        x.record.ended = Some("client_gone");
        return End::Cut;
    }
    if keep {
        End::Again
    } else if unread.is_some() || answer.close {
        End::Linger
    } else {
        End::Close
    }
}

/// What an authority looks for (RFC 8555, 8.3).
pub(crate) async fn challenge(x: &mut Exchange<'_>, answer: &str) -> End {
    let own = OwnAnswer {
        status: 200,
        content_type: b"application/octet-stream",
        fields: vec![(b"cache-control", b"no-store")],
        body: answer.as_bytes(),
        edited: &[],
        close: false,
    };
    send_own(x, own).await
}

/// Writes the head of an own answer into `reply`.
fn own_head(x: &mut Exchange<'_>, answer: &OwnAnswer<'_>, keep: bool) {
    let request = &x.scratch.request;
    let out = &mut x.scratch.reply;
    out.clear();
    status_line(answer.status, out);
    let direction = Direction::Response { https: request.https };
    let table = &x.snapshot.table;
    let effective = table.effective(x.listener, x.record.route);
    let edits: Vec<_> = headers::edits(table, effective, &request.acting, direction).collect();
    let edited = |name: &[u8]| {
        let sets = edits.iter().flat_map(|e| e.set.iter().map(|(n, _)| n).chain(&e.remove));
        sets.into_iter().any(|n| n.eq_ignore_ascii_case(name))
    };
    if !edited(b"date") {
        date(&x.worker, out);
    }
    let own = [(&b"content-type"[..], answer.content_type)];
    let said = rate_limit::FIELDS.map(|name| answer.fields.iter().any(|(own, _)| same_for_cgi(own, name)));
    for (name, value) in own.into_iter().filter(|(_, v)| !v.is_empty()).chain(answer.fields.iter().copied()) {
        if !edited(name) {
            line(out, name, value);
        }
    }
    rate_limit::write(out, table, request.limits(), |name| {
        edited(name)
            || answer.edited.iter().any(|known| same_for_cgi(known.as_bytes(), name))
            || rate_limit::FIELDS.iter().zip(said).any(|(own, said)| said && *own == name)
    });
    headers::write(out, edits.iter().copied());
    if !edited(b"x-request-id") {
        line(out, b"x-request-id", &request.id);
    }
    if !framing::bodyless(answer.status) {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(itoa::Buffer::new().format(answer.body.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    connection(request.version, keep, out);
    out.extend_from_slice(b"\r\n");
}
