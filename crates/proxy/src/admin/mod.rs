//! Requests of admin listeners that the supervisor answers. The gateway asks for the token, bounds what may come, and
//! passes on what is left; the supervisor knows the resources.

mod line;

pub(crate) use line::AdminLine;

use crate::error::Refusal;
use crate::request::respond::{OwnAnswer, send_own};
use crate::request::{End, Exchange, body, refuse};
use line::{Question, Silence};
use pylos_core::message::head::Fields;
use pylos_core::table::Token;
use serde::Serialize;
use std::net::Ipv4Addr;

/// Largest body of who may change something: a configuration.
const MOST_BODY: u64 = 8 << 20;
/// Largest body of who may only ask.
const MOST_QUESTION: u64 = 64 << 10;
/// What the supervisor is told of a request's fields.
const TOLD: &[&[u8]] = &[b"if-match", b"if-none-match", b"content-type"];

/// What a request may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rights {
    Read,
    Change,
}

/// Lets the supervisor answer.
pub(crate) async fn answer(x: &mut Exchange<'_>) -> End {
    match ask(x).await {
        Ok(answer) => {
            let fields = answer.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let answer = OwnAnswer {
                status: answer.status,
                content_type: answer.content_type.as_bytes(),
                fields: fields.collect(),
                body: answer.body.as_bytes(),
                edited: &[],
                close: false,
            };
            send_own(x, answer).await
        }
        Err(refusal) => refuse::refuse(x, &refusal).await,
    }
}

async fn ask(x: &mut Exchange<'_>) -> Result<line::Answer, Refusal> {
    let snapshot = std::rc::Rc::clone(&x.snapshot);
    let listener = &snapshot.table.listeners[x.listener.index()];
    let request = &x.scratch.request;
    let rights = rights(listener.admin_token.as_ref(), &request.fields, request.block.bytes())?;
    if rights == Rights::Read && !is_of_no_domain(request.host()) {
        let detail = "Without a token this listener answers to addresses and names without dots only.";
        return Err(Refusal::client(421, "admin_host", detail));
    }
    let body = match rights {
        Rights::Change => body::gather(x, MOST_BODY).await?,
        Rights::Read => body::gather(x, MOST_QUESTION).await.map_err(too_much_to_ask)?,
    };
    let request = &x.scratch.request;
    let block = request.block.bytes();
    let named = |name: &[u8]| TOLD.iter().any(|told| name.eq_ignore_ascii_case(told));
    let fields = request.fields.list.iter().filter(|field| !field.dropped && named(field.name.of(block)));
    let question = Question {
        rights,
        method: text(request.method())?,
        path: text(request.path())?,
        query: text(request.query().unwrap_or_default())?,
        fields: fields
            .map(|field| Ok((text(field.name.of(block))?, text(field.value.of(block))?)))
            .collect::<Result<_, Refusal>>()?,
        body: text(&body)?,
    };
    x.worker.admin.ask(&x.worker.shared, &question).await.map_err(Silence::refusal)
}

/// Without a token nothing can be changed; with one, who does not show it may not even look.
fn rights(token: Option<&Token>, fields: &Fields, block: &[u8]) -> Result<Rights, Refusal> {
    let Some(token) = token else { return Ok(Rights::Read) };
    let shown = fields.list.iter().filter(|field| !field.dropped);
    let mut shown = shown.filter(|field| field.name.of(block).eq_ignore_ascii_case(b"authorization"));
    let bearer = match (shown.next(), shown.next()) {
        (Some(field), None) => bearer(field.value.of(block)),
        _ => None,
    };
    if bearer.is_some_and(|shown| token.is(shown)) {
        return Ok(Rights::Change);
    }
    let refusal = Refusal::client(401, "admin_token_missing", "This listener asks for its token.");
    let fields = vec![("www-authenticate".to_owned(), "Bearer realm=\"pylos\"".to_owned())];
    Err(Refusal { fields, ..refusal })
}

/// A page in the browser of who may reach this listener could look here too, if a name of its own led here (DNS
/// rebinding): public names have a dot.
fn is_of_no_domain(host: &[u8]) -> bool {
    let is_address = || std::str::from_utf8(host).is_ok_and(|host| host.parse::<Ipv4Addr>().is_ok());
    !host.contains(&b'.') || host.ends_with(b".localhost") || host.starts_with(b"[") || is_address()
}

/// The token of `Bearer TOKEN` (RFC 6750, 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(6)?;
    let token = token.strip_prefix(b" ")?;
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

/// Who may only ask has no use for a large body: it is told so, rather than that it is large.
fn too_much_to_ask(refusal: Refusal) -> Refusal {
    match refusal.status {
        413 => Refusal::client(403, "admin_read_only", "Nothing can be changed by this listener."),
        _ => refusal,
    }
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    let refusal = || Refusal::client(400, "admin_not_utf8", "The request is no text in UTF-8.");
    std::str::from_utf8(bytes).map_err(|_| refusal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_as_a_bearer() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        for other in [&b"Basic abc"[..], b"Bearerabc", b"Bearer", b"", b"abc"] {
            assert_eq!(bearer(other), None, "{other:?}");
        }
    }
}
