//! Messages between the supervisor and this process: a Unix stream, each message a length (4 bytes, big-endian)
//! and JSON; descriptors travel with the first byte of the length.

use crate::explain::Explanation;
use pylos_core::table::raw::RawCertificate;
use pylos_core::table::{Problem, RawTable};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, send, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The most descriptors that the kernel lets travel at once.
const MOST_DESCRIPTORS: usize = 253;
/// Largest message: a table of some 100,000 routes.
const MOST_BYTES: usize = 256 << 20;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Order {
    /// Use this table from now on. One descriptor came along for each of `sockets`, in order.
    Apply {
        generation: u64,
        table: Box<RawTable>,
        sockets: Vec<NewSocket>,
        /// The lanes of its policies in Python; their descriptors come behind those of the sockets.
        #[serde(default)]
        lanes: Vec<NewLane>,
    },
    /// A lane in place of one that was lost; its descriptor came along.
    Lane {
        generation: u64,
        lane: NewLane,
    },
    /// Forget what was remembered of a policy's decisions, or of all policies'.
    Forget {
        policy: Option<String>,
    },
    /// Open log files anew.
    Reopen,
    /// What keys for tickets of TLS sessions are made from, in hexadecimal digits, the one in use first.
    Keys {
        tickets: Vec<String>,
    },
    /// What authorities of ACME are answered from now on, and nothing else: by token, and by name of a server.
    Challenges {
        tokens: BTreeMap<String, String>,
        certificates: BTreeMap<String, RawCertificate>,
    },
    /// The line came along over which the supervisor answers requests of admin listeners.
    Admin,
    /// Where a request would go now.
    Explain {
        /// Names the question in its answer.
        generation: u64,
        /// `Question` in JSON; what is wrong with it is told in the answer.
        question: String,
    },
    /// Wait at the socket that came along when the supervisor is lost, and keep what else came along for the next one.
    Rendezvous,
    /// Leave to another process what this one knows, in the memory that came along. The socket that came along too is
    /// for what is said later.
    HandOver,
    /// Ask that other process about limits, over the socket.
    Ask,
    /// That other process has failed: count by oneself again.
    TakeBack,
    /// Take over what another process has left in the memory that came along, and answer it over the socket that came
    /// along too. Before the first configuration.
    TakeOver,
    /// Put the time forward; for tests.
    Advance {
        ms: u64,
    },
    /// Take nothing new, finish what is there, end.
    Drain {
        deadline_ms: u64,
    },
    Stop,
    Status,
}

#[derive(Deserialize)]
pub(crate) struct NewSocket {
    /// As the table spells it.
    pub(crate) bind: String,
}

#[derive(Deserialize)]
pub(crate) struct NewLane {
    /// Its group; lanes of one group have the same policies.
    pub(crate) lane: String,
    /// By the numbers under which the lane knows them.
    pub(crate) policies: Vec<String>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Report<'a> {
    Hello { pid: u32, version: &'a str },
    Applied { generation: u64, workers: usize },
    Refused { generation: u64, problems: Vec<Problem> },
    Status(Box<super::server::Status>),
    Forgot,
    Reopened { error: Option<String> },
    Advanced,
    HandedOver { error: Option<String> },
    Asks,
    TookBack,
    TookOver { error: Option<String> },
    Explained { generation: u64, explanation: Option<Box<Explanation>>, error: Option<String> },
    Drained,
    Adopted(Adoption<'a>),
}

/// To a supervisor that takes over a process which has lost its own. Descriptors come along: the estate, the socket
/// of the rendezvous, and the listening sockets in their order.
#[derive(Serialize)]
pub(crate) struct Adoption<'a> {
    pub(crate) pid: u32,
    pub(crate) version: &'a str,
    pub(crate) generation: u64,
    /// Their addresses, as the table spells them.
    pub(crate) sockets: Vec<&'a str>,
}

pub(crate) struct Channel {
    socket: OwnedFd,
}

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Channel { socket }
    }

    /// The descriptor, to wait on.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.socket
    }

    /// The next order; `None` when the supervisor has closed its end. An order that cannot be read is an error,
    /// and the stream is still in step behind it.
    pub(crate) fn receive(&self) -> io::Result<Option<(Result<Order, String>, Vec<OwnedFd>)>> {
        let mut descriptors = Vec::new();
        let mut length = [0; 4];
        if !self.fill(&mut length, &mut descriptors)? {
            return Ok(None);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
        }
        let mut text = vec![0; length];
        if !self.fill(&mut text, &mut descriptors)? {
            return Ok(None);
        }
        let order = serde_json::from_slice(&text).map_err(|e| e.to_string());
        Ok(Some((order, descriptors)))
    }

    /// Fills the block; false at the end of the stream.
    fn fill(&self, block: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<bool> {
        let mut at = 0;
        while at < block.len() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut block[at..])];
            let received = recvmsg(&self.socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC);
            let received = match received {
                Err(rustix::io::Errno::INTR) => continue,
                received => received?,
            };
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            if received.bytes == 0 {
                return Ok(false);
            }
            at += received.bytes;
        }
        Ok(true)
    }

    pub(crate) fn report(&self, report: &Report<'_>) -> io::Result<()> {
        self.report_with(report, &[])
    }

    /// Likewise, with descriptors beside it.
    pub(crate) fn report_with(&self, report: &Report<'_>, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(report)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let mut message = length.to_be_bytes().to_vec();
        message.extend_from_slice(&text);
        let mut left = &message[..];
        if !descriptors.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(io::Error::other("too many descriptors"));
            }
            let sent = sendmsg(&self.socket, &[IoSlice::new(left)], &mut ancillary, SendFlags::NOSIGNAL)?;
            left = &left[sent..];
        }
        while !left.is_empty() {
            match send(&self.socket, left, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => left = &left[sent?..],
            }
        }
        Ok(())
    }
}
