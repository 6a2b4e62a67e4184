//! One read or write on a socket of the event loop, by a system call of our own: libc's are cancellation points,
//! which cost a process with threads about 0.1 us a request.

use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

pub(crate) trait Socket: AsFd {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Runs `io` when the event loop believes the socket ready; that it would block is noted.
    fn attempt<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R>;
}

macro_rules! socket {
    ($stream:ty) => {
        impl Socket for $stream {
            fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }
            fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }
            fn attempt<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.try_io(interest, io)
            }
        }
    };
}
socket!(TcpStream);
socket!(UnixStream);

/// Reads once; 0 is the end of the stream.
pub(crate) fn poll_recv(
    socket: &impl Socket, cx: &mut Context<'_>, room: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_readable(cx))?;
        let received = socket.attempt(Interest::READABLE, || {
            let (_, n) = rustix::net::recv(socket, &mut *room, RecvFlags::empty())?;
            Ok(n)
        });
        match received {
            Ok(n) => {
                if n > 0 && n < room.len() {
                    exhausted(socket, Interest::READABLE);
                }
                return Poll::Ready(Ok(n));
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// Whether there is nothing to read: no byte, no end, no error. Asks the kernel only when the event loop has seen
/// something happen.
pub(crate) fn has_nothing(socket: &impl Socket) -> bool {
    let mut byte = [0u8; 1];
    let received = socket
        .attempt(Interest::READABLE, || Ok(rustix::net::recv(socket, &mut byte, RecvFlags::empty())?.1));
    received.is_err_and(|error| is_passing(&error))
}

/// Writes once.
pub(crate) fn poll_send(socket: &impl Socket, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_writable(cx))?;
        let sent =
            socket.attempt(Interest::WRITABLE, || Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?));
        match sent {
            Ok(n) => {
                if n > 0 && n < bytes.len() {
                    exhausted(socket, Interest::WRITABLE);
                }
                return Poll::Ready(Ok(n));
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}

/// With edge-triggered events, a call that moved less than it could have says that the next one would block:
/// noted here, it saves that call.
fn exhausted(socket: &impl Socket, interest: Interest) {
    let _ = socket.attempt::<()>(interest, || Err(io::ErrorKind::WouldBlock.into()));
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
