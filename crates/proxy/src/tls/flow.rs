//! What lies between a socket and a TLS session: records that came and are not understood yet, text that was decrypted
//! and not taken yet, and what is encrypted and not sent yet.

use super::session::Socket;
use crate::buffer::{Buffer, SMALL};
use crate::worker::Worker;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

/// Bytes that are encrypted at once, at most.
const MOST_AT_ONCE: usize = 64 * 1024;
/// Of a record: its head, what TLS 1.2 puts before the content, the tag and the kind behind it.
const OVERHEAD: usize = 5 + 8 + 16 + 1;
/// Content of a full record.
const RECORD: usize = 1 << 14;

/// What lies between the socket and the connection.
#[derive(Default)]
pub(super) struct Flow {
    /// What came and is no whole record yet.
    pub(super) incoming: Buffer,
    /// What was decrypted and not taken yet.
    pub(super) plain: Buffer,
    /// Encrypted, and not taken by the socket yet.
    pub(super) outgoing: Vec<u8>,
    /// How much of it was.
    pub(super) sent: usize,
    /// A part of it is content of a writer.
    pub(super) is_owed: bool,
    /// Bytes that the socket has taken, counted round and round.
    pub(super) moved: u32,
    /// What has ended the session, until that is told: what came before it is given out first. Nothing behind it is
    /// looked at.
    pub(super) failed: Option<rustls::Error>,
    /// The other side has said that it sends nothing more.
    pub(super) peer_closed: bool,
    pub(super) closed: bool,
}

/// What rustls has for both ends, each in a type of its own.
pub(super) trait Unbuffered {
    type Data;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    /// Whether something is to be sent that needs no more bytes to be known.
    fn has_to_send(&self) -> bool;
}

impl Unbuffered for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
    fn has_to_send(&self) -> bool {
        self.wants_write()
    }
}

impl Unbuffered for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
    fn has_to_send(&self) -> bool {
        self.wants_write()
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

impl Flow {
    /// Decrypts what has come: into `into`, and what does not fit there into `plain`; gives how much that was. What
    /// the protocol wants to answer lies in `outgoing`.
    pub(super) fn receive<C: Unbuffered>(
        &mut self, connection: &mut C, worker: &Worker, mut into: Option<&mut Buffer>,
    ) -> Result<usize, rustls::Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
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
                    // The alert that belongs to it. Without one it must not be called again: what it knows of the
                    // bytes that came is not true of none.
                    while connection.has_to_send()
                        && let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(data)), .. } =
                            connection.process(&mut [])
                    {
                        encode(data, &mut self.outgoing);
                    }
                    self.failed = Some(error.clone());
                    return if read > 0 { Ok(read) } else { Err(error) };
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
    pub(super) fn poll_fill(
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
    pub(super) fn encrypt<C: Unbuffered>(
        &mut self, connection: &mut C, worker: &Worker, parts: &[IoSlice<'_>], out: &mut Vec<u8>,
    ) -> io::Result<usize> {
        if let Some(error) = &self.failed {
            return Err(broken(error.clone()));
        }
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

    pub(super) fn close<C: Unbuffered>(&mut self, connection: &mut C) -> Result<(), rustls::Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
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
    pub(super) fn poll_flush(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let sent = ready!(socket.poll_send(cx, &self.outgoing[self.sent..]))?;
            self.sent += sent;
            self.moved = self.moved.wrapping_add(sent as u32);
        }
        self.is_owed = false;
        if !self.outgoing.is_empty() {
            self.outgoing = Vec::new();
        }
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Sends what the socket takes at once, without a word to the event loop: its fairness is not for last words.
    pub(super) fn send_at_once(&mut self, socket: &Socket) {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match socket.send_now(rest) {
                Ok(sent) if sent > 0 => self.sent += sent,
                _ => return,
            }
        }
    }

    /// Gives empty buffers back.
    pub(super) fn settle(&mut self, worker: &Worker) {
        for buffer in [&mut self.incoming, &mut self.plain] {
            if buffer.is_lent() && buffer.is_empty() {
                worker.buffers.give(std::mem::take(buffer));
            }
        }
    }
}

pub(super) fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

pub(super) fn transfer(from: &mut Buffer, into: &mut Buffer) -> usize {
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
