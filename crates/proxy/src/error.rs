//! A refusal: an answer that the gateway makes itself instead of the upstream's. One type says whose fault it
//! was; one function (`request::respond::refuse`) turns it into bytes.

use std::borrow::Cow;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Client,
    Upstream,
    Gateway,
}

#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Fixed code for machines: the `pylos-reason` field, the log, the docs.
    pub(crate) reason: Cow<'static, str>,
    /// One sentence for people. Never has anything in it that names an upstream.
    pub(crate) detail: Cow<'static, str>,
    pub(crate) fault: Fault,
    /// The connection cannot go on: what follows on it is not understood.
    pub(crate) close: bool,
    /// The upstream has done what was asked for: nobody is invited to send it again.
    pub(crate) done: bool,
    /// The value of Allow, for 405.
    pub(crate) allow: Option<Box<str>>,
    /// Further fields of the answer.
    pub(crate) fields: Vec<(String, String)>,
}

impl Refusal {
    const fn new(status: u16, reason: &'static str, detail: &'static str, fault: Fault) -> Self {
        let (reason, detail) = (Cow::Borrowed(reason), Cow::Borrowed(detail));
        Refusal { status, reason, detail, fault, close: false, done: false, allow: None, fields: Vec::new() }
    }
    /// The client sent what cannot be understood in one way only: 400, and no byte after it is read.
    pub(crate) const fn malformed(reason: &'static str, detail: &'static str) -> Self {
        Self::new(400, reason, detail, Fault::Client).closing()
    }
    pub(crate) const fn client(status: u16, reason: &'static str, detail: &'static str) -> Self {
        Self::new(status, reason, detail, Fault::Client)
    }
    pub(crate) const fn upstream(status: u16, reason: &'static str, detail: &'static str) -> Self {
        Self::new(status, reason, detail, Fault::Upstream)
    }
    pub(crate) const fn gateway(status: u16, reason: &'static str, detail: &'static str) -> Self {
        Self::new(status, reason, detail, Fault::Gateway)
    }
    pub(crate) const fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}
