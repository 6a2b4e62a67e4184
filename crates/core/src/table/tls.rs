//! `[tls.NAME]`: what is shown to clients, and by which rules they are spoken to.

use super::TlsId;
use crate::tls::Names;
use std::fmt;
use std::sync::Arc;

#[derive(Debug)]
pub struct Tls {
    pub name: Arc<str>,
    /// At least one.
    pub certificates: Vec<Certificate>,
    pub profile: Profile,
    /// Whether sessions may be resumed.
    pub tickets: bool,
    /// What clients have to show.
    pub client: Option<ClientAuth>,
}

/// Which certificates of clients are believed.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// PEM. Where some of them have signed themselves those are believed, else all.
    pub ca: Box<str>,
    /// Who shows nothing is refused.
    pub required: bool,
    /// PEM.
    pub crls: Vec<Box<str>>,
    /// Also those between the client's and the root's are looked up.
    pub whole_chain: bool,
    /// Targets are told the certificate (RFC 9440).
    pub forward: bool,
}

/// A certificate and those that vouch for it, with its key. Text of PEM (RFC 7468), which the gateway takes apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate {
    /// For which it answers, as they stand in it: `shop.example`, `*.shop.example`.
    pub names: Vec<Box<str>>,
    pub chain: Box<str>,
    pub key: Hidden,
}

/// What clients must be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// TLS 1.2 with forward secrecy and authenticated encryption, and 1.3.
    Intermediate,
    /// TLS 1.3.
    Modern,
}

/// Of a listener: who answers for which name.
#[derive(Debug)]
pub struct ListenTls {
    /// All of them.
    pub ids: Vec<TlsId>,
    /// At least one of them asks clients for certificates: then a request has to come by the rules of its host.
    pub by_host: bool,
    pub names: Names<TlsId>,
    /// For other names, and for clients that name nobody; without one they are refused.
    pub default: Option<TlsId>,
}

impl ListenTls {
    /// Who answers for a host, in lower case; `None`: nobody does.
    pub fn of_host(&self, host: &[u8]) -> Option<TlsId> {
        let named = std::str::from_utf8(host).ok().and_then(|host| self.names.find(host));
        named.or(self.default.as_ref()).copied()
    }
}

/// Text that nothing prints.
#[derive(PartialEq, Eq)]
pub struct Hidden(Box<str>);

impl Hidden {
    pub fn new(text: &str) -> Self {
        Hidden(text.into())
    }
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
