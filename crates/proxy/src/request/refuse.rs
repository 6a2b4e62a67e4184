//! How is a refusal told? One function turns the error type into an answer: problem+json (RFC 9457), or HTML or
//! text where the client prefers it, always with `pylos-reason` and the request's id.

use super::respond::{OwnAnswer, send_own};
use super::{End, Exchange};
use crate::error::{Fault, Refusal};
use crate::telemetry::json::{write_number, write_text};
use pylos_core::message::head::members;
use pylos_core::message::names::Known;
use std::borrow::Cow;
use std::fmt::Write;

pub(crate) async fn refuse(x: &mut Exchange<'_>, refusal: &Refusal) -> End {
    x.record.reason = Some(refusal.reason.clone());
    x.record.ended.get_or_insert(match (refusal.fault, &refusal.reason) {
        (Fault::Upstream | Fault::Gateway, Cow::Borrowed(reason)) => reason,
        _ => "refused",
    });
    let form = preferred(&x.scratch.request.fields, x.scratch.request.block.bytes());
    let body = if refusal.status == 204 { Vec::new() } else { form.render(refusal, &x.scratch.request.id) };
    let mut fields = Vec::with_capacity(3);
    if let Some(allow) = &refusal.allow {
        fields.push((&b"allow"[..], allow.as_bytes()));
    }
    let own = |name: &str| refusal.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if refusal.status == 503 && !refusal.done && !own("retry-after") {
        fields.push((b"retry-after", b"1"));
    }
    if refusal.status != 204 {
        fields.push((b"pylos-reason", refusal.reason.as_bytes()));
    }
    fields.extend(refusal.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let answer = OwnAnswer {
        status: refusal.status,
        content_type: if body.is_empty() { b"" } else { form.content_type() },
        fields,
        body: &body,
        edited: &[],
        close: refusal.close,
    };
    send_own(x, answer).await
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Json,
    Html,
    Text,
}

/// The form that Accept names first with a weight above zero; JSON when it names none of them.
fn preferred(fields: &pylos_core::message::head::Fields, block: &[u8]) -> Form {
    let mut best = (Form::Json, 0);
    for member in fields.all(block, Known::Accept).flat_map(members) {
        let mut parts = member.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_slice() {
            b"text/html" | b"application/xhtml+xml" => Form::Html,
            b"text/plain" => Form::Text,
            b"application/json" | b"application/problem+json" | b"application/*" => Form::Json,
            _ => continue,
        };
        let weight = parts.find_map(|p| p.strip_prefix(b"q=")).map_or(1000, weight);
        if weight > best.1 {
            best = (form, weight);
        }
    }
    best.0
}

/// `0`, `0.5`, `1.000` in thousandths (RFC 9110, 12.4.2).
fn weight(text: &[u8]) -> u32 {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|t| t.parse::<f32>().ok()).map_or(0, |q| (q.clamp(0.0, 1.0) * 1000.0) as u32)
}

impl Form {
    fn content_type(self) -> &'static [u8] {
        match self {
            Form::Json => b"application/problem+json",
            Form::Html => b"text/html; charset=utf-8",
            Form::Text => b"text/plain; charset=utf-8",
        }
    }

    fn render(self, refusal: &Refusal, id: &[u8]) -> Vec<u8> {
        let title = reason_phrase(refusal.status);
        let id = String::from_utf8_lossy(id);
        match self {
            Form::Json => json(refusal, title, &id),
            Form::Text => {
                let detail = &refusal.detail;
                format!("{} {title}\n{detail}\nreason: {}\nrequest: {id}\n", refusal.status, refusal.reason)
                    .into()
            }
            Form::Html => {
                let (status, detail) = (refusal.status, html_escaped(&refusal.detail));
                format!(
                    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{status} {title}</title>\
                     <h1>{status} {title}</h1><p>{detail}</p><p><small>{} · {}</small></p></html>\n",
                    refusal.reason,
                    html_escaped(&id)
                )
                .into()
            }
        }
    }
}

fn json(refusal: &Refusal, title: &str, id: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    body.extend_from_slice(b"{\"type\":\"about:blank\",\"title\":");
    write_text(&mut body, title.as_bytes());
    body.extend_from_slice(b",\"status\":");
    write_number(&mut body, u64::from(refusal.status));
    for (name, value) in [("detail", &*refusal.detail), ("reason", &*refusal.reason), ("request_id", id)] {
        body.extend_from_slice(b",\"");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\":");
        write_text(&mut body, value.as_bytes());
    }
    body.extend_from_slice(b"}\n");
    body
}

fn html_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => drop(write!(out, "&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// The phrase for a status (RFC 9110, 15); an upstream's own phrase is never passed on.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pylos_core::http1::{HeadLimits, HeadParser, RequestLine};
    use pylos_core::message::head::Fields;

    fn form(accept: &str) -> Form {
        let block = format!("GET / HTTP/1.1\r\nAccept: {accept}\r\n\r\n");
        let (mut fields, limits) = (Fields::default(), HeadLimits { line: 500, total: 500, fields: 5 });
        let head = HeadParser::<RequestLine>::new().feed(block.as_bytes(), &mut fields, &limits);
        assert!(head.is_ok_and(|h| h.is_some()));
        preferred(&fields, block.as_bytes())
    }

    #[test]
    fn the_form_follows_accept() {
        assert_eq!(form("*/*"), Form::Json);
        assert_eq!(form("text/html,application/xhtml+xml,*/*;q=0.8"), Form::Html);
        assert_eq!(form("text/html;q=0.5, application/json"), Form::Json);
        assert_eq!(form("text/plain, text/html"), Form::Text);
        assert_eq!(form("text/html;q=0"), Form::Json);
    }

    #[test]
    fn nothing_breaks_out_of_the_body() {
        let refusal = Refusal::client(404, "no_route", "a<b>\"c");
        for form in [Form::Json, Form::Html, Form::Text] {
            let body = String::from_utf8(form.render(&refusal, b"<id>")).expect("text");
            assert!(form == Form::Text || !body.contains("<id>") || form == Form::Json);
        }
        let json: serde_json::Value =
            serde_json::from_slice(&json(&refusal, "Not Found", "x")).expect("JSON");
        assert_eq!(json["detail"], "a<b>\"c");
    }
}
