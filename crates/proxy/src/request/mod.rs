//! The way of a request. [`serve`] reads top-down as the list of stages, one file a stage.

pub(crate) mod head;
pub(crate) mod incoming;
pub(crate) mod inquiry;
mod facts;
pub(crate) mod alike;
pub(crate) mod identify;
pub(crate) mod guard;
pub(crate) mod route;
pub(crate) mod admit;
mod limit;
pub(crate) mod body;
pub(crate) mod question;
pub(crate) mod consult;
pub(crate) mod rewrite;
pub(crate) mod forward;
mod observe;
pub(crate) mod review;
pub(crate) mod respond;
pub(crate) mod refuse;
pub(crate) mod record;

use crate::connection::Client;
use crate::connection::tunnel::TunnelLog;
use crate::error::Refusal;
use crate::policy::rate_limit::Metered;
use crate::snapshot::Snapshot;
use crate::telemetry::admin;
use crate::upstream::pool::Loan;
use crate::worker::Worker;
use consult::Said;
use incoming::{Answer, Request};
use inquiry::Inquiry;
use pylos_core::message::head::Fields;
use pylos_core::table::{Action, ListenerId, PolicyId, RouteId, Serve};
use pylos_core::verdict::Reply;
use record::Record;
use std::rc::Rc;
use std::sync::Arc;

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
    /// Closed now, and not all was sent: nothing may say that it was.
    Cut,
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
    /// What both sides speak now is known: its ends can be found.
    pub(crate) websocket: bool,
    pub(crate) log: TunnelLog,
}

/// What the stages up to `rewrite` came to.
pub(crate) enum Plan {
    Forward(RouteId),
    Own(RouteId),
    /// The admin listener's own pages.
    Admin,
    Refuse(Stage, Refusal),
    /// A policy answers.
    Answer(Asked, Box<Reply>),
    /// An authority of ACME gets what it looks for.
    Challenge(Arc<str>),
}

/// How far the deciding stages came.
pub(crate) enum Step {
    Decided(Plan),
    /// A policy is to be waited for; `resume` goes on then.
    Ask(Asked),
}

/// A policy whose verdict is waited for: its place in the route's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) route: RouteId,
    pub(crate) place: usize,
    pub(crate) policy: PolicyId,
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
    let mut step = decide(&mut x.inquiry());
    let plan = loop {
        match step {
            Step::Decided(plan) => break plan,
            Step::Ask(asked) => {
                // Boxed, so that requests which ask nobody need no room for it.
                step = match Box::pin(consult::consult(x, asked)).await {
                    Ok(said) => resume(&mut x.inquiry(), asked, said),
                    Err(refusal) => refused((Stage::Admit, refusal)),
                };
            }
        }
    };
    let end = match plan {
        Plan::Forward(route) => forward::forward(x, route).await,
        Plan::Own(route) => respond::own(x, route).await,
        Plan::Admin => admin::answer(x).await,
        Plan::Refuse(_, refusal) => refuse::refuse(x, &refusal).await,
        Plan::Answer(asked, reply) => respond::reply(x, asked.route, &reply).await,
        Plan::Challenge(answer) => respond::challenge(x, &answer).await,
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

impl Exchange<'_> {
    fn inquiry(&mut self) -> Inquiry<'_> {
        let worker = &*self.worker;
        Inquiry {
            table: &self.snapshot.table,
            listener: self.listener,
            peer: self.client.peer,
            secure: self.client.is_secure(),
            agreed: self.client.agreed(&self.snapshot.tls),
            drawn: true,
            request: &mut self.scratch.request,
            out: &mut self.scratch.out,
            record: &mut self.record,
            fresh_id: worker,
            metered: Some(Metered {
                seats: &self.snapshot.limits,
                clock: &worker.clock,
                shared: &worker.shared,
            }),
        }
    }
}

/// The stages that decide. None of them waits.
pub(crate) fn decide(q: &mut Inquiry<'_>) -> Step {
    decided(q).unwrap_or_else(refused)
}

fn refused((stage, refusal): Refused) -> Step {
    Step::Decided(Plan::Refuse(stage, refusal))
}

fn decided(q: &mut Inquiry<'_>) -> Result<Step, Refused> {
    identify::identify(q);
    at(Stage::Guard, guard::guard(q.request))?;
    if let Err(refusal) = route::believed(q) {
        // Filters and limits of the listener see it, too.
        return at(Stage::Admit, admit::unrouted(q)).and(Err((Stage::Route, refusal)));
    }
    if let Serve::Admin { .. } = q.listener().serve {
        return at(Stage::Admit, admit::unrouted(q)).map(|()| Step::Decided(Plan::Admin));
    }
    // Before all else: whoever has to renew a certificate must not be kept from it by policies, or for want of memory.
    if let Some(answer) = challenged(q) {
        return Ok(Step::Decided(Plan::Challenge(answer)));
    }
    at(Stage::Guard, guard::memory(q))?;
    let route = route::route(q)?;
    admit::begin(q, route);
    admitted(q, route, 0)
}

fn challenged(q: &Inquiry<'_>) -> Option<Arc<str>> {
    let challenges = q.metered.as_ref()?.shared.challenges()?;
    let reads = matches!(q.request.method(), b"GET" | b"HEAD");
    reads.then(|| challenges.answer(q.request.path())).flatten()
}

/// Goes on behind a policy that was waited for.
pub(crate) fn resume(q: &mut Inquiry<'_>, asked: Asked, said: Said) -> Step {
    let resumed = match at(Stage::Admit, consult::heard(q, asked, said)) {
        Ok(Some(reply)) => Ok(Step::Decided(Plan::Answer(asked, reply))),
        Ok(None) => admitted(q, asked.route, asked.place + 1),
        Err(refused) => Err(refused),
    };
    resumed.unwrap_or_else(refused)
}

fn admitted(q: &mut Inquiry<'_>, route: RouteId, from: usize) -> Result<Step, Refused> {
    if let Some(place) = at(Stage::Admit, admit::admit(q, route, from))? {
        let policy = q.effective(Some(route)).ids[place];
        return Ok(Step::Ask(Asked { route, place, policy }));
    }
    let plan = match &q.table.routes[route.index()].action {
        Action::Forward { upstream, path } => {
            let upstream = q.request.given.upstream.unwrap_or(*upstream);
            at(Stage::Rewrite, rewrite::rewrite(q, route, upstream, path))?;
            Plan::Forward(route)
        }
        Action::Redirect(_) | Action::Respond(_) => Plan::Own(route),
    };
    Ok(Step::Decided(plan))
}
