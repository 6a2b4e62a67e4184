//! A request and an answer as every stage sees them, whatever protocol carried them.

use super::limit::Limited;
use crate::buffer::Buffer;
use crate::policy::rate_limit::Told;
use pylos_core::http1::Length;
use pylos_core::message::forwarded::ClientAddress;
use pylos_core::message::head::{Fields, Span, Version};
use pylos_core::message::names::Known;
use pylos_core::route::Captures;
use pylos_core::table::{Acting, UpstreamId};
use std::net::IpAddr;

/// Where a text lies: in the head's block as sent, or in a form of our own beside it.
#[derive(Clone, Copy, Default)]
pub(crate) enum Text {
    Sent(Span),
    Own,
    #[default]
    Absent,
}

#[derive(Default)]
pub(crate) struct Request {
    /// The head's bytes; all spans point into it.
    pub(crate) block: Buffer,
    pub(crate) fields: Fields,
    pub(crate) method: Span,
    pub(crate) target: Span,
    pub(crate) version: Version,
    pub(crate) length: Length,
    /// The path in normal form.
    pub(crate) path: Text,
    pub(crate) own_path: Vec<u8>,
    /// Without its `?`.
    pub(crate) query: Option<Span>,
    /// `host[:port]` as sent; empty when the client named none.
    pub(crate) authority: Span,
    /// Likewise as the client knows it.
    pub(crate) public: Span,
    /// The host's name in lower case.
    pub(crate) host: Text,
    pub(crate) own_host: Vec<u8>,
    /// The request target has an authority of its own (absolute form).
    pub(crate) absolute: bool,
    /// `close` was not asked for (HTTP/1.1), or `keep-alive` was (HTTP/1.0).
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    /// What is left of Max-Forwards for the next hop.
    pub(crate) max_forwards: Option<u64>,
    /// Takes trailers (`TE: trailers`).
    pub(crate) takes_trailers: bool,
    /// The protocol that an allowed Upgrade asks for.
    pub(crate) upgrade: Option<Span>,
    pub(crate) client: Option<ClientAddress>,
    /// Who the client is, where something has told.
    pub(crate) identity: Option<Box<pylos_core::facts::Client>>,
    /// 32 hex digits, or what a trusted proxy said.
    pub(crate) id: Vec<u8>,
    /// The public scheme.
    pub(crate) https: bool,
    pub(crate) captures: Captures,
    /// Which of the policies act on it.
    pub(crate) acting: Acting,
    /// Largest body allowed, 0 = no bound.
    pub(crate) body_bound: u64,
    /// What a policy said.
    pub(crate) given: Given,
    /// Made by the first limit that is asked, or key that is given.
    pub(crate) limited: Option<Box<Limited>>,
}

/// What policies said that the request's own words do not say.
#[derive(Default)]
pub(crate) struct Given {
    /// In place of what the route makes of the path.
    pub(crate) path: Option<Box<[u8]>>,
    /// In place of the query; the inner one is absent when it was taken away.
    pub(crate) query: Option<Option<Span>>,
    pub(crate) upstream: Option<UpstreamId>,
}

impl Request {
    pub(crate) fn method(&self) -> &[u8] {
        self.method.of(self.block.bytes())
    }
    pub(crate) fn path(&self) -> &[u8] {
        self.text(self.path, &self.own_path)
    }
    pub(crate) fn host(&self) -> &[u8] {
        self.text(self.host, &self.own_host)
    }
    pub(crate) fn authority(&self) -> &[u8] {
        self.authority.of(self.block.bytes())
    }
    /// `host[:port]` as the client knows it: what a trusted proxy says, or what was sent.
    pub(crate) fn public_authority(&self) -> &[u8] {
        self.public.of(self.block.bytes())
    }
    pub(crate) fn query(&self) -> Option<&[u8]> {
        self.query.map(|q| q.of(self.block.bytes()))
    }
    /// The path before the route's rewriting, or what a policy made of it.
    pub(crate) fn path_now(&self) -> &[u8] {
        self.given.path.as_deref().unwrap_or_else(|| self.path())
    }
    /// As the upstream gets it, without its `?`.
    pub(crate) fn query_now(&self) -> Option<&[u8]> {
        self.given.query.unwrap_or(self.query).map(|q| q.of(self.block.bytes()))
    }
    pub(crate) fn first(&self, known: Known) -> Option<&[u8]> {
        self.fields.first(self.block.bytes(), known)
    }
    pub(crate) fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }
    pub(crate) fn scheme(&self) -> &'static [u8] {
        if self.https { b"https" } else { b"http" }
    }
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.client.as_ref().and_then(|c| c.ip)
    }

    /// Whether doing it twice is doing it once (RFC 9110, 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(self.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE" | b"TRACE")
    }

    /// What is told of the limits that it was counted by.
    pub(crate) fn limits(&self) -> &[Told] {
        self.limited.as_deref().map_or(&[], Limited::told)
    }

    fn text<'a>(&'a self, text: Text, own: &'a [u8]) -> &'a [u8] {
        match text {
            Text::Sent(span) => span.of(self.block.bytes()),
            Text::Own => own,
            Text::Absent => b"",
        }
    }

    /// Empties it; the block must have been taken out before.
    pub(crate) fn reset(&mut self) {
        let mut kept = Request {
            fields: std::mem::take(&mut self.fields),
            own_path: std::mem::take(&mut self.own_path),
            own_host: std::mem::take(&mut self.own_host),
            id: std::mem::take(&mut self.id),
            captures: std::mem::take(&mut self.captures),
            limited: self.limited.take(),
            ..Request::default()
        };
        kept.fields.clear();
        kept.own_path.clear();
        kept.own_host.clear();
        kept.id.clear();
        kept.captures.clear();
        kept.limited.iter_mut().for_each(|limited| limited.clear());
        *self = kept;
    }
}

/// The head of an upstream's answer; its bytes stay in the buffer that they were read into.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) fields: Fields,
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) length: Length,
    /// The upstream closes after this answer.
    pub(crate) close: bool,
    /// Names of fields that policies in Python have set or removed.
    pub(crate) edited: Vec<String>,
}

impl Answer {
    pub(crate) fn reset(&mut self) {
        self.fields.clear();
        self.version = Version::default();
        self.status = 0;
        self.length = Length::None;
        self.close = false;
        self.edited.clear();
    }
}
