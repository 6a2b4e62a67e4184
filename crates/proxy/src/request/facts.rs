//! What conditions see of a request: what its upstream will get, as far as policies in Python have changed it so far.

use super::incoming::Request;
use super::rewrite::PROTECTED;
use pylos_core::facts::{Client, Facts, UNSEEN};
use pylos_core::message::names::{Known, NameSet, known_as_cgi};
use std::net::IpAddr;

/// What only a trusted proxy may say about a client.
const TOLD_BY_PROXIES: NameSet = NameSet::of(&[
    Known::ClientCert,
    Known::ClientCertChain,
    Known::Forwarded,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedOther,
    Known::XForwardedProto,
    Known::XRealIp,
    Known::XRequestId,
]);

impl Facts for Request {
    fn method(&self) -> &[u8] {
        self.method()
    }
    fn host(&self) -> &[u8] {
        self.host()
    }
    fn path(&self) -> &[u8] {
        self.path_now()
    }
    fn query(&self) -> Option<&[u8]> {
        self.query_now()
    }
    fn https(&self) -> bool {
        self.https
    }
    fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip()
    }

    fn client(&self) -> Option<&Client> {
        self.identity.as_deref()
    }

    fn any_field(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        let block = self.block.bytes();
        let trusted = self.client.as_ref().is_some_and(|client| client.peer_trusted);
        self.fields.list.iter().any(|field| {
            let name = field.name.of(block);
            let forged = !field.given
                && (!trusted && TOLD_BY_PROXIES.has(field.known)
                    || field.underscore && PROTECTED.has(known_as_cgi(name)));
            !field.dropped && !forged && !UNSEEN.has(field.known) && test(name, field.value.of(block))
        })
    }
}
