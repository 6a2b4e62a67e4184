//! New connections: taken from the socket that all workers share, a few per wake-up, and handed to a less loaded
//! worker when the load is out of balance.

use super::{Client, serve_h1};
use crate::clock;
use crate::stream::Stream;
use crate::telemetry::events;
use crate::tls::{self, TlsStream};
use crate::worker::{Message, Worker};
use std::cell::Cell;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;

/// Connections taken before others get their turn: a burst must not starve those that are served already.
const PER_WAKE: u32 = 4;
/// How long to leave the socket alone when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a worker may take to see what it was given.
const PATIENCE: Duration = Duration::from_millis(30);

/// A listening socket as one worker knows it.
pub(crate) struct Socket {
    /// Its address as the configuration spells it: its identity.
    pub(crate) key: Arc<str>,
    /// Index of its listener in the worker's current snapshot; none when a reload has dropped it.
    listener: Cell<Option<usize>>,
    /// No longer listened on: what is queued is still taken.
    closing: Cell<bool>,
    closed: Cell<bool>,
    notice: Notify,
}

impl Socket {
    pub(crate) fn new(key: Arc<str>) -> Self {
        Socket {
            key,
            listener: Cell::new(None),
            closing: Cell::new(false),
            closed: Cell::new(false),
            notice: Notify::new(),
        }
    }
    /// Nothing is accepted any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }
    /// Ends the listening, once the queue is empty.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.notice.notify_one();
    }
    pub(crate) fn listener(&self) -> Option<usize> {
        self.listener.get()
    }
    pub(crate) fn set_listener(&self, index: Option<usize>) {
        self.listener.set(index);
    }
}

pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection on its way to another worker.
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream, IpAddr),
    Unix(std::os::unix::net::UnixStream),
}

/// Accepts for as long as the listener stays; at its end what clients have queued up already.
pub(crate) async fn run(worker: Rc<Worker>, socket: Rc<Socket>, listening: Listening) {
    let mut taken = 0;
    // What watches the gateway has to get through when clients have taken all.
    let reserve = || worker.is_side().then(|| File::open("/dev/null").ok()).flatten();
    let mut reserved = reserve();
    while !socket.closing.get() {
        let accepted = tokio::select! {
            accepted = accept(&listening) => accepted,
            () = socket.notice.notified() => break,
        };
        match accepted {
            Ok((stream, peer)) => take(&worker, &socket, stream, peer),
            // Descriptors or memory have run out: others must close first. Errors of one connection pass.
            Err(error) if is_exhaustion(&error) => {
                tell_refused(&worker);
                match reserved.take().map(drop) {
                    Some(()) => {
                        if let Some(Ok((stream, peer))) = at_once(accept(&listening)).await {
                            take(&worker, &socket, stream, peer);
                        }
                    }
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
            Err(_) => {}
        }
        reserved = reserved.or_else(reserve);
        taken += 1;
        if taken % PER_WAKE == 0 {
            tokio::task::yield_now().await;
        }
    }
    while let Some(Ok((stream, peer))) = at_once(accept(&listening)).await {
        begin(&worker, &socket, stream, peer);
    }
    socket.closed.set(true);
}

/// What the future gives without waiting.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    // The event loop's own fairness must not make a full queue look empty.
    let mut future = pin!(unconstrained(future));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn accept(listening: &Listening) -> io::Result<(Stream, Option<IpAddr>)> {
    match listening {
        Listening::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            Ok((Stream::Tcp(stream), Some(peer.ip().to_canonical())))
        }
        Listening::Unix(listener) => Ok((Stream::Unix(listener.accept().await?.0), None)),
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].iter().any(|c| code == Some(*c))
}

fn take(worker: &Rc<Worker>, socket: &Rc<Socket>, stream: Stream, peer: Option<IpAddr>) {
    if let Some(other) = worker.less_loaded() {
        let accepted = match stream {
            Stream::Tcp(s) => s.into_std().ok().zip(peer).map(|(s, peer)| Accepted::Tcp(s, peer)),
            Stream::Unix(s) => s.into_std().ok().map(Accepted::Unix),
            Stream::Tls(_) => None,
        };
        let Some(accepted) = accepted else { return };
        let (given, now_ms) = (worker.shared.given(other), clock::exact_ms());
        match given.give(&socket.key, accepted, now_ms) {
            Err(accepted) => arrived(worker, socket, accepted),
            // The other one has just ended: it stays here.
            Ok(()) if worker.shared.send(other, Message::Given).is_err() => take_back(worker, other, now_ms),
            Ok(()) => {
                worker.shared.expect_load(other);
                let worker = Rc::clone(worker);
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(PATIENCE).await;
                    take_back(&worker, other, now_ms);
                });
            }
        }
        return;
    }
    begin(worker, socket, stream, peer);
}

/// Serves here what was given to another worker until then, and was not taken.
fn take_back(worker: &Rc<Worker>, other: usize, until_ms: u64) {
    while let Some(connection) = worker.shared.given(other).take(until_ms, |key| worker.knows(key)) {
        worker.arrived(&connection.key, connection.accepted);
    }
}

/// A connection that another worker accepted.
pub(crate) fn arrived(worker: &Rc<Worker>, socket: &Rc<Socket>, accepted: Accepted) {
    let stream = match accepted {
        Accepted::Tcp(s, peer) => tokio::net::TcpStream::from_std(s).map(|s| (Stream::Tcp(s), Some(peer))),
        Accepted::Unix(s) => tokio::net::UnixStream::from_std(s).map(|s| (Stream::Unix(s), None)),
    };
    if let Ok((stream, peer)) = stream {
        begin(worker, socket, stream, peer);
    }
}

fn encrypted_over(stream: Stream, worker: &Rc<Worker>) -> Stream {
    let socket = match stream {
        Stream::Tcp(s) => tls::Socket::Tcp(s),
        Stream::Unix(s) => tls::Socket::Unix(s),
        encrypted @ Stream::Tls(_) => return encrypted,
    };
    Stream::Tls(Box::new(TlsStream::accepted(socket, Rc::clone(worker))))
}

async fn serve_tls(mut client: Box<Client>) {
    if Box::pin(tls::handshake(&mut client)).await {
        serve_h1::serve(client).await;
    }
}

/// Notes that a connection was not taken, and tells of it now and then.
fn tell_refused(worker: &Worker) {
    let bounds = &worker.shared.bounds;
    if let Some(count) = bounds.refused(clock::exact_ms()) {
        let (count, open) = (count.to_string(), bounds.open().to_string());
        events::warn("connections_refused", &[("count", &count), ("open", &open)]);
    }
}

/// Serves the connection in a task of its own, if the bounds allow one more.
fn begin(worker: &Rc<Worker>, socket: &Rc<Socket>, stream: Stream, peer: Option<IpAddr>) {
    let Some(index) = socket.listener() else { return };
    let snapshot = worker.snapshot();
    let limits = &snapshot.table.listeners[index].limits;
    let cells = Arc::clone(&snapshot.listeners[index]);
    let bounds = &worker.shared.bounds;
    let admitted = if worker.is_side() {
        bounds.admit_admin(peer)
    } else {
        bounds.admit(peer, limits.connections, limits.connections_per_address)
    };
    if !admitted {
        cells.refused.add(1);
        return tell_refused(worker);
    }
    if let Stream::Tcp(s) = &stream {
        // Fails only on a connection that is gone already.
        let _ = s.set_nodelay(true);
    }
    let encrypted = snapshot.table.listeners[index].tls.is_some();
    let stream = if encrypted { encrypted_over(stream, worker) } else { stream };
    let client = Client::new(stream, peer, Rc::clone(socket), Rc::clone(worker), cells);
    if encrypted {
        tokio::task::spawn_local(serve_tls(Box::new(client)));
    } else {
        tokio::task::spawn_local(serve_h1::serve(Box::new(client)));
    }
}
