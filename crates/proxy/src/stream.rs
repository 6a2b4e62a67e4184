//! A byte stream to a client or an upstream, and the ways of waiting on one: always with a deadline.

use crate::buffer::Buffer;
use crate::clock::Clock;
use crate::socket::{has_nothing, poll_recv, poll_send};
use crate::timer::{Slot, Timer};
use crate::tls::TlsStream;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::AsyncWrite;
use tokio::net::{TcpStream, UnixStream, tcp, unix};

fn reset_on_close(stream: &TcpStream) {
    // Fails only on a connection that is gone already.
    let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

/// A connected socket.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

pub(crate) enum ReadHalf<'a> {
    Tcp(tcp::ReadHalf<'a>),
    Unix(unix::ReadHalf<'a>),
    Tls(&'a TlsStream),
}

pub(crate) enum WriteHalf<'a> {
    Tcp(tcp::WriteHalf<'a>),
    Unix(unix::WriteHalf<'a>),
    Tls(&'a TlsStream),
}

/// Why a wait ended without what was waited for.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The deadline of this slot passed.
    Timeout(Slot),
    Failed(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Failed(error)
    }
}

/// How to wait: on whose timer, in which slot, for how long.
#[derive(Clone, Copy)]
pub(crate) struct Wait<'a> {
    pub(crate) timer: &'a Timer,
    pub(crate) clock: &'a Clock,
    pub(crate) slot: Slot,
    /// From the moment when waiting starts; 0 = no deadline but that of [`Slot::Whole`].
    pub(crate) ms: u64,
}

impl Wait<'_> {
    /// To be called on `Pending`: sets the deadline the first time, and tells when it has passed.
    pub(crate) fn pending(&self, cx: &Context<'_>) -> Option<Broken> {
        let now = self.clock.ms();
        if !self.timer.is_set(self.slot) {
            if self.ms > 0 {
                self.timer.set(self.slot, now + self.ms);
            }
        } else if self.timer.expired(self.slot, now) {
            return Some(Broken::Timeout(self.slot));
        }
        if self.timer.expired(Slot::Whole, now) {
            return Some(Broken::Timeout(Slot::Whole));
        }
        self.timer.watch(cx);
        None
    }
    pub(crate) fn over(&self) {
        self.timer.clear(self.slot);
    }
    pub(crate) fn with_ms(mut self, ms: u64) -> Self {
        self.ms = ms;
        self
    }
}

impl Stream {
    pub(crate) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match self {
            Stream::Tcp(s) => {
                let (r, w) = s.split();
                (ReadHalf::Tcp(r), WriteHalf::Tcp(w))
            }
            Stream::Unix(s) => {
                let (r, w) = s.split();
                (ReadHalf::Unix(r), WriteHalf::Unix(w))
            }
            Stream::Tls(s) => (ReadHalf::Tls(s), WriteHalf::Tls(s)),
        }
    }

    /// Ready when a read would not wait; needs no buffer meanwhile.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(s) => s.poll_read_ready(cx),
            Stream::Unix(s) => s.poll_read_ready(cx),
            Stream::Tls(s) => s.poll_readable(cx),
        }
    }

    /// Whether an idle connection is still what it was: open, and with nothing said unasked. Costs no system
    /// call unless the event loop has seen something happen on it.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Stream::Tcp(s) => has_nothing(s),
            Stream::Unix(s) => has_nothing(s),
            Stream::Tls(s) => s.is_quiet(),
        }
    }

    /// Whether a record of TLS has begun to come and is not whole.
    pub(crate) fn is_within_record(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.begun() > 0)
    }

    /// Says, where TLS has a word for it, that all was said. To be called at an end that is in order, and at no other.
    pub(crate) fn say_goodbye(&self) {
        if let Stream::Tls(stream) = self {
            stream.say_goodbye();
        }
    }

    /// Makes the coming close a reset: what was sent and not yet received is lost with it.
    pub(crate) fn reset_on_close(&self) {
        let tcp = match self {
            Stream::Tcp(s) => Some(s),
            Stream::Unix(_) => None,
            Stream::Tls(s) => s.tcp(),
        };
        tcp.into_iter().for_each(reset_on_close);
    }

    /// Sends FIN; what was written before still arrives.
    pub(crate) fn shut_writing(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // Never pending for a socket; an error means that it is shut already.
        let _ = match self {
            Stream::Tcp(s) => Pin::new(s).poll_shutdown(&mut cx),
            Stream::Unix(s) => Pin::new(s).poll_shutdown(&mut cx),
            Stream::Tls(s) => {
                s.shut();
                return;
            }
        };
    }
}

impl ReadHalf<'_> {
    /// Reads once into the buffer's room; 0 is the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        let room = into.room();
        debug_assert!(!room.is_empty());
        let n = ready!(match self {
            ReadHalf::Tcp(s) => poll_recv(s.as_ref(), cx, room),
            ReadHalf::Unix(s) => poll_recv(s.as_ref(), cx, room),
            ReadHalf::Tls(s) => return s.poll_read(cx, into),
        })?;
        into.filled(n);
        Poll::Ready(Ok(n))
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            ReadHalf::Tcp(s) => s.as_ref().poll_read_ready(cx),
            ReadHalf::Unix(s) => s.as_ref().poll_read_ready(cx),
            ReadHalf::Tls(s) => s.poll_readable(cx),
        }
    }

    /// Bytes of a record of TLS that is not whole yet.
    pub(crate) fn begun(&self) -> usize {
        if let ReadHalf::Tls(stream) = self { stream.begun() } else { 0 }
    }

    /// Reads once, or until a further piece of a record of TLS has come, and then gives `None`: who waits for content
    /// can tell by that that some is on its way.
    pub(crate) async fn read_piece(
        &mut self, into: &mut Buffer, wait: Wait<'_>,
    ) -> Result<Option<usize>, Broken> {
        let begun = self.begun();
        let read = poll_fn(|cx| match self.poll_read(cx, into) {
            Poll::Ready(read) => Poll::Ready(read.map(Some).map_err(Broken::from)),
            Poll::Pending if self.begun() > begun => Poll::Ready(Ok(None)),
            Poll::Pending => wait.pending(cx).map_or(Poll::Pending, |b| Poll::Ready(Err(b))),
        })
        .await;
        wait.over();
        read
    }

    /// Reads once, waiting as long as `wait` allows.
    pub(crate) async fn read(&mut self, into: &mut Buffer, wait: Wait<'_>) -> Result<usize, Broken> {
        let read = poll_fn(|cx| match self.poll_read(cx, into) {
            Poll::Ready(read) => Poll::Ready(read.map_err(Broken::from)),
            Poll::Pending => wait.pending(cx).map_or(Poll::Pending, |b| Poll::Ready(Err(b))),
        })
        .await;
        wait.over();
        read
    }
}

impl WriteHalf<'_> {
    fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // A plain send is a little cheaper than a vectored one.
        match (self, parts) {
            (WriteHalf::Tcp(s), [one]) => poll_send(s.as_ref(), cx, one),
            (WriteHalf::Unix(s), [one]) => poll_send(s.as_ref(), cx, one),
            (WriteHalf::Tcp(s), parts) => Pin::new(s).poll_write_vectored(cx, parts),
            (WriteHalf::Unix(s), parts) => Pin::new(s).poll_write_vectored(cx, parts),
            (WriteHalf::Tls(s), parts) => s.poll_write(cx, parts),
        }
    }

    /// What was taken is out.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) => Poll::Ready(Ok(())),
            WriteHalf::Tls(s) => s.poll_flush(cx),
        }
    }

    fn moved(&self) -> u32 {
        if let WriteHalf::Tls(s) = self { s.moved() } else { 0 }
    }

    /// Writes all parts, in one system call when the socket takes them. The deadline starts anew with each
    /// piece that was taken. `written` counts what went out or may have, also when the write fails.
    pub(crate) async fn write_all(
        &mut self, parts: &mut [IoSlice<'_>], wait: Wait<'_>, written: &mut u64,
    ) -> Result<(), Broken> {
        let mut parts = parts;
        IoSlice::advance_slices(&mut parts, 0);
        let mut moved = self.moved();
        let done = poll_fn(|cx| {
            loop {
                let polled = if parts.is_empty() {
                    self.poll_flush(cx).map_ok(|()| 0)
                } else {
                    self.poll_write(cx, parts)
                };
                match polled {
                    Poll::Ready(Ok(_)) if parts.is_empty() => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
                    }
                    Poll::Ready(Ok(n)) => {
                        *written += n as u64;
                        wait.over();
                        IoSlice::advance_slices(&mut parts, n);
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => {
                        if std::mem::replace(&mut moved, self.moved()) != moved {
                            wait.over();
                        }
                        return wait.pending(cx).map_or(Poll::Pending, |b| Poll::Ready(Err(b)));
                    }
                }
            }
        })
        .await;
        wait.over();
        if let Err(Broken::Timeout(_)) = done {
            // It takes nothing: the system need not keep what it has not taken either.
            self.reset_on_close();
        }
        done
    }

    fn reset_on_close(&self) {
        match self {
            WriteHalf::Tcp(s) => reset_on_close(s.as_ref()),
            WriteHalf::Unix(_) => {}
            WriteHalf::Tls(s) => s.tcp().into_iter().for_each(reset_on_close),
        }
    }

    /// Sends FIN.
    pub(crate) fn shut(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = match self {
            WriteHalf::Tcp(s) => Pin::new(s).poll_shutdown(&mut cx),
            WriteHalf::Unix(s) => Pin::new(s).poll_shutdown(&mut cx),
            WriteHalf::Tls(s) => {
                s.shut();
                return;
            }
        };
    }
}
