//! What the file said, as types that cannot be wrong: [`raw`] comes over the seam, [`compile`] makes a [`Table`].
//!
//! A table is immutable. A reload makes a new one and swaps it in whole.

pub mod raw;
mod ids;
mod problem;
mod settings;
mod tls;
mod upstream;
mod balance;
mod policy;
mod acting;
mod route;
mod effective;
mod compile;

pub use acting::{Acting, Part};
pub use balance::{Balance, Outliers, Share, Statuses};
pub use compile::compile;
pub(crate) use compile::fields::{is_own as is_own_field, no_value as no_field_value};
pub use effective::Effective;
pub use ids::{ListenerId, PolicyId, RouteId, TlsId, UpstreamId};
pub use policy::{
    Denied, FieldEdits, FieldLine, FilterPolicy, HeadersPolicy, KeyPart, OnError, Phase, Policy, PolicyKind,
    PythonPolicy, RateLimit, RateWords,
};
pub use problem::{Code, PathPart, Problem, Severity};
pub(crate) use problem::{Problems, place};
pub use raw::{
    RawLimits as Limits, RawListenTimeouts as ListenTimeouts, RawPool as Pool,
    RawRouteTimeouts as RouteTimeouts, RawTable, RawUpstreamTimeouts as UpstreamTimeouts,
};
pub use route::{Action, Redirect, Response, Route};
pub use settings::{AccessLog, Bind, BindAddress, Listener, Serve, Settings, Token};
pub use tls::{Certificate, ClientAuth, Hidden, ListenTls, Profile, Tls};
pub use upstream::{Ask, BodyCheck, HealthCheck, HostMode, Target, TargetAddress, Upstream, UpstreamTls};

/// The whole configuration, compiled. Objects refer to each other by id: a place in these lists.
#[derive(Debug)]
pub struct Table {
    pub settings: Settings,
    pub listeners: Vec<Listener>,
    /// In the order of their names.
    pub tls: Vec<Tls>,
    pub upstreams: Vec<Upstream>,
    pub policies: Vec<Policy>,
    pub routes: Vec<Route>,
    pub router: crate::route::Router,
}
