//! Which server answers, after how many attempts? Picks a target, gets a connection, exchanges; and decides what
//! may be tried again.

use super::alike::{self, About};
use super::observe::{self, Seen};
use super::{End, Exchange, refuse, rewrite};
use crate::error::Refusal;
use crate::snapshot::UpstreamState;
use crate::stream::{Broken, Wait};
use crate::timer::Slot;
use crate::tls::HandshakeError;
use crate::upstream::answer_h1::AnswerFailure;
use crate::upstream::balancer::{Picked, Wanted};
use crate::upstream::connect::{NoConnection, connect};
use crate::upstream::exchange_h1::{NoAnswer, Outcome, exchange};
use crate::upstream::pool::{Active, Loan};
use pylos_core::http1::Length;
use pylos_core::table::{Action, RouteId, UpstreamId};
use smallvec::SmallVec;
use std::rc::Rc;

/// Attempts at one request in all.
const MAX_ATTEMPTS: u32 = 3;

/// What has been tried so far.
#[derive(Default)]
struct Tried {
    attempts: u32,
    /// Targets that failed.
    failed: SmallVec<[usize; 4]>,
    /// A kept connection turned out to be dead: the next one is a fresh one.
    fresh: bool,
}

pub(crate) async fn forward(x: &mut Exchange<'_>, route: RouteId) -> End {
    let snapshot = Rc::clone(&x.snapshot);
    let settings = &snapshot.table.routes[route.index()];
    let Action::Forward { upstream, .. } = settings.action else { return End::Close };
    let upstream = x.scratch.request.given.upstream.unwrap_or(upstream);
    let state = &snapshot.upstreams[upstream.index()];
    state.way.balancer.earn_retry();
    let held = hold_body(x);
    let end = attempts(x, route, upstream, state, held).await;
    x.client.timer.clear_all();
    end
}

async fn attempts(
    x: &mut Exchange<'_>, route: RouteId, upstream: UpstreamId, state: &UpstreamState, held: bool,
) -> End {
    let (mut tried, key) = (Tried::default(), key(x, route, upstream));
    loop {
        tried.attempts += 1;
        x.record.why = None;
        set_deadline(x, route);
        let now = x.worker.clock.ms();
        let wanted = Wanted { now_ms: now, failed: &tried.failed, key };
        let settings = &x.snapshot.table.upstreams[upstream.index()];
        let target = match state.way.pick(&wanted, settings, || x.worker.random()) {
            Picked::Target(target) => target,
            Picked::Full => return refuse::refuse(x, &FULL).await,
            Picked::Nobody => return refuse::refuse(x, &NO_HEALTHY).await,
        };
        let active = Active::entered(&state.targets[target].pool);
        x.record.upstream = Some((upstream, target));
        let loan = match connection(x, upstream, state, target, tried.fresh).await {
            Ok(loan) => loan.with(active),
            Err(refusal) => {
                drop(active);
                tried.failed.push(target);
                let late = x.client.timer.expired(Slot::Whole, x.worker.clock.ms());
                let settings = &x.snapshot.table.upstreams[upstream.index()];
                let has_other = state.way.has_other(now, &tried.failed, settings);
                // Nothing was sent: any other target may take it.
                if !late && tried.attempts < MAX_ATTEMPTS && has_other {
                    count_retry(x, state, target);
                    continue;
                }
                return refuse::refuse(x, &refusal).await;
            }
        };
        let reused = loan.reused;
        rewrite::set_target_host(x, state.authority(target));
        let began_us = x.worker.clock.us();
        x.record.first_byte_us = None;
        let outcome = exchange(x, loan, route, upstream, held).await;
        observe::observe(x, state, (upstream, target), &outcome, Seen { began_us, reused });
        if let Outcome::NoAnswer(none) = &outcome
            && may_retry(x, state, &tried, reused, none)
        {
            if !reused {
                tried.failed.push(target);
            }
            tried.fresh |= reused;
            count_retry(x, state, target);
            x.scratch.answer.reset();
            continue;
        }
        return ended(x, outcome).await;
    }
}

/// Until the head of the answer: `timeout`, or `total` where that is less.
fn set_deadline(x: &Exchange<'_>, route: RouteId) {
    let timeouts = &x.snapshot.table.routes[route.index()].timeouts;
    let least = [timeouts.response, timeouts.total].into_iter().filter(|ms| *ms > 0).min();
    x.client.timer.set(Slot::Whole, least.map_or(0, |ms| x.record.started_us / 1000 + ms));
}

/// What remains to be done when an exchange is over.
async fn ended(x: &mut Exchange<'_>, outcome: Outcome) -> End {
    match outcome {
        Outcome::Answered { keep: true } if !x.client.eof || !x.client.inbuf.is_empty() => End::Again,
        // The client may still be sending what nobody reads: it gets the time to see its answer.
        Outcome::Answered { .. } if x.scratch.request.length != Length::None => End::Linger,
        Outcome::Answered { .. } => End::Close,
        Outcome::Refused(refusal) => {
            let refusal = refusal.closing();
            refuse::refuse(x, &refusal).await
        }
        Outcome::Denied(refusal) => refuse::refuse(x, &refusal).await,
        Outcome::Switched(tunnel) => End::Tunnel(tunnel),
        Outcome::Cut(ended) => {
            x.record.ended = Some(ended);
            End::Cut
        }
        Outcome::Reset(ended) => {
            x.record.ended = Some(ended);
            x.client.stream.reset_on_close();
            End::Cut
        }
        Outcome::NoAnswer(none) => {
            x.record.why = why_not_trusted(&none.failure).map(Into::into);
            let refusal = match &x.record.why {
                Some(_) => not_trusted(),
                None => no_answer(&none.failure),
            };
            refuse::refuse(x, &refusal).await
        }
    }
}

/// A small body that has arrived already goes out with the head, in one piece, and can be sent a second time.
fn hold_body(x: &mut Exchange<'_>) -> bool {
    let Length::Known(n) = x.scratch.request.length else { return false };
    let Some(body) = usize::try_from(n).ok().and_then(|n| x.client.inbuf.bytes().get(..n)) else {
        return false;
    };
    x.scratch.out.extend_from_slice(body);
    x.record.bytes_in += n;
    x.client.inbuf.consume(n as usize);
    // Nothing of it is left on the client's connection.
    x.scratch.request.length = Length::None;
    true
}

/// A kept connection, or a new one.
async fn connection(
    x: &mut Exchange<'_>, upstream: UpstreamId, state: &UpstreamState, target: usize, fresh: bool,
) -> Result<Loan, Refusal> {
    let settings = &x.snapshot.table.upstreams[upstream.index()];
    let pool = &state.targets[target].pool;
    let now = x.worker.clock.ms();
    if !fresh && let Some(loan) = pool.take(now, &settings.pool) {
        return Ok(loan);
    }
    let Some(reservation) = pool.reserve(&settings.pool) else {
        return Err(Refusal::gateway(503, "upstream_busy", "All connections to the service are in use."));
    };
    let ms = settings.timeouts.connect;
    let wait = Wait { timer: &x.client.timer, clock: &x.worker.clock, slot: Slot::Answer, ms };
    let began = x.worker.clock.us();
    let secure = x.snapshot.tls.to(upstream.index(), target);
    let address = &settings.targets[target].address;
    let made = Box::pin(connect(address, secure, &pool.state, &x.worker, wait)).await;
    x.record.connect_us = Some(x.worker.clock.us().saturating_sub(began));
    let now = x.worker.clock.ms();
    match made {
        Ok(stream) => Ok(reservation.lend(stream, now)),
        // The request's own time is over, or the gateway's own means: nothing of it is the target's fault.
        Err(failure) if !failure.is_targets() => Err(no_connection(&failure)),
        Err(failure) => {
            pool.cells.connect_failures.add(1);
            observe::slow_down(x, state, upstream, target);
            if matches!(failure, NoConnection::Tls(_)) {
                x.record.why = Some(failure.to_string().into());
            }
            state.way.balancer.failed(target, settings, &failure.to_string(), now);
            Err(no_connection(&failure))
        }
    }
}

/// Safe to send again: nothing arrived, or doing it twice is doing it once and no byte of an answer came. And
/// not so often that failing targets get more work for failing.
fn may_retry(x: &Exchange<'_>, state: &UpstreamState, tried: &Tried, reused: bool, none: &NoAnswer) -> bool {
    let lost = match &none.failure {
        // On a kept connection this may be a surplus of the answer before, and nothing of this request's.
        AnswerFailure::Malformed => reused,
        failure => is_lost(failure),
    };
    let safe = none.unsent || (none.repeatable && x.scratch.request.is_idempotent());
    // A dead kept connection is an everyday thing and not the target's failure: it needs no budget.
    lost && safe
        && !x.record.continued
        && tried.attempts < MAX_ATTEMPTS
        && ((reused && !tried.fresh) || state.way.balancer.spend_retry())
}

/// Where the upstream's targets are chosen by a hash: what stands for the request. One that has nothing of what decides
/// is one of its own.
fn key(x: &Exchange<'_>, route: RouteId, upstream: UpstreamId) -> u64 {
    let Some(by) = &x.snapshot.table.upstreams[upstream.index()].balance.hash else { return 0 };
    let about = About { request: &x.scratch.request, route: &x.snapshot.table.routes[route.index()].name };
    alike::key(by, about).unwrap_or_else(|| x.worker.random())
}

fn count_retry(x: &mut Exchange<'_>, state: &UpstreamState, target: usize) {
    x.record.retries += 1;
    state.targets[target].pool.cells.retries.add(1);
}

/// The connection ended before a byte of an answer.
pub(super) fn is_lost(failure: &AnswerFailure) -> bool {
    matches!(failure, AnswerFailure::Silent | AnswerFailure::Broken(Broken::Failed(_)))
}

const FULL: Refusal =
    Refusal::gateway(503, "upstream_busy", "All servers of the service have as much to do as they may.");

const NO_HEALTHY: Refusal =
    Refusal::upstream(503, "no_healthy_upstream", "No server of the service takes requests at the moment.");

fn no_connection(failure: &NoConnection) -> Refusal {
    match failure {
        NoConnection::NoAddress => {
            Refusal::upstream(503, "upstream_unresolved", "The service's address is not known at the moment.")
        }
        NoConnection::Broken(Broken::Timeout(_)) => {
            Refusal::upstream(504, "upstream_connect_timeout", "The service could not be reached in time.")
        }
        NoConnection::Broken(Broken::Failed(_)) => {
            Refusal::upstream(502, "upstream_connect_failed", "The service could not be reached.")
        }
        NoConnection::Tls(_) => not_trusted(),
    }
}

fn not_trusted() -> Refusal {
    Refusal::upstream(502, "upstream_tls_failed", "No trusted connection to the service could be made.")
}

/// What TLS says that ended a connection. In TLS 1.3 a server refuses our certificate only when we believe that all is
/// agreed on (RFC 8446, 4.4.2).
fn why_not_trusted(failure: &AnswerFailure) -> Option<String> {
    let AnswerFailure::Broken(Broken::Failed(error)) = failure else { return None };
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(HandshakeError::Tls(error.clone()).to_string())
}

pub(super) fn no_answer(failure: &AnswerFailure) -> Refusal {
    match failure {
        AnswerFailure::Broken(Broken::Timeout(_)) => {
            Refusal::upstream(504, "upstream_timeout", "The service did not answer in time.")
        }
        AnswerFailure::Malformed => {
            Refusal::upstream(502, "upstream_malformed", "The service's answer could not be understood.")
        }
        AnswerFailure::Truncated => {
            Refusal::upstream(502, "upstream_truncated", "The service's answer broke off.")
        }
        AnswerFailure::Silent | AnswerFailure::Broken(Broken::Failed(_)) => {
            Refusal::upstream(502, "upstream_closed", "The service closed the connection without an answer.")
        }
    }
}
