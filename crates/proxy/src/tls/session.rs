//! A TLS session over a socket, by rustls' unbuffered interface: records are decrypted where they were read, and
//! encrypted into one block of the thread. What is kept while nothing moves is rustls' own state.

use crate::buffer::{Buffer, SMALL};
use crate::socket::{has_nothing, poll_recv, poll_send};
use crate::worker::Worker;
use pylos_core::tls::{ClientHello, NotTls, peek};
use rustls::HandshakeKind;
use rustls::client::{ClientConfig, ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConfig, ServerConnectionData, UnbufferedServerConnection};
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

/// An encrypted connection.
pub(crate) struct TlsStream {
    socket: Socket,
    worker: Rc<Worker>,
    state: RefCell<State>,
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

/// What lies between the socket and the connection.
#[derive(Default)]
struct Flow {
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
    /// The other side has said that it sends nothing more.
    peer_closed: bool,
    closed: bool,
}

/// What rustls has for both ends, each in a type of its own.
trait Unbuffered {
    type Data;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Unbuffered for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Unbuffered for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
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
    /// A client's connection, on which nothing was said yet.
    pub(crate) fn accepted(socket: Socket, worker: Rc<Worker>) -> Self {
        TlsStream {
            socket,
            worker,
            state: RefCell::new(State { side: Side::Unknown, flow: Flow::default() }),
        }
    }

    /// A connection to a server whose certificate has to be for this name.
    pub(crate) fn connected(
        socket: Socket, worker: Rc<Worker>, config: Arc<ClientConfig>, name: ServerName<'static>,
    ) -> Result<Self, HandshakeError> {
        let connection = UnbufferedClientConnection::new(config, name).map_err(HandshakeError::Tls)?;
        let state = State { side: Side::Client(connection), flow: Flow::default() };
        Ok(TlsStream { socket, worker, state: RefCell::new(state) })
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
        let _ = self.socket.poll_send(&mut Context::from_waker(Waker::noop()), bytes);
    }

    /// Goes on with the handshake; ready when it is done.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            let received = state.receive(&self.worker, None);
            let flushed = state.flow.poll_flush(&self.socket, cx);
            received.map_err(HandshakeError::Tls)?;
            if !state.side.is_handshaking() {
                // What is left of it, tickets for the next time, goes out with the first answer.
                state.flow.settle(&self.worker);
                return Poll::Ready(Ok(()));
            }
            if state.flow.peer_closed {
                return Poll::Ready(Err(HandshakeError::Left));
            }
            ready!(flushed).map_err(|_| HandshakeError::Io)?;
            if state.flow.incoming.len() > MOST_UNREAD {
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

    /// Ready when a read may give something; holds nothing meanwhile.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.state.borrow().flow.plain.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &self.socket {
            Socket::Tcp(s) => s.poll_read_ready(cx),
            Socket::Unix(s) => s.poll_read_ready(cx),
        }
    }

    pub(crate) fn is_within_record(&self) -> bool {
        !self.state.borrow().flow.incoming.is_empty()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.state.borrow();
        state.flow.plain.is_empty()
            && state.flow.incoming.is_empty()
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

    /// Writes some of the parts; ready when the socket has taken it.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        if state.flow.accepted == 0 {
            state.flow.accepted = OUT.with_borrow_mut(|out| {
                out.clear();
                out.extend_from_slice(&state.flow.outgoing[state.flow.sent..]);
                let accepted = state.encrypt(&self.worker, parts, out)?;
                state.flow.sent = 0;
                // Most of the time all of it goes at once, and nothing is kept.
                let sent = match self.socket.poll_send(cx, out) {
                    Poll::Ready(sent) => sent?,
                    Poll::Pending => 0,
                };
                state.flow.outgoing.clear();
                state.flow.outgoing.extend_from_slice(&out[sent..]);
                Ok::<_, io::Error>(accepted)
            })?;
        }
        ready!(state.flow.poll_flush(&self.socket, cx))?;
        Poll::Ready(Ok(std::mem::take(&mut state.flow.accepted)))
    }

    /// Says that nothing more comes, and sends FIN.
    pub(crate) fn shut(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        let state = &mut *self.state.borrow_mut();
        if !state.flow.closed {
            state.flow.closed = true;
            let _ = state.close();
            let _ = state.flow.poll_flush(&self.socket, &mut cx);
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

impl Flow {
    /// Decrypts what has come: into `into`, and what does not fit there into `plain`; gives how much that was. What
    /// the protocol wants to answer lies in `outgoing`.
    fn receive<C: Unbuffered>(
        &mut self, connection: &mut C, worker: &Worker, mut into: Option<&mut Buffer>,
    ) -> Result<usize, rustls::Error> {
        let mut read = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = connection.process(self.incoming.bytes_mut());
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
                        connection.process(self.incoming.bytes_mut())
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
    fn encrypt<C: Unbuffered>(
        &mut self, connection: &mut C, worker: &Worker, parts: &[IoSlice<'_>], out: &mut Vec<u8>,
    ) -> io::Result<usize> {
        loop {
            let UnbufferedStatus { mut discard, state } = connection.process(self.incoming.bytes_mut());
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

    fn close<C: Unbuffered>(&mut self, connection: &mut C) -> Result<(), rustls::Error> {
        let UnbufferedStatus { discard, state } = connection.process(self.incoming.bytes_mut());
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

fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Vec<u8>) {
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

fn encrypt_parts<D>(
    traffic: &mut WriteTraffic<'_, D>, parts: &[IoSlice<'_>], out: &mut Vec<u8>,
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
