//! The answer on its way down: head understood, told anew, body passed on piece by piece as the client takes it.

use super::answer_h1::{self, AnswerFailure, MAX_INTERIM};
use super::exchange_h1::{Course, Progress, Reuse};
use crate::buffer::{Buffer, LARGE, SMALL};
use crate::error::Refusal;
use crate::request::incoming::Answer;
use crate::request::record::Record;
use crate::request::respond::Shape;
use crate::request::review;
use crate::stream::{Broken, ReadHalf, WriteHalf};
use crate::timer::Slot;
use pylos_core::http1::{ChunkedDecoder, HeadParser, Length, StatusLine, Step, chunked};
use pylos_core::message::head::{Fields, Version};
use pylos_core::message::names::Known;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::IoSlice;
use std::task::{Context, Poll};

/// Content is copied behind its head up to this size: one send is cheaper than two, and than a vectored one.
const COPIED: usize = 4 * 1024;

pub(crate) enum Relayed {
    /// `reuse`: whether and when the upstream's connection takes a new exchange.
    Done { keep: bool, reuse: Option<Reuse> },
    /// Nothing of a final answer was sent.
    NoAnswer(AnswerFailure),
    /// The answer was begun.
    Cut(&'static str),
    /// Likewise, and the client can tell only by a reset.
    Reset(&'static str),
    /// Something else is said in place of the answer.
    Denied(Refusal),
    /// 101 was passed on.
    Switched,
}

pub(crate) struct Relay<'a, 'w> {
    pub(crate) course: &'a Course<'a>,
    pub(crate) from: ReadHalf<'a>,
    /// What was read from the upstream and is not used yet.
    pub(crate) read: &'a mut Buffer,
    pub(crate) to: WriteHalf<'a>,
    /// Who looks whether the client is still there; none while its request is being read.
    pub(crate) watch: &'a RefCell<Option<Watch<'w>>>,
    pub(crate) answer: &'a mut Answer,
    pub(crate) reply: &'a mut Vec<u8>,
    pub(crate) record: &'a mut Record,
    /// Bytes of the final answer have left for the client.
    pub(crate) begun: bool,
    /// Reads that gave bytes.
    pub(crate) reads: u32,
}

/// Why a read from the upstream gave nothing.
enum Stop {
    Upstream(Broken),
    ClientGone,
}

impl Relay<'_, '_> {
    pub(crate) async fn run(mut self) -> Relayed {
        self.reply.clear();
        let head = match self.head().await {
            Ok(head) => head,
            Err(relayed) => return relayed,
        };
        if self.answer.status == 101 {
            return self.switch(head).await;
        }
        let telling = &self.course.telling;
        let request = telling.request;
        self.record.first_byte_us = Some(telling.worker.clock.us().saturating_sub(self.record.started_us));
        self.course.events.set(self.is_event_stream());
        // The head is there: what policies take to look at it is theirs.
        self.set_total();
        let reviewed = if telling.effective.reviews {
            match Box::pin(review::upstreams(telling, self.read.bytes(), self.answer, self.record)).await {
                Ok(block) => Some(block),
                Err(refusal) => return Relayed::Denied(refusal),
            }
        } else {
            None
        };
        let shape = self.shape();
        let block = reviewed.as_deref().unwrap_or(self.read.bytes());
        telling.head(block, self.answer, shape, self.reply);
        self.record.status = self.answer.status;
        self.read.consume(head);
        let body = match self.answer.length {
            Length::None => self.send(0).await,
            Length::Known(n) => self.counted(n).await,
            Length::Chunked => self.chunked(request.version == Version::Http11).await,
            Length::UntilClose => self.until_close(request.version == Version::Http11).await,
        };
        match body {
            Ok(()) => {
                let ended = !self.answer.close && self.answer.length != Length::UntilClose;
                let reuse = if self.reads > 1 { Reuse::InPieces } else { Reuse::AtOnce };
                let reuse = (ended && self.read.is_empty()).then_some(reuse);
                Relayed::Done { keep: shape.keep, reuse }
            }
            // Nobody has seen the head yet: the client can still be told what happened.
            Err(ended) if !self.begun && ended.starts_with("upstream") => {
                self.record.status = 0;
                Relayed::NoAnswer(AnswerFailure::Malformed)
            }
            // A client that takes the end of the connection for the end of the body must not see an orderly one.
            Err(ended) if shape.length == Length::UntilClose => Relayed::Reset(ended),
            Err(ended) => Relayed::Cut(ended),
        }
    }

    /// Reads up to the head of the final answer, passing interim ones on. Gives its length in `read`.
    async fn head(&mut self) -> Result<usize, Relayed> {
        let request = self.course.telling.request;
        let mut interim = 0;
        let mut deadline = None;
        let mut parser = HeadParser::<StatusLine>::new();
        loop {
            if !self.read.is_empty() {
                let parsed = answer_h1::parse(&mut parser, self.read.bytes(), self.answer, request);
                match parsed.map_err(Relayed::NoAnswer)? {
                    Some(len) if self.answer.status >= 200 => return Ok(len),
                    Some(len) if self.answer.status == 101 => {
                        let asked = request.upgrade.is_some();
                        return if asked {
                            Ok(len)
                        } else {
                            Err(Relayed::NoAnswer(AnswerFailure::Malformed))
                        };
                    }
                    Some(len) => {
                        interim += 1;
                        if interim > MAX_INTERIM {
                            return Err(Relayed::NoAnswer(AnswerFailure::Malformed));
                        }
                        self.interim().await?;
                        self.read.consume(len);
                        self.answer.reset();
                        deadline = None;
                        parser = HeadParser::new();
                        continue;
                    }
                    None => {}
                }
            }
            self.read_head_bytes(&mut deadline).await?;
        }
    }

    /// Reads once. The whole head has `first_byte`, from when the request is sent.
    async fn read_head_bytes(&mut self, deadline: &mut Option<u64>) -> Result<(), Relayed> {
        if self.read.room().is_empty() && !self.read.grow(answer_h1::LIMITS.total) {
            return Err(Relayed::NoAnswer(AnswerFailure::Malformed));
        }
        let began = !self.read.is_empty();
        let (now, ms) = (self.course.telling.worker.clock.ms(), self.course.upstream.timeouts.first_byte);
        if self.course.progress.get() != Progress::Running {
            deadline.get_or_insert(now + ms);
        }
        let ms = deadline.map_or(ms, |at| at.saturating_sub(now).max(1));
        match self.read(ms).await {
            Ok(0) if began => Err(Relayed::NoAnswer(AnswerFailure::Truncated)),
            Ok(0) => Err(Relayed::NoAnswer(AnswerFailure::Silent)),
            Ok(_) => Ok(()),
            Err(Stop::ClientGone) => Err(Relayed::Cut("client_gone")),
            Err(Stop::Upstream(broken)) if began && matches!(broken, Broken::Failed(_)) => {
                Err(Relayed::NoAnswer(AnswerFailure::Truncated))
            }
            Err(Stop::Upstream(broken)) => Err(Relayed::NoAnswer(AnswerFailure::Broken(broken))),
        }
    }

    /// Passes 1xx on; never to HTTP/1.0 (RFC 9110, 15.2), and 100 only to who waits for it, once.
    async fn interim(&mut self) -> Result<(), Relayed> {
        let request = self.course.telling.request;
        let unasked = self.answer.status == 100 && (!request.expects_continue || self.record.continued);
        if request.version == Version::Http10 || unasked {
            return Ok(());
        }
        self.record.continued |= self.answer.status == 100;
        self.course.telling.interim(self.read.bytes(), self.answer, self.reply);
        self.send(0).await.map_err(Relayed::Cut)
    }

    async fn switch(&mut self, head: usize) -> Relayed {
        let request = self.course.telling.request;
        let Some(token) = request.upgrade else { return Relayed::NoAnswer(AnswerFailure::Malformed) };
        let token = token.of(request.block.bytes());
        // It may switch to what was offered and to nothing else (RFC 9110, 7.8).
        let mut chosen = self.answer.fields.all(self.read.bytes(), Known::Upgrade);
        if !chosen.next().is_some_and(|c| c.eq_ignore_ascii_case(token)) || chosen.next().is_some() {
            return Relayed::NoAnswer(AnswerFailure::Malformed);
        }
        drop(chosen);
        self.course.telling.switching(self.read.bytes(), self.answer, token, self.reply);
        self.record.status = 101;
        self.read.consume(head);
        match self.send(0).await {
            Ok(()) => Relayed::Switched,
            Err(ended) => Relayed::Cut(ended),
        }
    }

    fn shape(&self) -> Shape {
        let telling = &self.course.telling;
        let request = telling.request;
        let http11 = request.version == Version::Http11;
        let length = match self.answer.length {
            Length::Chunked | Length::UntilClose => {
                if http11 {
                    Length::Chunked
                } else {
                    Length::UntilClose
                }
            }
            length => length,
        };
        // An upstream that stops reading the request and closes will not read the rest of it.
        let unread = self.course.progress.get() == Progress::Stopped
            || (self.course.progress.get() == Progress::Running && self.answer.close);
        let keep =
            request.keep_alive && length != Length::UntilClose && !unread && !telling.worker.draining();
        Shape { length, keep }
    }

    fn is_event_stream(&self) -> bool {
        let value = self.answer.fields.first(self.read.bytes(), Known::ContentType).unwrap_or_default();
        let media_type = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        media_type.eq_ignore_ascii_case(b"text/event-stream")
    }

    /// From the head on the whole exchange has another deadline, or none.
    fn set_total(&self) {
        let telling = &self.course.telling;
        let total = telling.snapshot.table.routes[telling.route.index()].timeouts.total;
        let started_ms = self.record.started_us / 1000;
        self.course.timer.set(Slot::Whole, if total > 0 { started_ms + total } else { 0 });
    }

    /// Passes on a body of known length.
    async fn counted(&mut self, length: u64) -> Result<(), &'static str> {
        let mut left = length;
        loop {
            let take = left.min(self.read.len() as u64) as usize;
            self.send(take).await?;
            self.read.consume(take);
            left -= take as u64;
            if left == 0 {
                return Ok(());
            }
            self.prepare(left);
            if self.body_bytes().await? == 0 {
                return Err("upstream_truncated");
            }
        }
    }

    async fn chunked(&mut self, rechunk: bool) -> Result<(), &'static str> {
        let mut decoder = ChunkedDecoder::default();
        let mut trailers = Fields::default();
        let limits = answer_h1::LIMITS.section();
        loop {
            let step =
                decoder.step(self.read.bytes(), &mut trailers, &limits).map_err(|_| "upstream_malformed")?;
            match step {
                Step::Data { skip, len } => {
                    self.read.consume(skip);
                    self.chunk(len, rechunk).await?;
                    self.read.consume(len);
                }
                Step::More { skip } => {
                    self.read.consume(skip);
                    if skip > 0 && !self.read.is_empty() {
                        continue;
                    }
                    // Nothing is held back while more is awaited.
                    self.send(0).await?;
                    if self.read.is_empty() {
                        self.prepare(LARGE as u64);
                    }
                    if self.body_bytes().await? == 0 {
                        return Err("upstream_truncated");
                    }
                }
                Step::End { skip } => {
                    if rechunk {
                        self.reply.extend_from_slice(b"0\r\n");
                        let (telling, edited) = (&self.course.telling, &self.answer.edited);
                        telling.answer_trailers(self.read.bytes(), &trailers.list, edited, self.reply);
                        self.reply.extend_from_slice(b"\r\n");
                    }
                    self.read.consume(skip);
                    return self.send(0).await;
                }
            }
        }
    }

    async fn until_close(&mut self, rechunk: bool) -> Result<(), &'static str> {
        loop {
            let len = self.read.len();
            if len > 0 {
                self.chunk(len, rechunk).await?;
                self.read.consume(len);
            }
            self.send(0).await?;
            self.prepare(LARGE as u64);
            if self.body_bytes().await? == 0 {
                if rechunk {
                    self.reply.extend_from_slice(b"0\r\n\r\n");
                }
                return self.send(0).await;
            }
        }
    }

    /// One piece of content at the front of `read`: gathered in `reply` while small, else sent from where it lies.
    async fn chunk(&mut self, len: usize, rechunk: bool) -> Result<(), &'static str> {
        if rechunk {
            chunked::write_size(len, self.reply);
        }
        if len > COPIED {
            self.send(len).await?;
        } else {
            self.reply.extend_from_slice(&self.read.bytes()[..len]);
        }
        if rechunk {
            self.reply.extend_from_slice(b"\r\n");
        }
        if self.reply.len() >= SMALL { self.send(0).await } else { Ok(()) }
    }

    /// Sends what is gathered, and `len` bytes of `read` behind it.
    async fn send(&mut self, len: usize) -> Result<(), &'static str> {
        let body = &self.read.bytes()[..len];
        let wait = self.course.wait(Slot::Answer, self.course.listener().timeouts.send_idle);
        let out = &mut self.record.bytes_out;
        let sent = if body.len() <= COPIED {
            self.reply.extend_from_slice(body);
            if self.reply.is_empty() {
                return Ok(());
            }
            self.to.write_all(&mut [IoSlice::new(self.reply)], wait, out).await
        } else {
            self.to.write_all(&mut [IoSlice::new(self.reply), IoSlice::new(body)], wait, out).await
        };
        self.reply.clear();
        self.begun |= self.record.status != 0;
        sent.map_err(|broken| match broken {
            Broken::Timeout(Slot::Whole) => "timeout",
            Broken::Timeout(_) => "client_timeout",
            Broken::Failed(_) => "client_gone",
        })
    }

    /// A larger buffer for a larger rest.
    fn prepare(&mut self, left: u64) {
        if left > SMALL as u64 && self.read.is_empty() && !self.read.is_large() {
            let buffers = &self.course.telling.worker.buffers;
            buffers.give(std::mem::replace(self.read, buffers.large()));
        }
    }

    /// More of the body; 0 at its orderly end.
    async fn body_bytes(&mut self) -> Result<usize, &'static str> {
        if self.read.room().is_empty() && !self.read.grow(answer_h1::LIMITS.total + SMALL) {
            return Err("upstream_malformed");
        }
        match self.read(self.course.upstream.timeouts.idle).await {
            Ok(n) => Ok(n),
            Err(Stop::ClientGone) => Err("client_gone"),
            Err(Stop::Upstream(Broken::Timeout(Slot::Whole))) => Err("timeout"),
            Err(Stop::Upstream(Broken::Timeout(_))) => Err("upstream_timeout"),
            Err(Stop::Upstream(Broken::Failed(_))) => Err("upstream_truncated"),
        }
    }

    /// Reads from the upstream, with an eye on the client. While the request is still going up, the upstream
    /// may take its time.
    async fn read(&mut self, ms: u64) -> Result<usize, Stop> {
        let wait = self.course.wait(Slot::Answer, ms);
        let mut begun = self.from.begun();
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = self.from.poll_read(cx, self.read) {
                return Poll::Ready(read.map_err(|e| Stop::Upstream(e.into())));
            }
            if let Some(watch) = &mut *self.watch.borrow_mut()
                && watch.poll_gone(cx, self.course)
            {
                return Poll::Ready(Err(Stop::ClientGone));
            }
            // A record of the body that comes in pieces is on its way; the head has its time as a whole.
            if self.begun && self.from.begun() > begun {
                begun = self.from.begun();
                wait.over();
            }
            let uploading = self.course.progress.get() == Progress::Running;
            let wait = if uploading { wait.with_ms(0) } else { wait };
            wait.pending(cx).map_or(Poll::Pending, |broken| Poll::Ready(Err(Stop::Upstream(broken))))
        })
        .await;
        wait.over();
        // Without a watch the slot is the upload's.
        if self.watch.borrow().is_some() {
            self.course.timer.clear(Slot::Client);
        }
        self.reads += 1;
        read
    }
}

/// Looks whether the client is still there while its answer is awaited; what it sends early is kept.
pub(crate) struct Watch<'a> {
    client: ReadHalf<'a>,
    held: &'a mut Buffer,
    eof: &'a mut bool,
    over: bool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(client: ReadHalf<'a>, held: &'a mut Buffer, eof: &'a mut bool) -> Self {
        let over = *eof;
        Watch { client, held, eof, over }
    }

    /// Whether the client is gone. One that only shut its sending side (RFC 9112, 9.6) is waited for, as long as
    /// `client_fin` without any progress.
    fn poll_gone(&mut self, cx: &mut Context<'_>, course: &Course<'_>) -> bool {
        while !self.over && self.client.poll_readable(cx).is_ready() {
            if !self.held.is_lent() {
                *self.held = course.telling.worker.buffers.small();
            }
            if self.held.room().is_empty() {
                self.over = true; // many requests ahead: it is there
                break;
            }
            match self.client.poll_read(cx, self.held) {
                Poll::Ready(Ok(0)) => {
                    *self.eof = true;
                    self.over = true;
                }
                Poll::Ready(Ok(_)) | Poll::Pending => {}
                Poll::Ready(Err(_)) => return true,
            }
        }
        if !*self.eof {
            return false;
        }
        let fin = course.wait(Slot::Client, course.listener().timeouts.client_fin);
        course.events.get() || matches!(fin.pending(cx), Some(Broken::Timeout(Slot::Client)))
    }
}
