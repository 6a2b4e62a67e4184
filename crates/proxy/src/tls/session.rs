//! A TLS session over a socket, by rustls' unbuffered interface: records are decrypted where they were read, and
//! encrypted into one block of the thread. What is kept while nothing moves is rustls' own state.

use crate::buffer::{Buffer, SMALL};
use crate::socket::{has_nothing, poll_recv, poll_send};
use crate::worker::Worker;
use pylos_core::tls::{ClientHello, NotTls, peek};
use rustls::HandshakeKind;
use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::net::{TcpStream, UnixStream};

/// Bytes that are encrypted at once, at most.
const MOST_AT_ONCE: usize = 64 * 1024;
/// Of a record: its head, what TLS 1.2 puts before the content, the tag and the kind behind it.
const OVERHEAD: usize = 5 + 8 + 16 + 1;
/// Content of a full record.
const RECORD: usize = 1 << 14;
/// Bytes of a handshake that were not understood yet: more is no handshake.
const MOST_UNREAD: usize = 64 * 1024 + 1024;

thread_local! {
    /// What goes out in one call.
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What lies below.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A client's connection, encrypted.
pub(crate) struct TlsStream {
    socket: Socket,
    worker: Rc<Worker>,
    state: RefCell<State>,
}

struct State {
    /// None until it is known who answers.
    connection: Option<UnbufferedServerConnection>,
    /// What came and is no whole record yet.
    incoming: Buffer,
    /// What was decrypted and not taken yet.
    plain: Buffer,
    /// Encrypted, and not taken by the socket yet.
    outgoing: Vec<u8>,
    /// How much of it was.
    sent: usize,
    /// Content of `outgoing` whose writer still waits.
    accepted: usize,
    /// The client has said that it sends nothing more.
    peer_closed: bool,
    closed: bool,
}

/// What became of a call of rustls.
enum On {
    Again,
    /// For more bytes, from either side.
    Wait,
    PeerClosed,
    Failed(rustls::Error),
}

impl TlsStream {
    /// A connection on which nothing was said yet.
    pub(crate) fn new(socket: Socket, worker: Rc<Worker>) -> Self {
        let state = State {
            connection: None,
            incoming: Buffer::default(),
            plain: Buffer::default(),
            outgoing: Vec::new(),
            sent: 0,
            accepted: 0,
            peer_closed: false,
            closed: false,
        };
        TlsStream { socket, worker, state: RefCell::new(state) }
    }

    /// Waits for the client's first message, which says whom it wants.
    pub(crate) fn poll_hello(&self, cx: &mut Context<'_>) -> Poll<Result<ClientHello, HandshakeError>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            match peek(state.incoming.bytes()) {
                Ok(Some(hello)) => return Poll::Ready(Ok(hello)),
                Ok(None) => {}
                Err(NotTls) => return Poll::Ready(Err(HandshakeError::NotTls)),
            }
            match ready!(state.poll_fill(&self.socket, &self.worker, cx)) {
                Ok(0) => return Poll::Ready(Err(HandshakeError::Left)),
                Ok(_) => {}
                Err(_) => return Poll::Ready(Err(HandshakeError::Io)),
            }
        }
    }

    /// Whether what came before it was known to be no TLS looks like HTTP.
    pub(crate) fn began_with_http(&self) -> bool {
        let state = self.state.borrow();
        let method = state.incoming.bytes().iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        method >= 3 && state.incoming.bytes().get(method) == Some(&b' ')
    }

    /// Answers by these rules from now on.
    pub(crate) fn begin(&self, config: Arc<ServerConfig>) -> Result<(), HandshakeError> {
        let connection = UnbufferedServerConnection::new(config).map_err(HandshakeError::Tls)?;
        self.state.borrow_mut().connection = Some(connection);
        Ok(())
    }

    /// Says a last word as it is, as far as the socket takes it at once.
    pub(crate) fn say_plainly(&self, bytes: &[u8]) {
        let _ = self.socket.poll_send(&mut Context::from_waker(Waker::noop()), bytes);
    }

    /// Goes on with the handshake; ready when it is done.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            let received = state.receive(&self.worker, None);
            let flushed = state.poll_flush(&self.socket, cx);
            received.map_err(HandshakeError::Tls)?;
            if !state.connection.as_ref().is_some_and(|c| c.is_handshaking()) {
                // What is left of it, tickets for the next time, goes out with the first answer.
                state.settle(&self.worker);
                return Poll::Ready(Ok(()));
            }
            if state.peer_closed {
                return Poll::Ready(Err(HandshakeError::Left));
            }
            ready!(flushed).map_err(|_| HandshakeError::Io)?;
            if state.incoming.len() > MOST_UNREAD {
                return Poll::Ready(Err(HandshakeError::Endless));
            }
            match ready!(state.poll_fill(&self.socket, &self.worker, cx)) {
                Ok(0) => return Poll::Ready(Err(HandshakeError::Left)),
                Ok(_) => {}
                Err(_) => return Poll::Ready(Err(HandshakeError::Io)),
            }
        }
    }

    /// Whether a former session goes on, once the handshake is done.
    pub(crate) fn is_resumed(&self) -> bool {
        let state = self.state.borrow();
        state.connection.as_ref().and_then(|c| c.handshake_kind()) == Some(HandshakeKind::Resumed)
    }

    /// Ready when a read may give something; holds nothing meanwhile.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.state.borrow().plain.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &self.socket {
            Socket::Tcp(s) => s.poll_read_ready(cx),
            Socket::Unix(s) => s.poll_read_ready(cx),
        }
    }

    pub(crate) fn is_within_record(&self) -> bool {
        !self.state.borrow().incoming.is_empty()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.state.borrow();
        state.plain.is_empty()
            && state.incoming.is_empty()
            && match &self.socket {
                Socket::Tcp(s) => has_nothing(s),
                Socket::Unix(s) => has_nothing(s),
            }
    }

    /// Reads once into the buffer's room; 0 is the end.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            if !state.plain.is_empty() {
                let n = transfer(&mut state.plain, into);
                state.settle(&self.worker);
                return Poll::Ready(Ok(n));
            }
            if state.peer_closed {
                return Poll::Ready(Ok(0));
            }
            match state.poll_fill(&self.socket, &self.worker, cx) {
                // A client that leaves without a word has left all the same.
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                Poll::Ready(filled) => drop(filled?),
                Poll::Pending => {
                    state.settle(&self.worker);
                    return Poll::Pending;
                }
            }
            let received = state.receive(&self.worker, Some(into));
            if received.is_err() {
                // What is wrong is told to the client, as far as it listens.
                let _ = state.poll_flush(&self.socket, cx);
            }
            let n = received.map_err(broken)?;
            if n > 0 {
                state.settle(&self.worker);
                return Poll::Ready(Ok(n));
            }
        }
    }

    /// Writes some of the parts; ready when the socket has taken it.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        if state.accepted == 0 {
            state.accepted = OUT.with_borrow_mut(|out| {
                out.clear();
                out.extend_from_slice(&state.outgoing[state.sent..]);
                let accepted = state.encrypt(&self.worker, parts, out)?;
                state.sent = 0;
                // Most of the time all of it goes at once, and nothing is kept.
                let sent = match self.socket.poll_send(cx, out) {
                    Poll::Ready(sent) => sent?,
                    Poll::Pending => 0,
                };
                state.outgoing.clear();
                state.outgoing.extend_from_slice(&out[sent..]);
                Ok::<_, io::Error>(accepted)
            })?;
        }
        ready!(state.poll_flush(&self.socket, cx))?;
        Poll::Ready(Ok(std::mem::take(&mut state.accepted)))
    }

    /// Says that nothing more comes, and sends FIN.
    pub(crate) fn shut(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        let state = &mut *self.state.borrow_mut();
        if !state.closed {
            state.closed = true;
            let _ = state.close();
            let _ = state.poll_flush(&self.socket, &mut cx);
        }
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
        self.worker.buffers.give(std::mem::take(&mut state.incoming));
        self.worker.buffers.give(std::mem::take(&mut state.plain));
    }
}

impl State {
    /// Decrypts what has come: into `into`, and what does not fit there into `plain`; gives how much that was. What
    /// the protocol wants to answer lies in `outgoing`.
    fn receive(&mut self, worker: &Worker, mut into: Option<&mut Buffer>) -> Result<usize, rustls::Error> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let mut read = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                connection.process_tls_records(self.incoming.bytes_mut());
            let on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        read += record.payload.len();
                        deliver(record.payload, into.as_deref_mut(), &mut self.plain, worker);
                    }
                    On::Again
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut self.outgoing);
                    On::Again
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    On::Again
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => On::PeerClosed,
                Ok(_) => On::Wait,
                Err(error) => On::Failed(error),
            };
            self.incoming.consume(discard);
            match on {
                On::Failed(error) => {
                    // The alert that belongs to it.
                    while let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(data)), .. } =
                        connection.process_tls_records(self.incoming.bytes_mut())
                    {
                        encode(data, &mut self.outgoing);
                    }
                    return Err(error);
                }
                On::Again => {}
                On::Wait => return Ok(read),
                On::PeerClosed => {
                    self.peer_closed = true;
                    return Ok(read);
                }
            }
        }
    }

    /// Reads once from the socket.
    fn poll_fill(
        &mut self, socket: &Socket, worker: &Worker, cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.incoming.is_lent() {
            self.incoming = worker.buffers.small();
        }
        if self.incoming.room().is_empty() {
            // A record of full length is longer than a small buffer.
            let mut larger = worker.buffers.large();
            larger.push(self.incoming.bytes());
            worker.buffers.give(std::mem::replace(&mut self.incoming, larger));
        }
        let n = ready!(socket.poll_recv(cx, self.incoming.room()))?;
        self.incoming.filled(n);
        Poll::Ready(Ok(n))
    }

    /// Encrypts the parts, as far as they are taken at once; gives how much of them that was.
    fn encrypt(&mut self, worker: &Worker, parts: &[IoSlice<'_>], out: &mut Vec<u8>) -> io::Result<usize> {
        let Some(connection) = &mut self.connection else { return Err(io::ErrorKind::NotConnected.into()) };
        loop {
            let UnbufferedStatus { mut discard, state } =
                connection.process_tls_records(self.incoming.bytes_mut());
            let encrypted = match state.map_err(broken)? {
                ConnectionState::WriteTraffic(mut traffic) => Some(encrypt_parts(&mut traffic, parts, out)?),
                ConnectionState::EncodeTlsData(data) => {
                    encode(data, out);
                    None
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    None
                }
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(broken)?;
                        discard += record.discard;
                        deliver(record.payload, None, &mut self.plain, worker);
                    }
                    None
                }
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            self.incoming.consume(discard);
            if let Some(accepted) = encrypted {
                return Ok(accepted);
            }
        }
    }

    fn close(&mut self) -> Result<(), rustls::Error> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let UnbufferedStatus { discard, state } = connection.process_tls_records(self.incoming.bytes_mut());
        if let ConnectionState::WriteTraffic(mut traffic) = state? {
            let at = self.outgoing.len();
            self.outgoing.resize(at + 64, 0);
            let n = traffic.queue_close_notify(&mut self.outgoing[at..]).unwrap_or(0);
            self.outgoing.truncate(at + n);
        }
        self.incoming.consume(discard);
        Ok(())
    }

    /// Sends what is encrypted.
    fn poll_flush(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            self.sent += ready!(socket.poll_send(cx, &self.outgoing[self.sent..]))?;
        }
        if !self.outgoing.is_empty() {
            self.outgoing = Vec::new();
        }
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Gives empty buffers back.
    fn settle(&mut self, worker: &Worker) {
        for buffer in [&mut self.incoming, &mut self.plain] {
            if buffer.is_lent() && buffer.is_empty() {
                worker.buffers.give(std::mem::take(buffer));
            }
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

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn transfer(from: &mut Buffer, into: &mut Buffer) -> usize {
    let room = into.room();
    let n = room.len().min(from.len());
    room[..n].copy_from_slice(&from.bytes()[..n]);
    into.filled(n);
    from.consume(n);
    n
}

fn deliver(payload: &[u8], into: Option<&mut Buffer>, plain: &mut Buffer, worker: &Worker) {
    let mut rest = payload;
    if let Some(into) = into.filter(|_| plain.is_empty()) {
        let room = into.room();
        let n = room.len().min(rest.len());
        room[..n].copy_from_slice(&rest[..n]);
        into.filled(n);
        rest = &rest[n..];
    }
    if !rest.is_empty() {
        if !plain.is_lent() {
            *plain = worker.buffers.small();
        }
        plain.push(rest);
    }
}

fn encode(mut data: EncodeTlsData<'_, rustls::server::ServerConnectionData>, out: &mut Vec<u8>) {
    let at = out.len();
    let mut size = SMALL / 4;
    loop {
        out.resize(at + size, 0);
        match data.encode(&mut out[at..]) {
            Ok(n) => return out.truncate(at + n),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
                size = required_size
            }
            Err(EncodeError::AlreadyEncoded) => return out.truncate(at),
        }
    }
}

fn encrypt_parts(
    traffic: &mut WriteTraffic<'_, rustls::server::ServerConnectionData>, parts: &[IoSlice<'_>],
    out: &mut Vec<u8>,
) -> io::Result<usize> {
    let mut accepted = 0;
    for part in parts {
        let part = &part[..part.len().min(MOST_AT_ONCE - accepted)];
        if part.is_empty() {
            continue;
        }
        let at = out.len();
        out.resize(at + part.len() + OVERHEAD * part.len().div_ceil(RECORD), 0);
        let n = loop {
            match traffic.encrypt(part, &mut out[at..]) {
                Ok(n) => break n,
                Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                    out.resize(at + required_size, 0);
                }
                Err(EncryptError::EncryptExhausted) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        };
        out.truncate(at + n);
        accepted += part.len();
    }
    Ok(accepted)
}

impl Socket {
    fn poll_recv(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(s) => poll_recv(s, cx, room),
            Socket::Unix(s) => poll_recv(s, cx, room),
        }
    }
    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Tcp(s) => poll_send(s, cx, bytes),
            Socket::Unix(s) => poll_send(s, cx, bytes),
        }
    }
    fn shut_writing(&self) {
        // An error means that it is shut already.
        let _ = match self {
            Socket::Tcp(s) => rustix::net::shutdown(s, rustix::net::Shutdown::Write),
            Socket::Unix(s) => rustix::net::shutdown(s, rustix::net::Shutdown::Write),
        };
    }
}
