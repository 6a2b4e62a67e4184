//! A worker's link to a lane, made and kept.

use super::line::Line;
use super::link::Link;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

/// Bytes of each ring.
const RING: usize = 1 << 20;

/// Makes a link, and the task without which it is lost.
pub(super) fn join(line: &Arc<Line>) -> io::Result<(Rc<Link>, AbortHandle)> {
    let (link, listening, ends) = Link::new(RING)?;
    let watch = registered(line.watch()?)?;
    line.attach(&ends)?;
    let running = Rc::clone(&link).run(listening);
    let lost = Arc::clone(line);
    let running = tokio::task::spawn_local(async move {
        tokio::select! {
            () = running => {}
            _ = watch.readable() => {}
        }
        // Whatever it was: a lane that one worker has lost is to end, so that another one takes its place.
        lost.end();
    });
    Ok((link, running.abort_handle()))
}

#[expect(unsafe_code, reason = "the event loop asks for a promise about the descriptor")]
fn registered(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it owns the descriptor, and nobody takes it out.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? })
}
