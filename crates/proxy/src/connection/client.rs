//! A client's connection: its socket, what was read ahead, and its deadlines.

use crate::buffer::Buffer;
use crate::clock::exact_ms;
use crate::connection::accept::Socket;
use crate::request::incoming::Request;
use crate::stream::{Stream, Wait};
use crate::telemetry::cells::ListenerCells;
use crate::telemetry::events;
use crate::timer::{Slot, Timer};
use crate::tls::{Agreed, Configs, Failure};
use crate::worker::Worker;
use pylos_core::http1::Length;
use std::cell::Cell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// How long a new connection is waited for while the gateway drains.
const DRAIN_GRACE_MS: u64 = 300;

pub(crate) struct Client {
    pub(crate) stream: Stream,
    /// Read and not used yet. No block behind it while the connection waits.
    pub(crate) inbuf: Buffer,
    pub(crate) timer: Rc<Timer>,
    /// `None` on a Unix socket.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) socket: Rc<Socket>,
    pub(crate) worker: Rc<Worker>,
    pub(crate) cells: Arc<ListenerCells>,
    /// When it could say its first request: at the end of its handshake, where there is one.
    ready_ms: Cell<u64>,
    /// A request has come on it.
    pub(crate) served: bool,
    /// The client has shut its sending side.
    pub(crate) eof: bool,
}

impl Client {
    pub(crate) fn new(
        stream: Stream, peer: Option<IpAddr>, socket: Rc<Socket>, worker: Rc<Worker>,
        cells: Arc<ListenerCells>,
    ) -> Self {
        let timer = worker.timers.add();
        cells.connections.add(1);
        cells.accepted.add(1);
        worker.connection_opened();
        Client {
            stream,
            inbuf: Buffer::default(),
            timer,
            peer,
            socket,
            worker,
            cells,
            ready_ms: Cell::new(0),
            served: false,
            eof: false,
        }
    }

    /// What it says can be read by nobody on the way.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    pub(crate) fn agreed<'c>(&'c self, configs: &'c Configs) -> Option<Agreed<'c>> {
        match &self.stream {
            Stream::Tls(stream) => Some(Agreed { stream, configs }),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }

    pub(crate) fn handshake_done(&self, resumed: bool) {
        if let Stream::Tls(stream) = &self.stream {
            self.cells.handshakes.done(resumed, stream.version());
        }
        self.ready_ms.set(self.worker.clock.ms());
    }
    pub(crate) fn handshake_failed(&self, failure: Failure) {
        self.cells.handshakes.failed(failure);
        let due =
            failure.is_about_certificates().then(|| self.worker.shared.refused_handshakes.count(exact_ms()));
        if let Some(count) = due.flatten() {
            let peer = self.peer.map_or_else(|| "unix".to_owned(), |ip| ip.to_string());
            let facts = [("reason", failure.name()), ("peer", &peer), ("count", &count.to_string())];
            events::warn("handshakes_refused", &facts);
        }
    }

    /// Waits for a request, holding nothing. False when none comes: the client left, stayed silent for too long,
    /// or the gateway drains.
    pub(crate) async fn idle(&mut self, ms: u64) -> bool {
        if self.eof {
            return false;
        }
        let (timer, worker, stream, served) = (&self.timer, &self.worker, &self.stream, &self.served);
        let (socket, ready_ms) = (&self.socket, self.ready_ms.get());
        timer.idle.set(true);
        let wait = Wait { timer, clock: &worker.clock, slot: Slot::Client, ms };
        let readable = poll_fn(|cx| {
            if stream.poll_readable(cx).is_ready() {
                return Poll::Ready(true);
            }
            // A reload has dropped the listener, or wants TLS to be spoken here, or no more.
            let secure = matches!(stream, Stream::Tls(_));
            let snapshot = worker.snapshot();
            let speaks = |index: usize| snapshot.table.listeners[index].tls.is_some() == secure;
            if !socket.listener().is_some_and(speaks) {
                return Poll::Ready(false);
            }
            if let Some(since) = worker.draining_since() {
                // A request may be on its way on a connection that is new: it gets a moment.
                let until = if *served { since + 1 } else { since.max(ready_ms) + DRAIN_GRACE_MS };
                timer.set(Slot::Client, until);
            }
            if wait.pending(cx).is_some() { Poll::Ready(false) } else { Poll::Pending }
        })
        .await;
        wait.over();
        timer.idle.set(false);
        readable
    }

    /// Leaves a request body unread, as far as it has arrived. `None` when it is passed by that; else the bytes
    /// that are still to come, if known.
    pub(crate) fn skip_body(&mut self, request: &Request) -> Option<Option<u64>> {
        match request.length {
            Length::None => None,
            Length::Known(n) if n <= self.inbuf.len() as u64 => {
                self.inbuf.consume(n as usize);
                None
            }
            Length::Known(n) => Some(Some(n - self.inbuf.len() as u64)),
            Length::Chunked | Length::UntilClose => Some(None),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.worker.buffers.give(std::mem::take(&mut self.inbuf));
        self.worker.timers.remove(&self.timer);
        self.cells.connections.sub(1);
        self.worker.connection_closed(self.peer);
    }
}
