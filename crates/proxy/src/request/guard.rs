//! Is the message sound? What is ambiguous, or would be understood in another way by the next hop, ends here.

use super::incoming::{Request, Text};
use super::inquiry::Inquiry;
use crate::error::Refusal;
use pylos_core::http1::Length;
use pylos_core::message::head::{Span, Version, members};
use pylos_core::message::host::{self, HostError};
use pylos_core::message::names::{Known, NameSet};
use pylos_core::message::path;

pub(crate) fn guard(request: &mut Request) -> Result<(), Refusal> {
    connection(request)?;
    method(request)?;
    target(request)?;
    authority(request)?;
    expectation(request)?;
    max_forwards(request)?;
    normal_path(request)
}

/// Refuses what there is no memory for. An explanation needs none.
pub(crate) fn memory(q: &Inquiry<'_>) -> Result<(), Refusal> {
    if q.metered.is_some_and(|metered| metered.shared.is_short_of_memory()) {
        return Err(
            Refusal::gateway(503, "memory_low", "The gateway has too much to do: come back later.").closing()
        );
    }
    Ok(())
}

fn method(request: &Request) -> Result<(), Refusal> {
    match request.method() {
        b"CONNECT" => {
            Err(Refusal::client(501, "connect_unsupported", "This is not a forward proxy.").closing())
        }
        // It would show the upstream's view of the request, credentials included.
        b"TRACE" => {
            let refusal = Refusal::client(405, "trace_refused", "TRACE is not allowed here.");
            Err(Refusal { allow: Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".into()), ..refusal })
        }
        _ => Ok(()),
    }
}

/// Takes the request target apart (RFC 9112, 3.2).
fn target(request: &mut Request) -> Result<(), Refusal> {
    let bad = || Refusal::malformed("bad_target", "The request target is neither a path nor an http URL.");
    let span = request.target;
    let target = span.of(request.block.bytes());
    if memchr::memchr(b'#', target).is_some() {
        return Err(Refusal::malformed("bad_target", "The request target has a fragment."));
    }
    let mut start = span.at as usize;
    if target[0] != b'/' {
        if target == b"*" {
            let own = request.method() == b"OPTIONS";
            return if own { Err(options_of_the_server()) } else { Err(bad()) };
        }
        let colon = memchr::memchr(b':', target).ok_or_else(bad)?;
        let known =
            target[..colon].eq_ignore_ascii_case(b"http") || target[..colon].eq_ignore_ascii_case(b"https");
        if !known || !target[colon..].starts_with(b"://") {
            return Err(bad());
        }
        let from = colon + 3;
        let len = target[from..].iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(target.len() - from);
        request.authority = Span::new(start + from, start + from + len);
        request.absolute = true;
        // What was meant for TLS did not come by it (RFC 9110, 7.4).
        if target[..colon].len() == 5 && !request.https {
            return Err(Refusal::client(421, "misdirected", "This connection is not secure.").closing());
        }
        // The server as a whole, in absolute form (RFC 9112, 3.2.4).
        if from + len == target.len() && request.method() == b"OPTIONS" {
            return Err(options_of_the_server());
        }
        start += from + len;
    }
    let rest = &request.block.bytes()[start..span.end()];
    let question = memchr::memchr(b'?', rest);
    let end = start + question.unwrap_or(rest.len());
    request.query = question.map(|q| Span::new(start + q + 1, span.end()));
    request.path = Text::Sent(Span::new(start, end));
    Ok(())
}

/// `OPTIONS *` asks about the server as a whole; answered here, since no route has it.
fn options_of_the_server() -> Refusal {
    let refusal = Refusal::client(204, "options", "");
    Refusal { allow: Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".into()), ..refusal }
}

/// Exactly one sound Host (RFC 9112, 3.2); an absolute target's authority wins over it (3.2.2).
fn authority(request: &mut Request) -> Result<(), Refusal> {
    let bad = |error: HostError| Refusal::malformed("bad_host", error.reason());
    let block = request.block.bytes();
    let mut hosts = request.fields.list.iter().filter(|f| f.known == Known::Host);
    let sent = hosts.next().map(|f| f.value);
    if hosts.next().is_some() {
        return Err(Refusal::malformed("bad_host", "There is more than one Host field."));
    }
    if sent.is_none() && request.version == Version::Http11 {
        return Err(Refusal::malformed("bad_host", "There is no Host field."));
    }
    let sent = match sent {
        Some(span) => Some((span, host::parse(span.of(block)).map_err(bad)?)),
        None => None,
    };
    let (span, parsed) = if request.absolute {
        (request.authority, host::parse(request.authority.of(block)).map_err(bad)?)
    } else {
        let Some(sent) = sent else { return Ok(()) };
        sent
    };
    request.authority = span;
    request.public = public(request).unwrap_or(span);
    if parsed.needs_lowering {
        parsed.lower_into(&mut request.own_host);
        request.host = Text::Own;
    } else {
        let at = span.at as usize;
        request.host = Text::Sent(Span::new(at, at + parsed.name.len()));
    }
    Ok(())
}

/// X-Forwarded-Host of a trusted proxy, when it is one sound host.
fn public(request: &Request) -> Option<Span> {
    if !request.client.as_ref().is_some_and(|c| c.peer_trusted) {
        return None;
    }
    let mut said = request.fields.list.iter().filter(|f| f.known == Known::XForwardedHost).map(|f| f.value);
    let span = said.next().filter(|_| said.next().is_none())?;
    host::parse(span.of(request.block.bytes())).is_ok().then_some(span)
}

/// All Connection fields together (RFC 9110, 7.6.1): whether the connection goes on, and which fields end here.
fn connection(request: &mut Request) -> Result<(), Refusal> {
    request.keep_alive = request.version == Version::Http11;
    if !request.fields.seen.has(Known::Connection) {
        return Ok(());
    }
    let mut upgrade = false;
    let mut te = false;
    for i in 0..request.fields.list.len() {
        let field = request.fields.list[i];
        if field.known != Known::Connection {
            continue;
        }
        for token in members(field.value.of(request.block.bytes())) {
            match token {
                t if t.eq_ignore_ascii_case(b"close") => request.keep_alive = false,
                t if t.eq_ignore_ascii_case(b"keep-alive") => {
                    request.keep_alive |= request.version == Version::Http10;
                }
                t if t.eq_ignore_ascii_case(b"upgrade") => upgrade = true,
                t if t.eq_ignore_ascii_case(b"te") => te = true,
                // Who names these would change how the message is understood: they cannot be removed.
                t if FIXED.has(pylos_core::message::names::known(t)) => {}
                t => request.fields.drop_named(request.block.bytes(), t),
            }
        }
    }
    let block = request.block.bytes();
    request.takes_trailers = te
        && request
            .fields
            .all(block, Known::Te)
            .flat_map(members)
            .any(|m| m.eq_ignore_ascii_case(b"trailers"));
    // A protocol is switched once, in HTTP/1.1, by a request without a body.
    let may = upgrade && request.version == Version::Http11 && request.length == Length::None;
    let wanted = request.fields.list.iter().find(|f| f.known == Known::Upgrade);
    request.upgrade = wanted.filter(|_| may && request.method() == b"GET").map(|f| f.value);
    Ok(())
}

const FIXED: NameSet = NameSet::of(&[Known::Host, Known::ContentLength, Known::TransferEncoding]);

fn expectation(request: &mut Request) -> Result<(), Refusal> {
    let Some(value) = request.first(Known::Expect) else { return Ok(()) };
    if request.version == Version::Http10 {
        return Ok(()); // RFC 9110, 10.1.1: ignored
    }
    if !value.eq_ignore_ascii_case(b"100-continue") {
        return Err(Refusal::client(417, "expectation_failed", "The expectation is not 100-continue."));
    }
    request.expects_continue = request.length != Length::None;
    Ok(())
}

/// OPTIONS that may go no further is answered here (RFC 9110, 7.6.2); for other methods the field means nothing.
fn max_forwards(request: &mut Request) -> Result<(), Refusal> {
    let Some(value) = request.first(Known::MaxForwards) else { return Ok(()) };
    let hops = std::str::from_utf8(value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
    let Some(hops) = hops.and_then(|v| v.parse::<u64>().ok()) else {
        return Err(Refusal::malformed("bad_max_forwards", "Max-Forwards is not a number."));
    };
    if request.method() != b"OPTIONS" {
        request.max_forwards = Some(hops);
        return Ok(());
    }
    request.max_forwards = hops.checked_sub(1);
    if request.max_forwards.is_some() { Ok(()) } else { Err(options_of_the_server()) }
}

fn normal_path(request: &mut Request) -> Result<(), Refusal> {
    let mut own = std::mem::take(&mut request.own_path);
    let sent = request.path();
    // `http://host?query` and `http://host` mean the root.
    if sent.is_empty() && request.absolute {
        own.push(b'/');
        request.own_path = own;
        request.path = Text::Own;
        return Ok(());
    }
    let normal = path::normalise(sent, &mut own).map_err(|e| Refusal::malformed("bad_path", e.reason()));
    request.own_path = own;
    if normal? == path::Normal::Changed {
        request.path = Text::Own;
    }
    Ok(())
}
