//! One JSON line a request. Always one line, always parsable, whatever the request was.

use super::json::{write_ms, write_number, write_text};
use crate::connection::tunnel::TunnelLog;
use crate::request::Exchange;
use crate::request::rewrite::write_ip;
use crate::stream::Stream;
use crate::worker::Worker;
use pylos_core::message::head::Version;
use pylos_core::message::names::Known;

/// What is known only at the end.
pub(crate) struct Outcome {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) duration_us: u64,
    pub(crate) ended: &'static str,
}

/// Writes all of a line that is known when the answer's head is.
pub(crate) fn begin(out: &mut Vec<u8>, x: &Exchange<'_>) {
    let (table, request, record) = (&x.snapshot.table, &x.scratch.request, &x.record);
    let wall = x.worker.clock.wall_at(record.started_us);
    out.extend_from_slice(b"{\"ts\":");
    write_number(out, wall / 1_000_000);
    out.push(b'.');
    out.extend_from_slice(&micros(wall % 1_000_000));
    text(out, "id", &request.id);
    out.extend_from_slice(b",\"client\":");
    match request.client_ip().or(x.client.peer) {
        Some(ip) => {
            out.push(b'"');
            write_ip(ip, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    text(out, "listener", table.listeners[x.listener.index()].name.as_bytes());
    text(out, "method", request.method());
    text(out, "host", request.host());
    text(out, "path", request.path());
    optional(out, "query", request.query());
    text(out, "version", if request.version == Version::Http10 { b"1.0" } else { b"1.1" });
    if let Stream::Tls(stream) = &x.client.stream {
        text(out, "tls", stream.version().as_bytes());
    }
    number(out, "status", u64::from(record.status));
    optional(out, "route", record.route.map(|r| table.routes[r.index()].name.as_bytes()));
    let upstream = record.upstream.map(|(u, t)| (&table.upstreams[u.index()], t));
    optional(out, "upstream", upstream.map(|(u, _)| u.name.as_bytes()));
    optional(out, "target", upstream.map(|(u, t)| u.targets[t].url.as_bytes()));
    ms(out, "connect_ms", record.connect_us);
    ms(out, "first_byte_ms", record.first_byte_us);
    number(out, "retries", u64::from(record.retries));
    optional(out, "reason", record.reason.as_deref().map(str::as_bytes));
    if let Some(why) = &record.why {
        text(out, "why", why.as_bytes());
    }
    optional(out, "user_agent", request.first(Known::UserAgent));
    would(out, x);
}

/// `"would":["policy:reason"]`, only where there is something to tell.
fn would(out: &mut Vec<u8>, x: &Exchange<'_>) {
    for (index, (policy, reason)) in x.record.would.iter().enumerate() {
        if index == 0 {
            key(out, "would")
        } else {
            out.push(b',')
        }
        out.extend_from_slice(if index == 0 { b"[" } else { b"" });
        let name = &x.snapshot.table.policies[policy.index()].name;
        write_text(out, format!("{name}:{reason}").as_bytes());
    }
    if !x.record.would.is_empty() {
        out.push(b']');
    }
}

/// Completes the line.
pub(crate) fn end(out: &mut Vec<u8>, outcome: &Outcome) {
    number(out, "bytes_in", outcome.bytes_in);
    number(out, "bytes_out", outcome.bytes_out);
    ms(out, "duration_ms", Some(outcome.duration_us));
    text(out, "ended", outcome.ended.as_bytes());
    out.extend_from_slice(b"}\n");
}

/// The line of a tunnel that has ended. One that began without a log has none.
pub(crate) fn tunnel_ended(
    worker: &Worker, tunnel: TunnelLog, bytes_in: u64, bytes_out: u64, ended: &'static str,
) {
    let TunnelLog { mut line, started_us } = tunnel;
    let Some(mut log) = worker.log().filter(|_| !line.is_empty()) else { return };
    let duration_us = crate::clock::exact_us().saturating_sub(started_us);
    end(&mut line, &Outcome { bytes_in, bytes_out, duration_us, ended });
    log.block.extend_from_slice(&line);
    log.line_done();
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    key(out, name);
    write_text(out, value);
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    key(out, name);
    match value {
        Some(value) => write_text(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    write_number(out, value);
}

fn ms(out: &mut Vec<u8>, name: &str, us: Option<u64>) {
    key(out, name);
    match us {
        Some(us) => write_ms(out, us),
        None => out.extend_from_slice(b"null"),
    }
}

fn micros(n: u64) -> [u8; 6] {
    let mut digits = [0; 6];
    let mut n = n;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
    digits
}
