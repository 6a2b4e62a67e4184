//! The way of a request. [`serve`] reads top-down as the list of stages, one file a stage.

pub(crate) mod head;
pub(crate) mod incoming;
pub(crate) mod inquiry;
mod facts;
pub(crate) mod identify;
pub(crate) mod guard;
pub(crate) mod route;
pub(crate) mod admit;
pub(crate) mod rewrite;
pub(crate) mod forward;
pub(crate) mod respond;
pub(crate) mod refuse;
pub(crate) mod record;

use crate::connection::Client;
use crate::connection::tunnel::TunnelLog;
use crate::error::Refusal;
use crate::snapshot::Snapshot;
use crate::telemetry::admin;
use crate::upstream::pool::Loan;
use crate::worker::Worker;
use incoming::{Answer, Request};
use inquiry::Inquiry;
use pylos_core::message::head::Fields;
use pylos_core::table::{Action, ListenerId, RouteId, Serve};
use record::Record;
use std::rc::Rc;

/// Everything that one request needs, reused by the next.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    /// The request as sent to the upstream: kept until its answer begins, for a second attempt.
    pub(crate) out: Vec<u8>,
    /// Bytes for the client that are not sent yet.
    pub(crate) reply: Vec<u8>,
    /// Trailers of the request, then of the answer.
    pub(crate) trailers: Fields,
}

impl Scratch {
    /// Makes it ready for the next request, without keeping what one large request made grow.
    pub(crate) fn reset(&mut self) {
        self.request.reset();
        self.answer.reset();
        self.trailers.clear();
        for block in [&mut self.out, &mut self.reply] {
            block.clear();
            block.shrink_to(crate::buffer::LARGE);
        }
    }
}

/// One request and its answer, under way.
pub(crate) struct Exchange<'c> {
    pub(crate) worker: Rc<Worker>,
    pub(crate) snapshot: Rc<Snapshot>,
    pub(crate) listener: ListenerId,
    pub(crate) client: &'c mut Client,
    pub(crate) scratch: &'c mut Scratch,
    pub(crate) record: Record,
}

/// How an exchange left the client's connection.
pub(crate) enum End {
    /// The next request may come.
    Again,
    /// Closed now; whatever was sent is all there is.
    Close,
    /// Closed once the client had the time to read what was sent: it may still be sending.
    Linger,
    /// Both sides speak another protocol from here on.
    Tunnel(Box<Tunnelled>),
}

/// A connection to an upstream that has switched protocols. Holds nothing of the configuration.
pub(crate) struct Tunnelled {
    pub(crate) upstream: Loan,
    /// What it said right behind its head.
    pub(crate) early: Vec<u8>,
    pub(crate) idle_ms: u64,
    pub(crate) log: TunnelLog,
}

/// What the stages up to `rewrite` came to.
pub(crate) enum Plan {
    Forward(RouteId),
    Own(RouteId),
    /// The admin listener's own pages.
    Admin,
    Refuse(Stage, Refusal),
}

/// Where a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Guard,
    Route,
    Admit,
    Rewrite,
}

/// A refusal, and the stage that it comes from.
pub(crate) type Refused = (Stage, Refusal);

/// Names the stage of a stage's refusal.
fn at<T>(stage: Stage, result: Result<T, Refusal>) -> Result<T, Refused> {
    result.map_err(|refusal| (stage, refusal))
}

/// Serves one request whose head has arrived.
pub(crate) async fn serve(x: &mut Exchange<'_>) -> End {
    let plan = {
        let worker = &*x.worker;
        decide(&mut Inquiry {
            table: &x.snapshot.table,
            listener: x.listener,
            peer: x.client.peer,
            secure: false,
            drawn: true,
            request: &mut x.scratch.request,
            out: &mut x.scratch.out,
            record: &mut x.record,
            fresh_id: &|id| worker.write_id(id),
        })
    };
    let end = match plan {
        Plan::Forward(route) => forward::forward(x, route).await,
        Plan::Own(route) => respond::own(x, route).await,
        Plan::Admin => admin::answer(x).await,
        Plan::Refuse(_, refusal) => refuse::refuse(x, &refusal).await,
    };
    match end {
        End::Tunnel(mut tunnel) => {
            tunnel.log = record::tunnel(x);
            End::Tunnel(tunnel)
        }
        end => {
            record::record(x);
            end
        }
    }
}

/// The stages that decide, none of which waits.
pub(crate) fn decide(q: &mut Inquiry<'_>) -> Plan {
    decided(q).unwrap_or_else(|(stage, refusal)| Plan::Refuse(stage, refusal))
}

fn decided(q: &mut Inquiry<'_>) -> Result<Plan, Refused> {
    identify::identify(q);
    at(Stage::Guard, guard::guard(q.request))?;
    if let Serve::Admin { .. } = q.listener().serve {
        return at(Stage::Admit, admit::unrouted(q)).map(|()| Plan::Admin);
    }
    let route = route::route(q)?;
    at(Stage::Admit, admit::admit(q, route))?;
    match &q.table.routes[route.index()].action {
        Action::Forward { upstream, path } => {
            at(Stage::Rewrite, rewrite::rewrite(q, route, *upstream, path)).map(|()| Plan::Forward(route))
        }
        Action::Redirect(_) | Action::Respond(_) => Ok(Plan::Own(route)),
    }
}
