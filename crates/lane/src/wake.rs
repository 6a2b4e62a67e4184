//! A descriptor that wakes the process on the other side.
//!
//! Who is to be rung by a process that it does not trust may give it an eventfd, and never reads it. The other way
//! round it is a pipe: an eventfd's counter and its `O_NONBLOCK` belong to both sides, so that a lane could make the
//! gateway's next `ring` wait for ever; of a pipe each side has only its own end.

use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// One side rings, the other one waits until the descriptor is readable.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    pub fn new() -> io::Result<Self> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// The end that is rung, and the end that hears it.
    pub fn apart() -> io::Result<(Self, Self)> {
        let (heard, rung) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok((Bell(rung), Bell(heard)))
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Bell)
    }

    /// Makes it readable. One that takes no more is readable already.
    pub fn ring(&self) {
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Makes it silent again.
    pub fn hush(&self) {
        let mut rings = [0; 4096];
        while rustix::io::read(&self.0, &mut rings).is_ok_and(|read| read == rings.len()) {}
    }
}

impl From<OwnedFd> for Bell {
    fn from(fd: OwnedFd) -> Self {
        Bell(fd)
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
