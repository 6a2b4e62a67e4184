//! Under which rules a client's connection was agreed on, and whether these are still the ones that hold.

use super::clients::Clients;
use super::config::Configs;
use super::session::TlsStream;
use super::shown::Shown;
use aws_lc_rs::digest::{SHA256, digest};
use pylos_core::table::{ClientAuth, ListenTls, Tls, TlsId};
use rustls::crypto::CryptoProvider;
use std::rc::Rc;
use std::sync::Arc;

/// Of one `[tls.NAME]`, as far as they are about who clients are.
#[derive(Debug)]
pub(crate) struct Rules {
    /// In the table that they are of.
    pub(super) id: TlsId,
    name: Arc<str>,
    pub(super) clients: Option<Arc<Clients>>,
    /// Of all that decides who is believed.
    digest: Option<[u8; 32]>,
    /// Targets are told the certificate.
    pub(super) forward: bool,
}

impl Rules {
    pub(super) fn new(tls: &Tls, id: TlsId, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let clients = tls.client.as_ref().map(|auth| Clients::new(auth, provider)).transpose()?;
        Ok(Rules {
            id,
            name: Arc::clone(&tls.name),
            clients: clients.map(Arc::new),
            digest: tls.client.as_ref().map(digest_of),
            forward: tls.client.as_ref().is_some_and(|auth| auth.forward),
        })
    }

    pub(super) fn digest(&self) -> &[u8] {
        self.digest.as_ref().map_or(&[], |digest| digest)
    }
}

fn digest_of(auth: &ClientAuth) -> [u8; 32] {
    let mut text = vec![u8::from(auth.required), u8::from(auth.whole_chain)];
    for part in std::iter::once(&auth.ca).chain(&auth.crls) {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    digest(&SHA256, &text).as_ref().try_into().expect("32 bytes")
}

/// A client's encrypted connection, for the stages that decide.
#[derive(Clone, Copy)]
pub(crate) struct Agreed<'s> {
    pub(crate) stream: &'s TlsStream,
    pub(crate) configs: &'s Configs,
}

impl Agreed<'_> {
    /// Whether a request for a host that this one answers for may come by the connection, which [holds](Self::holds).
    /// Where both ask for the same of clients, it may (RFC 9110, 15.5.20).
    pub(crate) fn fits(&self, host: TlsId) -> bool {
        self.stream.has_rules(|rules| rules.digest == self.configs.rules(host).digest)
    }

    /// Whether the client is believed by the rules that the connection came about by, as its listener has them now.
    /// Where they have another name by now, those count that ask for the same.
    pub(crate) fn holds(&self, tls: &ListenTls) -> bool {
        if self.stream.has_rules(|rules| self.configs.has(rules)) {
            return true;
        }
        let Some(then) = self.stream.rules() else { return false };
        let find = |is_meant: &dyn Fn(&Rules) -> bool| {
            tls.ids.iter().map(|id| self.configs.rules(*id)).find(|rules| is_meant(rules))
        };
        let same_name = find(&|rules| rules.name == then.name);
        let Some(now) = same_name.or_else(|| find(&|rules| rules.digest == then.digest)) else {
            return false;
        };
        // Who was not asked for a certificate could not show one.
        let was_asked = then.clients.is_some() || self.stream.shown().is_some();
        let admits = |clients: &Arc<Clients>| was_asked && self.stream.is_admitted_by(clients);
        let holds = then.digest == now.digest || now.clients.as_ref().is_none_or(admits);
        if holds {
            self.stream.agree(Arc::clone(now));
        }
        holds
    }

    /// Whether targets are told the certificate, or that there is none: as the host's own rules say, where it has some.
    pub(crate) fn forwards(&self, host: Option<TlsId>) -> bool {
        match host {
            Some(host) => self.configs.rules(host).forward,
            None => self.stream.has_rules(|rules| rules.forward),
        }
    }

    /// What the client has shown, and is believed, where that is still asked for.
    pub(crate) fn shown(&self) -> Option<Rc<Shown>> {
        self.stream.shown().filter(|_| self.stream.has_rules(|rules| rules.clients.is_some()))
    }
}
