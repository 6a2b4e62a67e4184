//! One lane as the whole process knows it: which policies it runs, and the socket over which workers introduce
//! themselves.

use super::link::Ends;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, sendmsg, shutdown};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// The lane ends when the last one who has its line is gone.
pub(crate) struct Line {
    /// The lanes of one group have the same policies.
    pub(crate) group: Box<str>,
    /// By the numbers under which the lane knows them.
    pub(crate) policies: Vec<Box<str>>,
    socket: Mutex<OwnedFd>,
}

const ATTACH: &[u8] = br#"{"type":"attach"}"#;

impl Line {
    pub(crate) fn new(group: String, policies: Vec<String>, socket: OwnedFd) -> Self {
        let policies = policies.into_iter().map(String::into_boxed_str).collect();
        Line { group: group.into(), policies, socket: Mutex::new(socket) }
    }

    /// Gives the lane its ends of a worker's link.
    pub(crate) fn attach(&self, ends: &Ends) -> io::Result<()> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let message = [&(ATTACH.len() as u32).to_be_bytes()[..], ATTACH].concat();
        let descriptors = [ends.jobs.as_fd(), ends.answers.as_fd(), ends.bell.as_fd(), ends.back.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        // So few bytes go at once or, to a lane that reads nothing, not at all.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            match sendmsg(&*socket, &[IoSlice::new(&message)], &mut ancillary, flags) {
                Err(Errno::INTR) => {}
                Ok(sent) if sent == message.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends the connection: the lane finishes what it was asked, and ends.
    pub(crate) fn end(&self) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only where it has ended already.
        let _ = shutdown(&*socket, Shutdown::Both);
    }

    /// Whether the lane has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waits = [PollFd::new(&*socket, PollFlags::IN)];
        poll(&mut waits, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// Another descriptor of the socket, which becomes readable when the lane ends: it says nothing over it.
    pub(crate) fn watch(&self) -> io::Result<OwnedFd> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).try_clone()
    }
}
