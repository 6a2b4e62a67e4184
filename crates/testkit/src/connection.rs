//! One end of a TCP connection, step by step.

use crate::Message;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a step may take. Far longer than any should: a test never waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Used by clients and upstreams alike.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<TcpStream>,
    /// Read, and not yet asked for.
    ahead: Vec<u8>,
    /// Set when the upstream of this connection ends.
    ending: Arc<AtomicBool>,
}

/// What a script unwinds with when its upstream ends under it: no failure, and nothing to be printed.
pub(crate) struct Ended;

impl Connection {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE);
        Self::over(stream.unwrap_or_else(|error| panic!("no connection to {address}: {error}")))
    }

    pub fn over(stream: TcpStream) -> Self {
        let set = stream.set_nodelay(true).and(stream.set_read_timeout(Some(DEADLINE)));
        set.and(stream.set_write_timeout(Some(DEADLINE))).expect("options of an open socket");
        Connection { stream: Arc::new(stream), ahead: Vec::new(), ending: Arc::default() }
    }

    pub(crate) fn ending_with(self, ending: Arc<AtomicBool>) -> Self {
        Connection { ending, ..self }
    }

    /// For ending it from elsewhere; does not keep it open.
    pub(crate) fn handle(&self) -> Weak<TcpStream> {
        Arc::downgrade(&self.stream)
    }

    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(error) = self.try_send(bytes) {
            self.leave_when_ending();
            panic!("cannot send: {error}");
        }
    }

    /// For sending to a peer that may have gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        (&*self.stream).write_all(bytes.as_ref())
    }

    /// Ends the sending side; the other goes on.
    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("the peer is there");
    }

    /// Ends the connection with a reset instead of a FIN.
    pub fn reset(self) {
        SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO)).expect("options of an open socket");
    }

    /// What has been read and not been asked for.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Waits, without a deadline, for more bytes or the end.
    pub fn has_more(&mut self) -> bool {
        loop {
            if !self.ahead.is_empty() {
                return true;
            }
            match self.read_some() {
                Ok(length) => return length > 0,
                Err(error) if is_timeout(&error) => {}
                Err(_) => return false,
            }
        }
    }

    pub fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            self.read_more(&format!("{length} bytes"));
        }
        self.ahead.drain(..length).collect()
    }

    /// Everything up to `end`, and `end` itself.
    pub fn read_until(&mut self, end: &str) -> Vec<u8> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|bytes| bytes == end.as_bytes()) {
                return self.ahead.drain(..at + end.len()).collect();
            }
            self.read_more(&format!("{end:?}"));
        }
    }

    /// Everything until the peer ends its side, or resets.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_within("the end") > 0 {}
        std::mem::take(&mut self.ahead)
    }

    /// The peer ends the connection without another byte.
    pub fn expect_end(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "the end was due, and there came {}", rest.escape_ascii());
    }

    /// Without the blank line.
    pub fn read_head(&mut self) -> Message {
        let head = self.read_until("\r\n\r\n");
        let head = String::from_utf8(head).expect("heads in tests are UTF-8");
        Message { head: head.trim_end_matches("\r\n").to_owned(), body: Vec::new(), trailers: Vec::new() }
    }

    pub fn read_request(&mut self) -> Message {
        let mut message = self.read_head();
        self.read_body(&mut message);
        message
    }

    /// A final response to anything but HEAD: interim ones are read over. Without a length it lasts to the end.
    pub fn read_response(&mut self) -> Message {
        let mut message = self.read_head();
        while (100..200).contains(&message.status()) && message.status() != 101 {
            message = self.read_head();
        }
        match message.status() {
            101 | 204 | 304 => {}
            _ if message.is_chunked() || message.content_length().is_some() => self.read_body(&mut message),
            _ => message.body = self.read_to_end(),
        }
        message
    }

    /// RFC 9112 6.3, for messages that a test holds to be sound.
    fn read_body(&mut self, message: &mut Message) {
        if message.is_chunked() {
            self.read_chunks(message);
        } else if let Some(length) = message.content_length() {
            message.body = self.read_exactly(length);
        }
    }

    fn read_chunks(&mut self, message: &mut Message) {
        loop {
            let line = self.read_line();
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("a chunk's size: {line:?}"));
            if size == 0 {
                break;
            }
            message.body.extend(self.read_exactly(size));
            assert_eq!(self.read_exactly(2), b"\r\n", "the end of a chunk");
        }
        loop {
            match self.read_line() {
                line if line.is_empty() => return,
                line => message.trailers.push(line),
            }
        }
    }

    fn read_line(&mut self) -> String {
        let line = String::from_utf8(self.read_until("\r\n")).expect("lines in tests are UTF-8");
        line.trim_end_matches("\r\n").to_owned()
    }

    fn read_more(&mut self, waiting_for: &str) {
        if self.read_within(waiting_for) == 0 {
            panic!("the end came before {waiting_for}, after {}", self.ahead.escape_ascii());
        }
    }

    /// 0 at the end.
    fn read_within(&mut self, waiting_for: &str) -> usize {
        let read = self.read_some();
        if matches!(read, Ok(0) | Err(_)) {
            self.leave_when_ending();
        }
        match read {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("waiting for {waiting_for}: {error}, after {}", self.ahead.escape_ascii()),
        }
    }

    fn leave_when_ending(&self) {
        if self.ending.load(Ordering::SeqCst) {
            resume_unwind(Box::new(Ended));
        }
    }

    fn read_some(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let length = (&*self.stream).read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
