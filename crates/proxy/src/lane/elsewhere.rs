//! Where there is no memory that nobody can make smaller there are no lanes: whoever asks one learns that it is lost.

use pylos_lane::Job;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::AbortHandle;

pub(crate) struct Line {
    pub(crate) group: Box<str>,
    pub(crate) policies: Vec<Box<str>>,
}

impl Line {
    pub(crate) fn new(group: String, policies: Vec<String>, _: OwnedFd) -> Self {
        Line { group: group.into(), policies: policies.into_iter().map(String::into_boxed_str).collect() }
    }
    pub(crate) fn end(&self) {}
    pub(crate) fn has_ended(&self) -> bool {
        true
    }
}

pub(super) fn join(_: &Arc<Line>) -> io::Result<(Rc<Link>, AbortHandle)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "policies in Python run on Linux alone"))
}

pub(crate) struct Link;

impl Link {
    pub(crate) fn ask(self: &Rc<Self>, _: Job<'_>, _: u64, _: Duration) -> Result<Asking, Unanswered> {
        Err(Unanswered::Lost)
    }
    pub(crate) fn is_lost(&self) -> bool {
        true
    }
    pub(crate) fn wait_us(&self, _: u64) -> u64 {
        0
    }
    pub(crate) fn asked(&self) -> usize {
        0
    }
}

#[expect(dead_code, reason = "as of a link that works")]
pub(crate) enum Unanswered {
    Lost,
    TooLong,
    Overloaded,
    Late,
}

pub(crate) struct Answer {
    pub(crate) kind: u8,
    pub(crate) rest: Vec<u8>,
}

pub(crate) struct Asking;

impl Future for Asking {
    type Output = Result<Answer, Unanswered>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(Unanswered::Lost))
    }
}
