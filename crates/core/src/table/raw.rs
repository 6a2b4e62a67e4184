//! The table as it comes over the seam: what the file said, after Python checked its shape and gave every
//! value a plain form (durations in milliseconds, sizes in bytes, references by name). JSON, no unknown keys.
//!
//! Nothing here is trusted yet: `compile` turns it into [`super::Table`], whose types cannot be wrong.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The whole document. Maps are ordered by name, so that one document always compiles to the same table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTable {
    /// Version of this form; 1.
    pub version: u32,
    pub pylos: RawPylos,
    #[serde(default)]
    pub listen: BTreeMap<String, RawListen>,
    #[serde(default)]
    pub tls: BTreeMap<String, RawTls>,
    #[serde(default)]
    pub upstream: BTreeMap<String, RawUpstream>,
    #[serde(default)]
    pub policy: BTreeMap<String, RawPolicy>,
    #[serde(default)]
    pub route: BTreeMap<String, RawRoute>,
}

/// Globals.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPylos {
    /// Worker threads; 0 = one per CPU that affinity and cgroup quota allow.
    pub workers: usize,
    /// Networks whose forwarding headers are believed, `10.0.0.0/8` or `::1`; `unix` trusts Unix-socket peers.
    pub trusted_proxies: Vec<String>,
    /// `-` (standard output), a file's path, or absent for no access log.
    pub access_log: Option<RawAccessLog>,
    /// Policies for every listener and route.
    #[serde(rename = "use")]
    pub use_: Vec<String>,
    /// Policies that every route must have.
    #[serde(default)]
    pub require: Vec<String>,
    /// Where this gateway is: targets there come first.
    #[serde(default)]
    pub zone: Option<String>,
    /// How long a drain waits for requests in flight, ms.
    pub drain_ms: u64,
    /// What the gateway process may have in memory, bytes; 0: what its container may have.
    #[serde(default)]
    pub memory: u64,
    /// Processes for policies in Python; the supervisor's business, as is what each may have, in bytes.
    #[serde(default)]
    pub lanes: u32,
    #[serde(default)]
    pub lane_memory: u64,
    /// Where the supervisor keeps what outlives it, the file of its secret, and who it becomes: its own business too.
    #[serde(default)]
    pub state: Option<String>,
    #[serde(default)]
    pub secret: Option<String>,
    #[serde(default)]
    pub user: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAccessLog {
    pub path: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawListen {
    /// `host:port`, `[::1]:port` or `unix:/path`; at least one.
    pub bind: Vec<String>,
    /// Who may connect to its Unix sockets, as octal digits; the supervisor's business.
    #[serde(default)]
    pub mode: Option<String>,
    /// What is served: `proxy`, or any of `metrics`, `health`, `admin` (an admin listener).
    pub serve: Vec<String>,
    /// A secret: what has to be shown where `admin` is served.
    #[serde(default)]
    pub admin_token: Option<String>,
    /// Names of `tls`; none: nothing is encrypted.
    #[serde(default)]
    pub tls: Vec<String>,
    /// One of them, for clients that name nobody whom any of them knows; without one they are refused.
    #[serde(default)]
    pub tls_default: Option<String>,
    /// Sends every request to this port by https.
    #[serde(default)]
    pub redirect_port: Option<u16>,
    #[serde(rename = "use")]
    pub use_: Vec<String>,
    pub limits: RawLimits,
    pub timeouts: RawListenTimeouts,
}

/// Bounds of one listener's clients. Sizes in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLimits {
    /// Longest request line, and longest single field line.
    pub line_bytes: u32,
    /// Whole head, and whole trailer section.
    pub header_bytes: u32,
    /// Number of fields.
    pub fields: u32,
    /// A new connection is refused when the process has so many, over all listeners; 0 = derived from the
    /// descriptor limit.
    pub connections: u32,
    /// Open connections from one address; 0 = no bound.
    pub connections_per_address: u32,
    /// Least bytes a second of a request body, on average, after the `body_idle` time; 0 = no floor.
    pub body_rate: u32,
    /// Largest request body; 0 = no bound.
    pub body_bytes: u64,
    /// TLS handshakes under way in one worker; 0 = no bound.
    #[serde(default)]
    pub handshakes: u32,
}

/// All in ms.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawListenTimeouts {
    /// First byte of a request until its head is whole.
    pub header: u64,
    /// A connection without a request.
    pub idle: u64,
    /// Between two pieces of a request body.
    pub body_idle: u64,
    /// A client that does not read its answer.
    pub send_idle: u64,
    /// How long a client that has shut its sending side is served without any progress.
    pub client_fin: u64,
    /// A TLS handshake as a whole.
    #[serde(default = "ten_seconds")]
    pub handshake: u64,
}

fn ten_seconds() -> u64 {
    10_000
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    pub certificates: Vec<RawCertificate>,
    /// `intermediate` or `modern`.
    pub profile: String,
    /// Whether sessions may be resumed.
    pub tickets: bool,
    /// What clients have to show; absent: nothing.
    #[serde(default)]
    pub client: Option<RawClientAuth>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawClientAuth {
    /// PEM of who vouches for clients, and of who stands between those and them.
    pub ca: String,
    /// Whether who shows nothing is refused.
    pub required: bool,
    /// PEM of lists of revoked certificates; none: nothing is looked up.
    #[serde(default)]
    pub crls: Vec<String>,
    /// `leaf` or `chain`: which certificates are looked up.
    pub crl_scope: String,
    /// Whether targets are told the certificate.
    pub forward: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCertificate {
    /// Of hosts, as they stand in the certificate.
    pub names: Vec<String>,
    /// PEM: the certificate, then those that vouch for it.
    pub chain: String,
    /// PEM; a secret.
    pub key: String,
}

impl std::fmt::Debug for RawCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUpstream {
    pub targets: Vec<RawTarget>,
    pub balance: RawBalance,
    /// What a target that is new or back takes until it has its whole share, ms; 0: it has it at once.
    #[serde(default)]
    pub slow_start_ms: u64,
    /// Where fewer percent of the targets are usable, all are used; 0: never.
    #[serde(default)]
    pub panic_threshold: u32,
    /// When a target is left alone for what its answers are like; absent: never.
    #[serde(default)]
    pub outliers: Option<RawOutliers>,
    /// Requests that a target has at once, of all workers; 0 = no bound.
    #[serde(default)]
    pub max_requests: u32,
    pub health: Option<RawHealth>,
    /// Which Host the targets see: `preserve` (the client's), `target` (the target's own) or a literal name.
    pub host: String,
    pub pool: RawPool,
    pub timeouts: RawUpstreamTimeouts,
    /// Of targets of `https://`; absent: what is usual.
    #[serde(default)]
    pub tls: Option<RawUpstreamTls>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUpstreamTls {
    /// PEM of who vouches for the targets; absent: whom the system trusts.
    #[serde(default)]
    pub ca: Option<String>,
    /// For whom their certificates have to be; absent: for the name in the URL.
    #[serde(default)]
    pub server_name: Option<String>,
    /// What is shown to them.
    #[serde(default)]
    pub certificate: Option<RawCertificate>,
    /// False: whoever answers is believed.
    pub verify: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTarget {
    /// `http://host[:port]`, `https://[::1]:port` or `unix:/path`.
    pub url: String,
    /// Its share, compared with those of the others; 0: it gets nothing new.
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub zone: Option<String>,
    /// 0 comes first.
    #[serde(default)]
    pub priority: u32,
    /// Comes in when all others are out.
    #[serde(default)]
    pub backup: bool,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBalance {
    /// `p2c`, `least_requests`, `peak_ewma`, `round_robin`, `random`, `first`, `ring_hash` or `maglev`.
    pub algorithm: String,
    /// Of a hash: what of a request decides, `client.ip`.
    #[serde(default)]
    pub hash: Option<String>,
    /// Of a hash: no target has more than so many times the mean.
    #[serde(default)]
    pub bound: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOutliers {
    /// Failures in a row.
    pub errors: u32,
    /// Percent of failures, of so many requests at least, in spans of `over_ms`.
    #[serde(default)]
    pub share: Option<u32>,
    pub requests: u32,
    pub over_ms: u64,
    /// The first ejection; the next in a row is so much longer, up to the longest.
    pub eject_ms: u64,
    pub longest_ms: u64,
    /// Percent of the targets that may be out at once.
    pub max_ejected: u32,
    /// `503`, `500-599`: which answers are failures.
    pub statuses: Vec<String>,
}

/// Active health check: of `path`, never following a redirect; without a path of the connection itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHealth {
    #[serde(default)]
    pub path: Option<String>,
    /// Host of the request; absent: the one that the target sees otherwise.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `200`, `200-299`: which answers are healthy; absent: 2xx.
    #[serde(default)]
    pub statuses: Option<Vec<String>>,
    /// What the body has to have in it, or `re:` and an expression.
    #[serde(default)]
    pub body: Option<String>,
    /// What is sent over a bare connection, and what has to come back.
    #[serde(default)]
    pub send: Option<String>,
    #[serde(default)]
    pub expect: Option<String>,
    pub every_ms: u64,
    /// While the verdict changes; absent: `every_ms`.
    #[serde(default)]
    pub fast_ms: Option<u64>,
    pub timeout_ms: u64,
    pub fall: u32,
    pub rise: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPool {
    /// Idle connections kept per target and worker.
    pub max_idle: u32,
    /// Connections to one target per worker, idle and busy; 0 = no bound.
    pub max_connections: u32,
    /// An idle connection is closed after this, ms.
    pub idle_ms: u64,
    /// A connection is not used again after this, ms.
    pub max_age_ms: u64,
}

/// All in ms.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUpstreamTimeouts {
    pub connect: u64,
    /// Request sent until the answer's head.
    pub first_byte: u64,
    /// Between two pieces of an answer's body.
    pub idle: u64,
    /// A target that does not read the request.
    pub send_idle: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPolicy {
    /// Percent of the requests for which it acts; for the others it is recorded what it would have done.
    #[serde(default = "always")]
    pub enforce: u32,
    /// An expression in CEL: where it does not hold, the policy does not act.
    #[serde(rename = "if", default)]
    pub if_: Option<String>,
    pub kind: RawKind,
}

fn always() -> u32 {
    100
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RawKind {
    Headers {
        #[serde(default)]
        request: RawFieldEdits,
        #[serde(default)]
        response: RawFieldEdits,
        /// `security` or absent.
        #[serde(default)]
        preset: Option<String>,
    },
    Filter {
        #[serde(default)]
        allow_ip: Vec<String>,
        #[serde(default)]
        deny_ip: Vec<String>,
        /// Path templates, as in a route's match without host and methods.
        #[serde(default)]
        deny_path: Vec<String>,
        #[serde(default)]
        allow_methods: Vec<String>,
        /// Bytes; absent = no bound.
        #[serde(default)]
        max_body: Option<u64>,
    },
    RateLimit {
        /// At least one; all must hold.
        rates: Vec<RawRate>,
        /// Requests at once, by the first rate; absent only where there is none. Of the others as many as they have.
        #[serde(default)]
        burst: Option<u32>,
        /// What requests are counted by; at least one: `client.id`, `request.path`, `policy.NAME`.
        key: Vec<String>,
    },
    /// Asks for a certificate of the client.
    Mtls,
    Python {
        /// `module:function`.
        call: String,
        /// `identity`, `authorise`, `limits` (it gives keys) or `hooks`, as the function's decorator says; `transform` for one
        /// of answers.
        phase: String,
        /// How long a request waits for a verdict.
        timeout_ms: u64,
        /// `deny` or `allow`: what becomes of a request about which there is no verdict.
        on_error: String,
        /// Bytes of the body that it reads; absent = none.
        #[serde(default)]
        body_bytes: Option<u64>,
        /// The lane that it runs in; empty for the common one.
        #[serde(default)]
        lane: String,
        /// Calls of it that run at once in a lane; absent = as the lane has it.
        #[serde(default)]
        concurrency: Option<u32>,
        /// Requests of a worker that may wait for it.
        queue: u32,
        /// For the lane alone.
        #[serde(default)]
        settings: serde_json::Value,
        /// A digest of its code: with another one, its decisions are no longer remembered.
        #[serde(default)]
        code: String,
    },
    Chain {
        #[serde(rename = "use")]
        use_: Vec<String>,
    },
}

/// So many requests in each window.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRate {
    pub requests: u32,
    pub window_ms: u64,
}

/// Names as the user wrote them; values are literal text. Applied in this order: remove, set, add.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFieldEdits {
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    #[serde(default)]
    pub add: BTreeMap<String, String>,
    #[serde(default)]
    pub remove: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    /// `[METHODS ]host/path`, any of.
    #[serde(rename = "match")]
    pub match_: Vec<String>,
    /// Exactly one of `to`, `redirect`, `respond` is there.
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub redirect: Option<RawRedirect>,
    #[serde(default)]
    pub respond: Option<RawRespond>,
    /// What a request must have besides; all of it.
    #[serde(default)]
    pub when: Option<RawWhen>,
    /// Among routes that are equally specific the larger one wins.
    #[serde(default)]
    pub priority: i64,
    /// A path template, `/orders/{rest}`.
    #[serde(default)]
    pub rewrite: Option<String>,
    /// A regular expression on the path, and what its match becomes.
    #[serde(default)]
    pub rewrite_re: Option<RawRewriteRe>,
    /// A literal path prefix.
    #[serde(default)]
    pub strip: Option<String>,
    #[serde(rename = "use", default)]
    pub use_: Vec<String>,
    #[serde(default)]
    pub without: Vec<String>,
    pub timeouts: RawRouteTimeouts,
    /// Upgrade tokens that may become a tunnel, lower case; `websocket` by default.
    pub upgrade: Vec<String>,
}

/// Conditions of a route by name; names of fields in any letter case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWhen {
    #[serde(default)]
    pub header: BTreeMap<String, RawCondition>,
    #[serde(default)]
    pub query: BTreeMap<String, RawCondition>,
    #[serde(default)]
    pub cookie: BTreeMap<String, RawCondition>,
    /// Networks, any of them.
    #[serde(default)]
    pub ip: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawCondition {
    /// The value is this text.
    Exact(String),
    /// The regular expression is found in the value.
    Re(String),
    /// It is there; only `true`.
    Present(bool),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRewriteRe {
    pub re: String,
    /// The new path, with `$1` and `${name}`.
    pub to: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRedirect {
    /// An absolute URL or an absolute path, with `{captures}`; the query is kept unless the template has one.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRespond {
    /// 200..=599.
    pub status: u16,
    pub body: String,
    pub content_type: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// All in ms.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRouteTimeouts {
    /// Request head until the answer's head, retries included; 0 = the upstream's `first_byte` alone.
    pub response: u64,
    /// Whole exchange; 0 = off. Tunnels do not know it.
    pub total: u64,
    /// A tunnel without a byte either way.
    pub tunnel_idle: u64,
}
