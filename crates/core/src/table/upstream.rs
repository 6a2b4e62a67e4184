//! Upstreams and their targets.

use super::{Balance, Certificate, FieldLine, Outliers, Pool, Statuses, Table, UpstreamId, UpstreamTimeouts};
use regex::bytes::Regex;
use std::cmp::Ordering;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug)]
pub struct Upstream {
    pub name: Box<str>,
    /// At least one; no two with the same `url`.
    pub targets: Vec<Target>,
    pub host: HostMode,
    pub balance: Balance,
    /// 0: a target that is new or back has its whole share at once.
    pub slow_start_ms: u64,
    /// Where a smaller part of the targets is usable, all are used; 0: never.
    pub panic_threshold: f64,
    /// `None`: no target is left alone for its answers.
    pub outliers: Option<Outliers>,
    /// Requests that a target has at once, of all workers; 0 = no bound.
    pub max_requests: u32,
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
    /// Its share, compared with those of the others; 0: it gets nothing new.
    pub weight: u32,
    pub zone: Option<Box<str>>,
    /// 0 comes first.
    pub priority: u32,
    /// Comes in when all others are out.
    pub backup: bool,
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

/// What targets are asked every so often.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    pub ask: Ask,
    pub every_ms: u64,
    /// From one check to the next while the verdict is changing; not longer than `every_ms`.
    pub fast_ms: u64,
    pub timeout_ms: u64,
    pub fall: u32,
    pub rise: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// GET; a redirect is not followed.
    Http {
        /// A path, maybe with a query, ready to be sent.
        path: Box<str>,
        /// `None`: the Host that the target sees otherwise.
        host: Option<Box<str>>,
        fields: Vec<FieldLine>,
        /// The healthy ones.
        statuses: Statuses,
        body: Option<BodyCheck>,
    },
    /// A bare connection, over which something may be sent and has to come back.
    Tcp { send: Box<[u8]>, expect: Box<[u8]> },
}

/// What a body has to have in it.
#[derive(Debug, Clone)]
pub struct BodyCheck {
    pub spelled: Box<str>,
    pub regex: Regex,
}

impl BodyCheck {
    pub fn is_expression(&self) -> bool {
        self.spelled.starts_with("re:")
    }
}

impl PartialEq for BodyCheck {
    fn eq(&self, other: &Self) -> bool {
        self.spelled == other.spelled
    }
}
