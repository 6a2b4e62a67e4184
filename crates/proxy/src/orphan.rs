//! A gateway process that has lost its supervisor serves on, and waits for another one at a socket in the file system.

use crate::control::{Adoption, Channel, Report};
use crate::telemetry::events;
use rustix::net::{SocketFlags, accept_with};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How long to leave the socket alone when nothing can be accepted.
const PAUSE: Duration = Duration::from_secs(1);

/// Where another supervisor finds this process, and what it has to know.
pub(crate) struct Rendezvous {
    /// Listens. Nobody accepts while there is a supervisor.
    socket: OwnedFd,
    /// What the supervisor writes for the one after it. Only kept here.
    estate: OwnedFd,
}

impl Rendezvous {
    pub(crate) fn new([socket, estate]: [OwnedFd; 2]) -> Self {
        Rendezvous { socket, estate }
    }

    /// Waits for a supervisor that takes this process over; it is told what there is: `sockets` by their addresses.
    pub(crate) fn wait<'s>(
        &self, generation: u64, sockets: impl Iterator<Item = (&'s str, BorrowedFd<'s>)> + Clone,
    ) -> Channel {
        loop {
            let channel = match self.accepted() {
                Ok(Some(socket)) => Channel::new(socket),
                Ok(None) => continue,
                Err(error) => {
                    events::warn("supervisor_not_accepted", &[("error", &error.to_string())]);
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            let (binds, given): (Vec<&str>, Vec<BorrowedFd<'_>>) = sockets.clone().unzip();
            let adoption = Adoption {
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION"),
                generation,
                sockets: binds,
            };
            let descriptors: Vec<_> =
                [self.estate.as_fd(), self.socket.as_fd()].into_iter().chain(given).collect();
            match channel.report_with(&Report::Adopted(adoption), &descriptors) {
                Ok(()) => {
                    events::info("supervisor_found", &[]);
                    return channel;
                }
                Err(error) => events::warn("supervisor_not_told", &[("error", &error.to_string())]),
            }
        }
    }

    /// One that may: the same user, or root. `None`: nobody who may.
    fn accepted(&self) -> io::Result<Option<OwnedFd>> {
        let socket = match accept_with(&self.socket, SocketFlags::CLOEXEC) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => return Ok(None),
            accepted => accepted?,
        };
        Ok(is_allowed(&socket)?.then_some(socket))
    }
}

#[cfg(target_os = "linux")]
fn is_allowed(socket: &OwnedFd) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

/// The folder of the socket has kept others out.
#[cfg(not(target_os = "linux"))]
fn is_allowed(_: &OwnedFd) -> io::Result<bool> {
    Ok(true)
}
