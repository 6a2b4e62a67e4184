//! Globals and listeners.

use super::{Effective, Limits, ListenTimeouts, ListenTls};
use crate::message::forwarded::TrustedProxies;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug)]
pub struct Settings {
    /// 0: one per allowed CPU.
    pub workers: usize,
    pub trusted: TrustedProxies,
    pub access_log: Option<AccessLog>,
    /// Where this gateway is.
    pub zone: Option<Box<str>>,
    pub drain_ms: u64,
    /// What the process may have in memory, bytes; 0: what its container may have.
    pub memory: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// `-` is the standard output.
    pub path: Box<str>,
}

#[derive(Debug)]
pub struct Listener {
    pub name: Box<str>,
    pub binds: Vec<Bind>,
    pub serve: Serve,
    /// Of an admin listener: what has to be shown there.
    pub admin_token: Option<Token>,
    /// `None`: nothing is encrypted.
    pub tls: Option<ListenTls>,
    /// Every request is sent to this port, by https.
    pub redirect_port: Option<u16>,
    pub limits: Limits,
    pub timeouts: ListenTimeouts,
    /// Policies of `[pylos]` and of the listener, for requests that no route takes (404, 405).
    pub unrouted: Effective,
}

/// An address to listen on. No two binds of a table have the same spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// As in the file; the name of the socket between supervisor and gateway.
    pub spelled: Box<str>,
    pub address: BindAddress,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// The routes.
    Proxy,
    /// The gateway's own pages.
    /// `api`: what the supervisor answers, too.
    Admin { metrics: bool, health: bool, api: bool },
}

/// Who shows it may change what runs.
pub struct Token(Box<str>);

impl Token {
    pub fn new(text: &str) -> Self {
        Token(text.into())
    }

    /// Whether this is it. Takes as long whatever it is, but for its length.
    pub fn is(&self, shown: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differs = own.iter().zip(shown).fold(0, |differs, (a, b)| differs | (a ^ b));
        own.len() == shown.len() && std::hint::black_box(differs) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
