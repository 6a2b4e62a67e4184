//! Globals and listeners.

use super::{Effective, Limits, ListenTimeouts};
use crate::message::forwarded::TrustedProxies;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug)]
pub struct Settings {
    /// 0: one per allowed CPU.
    pub workers: usize,
    pub trusted: TrustedProxies,
    pub access_log: Option<AccessLog>,
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
    Admin { metrics: bool, health: bool },
}
