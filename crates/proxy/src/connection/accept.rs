//! New connections: taken from the socket that all workers share, a few per wake-up, and handed to a less loaded
//! worker when the load is out of balance.

use super::{Client, serve_h1};
use crate::stream::Stream;
use crate::worker::{Message, Worker};
use std::cell::Cell;
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
    while !socket.closing.get() {
        let accepted = tokio::select! {
            accepted = accept(&listening) => accepted,
            () = socket.notice.notified() => break,
        };
        match accepted {
            Ok((stream, peer)) => take(&worker, &socket, stream, peer),
            // Descriptors or memory have run out: others must close first. Errors of one connection pass.
            Err(error) if is_exhaustion(&error) => tokio::time::sleep(PAUSE).await,
            Err(_) => {}
        }
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
        };
        let Some(accepted) = accepted else { return };
        let message = Message::Connection { key: Arc::clone(&socket.key), accepted };
        // The other one has just ended: it stays here.
        if let Err(Message::Connection { accepted, .. }) = worker.shared.send(other, message) {
            arrived(worker, socket, accepted);
        }
        return;
    }
    begin(worker, socket, stream, peer);
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
        return;
    }
    if let Stream::Tcp(s) = &stream {
        // Fails only on a connection that is gone already.
        let _ = s.set_nodelay(true);
    }
    let client = Client::new(stream, peer, Rc::clone(socket), Rc::clone(worker), cells);
    tokio::task::spawn_local(serve_h1::serve(Box::new(client)));
}
