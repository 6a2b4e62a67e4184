//! What conditions may ask about a request: those of routes (`when`) and those of policies (`if`).

use crate::message::names::{Known, NameSet, known};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// A request as its client sent it, understood, and as policies in Python have changed it so far: what the upstream
/// would get.
pub trait Facts {
    fn method(&self) -> &[u8];
    /// Lower case, without a port; may be empty.
    fn host(&self) -> &[u8];
    /// In normal form, without a query.
    fn path(&self) -> &[u8];
    /// As sent, without its `?`; `None` when there is no `?`.
    fn query(&self) -> Option<&[u8]>;
    /// The public scheme is https.
    fn https(&self) -> bool;
    /// `None` for a client on a Unix socket.
    fn client_ip(&self) -> Option<IpAddr>;
    /// Whether `test` holds for name and value of any field that is passed on, but for those of [`UNSEEN`]. Names are
    /// as sent: [`same_for_cgi`](crate::message::head::same_for_cgi) compares them, for an application behind CGI or
    /// WSGI makes HTTP_X_ROLE of `x-role` and of `X_Role`.
    fn any_field(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool;
    /// Who the client is, where something has told.
    fn client(&self) -> Option<&Client> {
        None
    }
}

/// The id of a client without a name.
pub fn nameless(ip: Option<IpAddr>) -> String {
    ip.map_or_else(|| "unix".to_owned(), |ip| format!("ip:{}", ip.to_canonical()))
}

/// Fields that no condition sees: they belong to one connection, or are understood before a condition is asked.
pub const UNSEEN: NameSet = NameSet::of(&[
    Known::Host,
    Known::TransferEncoding,
    Known::Connection,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::Te,
    Known::Http2Settings,
    Known::XForwardedFor,
    Known::Proxy,
]);

/// Why a condition cannot ask for a field of this name, and what it can ask for instead.
pub(crate) fn unseen(name: &str) -> Option<(&'static str, Asked)> {
    match known(name.as_bytes()) {
        Known::Host => Some(("the host is not asked for as a field", Asked::Host)),
        Known::XForwardedFor => Some(("what this field says is not believed as it stands", Asked::Address)),
        field if UNSEEN.has(field) => {
            Some(("this field belongs to one connection: it ends here", Asked::Nothing))
        }
        _ => None,
    }
}

/// What a condition on a field can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Host,
    Address,
    Nothing,
}

/// A client whose identity is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Client {
    /// `consumer:NAME`, `jwt:ISSUER|SUBJECT`: never ambiguous.
    pub id: Box<str>,
    /// False where the id is only the address.
    pub named: bool,
    pub plan: Option<Box<str>>,
    pub claims: Map<String, Value>,
}

/// A request about which nothing is known: only what asks nothing holds for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn method(&self) -> &[u8] {
        b""
    }
    fn host(&self) -> &[u8] {
        b""
    }
    fn path(&self) -> &[u8] {
        b""
    }
    fn query(&self) -> Option<&[u8]> {
        None
    }
    fn https(&self) -> bool {
        false
    }
    fn client_ip(&self) -> Option<IpAddr> {
        None
    }
    fn any_field(&self, _: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        false
    }
}

/// The raw value of the first `name` in a query: `a=1&b` has `a` with the value `1`, and `b` with an empty
/// one. Names are compared decoded.
pub(crate) fn query_value<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    pairs(query, b'&').find(|(known, _)| decoded_is(known, name)).map(|(_, value)| value)
}

/// The value of the first `name` in a Cookie field, without the quotes around it (RFC 6265 4.2.1).
pub(crate) fn cookie_value<'c>(cookies: &'c [u8], name: &[u8]) -> Option<&'c [u8]> {
    cookie_values(cookies, name).next()
}

/// Likewise of all that have this name: which of them counts, servers do not agree on.
pub fn cookie_values<'c>(cookies: &'c [u8], name: &[u8]) -> impl Iterator<Item = &'c [u8]> {
    pairs(cookies, b';')
        .filter(move |(known, _)| known.trim_ascii() == name)
        .map(|(_, value)| unquoted(value))
}

/// Names and values between separators; what is empty is no pair.
pub(crate) fn pairs(text: &[u8], separator: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(move |byte| *byte == separator).filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = memchr::memchr(b'=', pair);
        equals.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]))
    })
}

pub(crate) fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// Whether `text` with its escapes decoded is `plain`. A bad escape stands for itself, `+` is no blank.
pub(crate) fn decoded_is(text: &[u8], plain: &[u8]) -> bool {
    if memchr::memchr(b'%', text).is_none() { text == plain } else { decoded(text).eq(plain.iter().copied()) }
}

pub(crate) fn decoded(mut text: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (byte, step) = match crate::message::path::decode_escape(text) {
            Some(byte) => (byte, 3),
            None => (*text.first()?, 1),
        };
        text = &text[step..];
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_are_found_by_their_decoded_names() {
        let query = b"a=1&b&%63=x%3Dy&a=2&=z&d=p=q";
        for (name, value) in
            [("a", Some("1")), ("b", Some("")), ("c", Some("x%3Dy")), ("d", Some("p=q")), ("e", None)]
        {
            assert_eq!(query_value(query, name.as_bytes()), value.map(str::as_bytes), "{name}");
        }
        assert_eq!(query_value(b"&&", b""), None);
    }

    #[test]
    fn cookie_values_are_found_between_blanks() {
        let cookies = b"a=1; b=\"x y\";c=;  d = 4 ; e";
        for (name, value) in [
            ("a", Some("1")),
            ("b", Some("x y")),
            ("c", Some("")),
            ("d", Some("4")),
            ("e", Some("")),
            ("B", None),
        ] {
            assert_eq!(cookie_value(cookies, name.as_bytes()), value.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn escapes_decode_and_bad_ones_stay() {
        for (text, plain) in [("a%20b", "a b"), ("a+b", "a+b"), ("%zz%4", "%zz%4"), ("%25", "%"), ("", "")] {
            assert!(decoded_is(text.as_bytes(), plain.as_bytes()), "{text}");
        }
        assert!(!decoded_is(b"a%20b", b"a%20b"));
    }
}
