//! Upstreams and their targets.

use super::{Certificate, Pool, Table, UpstreamId, UpstreamTimeouts};
use std::cmp::Ordering;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug)]
pub struct Upstream {
    pub name: Box<str>,
    /// At least one; no two with the same `url`.
    pub targets: Vec<Target>,
    pub host: HostMode,
    pub health: Option<HealthCheck>,
    pub pool: Pool,
    pub timeouts: UpstreamTimeouts,
    /// How its targets of `https://` are spoken to.
    pub tls: UpstreamTls,
    /// What no client may see: host (lower case, IPv6 in brackets) and port of each target, and a literal `host`.
    pub hidden: Vec<(Box<str>, u16)>,
    /// Its targets that other upstreams have too, by numbers of the table, in order.
    pub shared: Vec<u32>,
}

impl Table {
    /// The upstream of this name; they are in the order of their names.
    pub fn upstream(&self, name: &str) -> Option<UpstreamId> {
        self.upstreams.binary_search_by(|upstream| (*upstream.name).cmp(name)).ok().map(UpstreamId::at)
    }
}

impl Upstream {
    /// Whether both have a target in common.
    pub fn shares_target(&self, other: &Upstream) -> bool {
        let (mut own, mut others) = (self.shared.iter().peekable(), other.shared.iter().peekable());
        while let (Some(one), Some(another)) = (own.peek(), others.peek()) {
            match one.cmp(another) {
                Ordering::Less => drop(own.next()),
                Ordering::Greater => drop(others.next()),
                Ordering::Equal => return true,
            }
        }
        false
    }
}

/// By which rules encrypted connections to its targets are made.
#[derive(Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// PEM of who vouches for their certificates; `None`: whom the system trusts.
    pub ca: Option<Box<str>>,
    /// For whom their certificates have to be; `None`: each for the name in its URL.
    pub server_name: Option<Box<str>>,
    /// What is shown to those that ask for it.
    pub certificate: Option<Certificate>,
    /// False: whoever answers is believed.
    pub verify: bool,
}

/// One server. Its `url` is its identity over reloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// In one spelling: `http://web:8000`, `http://[::1]`, `unix:/run/app.sock`.
    pub url: Box<str>,
    pub address: TargetAddress,
    /// It is `https://`.
    pub tls: bool,
    /// `host[:port]` as a Host field tells it, without the port of its scheme; `localhost` for Unix sockets.
    pub authority: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetAddress {
    Ip(SocketAddr),
    /// Lower case; to be resolved.
    Name {
        host: Box<str>,
        port: u16,
    },
    Unix(PathBuf),
}

/// Which Host the targets see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostMode {
    /// The client's.
    Preserve,
    /// [`Target::authority`].
    Target,
    Literal(Box<str>),
}

/// GET `path` every so often; 2xx is healthy, all else is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// A path, maybe with a query, ready to be sent.
    pub path: Box<str>,
    pub every_ms: u64,
    pub timeout_ms: u64,
    pub fall: u32,
    pub rise: u32,
}
