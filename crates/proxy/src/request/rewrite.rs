//! What changes on the way in? Writes the request as the upstream gets it: from what was understood, never the
//! bytes that were sent.

use super::Exchange;
use super::incoming::Request;
use super::inquiry::Inquiry;
use crate::error::Refusal;
use crate::policy::headers::{self, Direction, line};
use pylos_core::http1::Length;
use pylos_core::message::head::{LineCopier, Version};
use pylos_core::message::names::{Known, NameSet, known_as_cgi};
use pylos_core::route::PathEdit;
use pylos_core::table::{Effective, HostMode, RouteId, UpstreamId};
use std::io::Write;
use std::net::IpAddr;

/// Fields that end at the gateway or that it writes itself.
pub(crate) const OURS: NameSet = NameSet::of(&[
    Known::Host,
    Known::ContentLength,
    Known::TransferEncoding,
    Known::Connection,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::Te,
    Known::Upgrade,
    Known::Http2Settings,
    Known::Expect,
    Known::XForwardedFor,
    Known::XForwardedProto,
    Known::XForwardedHost,
    Known::XForwardedOther,
    Known::Forwarded,
    Known::XRealIp,
    Known::XRequestId,
    Known::Via,
    Known::MaxForwards,
    Known::ClientCert,
    Known::ClientCertChain,
    // CGI would make HTTP_PROXY of it, which libraries take for their proxy (httpoxy).
    Known::Proxy,
]);
/// Of these, what a trusted proxy says is passed on.
const TRUSTED: NameSet = NameSet::of(&[
    Known::XForwardedOther,
    Known::Forwarded,
    Known::XRealIp,
    Known::ClientCert,
    Known::ClientCertChain,
]);
/// What is said of a client's certificate (RFC 9440).
const CERTIFICATES: NameSet = NameSet::of(&[Known::ClientCert, Known::ClientCertChain]);
/// What must not arrive under another spelling either.
pub(crate) const PROTECTED: NameSet = NameSet(OURS.0 & !(1 << Known::Via as u8));

/// Marks what the host's place is: `host` is written per target when the upstream wants its own name.
pub(crate) fn rewrite(
    q: &mut Inquiry<'_>, route: RouteId, upstream: UpstreamId, path: &PathEdit,
) -> Result<(), Refusal> {
    let table = q.table;
    let (request, out) = (&mut *q.request, &mut *q.out);
    let upgrade = request.upgrade.filter(|token| {
        let token = token.of(request.block.bytes());
        table.routes[route.index()].upgrade.iter().any(|t| token.eq_ignore_ascii_case(t.as_bytes()))
    });
    request.upgrade = upgrade;

    out.extend_from_slice(request.method());
    out.push(b' ');
    if request.given.path.is_some() || path.is_keep() {
        out.extend_from_slice(request.path_now());
    } else {
        let applied = path.apply(request.path(), &request.captures, out);
        applied.map_err(|error| Refusal::malformed("bad_path", error.reason()))?;
    }
    if let Some(query) = request.query_now() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let effective = q.effective(Some(route));
    let forwards = q.forwards_certificates();
    let set = fields(q, effective, forwards);
    host(q, &table.upstreams[upstream.index()].host, set);
    ours(q, set, forwards);
    let out = &mut *q.out;
    if effective.edits_fields {
        headers::write(out, headers::edits(table, effective, &q.request.acting, Direction::Request));
    }
    framing(q.request, out);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The client's own fields, as they came. Gives the known names that policies set.
fn fields(q: &mut Inquiry<'_>, effective: &Effective, forwards: bool) -> NameSet {
    let (request, out) = (&mut *q.request, &mut *q.out);
    let mut set = if effective.edits_fields {
        let edits = headers::edits(q.table, effective, &request.acting, Direction::Request);
        headers::clear(&mut request.fields, request.block.bytes(), edits)
    } else {
        NameSet::default()
    };
    let mut passed = match &request.client {
        Some(client) if client.peer_trusted => TRUSTED,
        _ => NameSet::default(),
    };
    if forwards {
        passed = passed.without(CERTIFICATES);
    }
    let block = request.block.bytes();
    let mut lines = LineCopier::new(block);
    for field in &request.fields.list {
        if field.given && !field.dropped {
            set = set.with(field.known);
            lines.push(field, out);
            continue;
        }
        if field.dropped || (OURS.has(field.known) && !passed.has(field.known)) {
            continue;
        }
        if field.underscore && PROTECTED.has(known_as_cgi(field.name.of(block))) {
            continue;
        }
        lines.push(field, out);
    }
    lines.flush(out);
    set
}

/// Where the value of Host starts and ends in `out` when it is the target's own: see [`set_target_host`].
fn host(q: &mut Inquiry<'_>, mode: &HostMode, set: NameSet) {
    if set.has(Known::Host) {
        return;
    }
    let (request, out) = (&*q.request, &mut *q.out);
    match mode {
        // The client of HTTP/1.0 may have named none; an empty one says so (RFC 9112, 3.2).
        HostMode::Preserve => line(out, b"host", request.authority()),
        HostMode::Literal(name) => line(out, b"host", name.as_bytes()),
        HostMode::Target => {
            out.extend_from_slice(b"host: ");
            q.record.host_at = Some((out.len(), out.len()));
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Puts the chosen target's own name where Host has its place.
pub(crate) fn set_target_host(x: &mut Exchange<'_>, authority: &str) {
    if let Some((start, end)) = x.record.host_at {
        x.scratch.out.splice(start..end, authority.bytes());
        x.record.host_at = Some((start, start + authority.len()));
    }
}

/// What the gateway says about the client and itself.
fn ours(q: &mut Inquiry<'_>, set: NameSet, forwards: bool) {
    let (request, out) = (&*q.request, &mut *q.out);
    let block = request.block.bytes();
    let client = request.client.as_ref();
    if !set.has(Known::XForwardedFor) && (q.peer.is_some() || client.is_some_and(|c| !c.hops.is_empty())) {
        out.extend_from_slice(b"x-forwarded-for: ");
        match client.filter(|c| !c.hops.is_empty()) {
            Some(client) => client.write_forwarded_for(q.peer, out),
            None => q.peer.iter().for_each(|peer| write_ip(*peer, out)),
        }
        out.extend_from_slice(b"\r\n");
    }
    if !set.has(Known::XForwardedProto) {
        let https = request.https;
        out.extend_from_slice(if https {
            b"x-forwarded-proto: https\r\n"
        } else {
            b"x-forwarded-proto: http\r\n"
        });
    }
    if !set.has(Known::XForwardedHost) {
        let public = request.public_authority();
        if !public.is_empty() {
            line(out, b"x-forwarded-host", public);
        }
    }
    if !set.has(Known::XRequestId) {
        line(out, b"x-request-id", &request.id);
    }
    let telling = q.agreed.filter(|_| forwards && !set.has(Known::ClientCert));
    if let Some(shown) = telling.and_then(|agreed| agreed.shown()) {
        line(out, b"client-cert", &shown.field);
    }
    if !set.has(Known::Via) {
        out.extend_from_slice(b"via: ");
        for via in request.fields.all(block, Known::Via) {
            out.extend_from_slice(via);
            out.extend_from_slice(b", ");
        }
        // The version that the request came with (RFC 9110, 7.6.3).
        let http10 = request.version == Version::Http10;
        out.extend_from_slice(if http10 { b"1.0 pylos\r\n" } else { b"1.1 pylos\r\n" });
    }
}

/// Framing and what else belongs to this hop.
fn framing(request: &Request, out: &mut Vec<u8>) {
    match request.length {
        // A client that says that there is no body says more than one that says nothing (RFC 9110, 8.6).
        Length::None if request.fields.seen.has(Known::ContentLength) => {
            out.extend_from_slice(b"content-length: 0\r\n")
        }
        Length::None | Length::UntilClose => {}
        Length::Known(n) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Length::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if let Some(hops) = request.max_forwards {
        out.extend_from_slice(b"max-forwards: ");
        out.extend_from_slice(itoa::Buffer::new().format(hops).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if request.expects_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    if let Some(token) = request.upgrade {
        out.extend_from_slice(b"connection: upgrade\r\n");
        line(out, b"upgrade", token.of(request.block.bytes()));
    } else if request.takes_trailers {
        out.extend_from_slice(b"connection: te\r\nte: trailers\r\n");
    }
}

/// An address as text; IPv4 without the formatting machinery, since it is written per request.
pub(crate) fn write_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            for (i, octet) in ip.octets().iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(*octet).as_bytes());
            }
        }
        // Writing into a Vec cannot fail.
        IpAddr::V6(ip) => drop(write!(out, "{ip}")),
    }
}
