//! One request on one connection to an upstream: the request goes up while the answer comes down, and neither
//! waits for the other's end.

use super::answer_h1::AnswerFailure;
use super::pool::Loan;
use super::relay_h1::{Relay, Relayed, Watch};
use super::upload_h1::{Upload, Uploaded};
use crate::buffer::Buffer;
use crate::connection::tunnel::TunnelLog;
use crate::error::Refusal;
use crate::request::body;
use crate::request::respond::Telling;
use crate::request::{Exchange, Tunnelled};
use crate::stream::{Broken, Wait};
use crate::timer::{Slot, Timer};
use pylos_core::http1::Length;
use pylos_core::table::{RouteId, Upstream, UpstreamId};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::IoSlice;
use std::pin::pin;
use std::task::Poll;

/// What came of it.
pub(crate) enum Outcome {
    /// A whole answer was passed on. `keep`: the client's connection goes on, as far as the answer is concerned.
    Answered {
        keep: bool,
    },
    /// Nothing was said to the client yet, and the upstream did not answer.
    NoAnswer(NoAnswer),
    /// The client's own fault, and it can still be told.
    Refused(Refusal),
    /// The answer came, and something else is said in its place.
    Denied(Refusal),
    /// The answer was begun and cannot be finished, or nobody is there to take it.
    Cut(&'static str),
    /// Cut, and only a reset tells.
    Reset(&'static str),
    Switched(Box<Tunnelled>),
}

/// Why the upstream gave no answer, and what it may have seen of the request.
pub(crate) struct NoAnswer {
    pub(crate) failure: AnswerFailure,
    /// Not a byte of the request was taken by the connection.
    pub(crate) unsent: bool,
    /// The whole request is still in hand.
    pub(crate) repeatable: bool,
}

/// How far the request's body got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    Running,
    Whole,
    /// The upstream takes no more of it; its answer may say why.
    Stopped,
}

/// What both directions look at.
pub(crate) struct Course<'a> {
    pub(crate) telling: Telling<'a>,
    pub(crate) timer: &'a Timer,
    pub(crate) upstream: &'a Upstream,
    pub(crate) progress: Cell<Progress>,
    /// The answer is an event stream: that the client sends FIN is then the only sign that nobody listens.
    pub(crate) events: Cell<bool>,
    /// Bytes of the request's body read so far.
    pub(crate) received: Cell<u64>,
}

impl Course<'_> {
    pub(crate) fn wait(&self, slot: Slot, ms: u64) -> Wait<'_> {
        Wait { timer: self.timer, clock: &self.telling.worker.clock, slot, ms }
    }
    pub(crate) fn listener(&self) -> &pylos_core::table::Listener {
        &self.telling.snapshot.table.listeners[self.telling.listener.index()]
    }
}

/// Sends the request that lies in `out` and passes the answer on. `held`: the request's body lies in `out`, too.
pub(crate) async fn exchange(
    x: &mut Exchange<'_>, loan: Loan, route: RouteId, upstream: UpstreamId, held: bool,
) -> Outcome {
    let mut loan = loan;
    let worker = std::rc::Rc::clone(&x.worker);
    let snapshot = std::rc::Rc::clone(&x.snapshot);
    let mut read = worker.buffers.small();
    let ran = run(x, &mut loan, &mut read, route, upstream, held).await;
    if let Some(whole) = x.record.streamed {
        // What of the body was read is gone from the client's connection: nobody may skip it a second time.
        x.scratch.request.length = if whole { Length::None } else { Length::UntilClose };
    }
    let (outcome, reusable, in_pieces) = match ran {
        Ran::Done(outcome, reuse) => (outcome, reuse.is_some(), reuse == Some(Reuse::InPieces)),
        Ran::Switched => {
            let early = read.bytes().to_vec();
            worker.buffers.give(read);
            let idle_ms = snapshot.table.routes[route.index()].timeouts.tunnel_idle;
            let log = TunnelLog::default();
            let request = &x.scratch.request;
            let token = request.upgrade.map(|token| token.of(request.block.bytes()));
            let websocket = token.is_some_and(|token| token.eq_ignore_ascii_case(b"websocket"));
            return Outcome::Switched(Box::new(Tunnelled { upstream: loan, early, idle_ms, websocket, log }));
        }
    };
    if reusable && read.is_empty() {
        let bounds = &snapshot.table.upstreams[upstream.index()].pool;
        loan.give_back(worker.clock.ms(), bounds, in_pieces);
    }
    worker.buffers.give(read);
    outcome
}

/// The upstream's connection is at the start of a new exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reuse {
    AtOnce,
    /// Its answer came in more than one read.
    InPieces,
}

enum Ran {
    Done(Outcome, Option<Reuse>),
    Switched,
}

async fn run(
    x: &mut Exchange<'_>, loan: &mut Loan, read: &mut Buffer, route: RouteId, upstream: UpstreamId,
    held: bool,
) -> Ran {
    let request = &x.scratch.request;
    let telling = Telling {
        worker: &x.worker,
        snapshot: &x.snapshot,
        listener: x.listener,
        effective: x.snapshot.table.effective(x.listener, Some(route)),
        request,
        route,
        upstream,
    };
    let whole = held || request.length == Length::None;
    let course = Course {
        telling,
        timer: &x.client.timer,
        upstream: &x.snapshot.table.upstreams[upstream.index()],
        progress: Cell::new(if whole { Progress::Whole } else { Progress::Running }),
        events: Cell::new(false),
        received: Cell::new(0),
    };
    let (from_upstream, mut to_upstream) = loan.stream().split();
    let (from_client, to_client) = x.client.stream.split();
    let mut sent_whole = true;
    if whole {
        let mut sent = 0;
        let wait = course.wait(Slot::Answer, course.upstream.timeouts.send_idle);
        let sending = to_upstream.write_all(&mut [IoSlice::new(&x.scratch.out)], wait, &mut sent).await;
        if let Err(broken) = sending {
            if sent == 0 {
                let none =
                    NoAnswer { failure: AnswerFailure::Broken(broken), unsent: true, repeatable: true };
                return Ran::Done(Outcome::NoAnswer(none), None);
            }
            // It may still be answered: the refusal of a large request, say. Then never used again.
            sent_whole = false;
        }
    }
    let watch = RefCell::new(None);
    let relay = Relay {
        course: &course,
        from: from_upstream,
        read,
        to: to_client,
        watch: &watch,
        answer: &mut x.scratch.answer,
        reply: &mut x.scratch.reply,
        record: &mut x.record,
        begun: false,
        reads: 0,
    };
    if whole {
        watch.replace(Some(Watch::new(from_client, &mut x.client.inbuf, &mut x.client.eof)));
        let relayed = relay.run().await;
        return finish(relayed, sent_whole, true);
    }
    let upload = Upload {
        course: &course,
        from: from_client,
        held: &mut x.client.inbuf,
        eof: &mut x.client.eof,
        to: to_upstream,
        head: &x.scratch.out,
        trailers: &mut x.scratch.trailers,
    };
    let both = side_by_side(upload, relay, &watch).await;
    let received = course.received.get();
    let whole = course.progress.get() == Progress::Whole;
    x.record.bytes_in += received;
    x.record.streamed = Some(whole);
    match both {
        // The body has passed by: it cannot be sent again.
        Both::Relayed(relayed) => finish(relayed, whole, false),
        Both::Client(uploaded) => client_failed(uploaded, x.record.status != 0),
    }
}

enum Both {
    Relayed(Relayed),
    /// The client spoiled its request, before the answer was over.
    Client(Uploaded),
}

/// Runs both directions in one task. The answer's end is the end, wherever the request is.
async fn side_by_side<'w>(
    upload: Upload<'w>, relay: Relay<'_, 'w>, watch: &RefCell<Option<Watch<'w>>>,
) -> Both {
    let progress = &upload.course.progress;
    let mut upload = pin!(upload.run());
    let mut relay = pin!(relay.run());
    poll_fn(|cx| {
        if progress.get() == Progress::Running
            && let Poll::Ready((uploaded, watcher)) = upload.as_mut().poll(cx)
        {
            watch.replace(Some(watcher));
            match uploaded {
                Uploaded::Whole => progress.set(Progress::Whole),
                Uploaded::UpstreamDeaf => progress.set(Progress::Stopped),
                failed => return Poll::Ready(Both::Client(failed)),
            }
        }
        relay.as_mut().poll(cx).map(Both::Relayed)
    })
    .await
}

fn client_failed(uploaded: Uploaded, begun: bool) -> Ran {
    let outcome = match uploaded {
        Uploaded::Refused(refusal) if !begun => Outcome::Refused(refusal),
        Uploaded::Refused(_) => Outcome::Cut("client_error"),
        Uploaded::TimedOut if !begun => Outcome::Refused(body::too_slow()),
        Uploaded::TimedOut => Outcome::Cut("client_timeout"),
        Uploaded::UpstreamStuck if !begun => {
            let failure = AnswerFailure::Broken(Broken::Timeout(Slot::Answer));
            Outcome::NoAnswer(NoAnswer { failure, unsent: false, repeatable: false })
        }
        Uploaded::UpstreamStuck => Outcome::Cut("upstream_timeout"),
        Uploaded::ClientGone | Uploaded::Whole | Uploaded::UpstreamDeaf => Outcome::Cut("client_gone"),
    };
    Ran::Done(outcome, None)
}

/// `whole`: the request went out to its end; `repeatable`: it is still in hand.
fn finish(relayed: Relayed, whole: bool, repeatable: bool) -> Ran {
    match relayed {
        Relayed::Done { keep, reuse } => {
            Ran::Done(Outcome::Answered { keep: keep && whole }, reuse.filter(|_| whole))
        }
        Relayed::NoAnswer(failure) => {
            Ran::Done(Outcome::NoAnswer(NoAnswer { failure, unsent: false, repeatable }), None)
        }
        Relayed::Denied(refusal) => Ran::Done(Outcome::Denied(refusal), None),
        Relayed::Cut(ended) => Ran::Done(Outcome::Cut(ended), None),
        Relayed::Reset(ended) => Ran::Done(Outcome::Reset(ended), None),
        Relayed::Switched => Ran::Switched,
    }
}
