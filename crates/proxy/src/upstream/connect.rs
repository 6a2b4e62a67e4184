//! A new connection to a target, within its time.

use super::target::TargetState;
use crate::stream::{Broken, Stream, Wait};
use crate::timer::Slot;
use crate::tls::{Failed, HandshakeError, Secure};
use crate::worker::Worker;
use pylos_core::table::TargetAddress;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::net::{TcpStream, UnixStream};

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The name has never resolved.
    NoAddress,
    Broken(Broken),
    /// It is there, but not as it has to be.
    Tls(HandshakeError),
}

impl NoConnection {
    /// Whether the target is to blame: not for the request's own deadline, nor for what this machine lacks.
    pub(crate) fn is_targets(&self) -> bool {
        match self {
            NoConnection::NoAddress | NoConnection::Tls(_) => true,
            NoConnection::Broken(Broken::Timeout(slot)) => *slot != Slot::Whole,
            NoConnection::Broken(Broken::Failed(error)) => {
                let own = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL];
                !own.iter().any(|code| error.raw_os_error() == Some(*code))
            }
        }
    }
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoConnection::NoAddress => f.write_str("the name does not resolve"),
            NoConnection::Broken(Broken::Timeout(_)) => f.write_str("no connection in time"),
            NoConnection::Broken(Broken::Failed(error)) => error.fmt(f),
            NoConnection::Tls(error) => error.fmt(f),
        }
    }
}

/// Connects to the target; with several addresses to the first that answers, beginning with the last good one.
pub(crate) async fn connect(
    address: &TargetAddress, secure: Option<&Secure>, state: &TargetState, worker: &Rc<Worker>,
    wait: Wait<'_>,
) -> Result<Stream, NoConnection> {
    let stream = reach(address, state, wait).await?;
    let Some(secure) = secure else { return Ok(stream) };
    secure.over(stream, worker, wait).await.map_err(|failed| match failed {
        Failed::Tls(error) => NoConnection::Tls(error),
        Failed::Late(broken) => NoConnection::Broken(broken),
    })
}

async fn reach(address: &TargetAddress, state: &TargetState, wait: Wait<'_>) -> Result<Stream, NoConnection> {
    if let TargetAddress::Unix(path) = address {
        let stream = within(UnixStream::connect(path), wait).await.map_err(NoConnection::Broken)?;
        return Ok(Stream::Unix(stream));
    }
    let (addresses, first) = state.addresses();
    let mut failure = NoConnection::NoAddress;
    for i in 0..addresses.len() {
        let index = (first + i) % addresses.len();
        match within(TcpStream::connect(addresses[index]), wait).await {
            Ok(stream) => {
                // Without it a second small write waits for the first one's acknowledgement.
                let _ = stream.set_nodelay(true);
                if index != first {
                    state.prefer(index);
                }
                return Ok(Stream::Tcp(stream));
            }
            Err(broken) => failure = NoConnection::Broken(broken),
        }
    }
    Err(failure)
}

async fn within<S>(connecting: impl Future<Output = io::Result<S>>, wait: Wait<'_>) -> Result<S, Broken> {
    let mut connecting = pin!(connecting);
    let made = poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(made) => Poll::Ready(made.map_err(Broken::from)),
        Poll::Pending => wait.pending(cx).map_or(Poll::Pending, |b| Poll::Ready(Err(b))),
    })
    .await;
    wait.over();
    made
}
