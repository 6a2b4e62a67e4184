//! A TLS session over a socket, by rustls' unbuffered interface: records are decrypted where they were read, and
//! encrypted into one block of the thread. What is kept while nothing moves is rustls' own state.

use super::clients::Clients;
use super::flow::{Flow, broken, transfer};
use super::rules::Rules;
use super::shown::Shown;
use crate::buffer::{Buffer, LARGE};
use crate::socket::{has_nothing, poll_recv, poll_send};
use crate::worker::Worker;
use pylos_core::tls::{ClientHello, NotTls, peek};
use rustls::client::{ClientConfig, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::{HandshakeKind, ProtocolVersion};
use std::cell::{OnceCell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::net::{TcpStream, UnixStream};

/// Bytes of a handshake that were not understood yet, which is all that a buffer holds: more is no handshake.
const MOST_UNREAD: usize = LARGE;

thread_local! {
    /// What goes out in one call.
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What lies below.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// An encrypted connection.
pub(crate) struct TlsStream {
    socket: Socket,
    worker: Rc<Worker>,
    state: RefCell<State>,
    /// Of a client's connection: by which rules it was agreed on, and what the client has shown then.
    agreed: RefCell<Option<Arc<Rules>>>,
    shown: OnceCell<Rc<Shown>>,
}

struct State {
    side: Side,
    flow: Flow,
}

/// Which end of the session this is.
enum Side {
    /// Nothing was said yet: it is not known who answers.
    Unknown,
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

impl TlsStream {
    /// A client's connection, on which nothing was said yet.
    pub(crate) fn accepted(socket: Socket, worker: Rc<Worker>) -> Self {
        Self::new(socket, worker, Side::Unknown)
    }

    fn new(socket: Socket, worker: Rc<Worker>, side: Side) -> Self {
        TlsStream {
            socket,
            worker,
            state: RefCell::new(State { side, flow: Flow::default() }),
            agreed: RefCell::new(None),
            shown: OnceCell::new(),
        }
    }

    /// A connection to a server whose certificate has to be for this name.
    pub(crate) fn connected(
        socket: Socket, worker: Rc<Worker>, config: Arc<ClientConfig>, name: ServerName<'static>,
    ) -> Result<Self, HandshakeError> {
        let connection = UnbufferedClientConnection::new(config, name).map_err(HandshakeError::Tls)?;
        Ok(Self::new(socket, worker, Side::Client(connection)))
    }

    /// Waits for the client's first message, which says whom it wants.
    pub(crate) fn poll_hello(&self, cx: &mut Context<'_>) -> Poll<Result<ClientHello, HandshakeError>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            match peek(state.flow.incoming.bytes()) {
                Ok(Some(hello)) => return Poll::Ready(Ok(hello)),
                Ok(None) => {}
                Err(NotTls) => return Poll::Ready(Err(HandshakeError::NotTls)),
            }
            match ready!(state.flow.poll_fill(&self.socket, &self.worker, cx)) {
                Ok(0) => return Poll::Ready(Err(HandshakeError::Left)),
                Ok(_) => {}
                Err(_) => return Poll::Ready(Err(HandshakeError::Io)),
            }
        }
    }

    /// Whether what came before it was known to be no TLS looks like HTTP.
    pub(crate) fn began_with_http(&self) -> bool {
        let state = self.state.borrow();
        let method = state.flow.incoming.bytes().iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        method >= 3 && state.flow.incoming.bytes().get(method) == Some(&b' ')
    }

    /// Answers by these rules from now on.
    pub(crate) fn begin(&self, config: Arc<ServerConfig>) -> Result<(), HandshakeError> {
        let connection = UnbufferedServerConnection::new(config).map_err(HandshakeError::Tls)?;
        self.state.borrow_mut().side = Side::Server(connection);
        Ok(())
    }

    /// Says a last word as it is, as far as the socket takes it at once.
    pub(crate) fn say_plainly(&self, bytes: &[u8]) {
        let _ = self.socket.send_now(bytes);
    }

    /// Goes on with the handshake; ready when it is done.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            let received = state.receive(&self.worker, None);
            let flushed = state.flow.poll_flush(&self.socket, cx);
            received.map_err(HandshakeError::Tls)?;
            if state.flow.peer_closed && state.side.is_handshaking() {
                return Poll::Ready(Err(HandshakeError::Left));
            }
            ready!(flushed).map_err(|_| HandshakeError::Io)?;
            if !state.side.is_handshaking() {
                state.flow.settle(&self.worker);
                return Poll::Ready(Ok(()));
            }
            if state.flow.incoming.len() >= MOST_UNREAD {
                return Poll::Ready(Err(HandshakeError::Endless));
            }
            match ready!(state.flow.poll_fill(&self.socket, &self.worker, cx)) {
                Ok(0) => return Poll::Ready(Err(HandshakeError::Left)),
                Ok(_) => {}
                Err(_) => return Poll::Ready(Err(HandshakeError::Io)),
            }
        }
    }

    /// Whether a former session goes on, once the handshake is done.
    pub(crate) fn is_resumed(&self) -> bool {
        self.state.borrow().side.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Takes down by which rules the handshake came about. Whoever goes on with a former session has shown a certificate
    /// then: it is looked up anew, since it may have been revoked meanwhile.
    pub(super) fn settle(&self, rules: &Arc<Rules>) -> Result<(), HandshakeError> {
        if let Some(clients) = &rules.clients
            && self.is_resumed()
        {
            clients.admit(self.state.borrow().side.shown()).map_err(HandshakeError::Tls)?;
        }
        self.agree(Arc::clone(rules));
        Ok(())
    }

    pub(super) fn agree(&self, rules: Arc<Rules>) {
        if self.shown.get().is_none()
            && let Some(shown) = self.state.borrow().side.shown().and_then(<[_]>::first).and_then(Shown::new)
        {
            let _ = self.shown.set(Rc::new(shown));
        }
        *self.agreed.borrow_mut() = Some(rules);
    }

    pub(super) fn rules(&self) -> Option<Arc<Rules>> {
        self.agreed.borrow().clone()
    }

    /// Whether something holds of them. To take them would be to count what all workers count.
    pub(super) fn has_rules(&self, that: impl FnOnce(&Arc<Rules>) -> bool) -> bool {
        self.agreed.borrow().as_ref().is_some_and(that)
    }

    pub(super) fn is_admitted_by(&self, clients: &Clients) -> bool {
        clients.admit(self.state.borrow().side.shown()).is_ok()
    }

    pub(super) fn shown(&self) -> Option<Rc<Shown>> {
        self.shown.get().cloned()
    }

    /// Ready when a read may give something; holds nothing meanwhile.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.state.borrow();
        // What was said last may have come with what was read last: no socket tells of it again.
        if !state.flow.plain.is_empty() || state.flow.peer_closed || state.flow.failed.is_some() {
            return Poll::Ready(Ok(()));
        }
        match &self.socket {
            Socket::Tcp(s) => s.poll_read_ready(cx),
            Socket::Unix(s) => s.poll_read_ready(cx),
        }
    }

    /// Bytes of a record that is not whole yet.
    pub(crate) fn begun(&self) -> usize {
        self.state.borrow().flow.incoming.len()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.state.borrow();
        state.flow.plain.is_empty()
            && state.flow.incoming.is_empty()
            && !state.flow.peer_closed
            && state.flow.failed.is_none()
            && match &self.socket {
                Socket::Tcp(s) => has_nothing(s),
                Socket::Unix(s) => has_nothing(s),
            }
    }

    /// Reads once into the buffer's room; 0 is the end.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            if !state.flow.plain.is_empty() {
                let n = transfer(&mut state.flow.plain, into);
                state.flow.settle(&self.worker);
                return Poll::Ready(Ok(n));
            }
            if state.flow.peer_closed {
                return Poll::Ready(Ok(0));
            }
            if state.flow.failed.is_none() {
                match state.flow.poll_fill(&self.socket, &self.worker, cx) {
                    // A client that leaves without a word has left all the same; of an answer it may be the half.
                    Poll::Ready(Ok(0)) if matches!(state.side, Side::Client(_)) => {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                    Poll::Ready(filled) => drop(filled?),
                    Poll::Pending => {
                        state.flow.settle(&self.worker);
                        return Poll::Pending;
                    }
                }
            }
            let received = state.receive(&self.worker, Some(into));
            if received.is_err() {
                // What is wrong is told to the client, as far as it listens.
                let _ = state.flow.poll_flush(&self.socket, cx);
            }
            let n = received.map_err(broken)?;
            if n > 0 {
                state.flow.settle(&self.worker);
                return Poll::Ready(Ok(n));
            }
        }
    }

    /// Takes some of the parts, once what was taken before is out: what the socket does not take of it lies here until
    /// [`Self::poll_flush`] or the next write has sent it. The error is of what could not begin to go out.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        // What the protocol has to say goes along with it; what a writer has left goes before.
        if state.flow.is_owed {
            ready!(state.flow.poll_flush(&self.socket, cx))?;
        }
        let accepted = OUT.with_borrow_mut(|out| {
            out.clear();
            out.extend_from_slice(&state.flow.outgoing[state.flow.sent..]);
            let accepted = state.encrypt(&self.worker, parts, out)?;
            state.flow.sent = 0;
            // Most of the time all of it goes at once, and nothing is kept.
            let sent = match self.socket.poll_send(cx, out) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => 0,
            };
            state.flow.outgoing = out[sent..].to_vec();
            state.flow.moved = state.flow.moved.wrapping_add(sent as u32);
            state.flow.is_owed = sent < out.len();
            Ok::<_, io::Error>(accepted)
        })?;
        Poll::Ready(Ok(accepted))
    }

    /// As the log names it, "1.3"; empty before it is agreed on.
    pub(crate) fn version(&self) -> &'static str {
        match self.state.borrow().side.version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "",
        }
    }

    /// Ready when all that was taken is out.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.borrow_mut().flow.poll_flush(&self.socket, cx)
    }

    /// Bytes that the socket has taken, counted round and round.
    pub(crate) fn moved(&self) -> u32 {
        self.state.borrow().flow.moved
    }

    /// Says that nothing more comes (RFC 8446, 6.1), as far as the socket takes it at once: who sees only the end of the
    /// connection cannot know whether somebody on the way has cut it.
    pub(crate) fn say_goodbye(&self) {
        let state = &mut *self.state.borrow_mut();
        if !state.flow.closed {
            state.flow.closed = true;
            let _ = state.close();
            state.flow.send_at_once(&self.socket);
        }
    }

    /// Says that nothing more comes, and sends FIN.
    pub(crate) fn shut(&self) {
        self.say_goodbye();
        self.socket.shut_writing();
    }

    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match &self.socket {
            Socket::Tcp(s) => Some(s),
            Socket::Unix(_) => None,
        }
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        self.worker.buffers.give(std::mem::take(&mut state.flow.incoming));
        self.worker.buffers.give(std::mem::take(&mut state.flow.plain));
    }
}

impl Side {
    fn is_handshaking(&self) -> bool {
        match self {
            Side::Unknown => true,
            Side::Server(connection) => connection.is_handshaking(),
            Side::Client(connection) => connection.is_handshaking(),
        }
    }
    fn version(&self) -> Option<ProtocolVersion> {
        match self {
            Side::Unknown => None,
            Side::Server(connection) => connection.protocol_version(),
            Side::Client(connection) => connection.protocol_version(),
        }
    }
    /// The certificates of the other end, its own first.
    fn shown(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Side::Unknown => None,
            Side::Server(connection) => connection.peer_certificates(),
            Side::Client(connection) => connection.peer_certificates(),
        }
    }
    fn handshake_kind(&self) -> Option<HandshakeKind> {
        match self {
            Side::Unknown => None,
            Side::Server(connection) => connection.handshake_kind(),
            Side::Client(connection) => connection.handshake_kind(),
        }
    }
}

impl State {
    fn receive(&mut self, worker: &Worker, into: Option<&mut Buffer>) -> Result<usize, rustls::Error> {
        match &mut self.side {
            Side::Unknown => Ok(0),
            Side::Server(connection) => self.flow.receive(connection, worker, into),
            Side::Client(connection) => self.flow.receive(connection, worker, into),
        }
    }
    fn encrypt(&mut self, worker: &Worker, parts: &[IoSlice<'_>], out: &mut Vec<u8>) -> io::Result<usize> {
        match &mut self.side {
            Side::Unknown => Err(io::ErrorKind::NotConnected.into()),
            Side::Server(connection) => self.flow.encrypt(connection, worker, parts, out),
            Side::Client(connection) => self.flow.encrypt(connection, worker, parts, out),
        }
    }
    fn close(&mut self) -> Result<(), rustls::Error> {
        match &mut self.side {
            Side::Unknown => Ok(()),
            Side::Server(connection) => self.flow.close(connection),
            Side::Client(connection) => self.flow.close(connection),
        }
    }
}

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    Tls(rustls::Error),
    Io,
    Left,
    Endless,
    NotTls,
}

impl Socket {
    pub(super) fn poll_recv(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(s) => poll_recv(s, cx, room),
            Socket::Unix(s) => poll_recv(s, cx, room),
        }
    }
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(s) => poll_send(s, cx, bytes),
            Socket::Unix(s) => poll_send(s, cx, bytes),
        }
    }
    pub(super) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        Ok(match self {
            Socket::Tcp(s) => rustix::net::send(s, bytes, flags)?,
            Socket::Unix(s) => rustix::net::send(s, bytes, flags)?,
        })
    }
    fn shut_writing(&self) {
        // An error means that it is shut already.
        let _ = match self {
            Socket::Tcp(s) => rustix::net::shutdown(s, rustix::net::Shutdown::Write),
            Socket::Unix(s) => rustix::net::shutdown(s, rustix::net::Shutdown::Write),
        };
    }
}
